//! A lock between processes, so that a cold start of many compiles once.
//!
//! It is a courtesy: whoever cannot have it, or has waited long enough, compiles all the same. The files stay:
//! deleting one would let two processes hold "the" lock.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Held until dropped, or until the process dies.
pub(crate) struct Lock {
    _file: File,
}

/// The lock, or `None` if someone else holds it for longer than `patience`.
pub(crate) fn acquire(path: &Path, patience: Duration) -> io::Result<Option<Lock>> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    let begun = Instant::now();
    // Asking again and again, because a blocking request on a network file system may never come back.
    let mut pause = Duration::from_millis(1);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(Lock { _file: file })),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if begun.elapsed() >= patience => return Ok(None),
            Err(TryLockError::WouldBlock) => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(25));
    }
}
