//! NVRTC, opened at run time: CUDA source in, a cubin out. No GPU or driver is needed.
//!
//! ```text
//! places ──▶ dlopen ──▶ version ≥ 11.2? ──▶ builtins next to it? ─▶ create ─▶ compile ─▶ log ─▶ cubin
//! search.rs             table.rs             else: a trial          └──────── flags.rs ────────┘
//! ```
//!
//! * The errors of a missing library, a missing symbol and an old version list what was searched.
//! * `libnvrtc-builtins.so.X.Y` is opened by absolute path before the first compilation. NVRTC loads it by bare name, and
//!   13.0 has no rpath: with the file already open, the name resolves to it.
//! * A library without the builtins next to it compiles an empty kernel as a test, because NVRTC may find the builtins
//!   elsewhere. If the test fails, the library is unusable and the search continues. Otherwise the test, which takes some
//!   50 ms, is skipped.
//! * Libraries stay open until the process ends.

pub(super) mod flags;
mod search;
mod table;

use super::library::reason;
use super::{Compiler, Cubin, Env, Invocation, Program, Target};
use crate::library_path::file_of;
use crate::{Error, Result};
use core::ffi::c_char;
use core::ptr;
use libloading::Library;
use std::ffi::CString;
use std::fs::Metadata;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use table::{Handle, Table};

/// `NVRTC_ERROR_COMPILATION`.
const COMPILATION_FAILED: i32 = 6;

/// The result of a search for NVRTC.
pub struct Search {
    /// The rejected locations in order, each with the reason.
    pub rejected: Vec<String>,
    /// The library, or the error of [`Nvrtc::open`].
    pub found: Result<Nvrtc>,
}

/// An open NVRTC library.
pub struct Nvrtc {
    table: Table,
    identity: String,
    supported: Vec<u32>,
    builtins: Option<ManuallyDrop<Library>>,
}

impl Nvrtc {
    /// Opens the first usable library. If `explicit`, or else `PROXYATTN_NVRTC`, gives a file or directory, nothing else is
    /// searched. Otherwise the order is: the toolkit at `CUDA_HOME` or `CUDA_PATH`; the wheel in the Python environment at
    /// `VIRTUAL_ENV` or `CONDA_PREFIX`; the dynamic linker's search path; `/usr/local/cuda`.
    ///
    /// # Errors
    /// [`Error::NvrtcNotFound`] with every searched location; if libraries were found but none is usable,
    /// [`Error::NvrtcSymbol`], [`Error::NvrtcTooOld`], [`Error::NvrtcUnusable`] or [`Error::NvrtcCall`] for the first one.
    pub fn open(explicit: Option<&Path>, env: &Env) -> Result<Self> {
        Self::search(explicit, env).found
    }

    /// Like [`open`](Self::open), with the rejected locations.
    pub fn search(explicit: Option<&Path>, env: &Env) -> Search {
        let mut searched = Vec::new();
        let mut unusable = None;
        for place in search::places(explicit, env) {
            let path = match place.path() {
                Ok(path) => path,
                Err(why) => {
                    searched.push(why);
                    continue;
                }
            };
            // SAFETY: runs the initialisers of a library that the user, or the system, names as NVRTC.
            match unsafe { Library::new(&path) } {
                Ok(library) => match Self::with(library, path) {
                    Ok(nvrtc) => return Search { rejected: searched, found: Ok(nvrtc) },
                    Err(error) => {
                        searched.push(error.to_string());
                        unusable.get_or_insert(error);
                    }
                },
                Err(error) => searched.push(format!("`{}` ({})", path.display(), reason(&error))),
            }
        }
        let rejected = searched.clone();
        Search { rejected, found: Err(unusable.unwrap_or(Error::NvrtcNotFound { searched })) }
    }

    fn with(library: Library, path: PathBuf) -> Result<Self> {
        let path = file_of(&library, "nvrtcVersion").unwrap_or(path);
        let table = Table::resolve(library, path)?;
        let (major, minor) = table.version;
        let builtins = sibling(&table.library, &format!("libnvrtc-builtins.so.{major}.{minor}"));
        let mut identity = format!("nvrtc {major}.{minor}{}", build(&table.library));
        let builtins = builtins.and_then(|path| {
            identity += &build(&path);
            // SAFETY: the library's own companion, which it would open itself.
            unsafe { Library::new(&path) }.ok().map(ManuallyDrop::new)
        });
        let supported = table.supported()?;
        let nvrtc = Self { table, identity, supported, builtins };
        if nvrtc.builtins.is_none() {
            nvrtc.try_empty()?;
        }
        Ok(nvrtc)
    }

    /// Compiles an empty kernel, to see whether the library works at all.
    fn try_empty(&self) -> Result<()> {
        let number = self.supported.iter().copied().filter(|number| *number >= 80).min().unwrap_or(80);
        let target = Target::new((number / 10) as u8, (number % 10) as u8);
        let failed = |error| Error::NvrtcUnusable {
            library: self.table.library.clone(),
            version: self.table.version,
            why: match error {
                Error::NvrtcCall { call, why, .. } => format!("{call} failed: {why}"),
                Error::Compile { log, .. } => format!("it rejects an empty kernel: {}", log.trim_end()),
                Error::NotACubin { got, .. } => format!("for an empty kernel it returns {got}"),
                other => other.to_string(),
            },
        };
        self.compile(&Program::empty(), target).map(drop).map_err(failed)
    }

    /// Whether it supports a target: it lists the capability, and its version is not too old. The version matters because it
    /// lists 90 for both `sm_90` and the newer `sm_90a`.
    pub fn knows(&self, target: Target) -> bool {
        let too_old = |since| target.is_specific() && self.table.version < since;
        self.supported.contains(&target.capability()) && !target.since().is_some_and(too_old)
    }

    /// Version and build, which identify this compiler in cache keys.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Major and minor version.
    pub fn version(&self) -> (u32, u32) {
        self.table.version
    }

    /// The opened file.
    pub fn library(&self) -> &Path {
        &self.table.library
    }

    /// The supported compute capabilities, as 90 for 9.0.
    pub fn supported(&self) -> &[u32] {
        &self.supported
    }

    fn log(&self, handle: Handle) -> Result<String> {
        let mut size = 0;
        // SAFETY: `handle` is a live program, `size` outlives the call.
        self.table.check("nvrtcGetProgramLogSize", unsafe { (self.table.log_size)(handle, &mut size) })?;
        let mut log = self.buffer("nvrtcGetProgramLogSize", size)?;
        if size > 0 {
            // SAFETY: the library writes as many bytes as it has just announced.
            let code = unsafe { (self.table.log)(handle, log.as_mut_ptr().cast::<c_char>()) };
            self.table.check("nvrtcGetProgramLog", code)?;
        }
        while log.pop_if(|byte| *byte == 0).is_some() {}
        Ok(String::from_utf8_lossy(&log).into_owned())
    }

    fn cubin(&self, handle: Handle) -> Result<Vec<u8>> {
        let mut size = 0;
        // SAFETY: `handle` is a live program, `size` outlives the call.
        self.table.check("nvrtcGetCUBINSize", unsafe { (self.table.cubin_size)(handle, &mut size) })?;
        let mut cubin = self.buffer("nvrtcGetCUBINSize", size)?;
        if size > 0 {
            // SAFETY: the library writes as many bytes as it has just announced.
            let code = unsafe { (self.table.cubin)(handle, cubin.as_mut_ptr().cast::<c_char>()) };
            self.table.check("nvrtcGetCUBIN", code)?;
        }
        Ok(cubin)
    }

    /// A zeroed buffer of the size that the library reported; an absurd size is an error, not an abort.
    fn buffer(&self, call: &'static str, size: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).map_err(|_| Error::NvrtcCall {
            library: self.table.library.clone(),
            call,
            code: 0,
            why: format!("it reports a size of {size} bytes"),
            log: String::new(),
        })?;
        bytes.resize(size, 0);
        Ok(bytes)
    }
}

impl Compiler for Nvrtc {
    fn invocation(&self, program: &Program, target: Target) -> Result<Invocation> {
        program.check()?;
        if !self.knows(target) {
            return Err(Error::NvrtcTarget {
                library: self.table.library.clone(),
                version: self.table.version,
                target: target.to_string(),
                since: target.since(),
                supported: self.supported.clone(),
            });
        }
        let options = flags::options(self.table.version, target, &program.options);
        Ok(Invocation { compiler: self.identity.clone(), options })
    }

    fn compile(&self, program: &Program, target: Target) -> Result<Cubin> {
        let options = self.invocation(program, target)?.options;
        let c_string = |text: &str| {
            CString::new(text).map_err(|_| Error::Program {
                program: program.name.clone(),
                expected: "text without NUL",
                got: format!("{text:?}"),
            })
        };
        let (name, source) = (c_string(&program.name)?, c_string(&program.source)?);
        let options: Vec<_> = options.iter().map(|option| c_string(option)).collect::<Result<_>>()?;
        let options: Vec<_> = options.iter().map(|option| option.as_ptr()).collect();

        let mut live = Live { table: &self.table, handle: ptr::null_mut() };
        // SAFETY: the strings outlive the call, which copies them; no headers are given.
        let code = unsafe {
            (self.table.create)(&mut live.handle, source.as_ptr(), name.as_ptr(), 0, ptr::null(), ptr::null())
        };
        self.table.check("nvrtcCreateProgram", code)?;
        // SAFETY: `handle` was just made; the options' strings outlive the call.
        let code = unsafe { (self.table.compile)(live.handle, options.len() as i32, options.as_ptr()) };
        if code != 0 {
            // If there is no log, the code has to suffice.
            let log = self.log(live.handle).unwrap_or_default();
            return Err(match code {
                COMPILATION_FAILED => Error::Compile {
                    program: program.name.clone(),
                    target: target.to_string(),
                    source_path: None,
                    log,
                },
                _ => self.table.error("nvrtcCompileProgram", code, log),
            });
        }
        let (log, bytes) = (self.log(live.handle)?, self.cubin(live.handle)?);
        if !bytes.starts_with(b"\x7fELF") {
            return Err(Error::NotACubin {
                program: program.name.clone(),
                target: target.to_string(),
                library: self.table.library.clone(),
                got: format!("{} bytes that are not ELF", bytes.len()),
            });
        }
        Ok(Cubin::new(bytes, log))
    }
}

/// A program that is destroyed on drop.
struct Live<'a> {
    table: &'a Table,
    handle: Handle,
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            // SAFETY: created by this library and not destroyed yet. A failure leaks a few kilobytes.
            unsafe { (self.table.destroy)(&mut self.handle) };
        }
    }
}

/// Size and time of a library, which identify its build.
fn build(path: &Path) -> String {
    let stamp = |file: Metadata| {
        let time = file.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(format!(", {} bytes of {}.{:09}", file.len(), time.as_secs(), time.subsec_nanos()))
    };
    path.metadata().ok().and_then(stamp).unwrap_or_default()
}

/// A file in the directory of `library`, or in that of the file it links to.
fn sibling(library: &Path, name: &str) -> Option<PathBuf> {
    let real = library.canonicalize().ok();
    let places = [Some(library), real.as_deref()];
    places.into_iter().flatten().map(|place| place.with_file_name(name)).find(|path| path.exists())
}
