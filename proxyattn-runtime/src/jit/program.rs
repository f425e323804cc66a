//! Programs and their targets.

use crate::{Error, Result};
use core::{fmt, str::FromStr};
use proxyattn_codegen::Arch;

/// CUDA source with a name for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Program {
    /// The name of the file in the compiler's log, and of the kernel in errors.
    pub name: String,
    /// The whole translation unit, which includes no headers.
    pub source: String,
    /// Options after the fixed ones, such as `-DSTAGES=3`.
    pub options: Vec<String>,
    /// The attribute that the program was generated from; messages put it into the command to run.
    pub attribute: Option<String>,
}

impl Program {
    /// A program without additional options.
    pub fn new(name: impl Into<String>, source: impl Into<String>) -> Self {
        Self { name: name.into(), source: source.into(), options: Vec::new(), attribute: None }
    }

    /// An empty kernel, to test the compiler and the driver.
    pub(crate) fn empty() -> Self {
        Self::new("empty", "extern \"C\" __global__ void empty() {}\n")
    }

    /// The program with one more option.
    #[must_use]
    pub fn option(mut self, option: impl Into<String>) -> Self {
        self.options.push(option.into());
        self
    }

    /// The program with the attribute that it was generated from.
    #[must_use]
    pub fn of_attribute(mut self, attribute: impl Into<String>) -> Self {
        self.attribute = Some(attribute.into());
        self
    }

    /// Rejects NUL characters, and options that are not allowed.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |expected, got: &dyn fmt::Debug| {
            Err(Error::Program { program: self.name.replace('\0', "\\0"), expected, got: format!("{got:?}") })
        };
        if self.name.is_empty() || self.name.contains('\0') {
            return refuse("a name without NUL", &self.name);
        }
        if let Some(at) = self.source.find('\0') {
            return refuse("a source without NUL", &format_args!("one at byte {at}"));
        }
        for option in &self.options {
            if option.contains('\0') {
                return refuse("options without NUL", option);
            }
            if LEAKING.iter().any(|leaking| option.starts_with(leaking)) {
                return refuse("no option that affects later compilations of the process", option);
            }
            if ARCHITECTURE.iter().any(|arch| option.starts_with(arch)) {
                return refuse("the architecture in the target only", option);
            }
        }
        Ok(())
    }
}

/// A compilation with any of these changes the code of every later one in the same process, whatever the program (seen with
/// NVRTC 13.0 and 13.5). A debug build needs a separate process.
const LEAKING: [&str; 4] = ["-G", "--device-debug", "--Ofast-compile", "-Ofc"];

/// Options that set the architecture, which [`Target`] does.
const ARCHITECTURE: [&str; 2] = ["--gpu-architecture", "-arch"];

/// Compute capabilities, and the CUDA version that introduced each.
const SINCE: [(u32, (u32, u32)); 11] = [
    (80, (11, 0)),
    (86, (11, 1)),
    (87, (11, 4)),
    (88, (13, 0)),
    (89, (11, 8)),
    (90, (11, 8)),
    (100, (12, 8)),
    (103, (12, 9)),
    (110, (13, 0)),
    (120, (12, 8)),
    (121, (12, 9)),
];

/// The GPU that a cubin is for: this compute capability, or a later minor version of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    major: u8,
    minor: u8,
    specific: bool,
}

impl Target {
    /// `sm_80`: 8.0 to 8.9.
    pub const SM_80: Target = Target::of(Arch::Sm80);
    /// `sm_90a`: Hopper with `wgmma` and TMA.
    pub const SM_90A: Target = Target::of(Arch::Sm90a);

    /// The portable instructions of a compute capability.
    pub const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor, specific: false }
    }

    /// The oldest GPU of a family.
    const fn of(arch: Arch) -> Self {
        let facts = arch.facts();
        let (major, minor) = facts.capability;
        Self { major, minor, specific: facts.specific }
    }

    /// With architecture-specific instructions: `sm_90` becomes `sm_90a`.
    #[must_use]
    pub const fn specific(mut self) -> Self {
        self.specific = true;
        self
    }

    /// The targets whose cubins a GPU of this target can load, best first: the target itself and, unless it is
    /// architecture-specific, earlier minor versions of the same major version.
    pub fn loadable(self) -> impl Iterator<Item = Self> {
        let oldest = if self.specific { self.minor } else { 0 };
        (oldest..=self.minor).rev().map(move |minor| Self { minor, ..self })
    }

    /// The family of kernels that it is compiled from.
    pub fn arch(self) -> Arch {
        let specific =
            Arch::ALL.iter().copied().find(|&arch| arch.facts().specific && self == Self::of(arch));
        specific.unwrap_or(Arch::Sm80)
    }

    /// The first CUDA version whose NVRTC supports it: major, minor. `None` if this version of the crate does not know.
    pub fn since(self) -> Option<(u32, u32)> {
        if self == Self::SM_90A {
            return Some((12, 0)); // sm_90 is older
        }
        SINCE.iter().find(|(capability, _)| *capability == self.capability()).map(|(_, since)| *since)
    }

    /// Whether it has architecture-specific instructions: `sm_90a`.
    pub(super) fn is_specific(self) -> bool {
        self.specific
    }

    /// The number that NVRTC lists: 90 for `sm_90` and `sm_90a`.
    pub const fn capability(self) -> u32 {
        self.major as u32 * 10 + self.minor as u32
    }
}

impl From<Arch> for Target {
    /// The oldest GPU of a family.
    fn from(arch: Arch) -> Self {
        Self::of(arch)
    }
}

/// Parses the form of [`Display`](fmt::Display): `sm_80`, `sm_90a`, `sm_120`.
impl FromStr for Target {
    type Err = UnknownTarget;

    fn from_str(text: &str) -> Result<Self, UnknownTarget> {
        let number = text.strip_prefix("sm_").ok_or(UnknownTarget)?;
        let (number, specific) = number.strip_suffix('a').map_or((number, false), |number| (number, true));
        let digits = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
        let number: u16 = number.parse().ok().filter(|_| digits).ok_or(UnknownTarget)?;
        let major = u8::try_from(number / 10).map_err(|_| UnknownTarget)?;
        let target = Self { major, minor: (number % 10) as u8, specific };
        let known = major >= 8 && (!specific || target == Self::SM_90A);
        if known { Ok(target) } else { Err(UnknownTarget) }
    }
}

/// A text that is not the name of a supported target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected sm_90a (Hopper), or sm_ and the compute capability of another GPU, 8.0 or later: \
     sm_80, sm_86, sm_89, sm_90, sm_100, sm_120"
)]
pub struct UnknownTarget;

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = if self.specific { "a" } else { "" };
        write!(f, "sm_{}{}{suffix}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_spelled_as_the_compiler_spells_it() {
        for &arch in Arch::ALL {
            assert_eq!(Target::from(arch).to_string(), arch.as_str());
        }
        assert_eq!(Target::new(12, 0).to_string(), "sm_120");
        assert_eq!(Target::SM_90A.capability(), 90);
        assert_eq!(Target::SM_90A.since(), Some((12, 0)), "sm_90a is younger than sm_90");
        assert_eq!(Target::new(9, 0).since(), Some((11, 8)));
        assert_eq!(Target::new(25, 5).since(), None);
    }

    #[test]
    fn a_target_is_read_as_it_is_spelled() {
        for text in ["sm_80", "sm_86", "sm_90", "sm_90a", "sm_100", "sm_121"] {
            assert_eq!(text.parse::<Target>().map(|target| target.to_string()), Ok(text.to_owned()));
        }
        for text in
            ["", "80", "sm_", "sm_75", "sm_80a", "sm_9O", "sm_080", "sm_+80", "sm_99999", "compute_80"]
        {
            assert_eq!(text.parse::<Target>(), Err(UnknownTarget), "{text}");
        }
        let loadable = |target: Target| target.loadable().map(|t| t.to_string()).collect::<Vec<_>>();
        assert_eq!(loadable(Target::new(8, 2)), ["sm_82", "sm_81", "sm_80"]);
        assert_eq!(loadable(Target::SM_90A), ["sm_90a"]);
    }

    #[test]
    fn options_that_affect_other_compilations_are_rejected() {
        for option in ["-G", "--device-debug", "--Ofast-compile=max", "-arch=sm_75", "-D\0"] {
            let error = Program::new("k", "").option(option).check().unwrap_err();
            assert!(error.to_string().starts_with("`k`: expected "), "{error}");
        }
        Program::new("k", "").option("-DGROUP=4").check().unwrap();
        assert!(Program::new("", "").check().is_err());
        assert!(Program::new("k", "a\0").check().is_err());
    }
}
