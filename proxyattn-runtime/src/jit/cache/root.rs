//! The cache's directory: made private, or refused.
//!
//! Whoever can write an entry can run code on the GPU with this process's data. So the directory belongs to this
//! user (or to root) and nobody else may write to it; there is no shared directory to fall back to.

use std::fs::{self, DirBuilder};
use std::io;
use std::path::{Path, PathBuf};

/// Who may read what is written. Nobody but the owner may write.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    /// The owner: a user's cache.
    Owner,
    /// Everybody: what is deployed.
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

/// How the file is called that is written to see whether one can be.
const TRIAL: &str = ".proxyattn-trial-";

/// The directory, absolute, or why it is not used.
pub(super) fn open(base: &Path) -> Result<PathBuf, String> {
    let told = |error: io::Error| format!("`{}`: {error}", base.display());
    let base = std::path::absolute(base).map_err(told)?;
    create(&base, Access::Owner).map_err(told)?;
    // Of what a link leads to, too.
    let meta = fs::metadata(&base).map_err(told)?;
    if !meta.is_dir() {
        return Err(format!("`{}`: expected a directory, got a file", base.display()));
    }
    match private(&meta) {
        Ok(()) => Ok(base),
        Err(why) => Err(format!("`{}`: {why}", base.display())),
    }
}

/// Does what a first compilation would, and undoes it: whether the directory can be made, and a file written into it. Says
/// whether it was there; what was not is gone again.
pub(super) fn rehearse(base: &Path) -> Result<bool, String> {
    let absolute = std::path::absolute(base).map_err(|error| format!("`{}`: {error}", base.display()))?;
    let missing: Vec<&Path> = absolute.ancestors().take_while(|dir| !dir.exists()).collect();
    let written = open(&absolute).and_then(|root| {
        let file = root.join(format!("{TRIAL}{}", std::process::id()));
        let made = fs::OpenOptions::new().create_new(true).write(true).open(&file);
        let gone = made.and_then(|_| fs::remove_file(&file));
        gone.map_err(|error| format!("`{}`: no file can be written there: {error}", absolute.display()))
    });
    for dir in &missing {
        let _ = fs::remove_dir(dir); // somebody else may have put something into it meanwhile
    }
    written.map(|()| missing.is_empty())
}

/// Makes a directory and its parents. One that is there is left as it is.
pub(crate) fn create(dir: &Path, access: Access) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, access.of_directory());
    #[cfg(not(unix))]
    let _ = access; // the parent's access control is passed on
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
        return Err(format!("expected a directory of user {user} or of root, got one of user {owner}"));
    }
    closed(meta)
}

/// That nobody but the owner may write.
#[cfg(unix)]
pub(super) fn closed(meta: &fs::Metadata) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;

    if meta.mode() & 0o022 != 0 {
        return Err(format!(
            "expected a directory that only its owner may write to, got mode {:04o}; `chmod go-w` it",
            meta.mode() & 0o7777
        ));
    }
    Ok(())
}

/// Elsewhere the user's profile has its own access control.
#[cfg(not(unix))]
fn private(_: &fs::Metadata) -> Result<(), String> {
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn closed(_: &fs::Metadata) -> Result<(), String> {
    Ok(())
}
