//! Files of the cache: `<root>/ab/ab12….cubin`, one lock file a shard, sources that did not compile in `failed/`.

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

/// A file name that says which kernel it was; two programs of one name differ in the key.
pub(super) fn source_path(root: &Path, key: &Key, program: &str) -> PathBuf {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' };
    let name: String = program.chars().take(80).map(safe).collect();
    root.join(FAILED).join(format!("{name}-{:.16}.cu", key.to_string()))
}

pub(super) fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY)
}

/// Whether this module writes files of that name into a directory of the other. A cache directory that
/// holds a user's own files as well must not lose them.
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

/// Writes a file whole or not at all: under a name of its own beside the final one, then renamed. Readers see
/// the old file or the new one; of several writers the last wins.
pub(crate) fn publish(path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    root::create(dir, access)?;
    // The process and a counter are unique on one machine, the time tells the machines of a shared file
    // system apart, and `create_new` settles what is left.
    let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
    let time = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    let temporary = dir.join(format!("{TEMPORARY}{}-{unique}-{time:x}", std::process::id()));
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, access.of_file());
    let mut file = options.open(&temporary)?;
    // Not synced: a crash of the machine may leave a torn file, which its checksum gives away.
    let written = file.write_all(bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // Its failing changes nothing: eviction sweeps what is left.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Notes that a file was used. A cache that may only be read keeps its times.
pub(super) fn touch(path: &Path) {
    let _ = File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.set_modified(std::time::SystemTime::now()));
}
