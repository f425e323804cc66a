//! The cache's directory, which must be private.
//!
//! A user who can write an entry can run code on the GPU with this process's data. So the directory must belong to this user
//! or to root, and no other user may write to it; there is no shared directory to fall back to.

use std::fs::{self, DirBuilder};
use std::io;
use std::path::{Path, PathBuf};

/// Who may read the files. Only the owner may write.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    /// The owner only: a user's cache.
    Owner,
    /// Everyone: deployed cubins.
    Everyone,
}

#[cfg(unix)]
impl Access {
    fn of_directory(self) -> u32 {
        match self {
            Access::Owner => 0o700,
            Access::Everyone => 0o755,
        }
    }

    pub(super) fn of_file(self) -> u32 {
        self.of_directory() & 0o666
    }
}

/// The name of the file that tests whether the directory is writable.
const TRIAL: &str = ".proxyattn-trial-";

/// The absolute path of the directory, or why it is not used.
pub(super) fn open(base: &Path) -> Result<PathBuf, String> {
    let message = |error: io::Error| format!("`{}`: {error}", base.display());
    let base = std::path::absolute(base).map_err(message)?;
    create(&base, Access::Owner).map_err(message)?;
    // Follows symbolic links.
    let meta = fs::metadata(&base).map_err(message)?;
    if !meta.is_dir() {
        return Err(format!("`{}`: expected a directory, got a file", base.display()));
    }
    match private(&meta) {
        Ok(()) => Ok(base),
        Err(why) => Err(format!("`{}`: {why}", base.display())),
    }
}

/// Tests whether the directory can be created and a file written into it, and undoes both. Returns whether the directory
/// existed.
pub(super) fn rehearse(base: &Path) -> Result<bool, String> {
    let absolute = std::path::absolute(base).map_err(|error| format!("`{}`: {error}", base.display()))?;
    let missing: Vec<&Path> = absolute.ancestors().take_while(|dir| !dir.exists()).collect();
    let written = open(&absolute).and_then(|root| {
        let file = root.join(format!("{TRIAL}{}", std::process::id()));
        let created = fs::OpenOptions::new().create_new(true).write(true).open(&file);
        let removed = created.and_then(|_| fs::remove_file(&file));
        removed.map_err(|error| format!("`{}`: cannot write a file there: {error}", absolute.display()))
    });
    for dir in &missing {
        let _ = fs::remove_dir(dir); // fails if another process has put something into it
    }
    written.map(|()| missing.is_empty())
}

/// Creates a directory and its parents. An existing one is not changed.
pub(crate) fn create(dir: &Path, access: Access) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, access.of_directory());
    #[cfg(not(unix))]
    let _ = access; // inherits the parent's access control
    builder.recursive(true).create(dir)
}

#[cfg(unix)]
fn private(meta: &fs::Metadata) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;

    unsafe extern "C" {
        safe fn geteuid() -> u32;
    }
    let (owner, user) = (meta.uid(), geteuid());
    if owner != user && owner != 0 {
        return Err(format!(
            "expected a directory owned by user {user} or root, got one owned by user {owner}"
        ));
    }
    closed(meta)
}

/// Rejects a directory that users other than its owner may write to.
#[cfg(unix)]
pub(super) fn closed(meta: &fs::Metadata) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;

    if meta.mode() & 0o022 != 0 {
        return Err(format!(
            "expected a directory that only its owner can write to, got mode {:04o}; run `chmod go-w` on it",
            meta.mode() & 0o7777
        ));
    }
    Ok(())
}

/// On other systems the user's profile has its own access control.
#[cfg(not(unix))]
fn private(_: &fs::Metadata) -> Result<(), String> {
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn closed(_: &fs::Metadata) -> Result<(), String> {
    Ok(())
}
