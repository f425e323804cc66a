//! What the driver means by a code, with the versions that it depends on and what to do.

use super::driver::Versions;
use super::failed::{failed, name};
use crate::Error;
use crate::jit::{Program, Target};
use cudarc::driver::{DriverError, sys::CUresult};

/// Codes of a machine that cannot be used as it is: name, meaning, what to do. By number, because neither a driver nor cudarc
/// knows those that are younger than it.
const KNOWN: &[(i32, &str, &str, &str)] = &[
    (
        34,
        "STUB_LIBRARY",
        "the library is the stub that toolkits are linked with, and no driver",
        "take its directory out of LD_LIBRARY_PATH, and install the NVIDIA driver",
    ),
    (
        46,
        "DEVICE_UNAVAILABLE",
        "another process has the GPU to itself",
        "wait for that process, or let several use the GPU (`nvidia-smi -c DEFAULT`)",
    ),
    (
        100,
        "NO_DEVICE",
        "the driver finds no GPU",
        "`nvidia-smi` has to list one, CUDA_VISIBLE_DEVICES must not hide it, and a container has to be started with it \
         (`docker run --gpus all`)",
    ),
    (
        802,
        "SYSTEM_NOT_READY",
        "the system is not ready for CUDA",
        "where GPUs are joined by NVSwitch, start the fabric manager of the driver's version \
         (`systemctl start nvidia-fabricmanager`)",
    ),
    (
        803,
        "SYSTEM_DRIVER_MISMATCH",
        "the driver's library and the kernel's module are of two versions",
        "reboot after an update of the driver; in a container, mount the host's library instead of installing another",
    ),
    (
        804,
        "COMPAT_NOT_SUPPORTED_ON_DEVICE",
        "the library is one for forward compatibility, which this GPU or its module does not have",
        "take the directory of cuda-compat out of LD_LIBRARY_PATH, or update the driver",
    ),
];

/// A call that failed while the driver or a device was opened.
pub(super) fn opening(call: &'static str) -> impl Fn(DriverError) -> Error {
    move |error| {
        let Some((code, name, meaning, help)) = KNOWN.iter().find(|(code, ..)| *code == error.0 as i32)
        else {
            return failed(call)(error);
        };
        let mut why = format!("{meaning} ({call}: {name}, {code}); {}", Versions::read());
        if *name == "NO_DEVICE"
            && let Some(visible) = std::env::var_os("CUDA_VISIBLE_DEVICES")
        {
            why += &format!("; CUDA_VISIBLE_DEVICES is `{}`", visible.to_string_lossy());
        }
        Error::Unavailable { what: "CUDA".into(), why, help: format!("{help}; or use Device::cpu()") }
    }
}

/// A cubin that was not loaded. `compiler` is what made it, as [`Nvrtc::identity`](crate::jit::Nvrtc::identity) has it; `None`
/// for one that was compiled ahead of time.
pub(crate) fn loading(
    error: DriverError,
    program: &Program,
    target: Target,
    driver: &str,
    compiler: Option<&str>,
) -> Error {
    let refused = [
        CUresult::CUDA_ERROR_INVALID_IMAGE,
        CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU,
        CUresult::CUDA_ERROR_INVALID_PTX,
        CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
    ];
    if !refused.contains(&error.0) {
        return failed("cuModuleLoadData")(error);
    }
    let numbers = compiler.and_then(|compiler| version(compiler.strip_prefix("nvrtc ")?));
    let made_by = match (compiler, numbers) {
        (_, Some((major, minor))) => format!("NVRTC {major}.{minor}"),
        (Some(compiler), None) => compiler.to_owned(),
        (None, _) => "`proxyattn compile`, made elsewhere".to_owned(),
    };
    let help = match (numbers, version(driver)) {
        (Some(nvrtc), Some(known)) if nvrtc > known => format!(
            "the compiler is newer than the driver: update the driver to CUDA {}.{} or later, or set PROXYATTN_NVRTC to an \
             NVRTC of CUDA {}.{} or older (`pip install '{}<={}.{}.999'`)",
            nvrtc.0,
            nvrtc.1,
            known.0,
            known.1,
            wheel(known.0),
            known.0,
            known.1
        ),
        _ => "update the driver, or compile with an NVRTC that is no newer than the driver".to_owned(),
    };
    Error::CubinRefused {
        program: program.name.clone(),
        target: target.to_string(),
        driver: driver.to_owned(),
        compiler: made_by,
        why: format!("{} ({}); {help}", name(error), error.0 as i32),
    }
}

/// The `12.4` that a text begins with.
fn version(text: &str) -> Option<(u32, u32)> {
    let end = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    let mut parts = text[..end].split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

/// The wheel of a CUDA version's NVRTC.
fn wheel(major: u32) -> &'static str {
    match major {
        ..=11 => "nvidia-cuda-nvrtc-cu11",
        12 => "nvidia-cuda-nvrtc-cu12",
        _ => "nvidia-cuda-nvrtc",
    }
}

/// A device that the driver does not have.
pub(super) fn no_such_device(ordinal: usize, count: i32) -> Error {
    let has = match count {
        1 => "1 GPU, which is cuda:0".to_owned(),
        n => format!("{n} GPUs, counted from cuda:0"),
    };
    Error::Unavailable {
        what: format!("cuda:{ordinal}"),
        why: format!("the driver has {has}"),
        help: "name one of them; CUDA_VISIBLE_DEVICES says which GPUs a process sees".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_at_the_beginning() {
        assert_eq!(version("13.0, 109338064 bytes of 1"), Some((13, 0)));
        assert_eq!(version("12.4 (550.54.15)"), Some((12, 4)));
        assert_eq!((version("12"), version("fake 1"), version("")), (None, None, None));
    }
}
