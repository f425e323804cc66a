//! Whether there is a CUDA driver that can be used.
//!
//! cudarc opens the driver when it is first needed, and panics where the library or a symbol is missing. So before it
//! is touched, the library is opened here and everything that this crate will call is looked up.

use crate::linker::file_of;
use crate::{Error, Result};
use core::ffi::{c_uint, c_void};
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
    code.result().map_err(super::failed("cuDriverGetVersion"))?;
    let own = std::fs::read_to_string("/proc/driver/nvidia/version").unwrap_or_default();
    let own = own.lines().next().and_then(|line| line.split_whitespace().find(|word| is_version(word)));
    let own = own.map(|own| format!(" ({own})")).unwrap_or_default();
    Ok(format!("{}.{}{own}", version / 1000, version % 1000 / 10))
}

/// Whether a word is digits and at least one dot: `580.95.05`.
fn is_version(word: &str) -> bool {
    word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// `cuEventElapsedTime`: milliseconds, from, to. cudarc takes the newer name of this function where it was built beside a
/// newer toolkit, and older drivers lack that.
pub(super) type EventElapsed = unsafe extern "C" fn(*mut f32, CUevent, CUevent) -> CUresult;

/// The function that events are compared by.
pub(super) fn event_elapsed() -> Result<EventElapsed> {
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
pub(super) fn encode_tiled() -> Result<EncodeTiled> {
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
pub(super) fn capture_info() -> Result<CaptureInfo> {
    static FOUND: OnceLock<Result<CaptureInfo>> = OnceLock::new();
    // SAFETY: the type is that of the driver's documentation.
    FOUND.get_or_init(|| unsafe { function("cuStreamGetCaptureInfo_v2") }).clone()
}

/// A function of the driver that cudarc is not asked for.
///
/// # Safety
/// `T` must be the type of a pointer to that function.
pub(super) unsafe fn function<T: Copy>(symbol: &'static str) -> Result<T> {
    let (name, library) = library()?;
    // SAFETY: the caller promises the type.
    let found = unsafe { library.get::<T>(symbol.as_bytes()) }.map(|found| *found);
    core::mem::forget(library); // cudarc never closes it either
    found.map_err(|_| lacks(name, symbol))
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
        why: format!("the driver library {library} lacks {symbol}"),
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
            Err(error) => searched.push(format!("{name} ({error})")),
        }
    }
    Err(Error::Unavailable {
        what: "CUDA".into(),
        why: format!("no driver library was found: searched {}", searched.join(", ")),
        help: "install the NVIDIA driver, or use Device::cpu()".into(),
    })
}
