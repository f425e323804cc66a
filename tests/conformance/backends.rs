//! What has to agree with one reference: the CPU backend with every instruction set of this processor, or a GPU.

use proxyattn::Device;
use proxyattn_runtime::InstructionSet;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::LazyLock;

/// One way to run kernels.
pub(crate) struct Backend {
    device: Device,
    /// Threads of another instruction set than the process's.
    pool: Option<ThreadPool>,
}

impl Backend {
    /// Runs something here.
    pub(crate) fn run<R: Send>(&self, check: impl FnOnce(&Device) -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(|| check(&self.device)),
            None => check(&self.device),
        }
    }

    pub(crate) fn name(&self) -> String {
        self.run(|device| device.to_string())
    }
}

/// All of them.
pub(crate) struct Backends(Vec<Backend>);

impl Backends {
    /// The CPU, as users have it, and with each narrower instruction set.
    pub(crate) fn cpu() -> &'static Self {
        static CPU: LazyLock<Backends> = LazyLock::new(|| {
            let own = InstructionSet::here();
            let others = InstructionSet::all().into_iter().filter(|&set| set != own);
            let backend = |pool| Backend { device: Device::cpu(), pool };
            let narrower = others.map(|set| backend(Some(pool(rayon::current_num_threads(), set))));
            Backends([backend(None)].into_iter().chain(narrower).collect())
        });
        &CPU
    }

    /// A device alone.
    #[allow(dead_code)] // not of the CPU's suite
    pub(crate) fn of(device: &Device) -> Self {
        Self(vec![Backend { device: device.clone(), pool: None }])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Backend> {
        self.0.iter()
    }

    /// Runs a check on each.
    pub(crate) fn each(&self, check: impl Fn(&Device) + Sync) {
        for backend in self.iter() {
            println!("on {}:", backend.name());
            backend.run(&check);
        }
    }
}

/// Threads of one instruction set.
pub(crate) fn pool(threads: usize, set: InstructionSet) -> ThreadPool {
    let pool = ThreadPoolBuilder::new().num_threads(threads).start_handler(move |_| set.use_here());
    pool.build().expect("a pool of threads")
}
