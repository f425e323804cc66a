//! The names of devices.

use core::str::FromStr;

/// The name of a device, in `PROXYATTN_DEVICE` and on command lines.
///
/// ```
/// use proxyattn::{Device, DeviceName};
///
/// let name: DeviceName = "cuda:1".parse().expect("the name of a device");
/// assert_eq!(name, DeviceName::Cuda(1));
/// assert_eq!(Device::named(DeviceName::Cpu)?, Device::Cpu);
/// assert_eq!("gpu".parse::<DeviceName>().unwrap_err().to_string(), format!("expected {}", DeviceName::EXPECTED));
/// # Ok::<(), proxyattn::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceName {
    /// `auto`: the first GPU if it is usable, otherwise the CPU.
    #[default]
    Auto,
    /// `cpu`.
    Cpu,
    /// `cuda:1`, the GPU with ordinal 1; `cuda` is `cuda:0`.
    Cuda(usize),
}

impl DeviceName {
    /// The valid names, for messages.
    pub const EXPECTED: &'static str = "`auto`, `cpu`, `cuda` or `cuda:N` (GPU number N, counted from 0)";
}

/// Ignores case and surrounding white space.
impl FromStr for DeviceName {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Self, UnknownDevice> {
        let text = text.trim().to_ascii_lowercase();
        match text.as_str() {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            other => {
                let number =
                    other.strip_prefix("cuda:").filter(|n| n.bytes().all(|byte| byte.is_ascii_digit()));
                number.and_then(|number| number.parse().ok()).map(Self::Cuda).ok_or(UnknownDevice)
            }
        }
    }
}

/// A text that is not the name of a device.
///
/// ```
/// use proxyattn::{DeviceName, UnknownDevice};
///
/// assert_eq!("tpu".parse::<DeviceName>(), Err(UnknownDevice));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {}", DeviceName::EXPECTED)]
pub struct UnknownDevice;

impl core::fmt::Display for DeviceName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}
