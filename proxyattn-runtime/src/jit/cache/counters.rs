//! What the cache did, for tests and for those who wonder.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counts since the [`Jit`](crate::jit::Jit) was made.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters { $($(#[$doc])* pub $name: u64,)* }

        /// The same, while it counts.
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
    /// Answered by this process's memory, or by a compilation that another thread had begun.
    memory_hits,
    /// Read from disk.
    disk_hits,
    /// Read from the directory of cubins that were compiled ahead of time.
    ahead_hits,
    /// Neither in memory nor on disk.
    misses,
    /// Compilations begun.
    compiles,
    /// Failures of the file system: none of them fails a request.
    io_errors,
    /// Entries that were not what was once written, and were deleted.
    corrupt,
    /// Files deleted to keep the cache within its size.
    evicted,
}

/// One count.
#[derive(Default)]
pub(in crate::jit) struct Count(AtomicU64);

impl Count {
    pub(in crate::jit) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }
}
