//! Whether there is a CUDA driver that can be used.
//!
//! cudarc opens the driver when it is first needed, and panics where the library or a symbol is missing. So before it
//! is touched, the library is opened here and everything that this crate will call is looked up.

use super::failed::failed;
use crate::jit::library::reason;
use crate::library_path::file_of;
use crate::{Error, Result};
use core::ffi::{c_int, c_uint, c_void};
use core::fmt;
use cudarc::driver::sys::{CUevent, CUresult, CUstream};
use libloading::Library;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The library's names, in the order in which cudarc tries them.
const NAMES: &[&str] =
    if cfg!(windows) { &["cuda.dll", "nvcuda.dll"] } else { &["libcuda.so", "libcuda.so.1"] };

/// What the CUDA backend calls, through cudarc.
const SYMBOLS: &[&str] = &[
    "cuInit",
    "cuDriverGetVersion",
    "cuDeviceGet",
    "cuDeviceGetCount",
    "cuDeviceGetName",
    "cuDeviceGetAttribute",
    "cuDevicePrimaryCtxRetain",
    "cuDevicePrimaryCtxRelease_v2",
    "cuCtxGetCurrent",
    "cuCtxSetCurrent",
    "cuCtxSynchronize",
    "cuThreadExchangeStreamCaptureMode",
    "cuStreamCreate",
    "cuStreamDestroy_v2",
    "cuStreamSynchronize",
    "cuStreamWaitEvent",
    "cuEventCreate",
    "cuEventDestroy_v2",
    "cuEventRecord",
    "cuEventSynchronize",
    "cuEventElapsedTime",
    "cuMemAlloc_v2",
    "cuMemAllocAsync",
    "cuMemFree_v2",
    "cuMemFreeAsync",
    "cuMemcpyDtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyHtoDAsync_v2",
    "cuMemcpyPeerAsync",
    "cuMemsetD2D8Async",
    "cuMemsetD8Async",
    "cuModuleGetFunction",
    "cuModuleLoadData",
    "cuModuleUnload",
    "cuFuncSetAttribute",
    "cuLaunchKernel",
    "cuGetErrorName",
    "cuGetErrorString",
];

/// Finds the driver, once for the process.
pub(super) fn probe() -> Result<()> {
    static PROBE: OnceLock<Result<()>> = OnceLock::new();
    PROBE.get_or_init(|| open(SYMBOLS)).clone()
}

/// The CUDA version that the driver speaks and, where Linux tells it, the driver's own.
pub(super) fn version() -> Result<String> {
    probe()?;
    let mut version = 0;
    // SAFETY: the probe found the function, which writes the number.
    let code = unsafe { cudarc::driver::sys::cuDriverGetVersion(&mut version) };
    code.result().map_err(failed("cuDriverGetVersion"))?;
    let own = release().map(|own| format!(" ({own})")).unwrap_or_default();
    Ok(format!("{}.{}{own}", version / 1000, version % 1000 / 10))
}

/// The version of the kernel's module, where Linux tells it: `580.95.05`. It is the driver's own.
pub(super) fn release() -> Option<String> {
    release_in(&std::fs::read_to_string("/proc/driver/nvidia/version").ok()?)
}

/// The first word that looks like a version: the line names the module, a machine, the version, and how it was built.
fn release_in(text: &str) -> Option<String> {
    text.lines().next()?.split_whitespace().find(|word| is_version(word)).map(str::to_owned)
}

/// Whether a word is numbers with dots between them: `580.95.05`.
fn is_version(word: &str) -> bool {
    word.contains('.')
        && word.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

/// What has to fit together, as far as it can be read off a driver that does not work.
pub(super) struct Versions {
    /// The library's file, and the version in its name.
    library: Option<(PathBuf, Option<String>)>,
    /// The CUDA version that it speaks.
    cuda: Option<(i32, i32)>,
    /// The kernel's module.
    module: Option<String>,
}

impl Versions {
    pub(super) fn read() -> Self {
        let library = path().ok().map(|path| {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            let name = real.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let version = name.strip_prefix("libcuda.so.").filter(|version| is_version(version));
            (path, version.map(str::to_owned))
        });
        let mut number = 0;
        // SAFETY: the type is that of the driver's documentation.
        let ask = unsafe { look_up::<unsafe extern "C" fn(*mut c_int) -> c_int>("cuDriverGetVersion") };
        // SAFETY: `number` outlives the call.
        let answered = ask.ok().and_then(|(_, ask)| ask).is_some_and(|ask| unsafe { ask(&mut number) } == 0);
        let cuda = answered.then_some((number / 1000, number % 1000 / 10));
        Self { library, cuda, module: release() }
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((path, version)) = &self.library {
            write!(f, "the library is {}", path.display())?;
            if let Some(version) = version {
                write!(f, " of version {version}")?;
            }
        }
        match self.cuda {
            Some((major, minor)) => write!(f, ", for CUDA {major}.{minor}")?,
            None => f.write_str(", which does not tell its CUDA version")?,
        }
        match &self.module {
            Some(module) => write!(f, "; the kernel's module is of version {module}"),
            None => f.write_str("; no module of NVIDIA's is loaded into the kernel"),
        }
    }
}

/// `cuEventElapsedTime`: milliseconds, from, to. cudarc takes the newer name of this function where it was built beside a
/// newer toolkit, and older drivers lack that.
pub(super) type EventElapsed = unsafe extern "C" fn(*mut f32, CUevent, CUevent) -> CUresult;

/// The function that events are compared by.
pub(crate) fn event_elapsed() -> Result<EventElapsed> {
    static FOUND: OnceLock<Result<EventElapsed>> = OnceLock::new();
    let find = || {
        let symbol = "cuEventElapsedTime";
        let (name, library) = library()?;
        // SAFETY: the type is that of the driver's documentation.
        let found = unsafe { library.get::<EventElapsed>(symbol.as_bytes()) }.map(|found| *found);
        core::mem::forget(library); // cudarc never closes it either
        found.map_err(|_| lacks(name, symbol))
    };
    FOUND.get_or_init(find).clone()
}

/// `cuTensorMapEncodeTiled`: the map to write, the type of its elements, the rank, the address, dimensions, strides in
/// bytes but for the innermost, box, steps, interleave, swizzle, promotion in the L2 cache, what is read out of bounds.
pub(super) type EncodeTiled = unsafe extern "C" fn(
    *mut c_void,
    c_uint,
    u32,
    *mut c_void,
    *const u64,
    *const u64,
    *const u32,
    *const u32,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
) -> CUresult;

/// The function that Hopper's kernels need besides. Drivers from before CUDA 12 lack it, which is no harm to other GPUs,
/// and so does cudarc where it was built beside an older toolkit; so it is looked up here.
pub(crate) fn encode_tiled() -> Result<EncodeTiled> {
    static FOUND: OnceLock<Result<EncodeTiled>> = OnceLock::new();
    // SAFETY: the type is that of the driver's documentation.
    FOUND.get_or_init(|| unsafe { function("cuTensorMapEncodeTiled") }).clone()
}

/// `cuStreamGetCaptureInfo_v2`: the stream, whether it is in a capture, the number of that capture, and three more places
/// for what nobody asks: the graph, the nodes that the next one would depend on, their number.
pub(super) type CaptureInfo =
    unsafe extern "C" fn(CUstream, *mut c_uint, *mut u64, *mut c_void, *mut c_void, *mut usize) -> CUresult;

/// The function that captures are told apart by. Drivers from before CUDA 11.3 lack it, which is no harm but that stages run
/// one after the other; cudarc has it under another name with each toolkit.
pub(crate) fn capture_info() -> Result<CaptureInfo> {
    static FOUND: OnceLock<Result<CaptureInfo>> = OnceLock::new();
    // SAFETY: the type is that of the driver's documentation.
    FOUND.get_or_init(|| unsafe { function("cuStreamGetCaptureInfo_v2") }).clone()
}

/// A function of the driver that cudarc is not asked for.
///
/// # Safety
/// `T` must be the type of a pointer to that function.
pub(super) unsafe fn function<T: Copy>(symbol: &'static str) -> Result<T> {
    // SAFETY: the caller promises the type.
    let (name, found) = unsafe { look_up(symbol) }?;
    found.ok_or_else(|| lacks(name, symbol))
}

/// The same, and the library's name; no function where the library has none.
///
/// # Safety
/// As [`function`].
unsafe fn look_up<T: Copy>(symbol: &'static str) -> Result<(&'static str, Option<T>)> {
    let (name, library) = library()?;
    // SAFETY: the caller promises the type.
    let found = unsafe { library.get::<T>(symbol.as_bytes()) }.map(|found| *found);
    core::mem::forget(library); // cudarc never closes it either
    Ok((name, found.ok()))
}

/// The file that the linker opens as the driver, or its name where the linker does not tell.
pub(super) fn path() -> Result<PathBuf> {
    let (name, library) = library()?;
    Ok(file_of(&library, "cuInit").unwrap_or_else(|| name.into()))
}

fn open(symbols: &[&str]) -> Result<()> {
    let (name, library) = library()?;
    // SAFETY: the symbol is looked up and never used, so its type does not matter.
    let missing = |symbol: &&&str| unsafe { library.get::<*const ()>(symbol.as_bytes()) }.is_err();
    symbols.iter().find(missing).map_or(Ok(()), |symbol| Err(lacks(name, symbol)))
}

fn lacks(library: &str, symbol: &str) -> Error {
    Error::Unavailable {
        what: "CUDA".into(),
        why: format!("the driver library {library} ({}) lacks {symbol}", Versions::read()),
        help: "update the NVIDIA driver".into(),
    }
}

/// The driver, and the name that it was found by.
fn library() -> Result<(&'static str, Library)> {
    let mut searched = Vec::new();
    for name in NAMES {
        // SAFETY: runs the initialisers of the system's CUDA driver, as cudarc would.
        match unsafe { Library::new(*name) } {
            Ok(library) => return Ok((name, library)),
            Err(error) => searched.push(format!("{name} ({})", reason(&error))),
        }
    }
    Err(Error::DriverNotFound { searched })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_found_in_the_kernels_words() {
        let open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (x)\nGCC 13.3.0";
        let closed =
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n";
        assert_eq!(release_in(open).as_deref(), Some("580.95.05"));
        assert_eq!(release_in(closed).as_deref(), Some("535.183.01"));
        assert_eq!(release_in("no version here\n1.2.3"), None);
    }
}
