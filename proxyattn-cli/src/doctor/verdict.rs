//! What happens in a program that uses [`Device::auto`] and loads a kernel.

use super::facts::{ahead_cubins, cached_cubins};
use crate::failure::{DONE, MISSING, USAGE, told};
use crate::style::{ERROR, GOOD, WARN};
use anstyle::Style;
use proxyattn_codegen::Arch;
use proxyattn_runtime::jit::{Env, Jit, JitOptions, Nvrtc};
use proxyattn_runtime::{Device, DeviceName, Error, Result};

/// The verdict, and the exit code that goes with it.
pub(super) struct Verdict {
    /// What this machine can do, in a few words.
    pub(super) what: String,
    /// Why, and what to do about it.
    pub(super) more: Option<String>,
    pub(super) style: Style,
    pub(super) code: u8,
}

impl Verdict {
    pub(super) fn of(env: &Env, nvrtc: &Result<Nvrtc>) -> Self {
        if let Err(error) = env.check() {
            return Self::invalid(&error);
        }
        if let Some(error) = Device::why_not_cuda() {
            return Self::cpu_only(env, &error);
        }
        let device = match (Device::from_env(), Jit::new(JitOptions::default())) {
            (Ok(device), Ok(_)) => device,
            (Err(error), _) => return Self::cpu_only(env, &error),
            (_, Err(error)) => return Self::invalid(&error),
        };
        let Device::Cuda(gpu) = &device else { return Self::cpu("no usable GPU", None) };
        // Kernels compiled ahead of time need no compiler. Which kernels a program needs is not known here.
        let ahead = ahead_cubins(env) > 0;
        if !ahead && matches!(env.may_compile(), Ok(false)) && cached_cubins(env) == 0 {
            return Self::not_ready(
                &device,
                "no kernel is stored, and compiling is not allowed (PROXYATTN_JIT=deny): run `proxyattn compile` on a \
                 machine with NVRTC, and set PROXYATTN_AOT_DIR to its output directory"
                    .into(),
            );
        }
        let rehearsed = match nvrtc {
            Ok(found) => gpu.rehearse(found).map(|arch| (arch, found)).map_err(|error| told(&error)),
            Err(error) => Err(told(error)),
        };
        match rehearsed {
            Ok((Arch::Sm80, found)) if gpu.capability() == (9, 0) => {
                let (major, minor) = found.version();
                let more = format!(
                    "the faster Hopper kernels need NVRTC of CUDA 12.0 or later, and this one is {major}.{minor}: install \
                     one (`pip install nvidia-cuda-nvrtc`) and set PROXYATTN_NVRTC to it"
                );
                Self::ready(format!("the portable kernels run on {device}"), Some(more))
            }
            Ok(_) => Self::ready(format!("kernels run on {device}"), None),
            Err(_) if ahead => Self::ready(format!("kernels compiled ahead of time run on {device}"), None),
            Err(why) => Self::not_ready(&device, why),
        }
    }

    /// Kernels run on a GPU.
    fn ready(what: String, more: Option<String>) -> Self {
        Self { what, more, style: GOOD, code: DONE }
    }

    /// There is a GPU, and loading a kernel is an error.
    fn not_ready(device: &Device, why: String) -> Self {
        Self {
            what: format!("no kernel can be loaded on {device}"),
            more: Some(why),
            style: WARN,
            code: MISSING,
        }
    }

    /// Kernels run on the CPU because no GPU is usable.
    fn cpu_only(env: &Env, error: &Error) -> Self {
        match error {
            _ if env.device().is_ok_and(|name| name == DeviceName::Cpu) => {
                Self::cpu("PROXYATTN_DEVICE is cpu", Some("unset it to use a GPU".into()))
            }
            Error::DriverNotFound { .. } => {
                Self::cpu("no NVIDIA driver", Some(format!("to use a GPU, {}", Error::INSTALL_DRIVER)))
            }
            other => {
                let text = told(other);
                let why = text.strip_prefix("CUDA is not available: ").unwrap_or(&text);
                Self::cpu("no usable GPU", Some(why.to_owned()))
            }
        }
    }

    fn cpu(why: &str, more: Option<String>) -> Self {
        Self { what: format!("CPU only ({why})"), more, style: WARN, code: MISSING }
    }

    /// Loading a kernel is an error on every device.
    fn invalid(error: &Error) -> Self {
        let what = "nothing runs until an environment variable is corrected".into();
        Self { what, more: Some(told(error)), style: ERROR, code: USAGE }
    }
}
