//! A compiler whose images are the source, some padding and a suffix.

use proxyattn_runtime::Result;
use proxyattn_runtime::jit::{Compiler, Cubin, Invocation, Program, Target};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[derive(Clone, Default)]
pub(crate) struct Fake {
    /// How long a compilation takes.
    pub(crate) pause: Duration,
    /// Bytes of padding.
    pub(crate) padding: usize,
    /// What tells this compiler's images from another's; no part of the key.
    pub(crate) suffix: String,
    /// Gets a file for each compilation, so that those of other processes count.
    pub(crate) counted_in: Option<PathBuf>,
    /// Compilations of this process.
    pub(crate) calls: Arc<AtomicUsize>,
}

impl Fake {
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn image(&self, program: &Program) -> Vec<u8> {
        let mut image = format!("{}{}", program.source, self.suffix).into_bytes();
        image.resize(image.len() + self.padding, b'.');
        image
    }
}

impl Compiler for Fake {
    fn invocation(&self, program: &Program, _: Target) -> Result<Invocation> {
        Ok(Invocation { compiler: "fake 1".into(), options: program.options.clone() })
    }

    fn compile(&self, program: &Program, _: Target) -> Result<Cubin> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if let Some(dir) = &self.counted_in {
            std::fs::write(dir.join(format!("{}-{call}", std::process::id())), "").unwrap();
        }
        std::thread::sleep(self.pause);
        Ok(Cubin::new(self.image(program), "a log".into()))
    }
}

pub(crate) fn program() -> Program {
    Program::new("k", "text of a kernel")
}
