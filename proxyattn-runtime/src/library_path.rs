//! Finds the file that the dynamic linker opened.

use libloading::Library;
use std::path::PathBuf;

#[cfg(not(unix))]
pub(crate) fn file_of(_: &Library, _: &str) -> Option<PathBuf> {
    None
}

/// The file of a library that was opened by a bare name, found by the address of one of its symbols.
#[cfg(unix)]
pub(crate) fn file_of(library: &Library, symbol: &str) -> Option<PathBuf> {
    use core::ffi::{CStr, c_char, c_void};
    use core::ptr;
    use std::os::unix::ffi::OsStrExt;

    #[repr(C)]
    struct Info {
        file: *const c_char,
        base: *mut c_void,
        symbol: *const c_char,
        address: *mut c_void,
    }
    unsafe extern "C" {
        fn dladdr(address: *const c_void, info: *mut Info) -> i32;
    }
    // SAFETY: the address is not dereferenced.
    let address = unsafe { library.get::<*const c_void>(symbol.as_bytes()) }.ok()?;
    let mut info =
        Info { file: ptr::null(), base: ptr::null_mut(), symbol: ptr::null(), address: ptr::null_mut() };
    // SAFETY: `info` has the layout of `Dl_info` and outlives the call.
    let found = unsafe { dladdr(*address, &mut info) } != 0 && !info.file.is_null();
    // SAFETY: the linker's own copy of the path, which lives as long as the library; the path is copied before that
    // is given back.
    let path = found.then(|| unsafe { CStr::from_ptr(info.file) })?;
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(path.to_bytes()));
    path.is_absolute().then_some(path)
}
