//! Whether there is a CUDA driver that can be used.
//!
//! cudarc opens the driver when it is first needed, and panics where the library or a symbol is missing. So before it
//! is touched, the library is opened here and everything that this crate will call is looked up.

use crate::{Error, Result};
use libloading::Library;
use std::sync::OnceLock;

/// The library's names, in the order in which cudarc tries them.
const NAMES: &[&str] =
    if cfg!(windows) { &["cuda.dll", "nvcuda.dll"] } else { &["libcuda.so", "libcuda.so.1"] };

/// What the CUDA backend calls, through cudarc.
const SYMBOLS: &[&str] = &[
    "cuInit",
    "cuDeviceGet",
    "cuDeviceGetCount",
    "cuDeviceGetName",
    "cuDeviceGetAttribute",
    "cuDevicePrimaryCtxRetain",
    "cuDevicePrimaryCtxRelease_v2",
    "cuCtxGetCurrent",
    "cuCtxSetCurrent",
    "cuCtxSynchronize",
    "cuStreamCreate",
    "cuStreamDestroy_v2",
    "cuStreamSynchronize",
    "cuStreamWaitEvent",
    "cuEventCreate",
    "cuEventDestroy_v2",
    "cuEventRecord",
    "cuMemAlloc_v2",
    "cuMemAllocAsync",
    "cuMemFree_v2",
    "cuMemFreeAsync",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyHtoDAsync_v2",
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
    PROBE.get_or_init(open).clone()
}

fn open() -> Result<()> {
    let mut searched = Vec::new();
    for name in NAMES {
        // SAFETY: runs the initialisers of the system's CUDA driver, as cudarc would.
        let library = match unsafe { Library::new(*name) } {
            Ok(library) => library,
            Err(error) => {
                searched.push(format!("{name} ({error})"));
                continue;
            }
        };
        // SAFETY: the symbol is looked up and never used, so its type does not matter.
        let lacks = |symbol: &&&str| unsafe { library.get::<*const ()>(symbol.as_bytes()) }.is_err();
        return match SYMBOLS.iter().find(lacks) {
            None => Ok(()),
            Some(symbol) => Err(Error::Unavailable {
                what: "CUDA".into(),
                why: format!("the driver library {name} lacks {symbol}"),
                help: "update the NVIDIA driver".into(),
            }),
        };
    }
    Err(Error::Unavailable {
        what: "CUDA".into(),
        why: format!("no driver library was found: searched {}", searched.join(", ")),
        help: "install the NVIDIA driver, or use Device::cpu()".into(),
    })
}
