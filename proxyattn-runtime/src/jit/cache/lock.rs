//! A lock between processes, so that many processes that start together compile each kernel once.
//!
//! The lock is only an optimisation: a process that cannot get it, or has waited long enough, compiles anyway. Lock files are
//! never deleted, because then two processes could hold the lock. A waiting process logs that it waits, and for which process.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long to wait before logging a warning.
const SILENCE: Duration = Duration::from_millis(500);

/// Held until dropped, or until the process dies.
pub(crate) struct Lock {
    _file: File,
}

/// The lock, or `None` if another process holds it for longer than `patience`.
pub(crate) fn acquire(path: &Path, patience: Duration) -> io::Result<Option<Lock>> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    let begun = Instant::now();
    // Polls, because a blocking request on a network file system may never return.
    let mut pause = Duration::from_millis(1);
    let mut silent = true;
    loop {
        let waited = begun.elapsed();
        match file.try_lock() {
            Ok(()) => {
                // Waiting processes show this number in their warning; a failure is harmless.
                let _ = file
                    .set_len(0)
                    .and_then(|()| (&file).write_all(std::process::id().to_string().as_bytes()));
                return Ok(Some(Lock { _file: file }));
            }
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if waited >= patience => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
        }
        if silent && waited >= SILENCE {
            silent = false;
            tracing::warn!(
                target: "proxyattn",
                "waiting for {}, which holds `{}`; continuing without the lock in {:.0} s",
                holder(path),
                path.display(),
                (patience - waited).as_secs_f64().ceil()
            );
        }
        std::thread::sleep(pause.min(patience - waited));
        pause = (pause * 2).min(Duration::from_millis(25));
    }
}

/// The holder of a lock, for messages.
pub(crate) fn holder(path: &Path) -> String {
    let Some(process) = listed_holder(path).or_else(|| written_holder(path)) else {
        return "another process".into(); // on another machine or in another container
    };
    match fs::read_to_string(format!("/proc/{process}/comm")) {
        Ok(name) => format!("process {process} ({})", name.trim_end()),
        Err(_) => format!("process {process}"),
    }
}

/// The holder according to the kernel, which lists locks by device and inode.
fn listed_holder(path: &Path) -> Option<u32> {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt;
        let file = path.metadata().ok()?.ino();
        fs::read_to_string("/proc/locks").ok()?.lines().find_map(|line| listed(line, file))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        None
    }
}

/// The holder according to the file's contents, if that process still runs. Other programs that lock the file write nothing.
fn written_holder(path: &Path) -> Option<u32> {
    let process = fs::read_to_string(path).ok()?.parse().ok()?;
    Path::new(&format!("/proc/{process}")).exists().then_some(process)
}

/// The process of a line such as `3: FLOCK  ADVISORY  WRITE 4711 08:01:262190 0 EOF`, if the inode matches. The device is not
/// compared, because some file systems list a different one here. Lines of waiting processes have an arrow.
#[cfg(target_os = "linux")]
fn listed(line: &str, file: u64) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    words.next().filter(|kind| *kind == "FLOCK")?;
    let mut words = words.skip(2);
    let process = words.next()?.parse().ok().filter(|process| *process > 0)?;
    let number = words.next()?.rsplit(':').next()?;
    (number.parse() == Ok(file)).then_some(process)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_read_from_the_kernels_list() {
        let line = "3: FLOCK  ADVISORY  WRITE 4711 08:01:262190 0 EOF";
        assert_eq!((listed(line, 262_190), listed(line, 26_219)), (Some(4711), None));
        assert_eq!(listed("3: -> FLOCK  ADVISORY  WRITE 4712 08:01:262190 0 EOF", 262_190), None, "it waits");
        assert_eq!(listed("1: POSIX  ADVISORY  WRITE 4711 08:01:262190 0 EOF", 262_190), None);
        assert_eq!(
            listed("2: FLOCK  ADVISORY  WRITE 0 08:01:262190 0 EOF", 262_190),
            None,
            "of another container"
        );
        assert!(
            ["", "3:", "3: FLOCK", "3: FLOCK ADVISORY WRITE x y"]
                .iter()
                .all(|line| listed(line, 1).is_none())
        );
    }
}
