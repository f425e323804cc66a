//! Statistics of the cache.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counts since the [`Jit`](crate::jit::Jit) was made.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters { $($(#[$doc])* pub $name: u64,)* }

        /// The live counters.
        #[derive(Default)]
        pub(in crate::jit) struct Tally { $(pub(in crate::jit) $name: Count,)* }

        impl Tally {
            pub(in crate::jit) fn read(&self) -> Counters {
                Counters { $($name: self.$name.0.load(Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Served from this process's memory, or by a compilation that another thread had started.
    memory_hits,
    /// Read from disk.
    disk_hits,
    /// Read from the directory of cubins compiled ahead of time.
    ahead_hits,
    /// Neither in memory nor on disk.
    misses,
    /// Compilations started.
    compiles,
    /// I/O errors, none of which fails a request.
    io_errors,
    /// Damaged entries.
    corrupt,
    /// Files deleted to keep the cache within its size.
    evicted,
}

/// One counter.
#[derive(Default)]
pub(in crate::jit) struct Count(AtomicU64);

impl Count {
    pub(in crate::jit) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }
}
