//! The functions of cuBLAS that are called, looked up in a library that is opened at run time.
//!
//! cudarc could call them, but it looks for the library by names that follow from the toolkit it was built beside, takes
//! the first that the linker knows, and panics where there is none.

use super::search;
use core::ffi::{CStr, c_char, c_int, c_void};
use libloading::Library;
use proxyattn::cudarc::driver::sys::CUstream;
use proxyattn::jit::library::{Place, reason};
use proxyattn::{Error, Result};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

/// `cublasHandle_t`.
pub(super) type Handle = *mut c_void;

/// `cublasGemmEx`: handle; whether A and B are transposed; m, n, k; alpha; A, its type, its leading dimension; B, the
/// same; beta; C, the same; the type of sums; the algorithm.
pub(super) type GemmEx = unsafe extern "C" fn(
    Handle,
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    *const c_void,
    *const c_void,
    c_int,
    c_int,
    *const c_void,
    c_int,
    c_int,
    *const c_void,
    *mut c_void,
    c_int,
    c_int,
    c_int,
    c_int,
) -> c_int;

/// The oldest major version that is looked for.
const OLDEST: c_int = 12;

/// The library's functions.
pub(super) struct Table {
    pub(super) create: unsafe extern "C" fn(*mut Handle) -> c_int,
    pub(super) destroy: unsafe extern "C" fn(Handle) -> c_int,
    pub(super) set_stream: unsafe extern "C" fn(Handle, CUstream) -> c_int,
    pub(super) gemm_ex: GemmEx,
    status_string: unsafe extern "C" fn(c_int) -> *const c_char,
    property: unsafe extern "C" fn(c_int, *mut c_int) -> c_int,
    /// What it was opened by.
    pub(super) library: PathBuf,
    /// Major, minor.
    pub(super) version: (c_int, c_int),
}

impl Table {
    /// Of the first usable library, where [`search`] says.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with every place and what was wrong there.
    pub(super) fn open() -> Result<Self> {
        Self::first_of(search::places(&|name| std::env::var_os(name)))
    }

    pub(super) fn first_of(places: Vec<Place>) -> Result<Self> {
        let mut searched = Vec::new();
        for place in places {
            let path = match place.path() {
                Ok(path) => path,
                Err(why) => {
                    searched.push(why);
                    continue;
                }
            };
            match Self::of(&path) {
                Ok(table) => return Ok(table),
                Err(why) => searched.push(format!("`{}` ({why})", path.display())),
            }
        }
        Err(Error::Unavailable {
            what: "cuBLAS".into(),
            why: format!("expected libcublas.so of CUDA {OLDEST} or newer, searched {}", searched.join(", ")),
            help: format!(
                "install it (`pip install nvidia-cublas` in an active virtual environment is enough), \
                 or set {} to the library or its directory",
                search::VARIABLE
            ),
        })
    }

    /// Of one library; the error says what is wrong with it.
    fn of(path: &Path) -> Result<Self, String> {
        // It needs libcublasLt, which is in the same directory and is found by name once it is open. If opening it fails,
        // the linker searches for it and reports its own error.
        if let Some(companion) = companion(path) {
            // SAFETY: runs the initialisers of the library's own companion, which it would open itself.
            drop(unsafe { Library::new(companion) }.map(ManuallyDrop::new));
        }
        // SAFETY: runs the initialisers of a library that the user, or the system, names as cuBLAS.
        let library = unsafe { Library::new(path) }.map_err(|error| reason(&error))?;
        let library = ManuallyDrop::new(library); // open until the process ends, as its functions are kept
        // SAFETY: each type is that of the library's documentation.
        let mut table = unsafe {
            Self {
                create: symbol(&library, "cublasCreate_v2")?,
                destroy: symbol(&library, "cublasDestroy_v2")?,
                set_stream: symbol(&library, "cublasSetStream_v2")?,
                gemm_ex: symbol(&library, "cublasGemmEx")?,
                status_string: symbol(&library, "cublasGetStatusString")?,
                property: symbol(&library, "cublasGetProperty")?,
                library: path.to_owned(),
                version: (0, 0),
            }
        };
        for (number, part) in [&mut table.version.0, &mut table.version.1].into_iter().enumerate() {
            // SAFETY: writes a number; 0 asks for the major version, 1 for the minor one.
            let code = unsafe { (table.property)(number as c_int, part) };
            if code != 0 {
                return Err(format!("it does not report its version: status {code}"));
            }
        }
        let (major, minor) = table.version;
        if major < OLDEST { Err(format!("version {major}.{minor}")) } else { Ok(table) }
    }

    /// A call's status as a result.
    pub(super) fn check(&self, call: &'static str, code: c_int) -> Result<()> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: takes any number.
        let text = unsafe { (self.status_string)(code) };
        let why = if text.is_null() {
            "an unknown status".into()
        } else {
            // SAFETY: the library's own constant text, which ends with NUL.
            unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
        };
        let why = format!("{why}, of `{}`", self.library.display());
        Err(Error::Cuda { call, code, why })
    }
}

/// `libcublasLt.so.13` next to `libcublas.so.13`.
fn companion(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?.strip_prefix("libcublas.")?;
    let companion = path.with_file_name(format!("libcublasLt.{name}"));
    companion.is_file().then_some(companion)
}

/// # Safety
/// `T` must be the type of a pointer to that function, and the library stay open.
unsafe fn symbol<T: Copy>(library: &Library, name: &str) -> Result<T, String> {
    // SAFETY: the caller promises the type.
    unsafe { library.get::<T>(name.as_bytes()) }.map(|found| *found).map_err(|_| format!("it lacks {name}"))
}
