//! Compiles CUDA source to cubins, once per machine; after that they come from a cache.
//!
//! ```text
//! Program, Target ─▶ ahead of time? ─▶ key ─▶ memory ─▶ disk ─▶ allowed? ─▶ lock ─▶ disk again ─▶ NVRTC ─▶ publish
//!                     cache/ahead.rs          flight.rs  cache/   env.rs      cache/                nvrtc/   cache/
//! ```
//!
//! * [`Jit`] is the entry point; [`Nvrtc`] is the compiler, which is found and opened at run time on the first request.
//!   Nothing of CUDA is linked.
//! * A compiled cubin is returned even if it could not be stored, or another process stored one first.
//! * The cache key includes the compiler's version and build, so NVRTC is needed even for a cache hit. A directory of
//!   cubins compiled ahead of time ([`Aot`]) works without NVRTC.
//! * Every compilation emits a `tracing` event, `JitCompiled`, with target `proxyattn::jit`, level INFO and the fields `unit`
//!   (the program's name), `arch` and `seconds`. A server that has [warmed up](crate::Attention::warmup) can alert on it.
//! * A missing compiler, an unsupported GPU and a rejected source each have an [`Error`] variant. Cache failures are no
//!   errors: they are counted ([`Jit::counters`]), logged, and otherwise ignored.
//!
//! # Examples
//!
//! What a kernel takes of a GPU, as its compiler says, without a GPU:
//!
//! ```no_run
//! use proxyattn::jit::{Jit, KernelUsage, Program, Target};
//! use proxyattn::prelude::*;
//!
//! #[proxy_attention]
//! struct Layer;
//!
//! let program = Program::new("layer.cu", Layer::cuda_source(Arch::Sm80)).option("-DNDEBUG");
//! let cubin = Jit::global()?.cubin(&program, Target::SM_80)?;
//! for KernelUsage { name, registers, spill_stores, .. } in cubin.kernels() {
//!     println!("{name}: {registers} registers, {spill_stores} bytes spilled");
//! }
//! # Ok::<(), proxyattn::Error>(())
//! ```
//!
//! Which compiler there is:
//!
//! ```
//! use proxyattn::jit::{Env, Nvrtc, Search};
//!
//! let Search { rejected, found } = Nvrtc::search(None, &Env::process());
//! match found {
//!     Ok(nvrtc) => println!("{}: {:?}", nvrtc.library().display(), nvrtc.version()),
//!     Err(_) => println!("searched {}", rejected.join(", ")),
//! }
//! ```
//!
//! A compiler of one's own, here of images that were made elsewhere, behind the cache:
//!
//! ```
//! use proxyattn::jit::{CacheDir, CacheFile, CacheFileKind, Compiler, Counters};
//! use proxyattn::jit::{Cubin, Invocation, Jit, JitOptions, Program, Target};
//!
//! struct Elsewhere;
//!
//! impl Compiler for Elsewhere {
//!     fn invocation(&self, _: &Program, target: Target) -> proxyattn::Result<Invocation> {
//!         Ok(Invocation { compiler: "elsewhere 1.0".into(), options: vec![target.to_string()] })
//!     }
//!
//!     fn compile(&self, _: &Program, _: Target) -> proxyattn::Result<Cubin> {
//!         Ok(Cubin::new(b"\x7fELF, and so on".to_vec(), String::new()))
//!     }
//! }
//!
//! # let dir = std::env::temp_dir().join(format!("proxyattn-docs-{}", std::process::id()));
//! let mut options = JitOptions::default();
//! options.cache_dir = Some(dir.clone());
//! options.compile = Some(true);
//! let jit = Jit::with_compiler(options, Elsewhere)?;
//! let (program, target) = (Program::new("a.cu", "// CUDA"), "sm_120".parse::<Target>().expect("a target"));
//! let first = jit.cubin(&program, target)?;
//! assert_eq!(jit.cubin(&program, target)?, first);
//! let Counters { compiles, memory_hits, .. } = jit.counters();
//! assert_eq!((compiles, memory_hits), (1, 1));
//!
//! // What is on the disk now.
//! let cache = CacheDir::open(&dir)?.expect("it was written to");
//! let kept = |file: &&CacheFile| file.kind == CacheFileKind::Cubin;
//! assert_eq!(cache.files()?.iter().filter(kept).count(), 1);
//! # std::fs::remove_dir_all(&dir).expect("its own");
//! # Ok::<(), proxyattn::Error>(())
//! ```
//!
//! Kernels compiled ahead of time, and a target that does not exist:
//!
//! ```
//! use proxyattn::jit::{Aot, Target, UnknownTarget};
//!
//! assert_eq!("sm_75".parse::<Target>(), Err(UnknownTarget)); // older than any kernel
//! assert!(Aot::open("no/such/directory".as_ref()).is_err());
//! ```

mod cache;
mod compiler;
mod cubin;
mod flight;
pub mod library;
mod nvrtc;
mod options;
mod program;

pub use crate::env::{self, Env};
pub(crate) use cache::{Access, acquire, create, publish};
pub use cache::{Aot, CacheDir, CacheFile, CacheFileKind, Counters};
pub use compiler::{Compiler, Invocation};
pub use cubin::{Cubin, KernelUsage};
pub use nvrtc::{Nvrtc, Search};
pub use options::JitOptions;
pub use program::{Program, Target, UnknownTarget};

use crate::{Error, Result};
use cache::{Cache, Key};
use flight::Flights;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// The default size of the cache, 512 MiB: some ten thousand kernels.
pub const CACHE_BYTES: u64 = 512 << 20;

/// A compiler with a cache. Share one instance: each has its own in-memory cache.
pub struct Jit {
    compiler: Box<dyn Compiler>,
    ahead: Option<Aot>,
    cache: Cache,
    flights: Flights,
    may_compile: bool,
}

impl Jit {
    /// NVRTC with a cache. Nothing is opened or created before it is needed.
    ///
    /// # Errors
    /// [`Error::Environment`] if a variable is invalid, or names a directory of cubins that cannot be used.
    pub fn new(options: JitOptions) -> Result<Self> {
        let nvrtc =
            Lazy { explicit: options.nvrtc.clone(), env: options.env.clone(), open: Mutex::default() };
        Self::with_compiler(options, nvrtc)
    }

    /// Another compiler with a cache.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn with_compiler(options: JitOptions, compiler: impl Compiler + 'static) -> Result<Self> {
        let JitOptions { cache_dir, aot_dir, cache_bytes, compile, patience, env, .. } = options;
        let bytes = cache_bytes.map_or_else(|| env.cache_bytes(), |bytes| Ok(Some(bytes)))?;
        let may_compile = compile.map_or_else(|| env.may_compile(), Ok)?;
        let dir = cache_dir.or_else(|| env.cache_dir());
        let unusable = |error: Error| Error::Environment {
            variable: env::AOT_DIR,
            expected: "a directory that `proxyattn compile` made",
            got: error.to_string().replace('`', ""),
        };
        let ahead =
            aot_dir.or_else(|| env.aot_dir()).map(|dir| Aot::open(&dir)).transpose().map_err(unusable)?;
        Ok(Self {
            compiler: Box::new(compiler),
            ahead,
            cache: Cache::new(dir, bytes.unwrap_or(CACHE_BYTES), patience),
            flights: Flights::default(),
            may_compile,
        })
    }

    /// The instance of this process, configured by the environment at the first call.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn global() -> Result<&'static Self> {
        static GLOBAL: OnceLock<Result<Jit>> = OnceLock::new();
        GLOBAL.get_or_init(|| Self::new(JitOptions::default())).as_ref().map_err(Clone::clone)
    }

    /// The cubin of a program: compiled ahead of time, from memory, from disk, or compiled now. Concurrent requests for the
    /// same cubin wait for one compilation.
    ///
    /// # Errors
    /// NVRTC is missing or unusable ([`Error::NvrtcNotFound`] and the other `Nvrtc` variants) or does not support the target;
    /// the source does not compile ([`Error::Compile`], with the path of the source); compiling is not allowed
    /// ([`Error::JitDenied`]). Cache failures are never errors.
    pub fn cubin(&self, program: &Program, target: Target) -> Result<Arc<Cubin>> {
        if let Some(cubin) = self.compiled_ahead(program, target) {
            return Ok(Arc::new(cubin));
        }
        let invocation = match self.compiler.invocation(program, target) {
            Ok(invocation) => invocation,
            Err(error) if !self.may_compile => {
                let why = match &error {
                    // Compiling is not allowed, so how to install a compiler does not help.
                    Error::NvrtcNotFound { .. } => {
                        "its keys include the version of NVRTC, which was not found".into()
                    }
                    other => other.to_string(),
                };
                return Err(self.denied(program, target, format!("not the cache ({why})")));
            }
            Err(error) => return Err(self.searched_ahead(program, target, error)),
        };
        let key = Key::of(program, target, &invocation);
        let (cubin, waited) = self.flights.join(key, || self.fetch(&key, program, target).map(Arc::new));
        if waited && cubin.is_ok() {
            self.cache.tally.memory_hits.add(1);
        }
        cubin
    }

    /// The compiler's version and build, as in the cache key.
    ///
    /// # Errors
    /// Those of [`cubin`](Self::cubin), except for errors in the source.
    pub(crate) fn compiler(&self, program: &Program, target: Target) -> Result<String> {
        Ok(self.compiler.invocation(program, target)?.compiler)
    }

    /// Deletes a cubin from memory and disk, after the driver refused to load it. The next [`cubin`](Self::cubin) compiles
    /// it again; if the driver refuses that one too, the cache was not the cause.
    pub fn discard(&self, program: &Program, target: Target) {
        if let Some(ahead) = &self.ahead {
            ahead.refuse(program, target);
        }
        // Without a compiler there is no key, so nothing can have been cached under it.
        let Ok(invocation) = self.compiler.invocation(program, target) else { return };
        let key = Key::of(program, target, &invocation);
        self.flights.forget(&key);
        self.cache.remove(&key);
    }

    /// Counts of hits, misses, compilations and failures so far.
    pub fn counters(&self) -> Counters {
        self.cache.tally.read()
    }

    /// The cache's directory, or `None` if none can be used; [`trouble`](Self::trouble) says why.
    pub fn cache_dir(&self) -> Option<&Path> {
        self.cache.root()
    }

    /// The first failure of the cache.
    pub fn trouble(&self) -> Option<String> {
        self.cache.trouble()
    }

    /// An unusable file is reported like every other cache failure, and skipped.
    fn compiled_ahead(&self, program: &Program, target: Target) -> Option<Cubin> {
        match self.ahead.as_ref()?.find(program, target) {
            Ok(found) => found.inspect(|_| self.cache.tally.ahead_hits.add(1)),
            Err(error) => {
                self.cache.tally.corrupt.add(1);
                self.cache.remember(&error.to_string(), error.to_string());
                None
            }
        }
    }

    /// Adds the directory of cubins, which was searched first, to the error of a missing compiler.
    fn searched_ahead(&self, program: &Program, target: Target, mut error: Error) -> Error {
        if let (Some(ahead), Error::NvrtcNotFound { searched }) = (&self.ahead, &mut error) {
            let (dir, name) = (ahead.dir().display(), &program.name);
            searched.insert(0, format!("`{dir}` ({}: no `{name}` for {target})", env::AOT_DIR));
        }
        error
    }

    fn fetch(&self, key: &Key, program: &Program, target: Target) -> Result<Cubin> {
        let tally = &self.cache.tally;
        let stored = || self.cache.get(key).inspect(|_| tally.disk_hits.add(1));
        if let Some(cubin) = stored() {
            return Ok(cubin);
        }
        tally.misses.add(1);
        if !self.may_compile {
            let cache = match self.cache.root() {
                Some(root) => format!("the cache `{}`", root.display()),
                None => self.cache.trouble().unwrap_or_default(),
            };
            return Err(self.denied(program, target, cache));
        }
        let _lock = self.cache.lock(key);
        // Another process may have stored the cubin, most likely while this one waited for the lock.
        if let Some(cubin) = stored() {
            return Ok(cubin);
        }
        tally.compiles.add(1);
        let begun = Instant::now();
        match self.compiler.compile(program, target) {
            Ok(cubin) => {
                let seconds = begun.elapsed().as_secs_f64();
                tracing::info!(
                    target: "proxyattn::jit",
                    unit = %program.name,
                    arch = %target,
                    seconds,
                    "JitCompiled"
                );
                self.cache.put(key, &cubin);
                Ok(cubin)
            }
            Err(Error::Compile { program: name, target, log, .. }) => {
                let source_path = self.cache.keep_source(key, &name, &program.source);
                Err(Error::Compile { program: name, target, source_path, log })
            }
            Err(error) => Err(error),
        }
    }

    fn denied(&self, program: &Program, target: Target, cache: String) -> Error {
        let (ahead, dir) = match &self.ahead {
            Some(ahead) => (format!("`{}`", ahead.dir().display()), ahead.dir().display().to_string()),
            None => (format!("{} (unset)", env::AOT_DIR), "DIR".into()),
        };
        let trouble = self.ahead.as_ref().and_then(|ahead| ahead.find(program, target).err());
        let ahead = trouble.map_or(ahead, |error| error.to_string());
        let allow = "run once with PROXYATTN_JIT=allow and the same PROXYATTN_CACHE_DIR and NVRTC";
        let help = match &program.attribute {
            Some(attribute) => format!(
                "make it on a machine with NVRTC by `proxyattn compile '{attribute}' --arch {target} --out {dir}`, \
                 and set {}={dir}; or {allow}",
                env::AOT_DIR
            ),
            None => allow.into(),
        };
        Error::JitDenied {
            program: program.name.clone(),
            target: target.to_string(),
            searched: format!("{ahead}, {cache}"),
            help,
        }
    }
}

/// NVRTC, opened on first use. A failure is not kept: the next request searches again.
struct Lazy {
    explicit: Option<PathBuf>,
    env: Env,
    open: Mutex<Option<Arc<Nvrtc>>>,
}

impl Lazy {
    fn get(&self) -> Result<Arc<Nvrtc>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(nvrtc) = &*open {
            return Ok(nvrtc.clone());
        }
        let nvrtc = Arc::new(Nvrtc::open(self.explicit.as_deref(), &self.env)?);
        Ok(open.insert(nvrtc).clone())
    }
}

impl Compiler for Lazy {
    fn invocation(&self, program: &Program, target: Target) -> Result<Invocation> {
        self.get()?.invocation(program, target)
    }

    fn compile(&self, program: &Program, target: Target) -> Result<Cubin> {
        self.get()?.compile(program, target)
    }
}
