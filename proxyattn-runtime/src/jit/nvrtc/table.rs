//! NVRTC's functions, resolved by name.
//!
//! Results are plain integers, because a newer library may return codes that are unknown here.

use crate::{Error, Result};
use core::ffi::{CStr, c_char, c_int, c_void};
use libloading::Library;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

/// `nvrtcProgram`.
pub(super) type Handle = *mut c_void;

/// The oldest NVRTC that produces cubins and lists its architectures.
const OLDEST: (u32, u32) = (11, 2);

/// The library and the functions in use.
pub(super) struct Table {
    pub(super) library: PathBuf,
    pub(super) version: (u32, u32),
    error_string: unsafe extern "C" fn(c_int) -> *const c_char,
    pub(super) count_archs: unsafe extern "C" fn(*mut c_int) -> c_int,
    pub(super) archs: unsafe extern "C" fn(*mut c_int) -> c_int,
    #[allow(clippy::type_complexity)] // a C signature, spelled as the header spells it
    pub(super) create: unsafe extern "C" fn(
        *mut Handle,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> c_int,
    pub(super) compile: unsafe extern "C" fn(Handle, c_int, *const *const c_char) -> c_int,
    pub(super) log_size: unsafe extern "C" fn(Handle, *mut usize) -> c_int,
    pub(super) log: unsafe extern "C" fn(Handle, *mut c_char) -> c_int,
    pub(super) cubin_size: unsafe extern "C" fn(Handle, *mut usize) -> c_int,
    pub(super) cubin: unsafe extern "C" fn(Handle, *mut c_char) -> c_int,
    pub(super) destroy: unsafe extern "C" fn(*mut Handle) -> c_int,
    // Never closed: NVRTC has its own threads and exit handlers.
    _library: ManuallyDrop<Library>,
}

impl Table {
    /// Resolves everything, the version first: an old library lacks other functions, and the error should say that it is old.
    pub(super) fn resolve(library: Library, path: PathBuf) -> Result<Self> {
        let library = ManuallyDrop::new(library);
        macro_rules! symbol {
            ($name:literal) => {
                // SAFETY: the field that takes the pointer has the type that nvrtc.h declares for this name.
                unsafe { library.get($name) }
                    .map(|symbol| *symbol)
                    .map_err(|_| Error::NvrtcSymbol { library: path.clone(), symbol: $name })?
            };
        }
        let version: unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int = symbol!("nvrtcVersion");
        let error_string = symbol!("nvrtcGetErrorString");
        let (mut major, mut minor) = (0, 0);
        // SAFETY: both point at integers that outlive the call.
        let code = unsafe { version(&mut major, &mut minor) };
        if code != 0 {
            return Err(call_error(&path, error_string, "nvrtcVersion", code, String::new()));
        }
        let version = (major.max(0) as u32, minor.max(0) as u32);
        if version < OLDEST {
            return Err(Error::NvrtcTooOld { library: path, version });
        }
        Ok(Self {
            version,
            error_string,
            count_archs: symbol!("nvrtcGetNumSupportedArchs"),
            archs: symbol!("nvrtcGetSupportedArchs"),
            create: symbol!("nvrtcCreateProgram"),
            compile: symbol!("nvrtcCompileProgram"),
            log_size: symbol!("nvrtcGetProgramLogSize"),
            log: symbol!("nvrtcGetProgramLog"),
            cubin_size: symbol!("nvrtcGetCUBINSize"),
            cubin: symbol!("nvrtcGetCUBIN"),
            destroy: symbol!("nvrtcDestroyProgram"),
            library: path,
            _library: library,
        })
    }

    /// `Ok` for a result of zero.
    pub(super) fn check(&self, call: &'static str, code: c_int) -> Result<()> {
        if code == 0 { Ok(()) } else { Err(self.error(call, code, String::new())) }
    }

    pub(super) fn error(&self, call: &'static str, code: c_int, log: String) -> Error {
        let mut error = call_error(&self.library, self.error_string, call, code, log);
        if let (BUILTINS_FAILED, Error::NvrtcCall { why, .. }) = (code, &mut error) {
            let (major, minor) = self.version;
            *why += &format!("; libnvrtc-builtins.so.{major}.{minor} must be in the library's directory");
        }
        error
    }

    /// The supported architectures.
    pub(super) fn supported(&self) -> Result<Vec<u32>> {
        let mut count = 0;
        // SAFETY: `count` outlives the call.
        self.check("nvrtcGetNumSupportedArchs", unsafe { (self.count_archs)(&mut count) })?;
        let mut archs = vec![0; usize::try_from(count).unwrap_or(0)];
        if !archs.is_empty() {
            // SAFETY: the library writes as many integers as it has just counted.
            self.check("nvrtcGetSupportedArchs", unsafe { (self.archs)(archs.as_mut_ptr()) })?;
        }
        Ok(archs.into_iter().map(|arch: c_int| arch.max(0) as u32).collect())
    }
}

fn call_error(
    library: &Path,
    error_string: unsafe extern "C" fn(c_int) -> *const c_char,
    call: &'static str,
    code: c_int,
    log: String,
) -> Error {
    // SAFETY: takes any code.
    let text = unsafe { error_string(code) };
    let text = if text.is_null() {
        "unknown error".into()
    } else {
        // SAFETY: NVRTC returns NUL-terminated strings that are never freed.
        unsafe { CStr::from_ptr(text) }.to_string_lossy()
    };
    Error::NvrtcCall { library: library.to_owned(), call, code, why: format!("{text} ({code})"), log }
}

/// `NVRTC_ERROR_BUILTIN_OPERATION_FAILURE`.
const BUILTINS_FAILED: c_int = 7;
