//! Files of the cache: `<root>/ab/ab12….cubin`, one lock file per shard, sources that did not compile in `failed/`.

use super::key::Key;
use super::root::{self, Access};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The directory of sources that did not compile.
pub(super) const FAILED: &str = "failed";

const TEMPORARY: &str = ".proxyattn-";

pub(super) fn entry_path(root: &Path, key: &Key) -> PathBuf {
    root.join(key.shard()).join(format!("{key}.cubin"))
}

pub(super) fn lock_path(root: &Path, key: &Key) -> PathBuf {
    root.join(key.shard()).join("lock")
}

/// A file name with the kernel's name; the key distinguishes programs with the same name.
pub(super) fn source_path(root: &Path, key: &Key, program: &str) -> PathBuf {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' };
    let name: String = program.chars().take(80).map(safe).collect();
    root.join(FAILED).join(format!("{name}-{:.16}.cu", key.to_string()))
}

pub(super) fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY)
}

/// Whether this module writes files named `name` into directories named `dir`. Other files in the cache directory are the
/// user's and must not be deleted.
pub(super) fn is_ours(dir: &str, name: &str) -> bool {
    let hex = |text: &str, digits: usize| {
        text.len() == digits
            && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    match name.rsplit_once('.') {
        Some((stem, "cubin")) => hex(stem, 64) && stem.get(..2) == Some(dir),
        Some((stem, "cu")) => dir == FAILED && stem.rsplit_once('-').is_some_and(|(_, key)| hex(key, 16)),
        _ => false,
    }
}

/// Writes a file atomically: to a temporary name in the same directory, then renamed. Readers see the old file or the new
/// one; of several writers the last one wins.
pub(crate) fn publish(path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    root::create(dir, access)?;
    // Process and counter are unique on one machine, the time distinguishes machines on a shared file system, and
    // `create_new` rejects any remaining collision.
    let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
    let time = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    let temporary = dir.join(format!("{TEMPORARY}{}-{unique}-{time:x}", std::process::id()));
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, access.of_file());
    let mut file = options.open(&temporary)?;
    // Not synced: a crash of the machine may leave a torn file, which the checksum detects.
    let written = file.write_all(bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // A failure is harmless: eviction deletes the file later.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Updates the time of last use. In a read-only cache the times do not change.
pub(super) fn touch(path: &Path) {
    let _ = File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.set_modified(std::time::SystemTime::now()));
}
