//! Every environment variable that this crate reads to decide anything. Nothing else in it asks the environment.
//!
//! | Variable | Meaning | Unset |
//! |---|---|---|
//! | `PROXYATTN_DEVICE` | what [`Device::auto`](crate::Device::auto) is: `auto`, `cpu`, `cuda`, or `cuda:1` for the second GPU | `auto` |
//! | `PROXYATTN_CPU` | caps the CPU's instruction set: `avx512`, `avx2` or `portable` | the processor's widest |
//! | `PROXYATTN_NVRTC` | the NVRTC library, or the directory that holds it; nothing else is tried | the search of [`Nvrtc::open`](crate::jit::Nvrtc::open) |
//! | `PROXYATTN_CACHE_DIR` | the cubin cache's directory | `XDG_CACHE_HOME/proxyattn`, else `HOME/.cache/proxyattn`, else no cache on disk |
//! | `PROXYATTN_CACHE_MIB` | the cache's size in MiB; the least recently used cubins are deleted above it | `512` |
//! | `PROXYATTN_JIT` | `allow`, or `deny`: a kernel that is not stored is an error, never a compilation | `allow` |
//! | `PROXYATTN_AOT_DIR` | a directory that `proxyattn compile` filled; searched first, and without NVRTC | not searched |
//! | `PROXYATTN_TUNE` | `cached`: kernels run with the tiles that were measured; `off`: with the default ones | `cached` |
//! | `CUDA_HOME`, `CUDA_PATH` | a CUDA toolkit to look for NVRTC in | not searched |
//! | `VIRTUAL_ENV`, `CONDA_PREFIX` | an active Python environment to look for NVRTC's wheel in | not searched |
//! | `XDG_CACHE_HOME`, `HOME` | where a user's caches live; relative paths are ignored | no cache on disk |
//!
//! An empty value counts as unset, and words are read in any case. A value that means nothing is an
//! [`Error::Environment`] that lists those that do, of every [`load`](crate::Attention::load): a setting is never ignored
//! without a word. [`JitOptions`](crate::jit::JitOptions) wins over what it has fields for.

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

/// The variables of the table above, read once: of the process, or made up by a test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env {
    vars: Vec<(String, OsString)>,
}

impl Env {
    /// What this process was given.
    pub fn process() -> Self {
        Self::of(ALL.iter().filter_map(|&name| Some((name, std::env::var_os(name)?))))
    }

    /// Exactly these variables.
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

    /// The directory of cubins that were compiled ahead of time, if there is one.
    pub fn aot_dir(&self) -> Option<PathBuf> {
        self.path(AOT_DIR)
    }

    /// The cache's directory; `None` where neither a cache nor a home directory is named.
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
    /// [`Error::Environment`] for anything but a number.
    pub fn cache_bytes(&self) -> Result<Option<u64>> {
        let Some(text) = self.text(CACHE_MIB) else { return Ok(None) };
        match text.trim().parse::<u64>().ok().and_then(|mib| mib.checked_mul(1 << 20)) {
            Some(bytes) => Ok(Some(bytes)),
            None => {
                Err(Error::Environment { variable: CACHE_MIB, expected: "a whole number of MiB", got: text })
            }
        }
    }

    /// Where programs that do not say it themselves run.
    ///
    /// # Errors
    /// [`Error::Environment`] for what names no device.
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
    /// [`Error::Environment`] for anything but `allow` and `deny`.
    pub fn may_compile(&self) -> Result<bool> {
        Ok(self.word(JIT, &[("allow", true), ("deny", false)], "`allow` or `deny`")?.unwrap_or(true))
    }

    /// That every value means something.
    ///
    /// # Errors
    /// [`Error::Environment`] for the first that does not.
    pub fn check(&self) -> Result<()> {
        self.check_all_but_tune()?;
        self.tune().map(drop)
    }

    /// The same for who says himself how kernels are tuned.
    pub(crate) fn check_all_but_tune(&self) -> Result<()> {
        self.device()?;
        self.cpu()?;
        self.may_compile()?;
        self.cache_bytes().map(drop)
    }

    /// Names of variables of this process that look like this crate's, and that nothing here reads: misspelt, perhaps.
    pub fn unknown() -> Vec<String> {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let mut unknown: Vec<_> =
            names.filter(|name| name.starts_with("PROXYATTN_") && !ALL.contains(&&**name)).collect();
        unknown.sort();
        unknown
    }

    /// The value of a variable that has to be one of some words.
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
    /// What `PROXYATTN_TUNE` says: `off`, or `cached`, which is also what it means when it is unset.
    ///
    /// # Errors
    /// [`Error::Environment`](crate::Error::Environment) if it says something else.
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
    fn values_that_mean_nothing_are_refused() {
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
    fn words_are_read_in_any_case_and_nonsense_lists_them() {
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
            let expected = "`PROXYATTN_DEVICE`: expected `auto`, `cpu`, `cuda` or `cuda:N` (the GPU of number N, from 0 on)";
            assert_eq!(told, format!("{expected}, got `{wrong}`"));
        }
        assert_eq!(Env::of([(CPU, "AVX2")]).cpu().unwrap(), Cap::Avx2);
        assert!(Env::of([(JIT, "ALLOW")]).may_compile().unwrap());
        assert_eq!(Env::of([(TUNE, "Off")]).tune().unwrap(), Tune::Off);
        let told = Env::of([(CPU, "sse2")]).cpu().unwrap_err().to_string();
        assert_eq!(told, "`PROXYATTN_CPU`: expected `avx512`, `avx2` or `portable`, got `sse2`");
    }

    #[test]
    fn every_variable_with_a_meaning_is_checked() {
        Env::default().check().unwrap();
        for variable in [DEVICE, CPU, JIT, TUNE, CACHE_MIB] {
            let told = Env::of([(variable, "nonsense")]).check().unwrap_err().to_string();
            assert!(told.starts_with(&format!("`{variable}`: expected ")), "{told}");
            assert!(told.ends_with("got `nonsense`"), "{told}");
        }
    }
}
