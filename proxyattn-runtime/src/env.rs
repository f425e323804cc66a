//! Every environment variable that affects this crate. Only this module reads them.
//!
//! | Variable | Meaning | Unset |
//! |---|---|---|
//! | `PROXYATTN_DEVICE` | the device of [`Device::auto`](crate::Device::auto): `auto`, `cpu`, `cuda`, or `cuda:1` for the second GPU | `auto` |
//! | `PROXYATTN_CPU` | limits the CPU's instruction set: `avx512`, `avx2` or `portable` | the processor's widest |
//! | `PROXYATTN_NVRTC` | the NVRTC library or its directory; nothing else is searched | the search of [`Nvrtc::open`](crate::jit::Nvrtc::open) |
//! | `PROXYATTN_CACHE_DIR` | the cubin cache's directory | `XDG_CACHE_HOME/proxyattn`, else `HOME/.cache/proxyattn`, else no cache on disk |
//! | `PROXYATTN_CACHE_MIB` | the cache's maximum size in MiB; beyond it the least recently used cubins are deleted | `512` |
//! | `PROXYATTN_JIT` | `allow`; `deny`: a kernel that is not stored is an error, and nothing is compiled | `allow` |
//! | `PROXYATTN_AOT_DIR` | the output directory of `proxyattn compile`; searched first, and without NVRTC | not searched |
//! | `PROXYATTN_TUNE` | `cached`: kernels use the tiles that were measured; `off`: the default tiles | `cached` |
//! | `CUDA_HOME`, `CUDA_PATH` | a CUDA toolkit, searched for NVRTC | not searched |
//! | `VIRTUAL_ENV`, `CONDA_PREFIX` | an active Python environment, searched for NVRTC's wheel | not searched |
//! | `XDG_CACHE_HOME`, `HOME` | the location of the user's caches; relative paths are ignored | no cache on disk |
//!
//! Empty values count as unset, and values are case-insensitive. With an invalid value every
//! [`load`](crate::Attention::load) returns an [`Error::Environment`] that lists the valid ones: no setting is silently
//! ignored. Fields of [`JitOptions`](crate::jit::JitOptions) override the variables.
//!
//! ```
//! use proxyattn::env::Env;
//!
//! Env::process().check()?; // at the start of a program: a value that means nothing is an error
//! assert_eq!(
//!     Env::of([("PROXYATTN_DEVICE", "gpu")]).check().unwrap_err().to_string(),
//!     "`PROXYATTN_DEVICE`: expected `auto`, `cpu`, `cuda` or `cuda:N` (GPU number N, counted from 0), got `gpu`"
//! );
//! # Ok::<(), proxyattn::Error>(())
//! ```

use crate::{DeviceName, Error, Result, Tune};
use std::ffi::OsString;
use std::path::PathBuf;

const DEVICE: &str = "PROXYATTN_DEVICE";
const CPU: &str = "PROXYATTN_CPU";
pub(crate) const NVRTC: &str = "PROXYATTN_NVRTC";
pub(crate) const CACHE_DIR: &str = "PROXYATTN_CACHE_DIR";
pub(crate) const CACHE_MIB: &str = "PROXYATTN_CACHE_MIB";
pub(crate) const JIT: &str = "PROXYATTN_JIT";
pub(crate) const AOT_DIR: &str = "PROXYATTN_AOT_DIR";
const TUNE: &str = "PROXYATTN_TUNE";
pub(crate) const TOOLKITS: [&str; 2] = ["CUDA_HOME", "CUDA_PATH"];
pub(crate) const PYTHONS: [&str; 2] = ["VIRTUAL_ENV", "CONDA_PREFIX"];
const XDG_CACHE_HOME: &str = "XDG_CACHE_HOME";
const HOME: &str = "HOME";

const ALL: [&str; 14] = [
    DEVICE,
    CPU,
    NVRTC,
    CACHE_DIR,
    CACHE_MIB,
    JIT,
    AOT_DIR,
    TUNE,
    TOOLKITS[0],
    TOOLKITS[1],
    PYTHONS[0],
    PYTHONS[1],
    XDG_CACHE_HOME,
    HOME,
];

/// The widest instruction set that the CPU backend may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cap {
    Portable,
    Avx2,
    Avx512,
}

/// The variables of the table above, read once from the process or provided by a test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env {
    vars: Vec<(String, OsString)>,
}

impl Env {
    /// The variables of this process.
    pub fn process() -> Self {
        Self::of(ALL.iter().filter_map(|&name| Some((name, std::env::var_os(name)?))))
    }

    /// Only these variables.
    pub fn of<N: Into<String>, V: Into<OsString>>(vars: impl IntoIterator<Item = (N, V)>) -> Self {
        Self { vars: vars.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }

    /// The same without one variable.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.vars.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        let (_, value) = self.vars.iter().find(|(known, value)| known == name && !value.is_empty())?;
        Some(PathBuf::from(value))
    }

    fn text(&self, name: &str) -> Option<String> {
        self.path(name).map(|value| value.to_string_lossy().into_owned())
    }

    /// The directory of cubins compiled ahead of time, if it is set.
    pub fn aot_dir(&self) -> Option<PathBuf> {
        self.path(AOT_DIR)
    }

    /// The cache's directory; `None` if neither a cache nor a home directory is set.
    pub fn cache_dir(&self) -> Option<PathBuf> {
        let user = || {
            let xdg = self.path(XDG_CACHE_HOME).filter(|path| path.is_absolute());
            let home = || self.path(HOME).filter(|path| path.is_absolute()).map(|home| home.join(".cache"));
            xdg.or_else(home).map(|caches| caches.join("proxyattn"))
        };
        self.path(CACHE_DIR).or_else(user)
    }

    /// The cache's size in bytes, if it is set.
    ///
    /// # Errors
    /// [`Error::Environment`] if the value is not a number.
    pub fn cache_bytes(&self) -> Result<Option<u64>> {
        let Some(text) = self.text(CACHE_MIB) else { return Ok(None) };
        match text.trim().parse::<u64>().ok().and_then(|mib| mib.checked_mul(1 << 20)) {
            Some(bytes) => Ok(Some(bytes)),
            None => {
                Err(Error::Environment { variable: CACHE_MIB, expected: "a whole number of MiB", got: text })
            }
        }
    }

    /// The device for programs that do not choose one themselves.
    ///
    /// # Errors
    /// [`Error::Environment`] if the value is not the name of a device.
    pub fn device(&self) -> Result<DeviceName> {
        let Some(text) = self.text(DEVICE) else { return Ok(DeviceName::Auto) };
        text.parse().map_err(|_| Error::Environment {
            variable: DEVICE,
            expected: DeviceName::EXPECTED,
            got: text,
        })
    }

    /// The widest instruction set that the CPU backend may use.
    pub(crate) fn cpu(&self) -> Result<Cap> {
        let words = [("avx512", Cap::Avx512), ("avx2", Cap::Avx2), ("portable", Cap::Portable)];
        Ok(self.word(CPU, &words, "`avx512`, `avx2` or `portable`")?.unwrap_or(Cap::Avx512))
    }

    pub(crate) fn tune(&self) -> Result<Tune> {
        let words = [("cached", Tune::Cached), ("off", Tune::Off)];
        Ok(self.word(TUNE, &words, "`off` or `cached`")?.unwrap_or(Tune::Cached))
    }

    /// Whether a kernel that is not stored may be compiled.
    ///
    /// # Errors
    /// [`Error::Environment`] for any value except `allow` and `deny`.
    pub fn may_compile(&self) -> Result<bool> {
        Ok(self.word(JIT, &[("allow", true), ("deny", false)], "`allow` or `deny`")?.unwrap_or(true))
    }

    /// Checks that every value is valid.
    ///
    /// # Errors
    /// [`Error::Environment`] for the first invalid one.
    pub fn check(&self) -> Result<()> {
        self.check_all_but_tune()?;
        self.tune().map(drop)
    }

    /// The same without `PROXYATTN_TUNE`, for callers that pass a [`Tune`] themselves.
    pub(crate) fn check_all_but_tune(&self) -> Result<()> {
        self.device()?;
        self.cpu()?;
        self.may_compile()?;
        self.cache_bytes().map(drop)
    }

    /// Variables of this process whose names start like this crate's but are unknown, and so may be misspelt.
    pub fn unknown() -> Vec<String> {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let mut unknown: Vec<_> =
            names.filter(|name| name.starts_with("PROXYATTN_") && !ALL.contains(&&**name)).collect();
        unknown.sort();
        unknown
    }

    /// The value of a variable that must be one of `words`.
    fn word<T: Copy>(
        &self,
        variable: &'static str,
        words: &[(&str, T)],
        expected: &'static str,
    ) -> Result<Option<T>> {
        let Some(text) = self.text(variable) else { return Ok(None) };
        match words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text.trim())) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => Err(Error::Environment { variable, expected, got: text }),
        }
    }
}

impl Tune {
    /// The value of `PROXYATTN_TUNE`: `off` or `cached`, which is the default.
    ///
    /// # Errors
    /// [`Error::Environment`](crate::Error::Environment) for another value.
    pub fn from_env() -> Result<Self> {
        Env::process().tune()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_follows_the_first_directory_that_is_named() {
        let dir = |vars: &[(&str, &str)]| Env::of(vars.iter().copied()).cache_dir();
        assert_eq!(dir(&[]), None);
        assert_eq!(dir(&[(HOME, "/h")]), Some("/h/.cache/proxyattn".into()));
        assert_eq!(dir(&[(HOME, "/h"), (XDG_CACHE_HOME, "/x")]), Some("/x/proxyattn".into()));
        assert_eq!(dir(&[(HOME, "/h"), (XDG_CACHE_HOME, "x")]), Some("/h/.cache/proxyattn".into()));
        assert_eq!(dir(&[(HOME, "/h"), (CACHE_DIR, "c")]), Some("c".into()));
        assert_eq!(dir(&[(HOME, "/h"), (CACHE_DIR, "")]), Some("/h/.cache/proxyattn".into()));
    }

    #[test]
    fn invalid_values_are_rejected() {
        assert_eq!(Env::of([(CACHE_MIB, "3")]).cache_bytes().unwrap(), Some(3 << 20));
        assert_eq!(Env::of([(CACHE_MIB, " 3 ")]).cache_bytes().unwrap(), Some(3 << 20));
        for wrong in ["3 GiB", "-1", "99999999999999999"] {
            assert!(Env::of([(CACHE_MIB, wrong)]).cache_bytes().is_err(), "{wrong}");
        }
        assert!(Env::default().may_compile().unwrap());
        assert!(!Env::of([(JIT, "deny")]).may_compile().unwrap());
        assert_eq!(Env::default().tune().unwrap(), Tune::Cached);
        assert_eq!(Env::of([(TUNE, "off")]).tune().unwrap(), Tune::Off);
        let error = Env::of([(TUNE, "now")]).tune().unwrap_err();
        assert_eq!(error.to_string(), "`PROXYATTN_TUNE`: expected `off` or `cached`, got `now`");
        let error = Env::of([(JIT, "never")]).may_compile().unwrap_err();
        assert_eq!(error.to_string(), "`PROXYATTN_JIT`: expected `allow` or `deny`, got `never`");
    }

    #[test]
    fn values_are_case_insensitive_and_an_invalid_one_lists_them() {
        let device = |value: &str| Env::of([(DEVICE, value)]).device();
        for (value, name) in [
            ("", DeviceName::Auto),
            ("AUTO", DeviceName::Auto),
            ("CPU", DeviceName::Cpu),
            (" cpu\n", DeviceName::Cpu),
            ("cuda", DeviceName::Cuda(0)),
            ("CUDA:1", DeviceName::Cuda(1)),
        ] {
            assert_eq!(device(value).unwrap(), name, "{value}");
        }
        for wrong in
            ["gpu", "cuda:", "cuda:-1", "cuda:+1", "cuda:1,2", "1", "cuda 1", "cuda:99999999999999999999"]
        {
            let told = device(wrong).unwrap_err().to_string();
            let expected = "`PROXYATTN_DEVICE`: expected `auto`, `cpu`, `cuda` or `cuda:N` (GPU number N, counted from 0)";
            assert_eq!(told, format!("{expected}, got `{wrong}`"));
        }
        assert_eq!(Env::of([(CPU, "AVX2")]).cpu().unwrap(), Cap::Avx2);
        assert!(Env::of([(JIT, "ALLOW")]).may_compile().unwrap());
        assert_eq!(Env::of([(TUNE, "Off")]).tune().unwrap(), Tune::Off);
        let told = Env::of([(CPU, "sse2")]).cpu().unwrap_err().to_string();
        assert_eq!(told, "`PROXYATTN_CPU`: expected `avx512`, `avx2` or `portable`, got `sse2`");
    }

    #[test]
    fn every_variable_is_checked() {
        Env::default().check().unwrap();
        for variable in [DEVICE, CPU, JIT, TUNE, CACHE_MIB] {
            let told = Env::of([(variable, "nonsense")]).check().unwrap_err().to_string();
            assert!(told.starts_with(&format!("`{variable}`: expected ")), "{told}");
            assert!(told.ends_with("got `nonsense`"), "{told}");
        }
    }
}
