//! Records on disk: `<cache>/tune/<spec>.jsonl`, one record a line. New ones are added at the end, and of several for one
//! bucket the last counts; what was measured before stays to be read.
//!
//! A file is replaced whole. Writers wait for each other where they can, and without the lock the worst that happens is
//! that one's records are measured again.

use super::{Record, Scope};
use crate::jit::{Access, acquire, publish};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a writer waits for another.
const PATIENCE: Duration = Duration::from_secs(10);

/// The records of a cache directory.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Records, the oldest first; of any machine.
    pub records: Vec<Record>,
    /// Lines that are no records, and why.
    pub refused: Vec<String>,
}

impl Store {
    /// The store of the cache at `root` ([`Jit::cache_dir`](crate::jit::Jit::cache_dir)). Nothing is made before something
    /// is written.
    pub fn new(root: &Path) -> Self {
        Self { dir: root.join("tune") }
    }

    /// The file of a configuration, by [`Scope::spec`].
    pub fn path(&self, spec: &str) -> PathBuf {
        self.dir.join(format!("{spec:.32}.jsonl"))
    }

    /// Every record of a configuration. A file that cannot be read counts as refused.
    pub fn read(&self, spec: &str) -> Found {
        let path = self.path(spec);
        let mut found = Found::default();
        match fs::read(&path) {
            // A line that is no text is no record either, and the others are none of its business.
            Ok(bytes) => {
                read_lines(&path.display().to_string(), &String::from_utf8_lossy(&bytes), &mut found);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => found.refused.push(format!("`{}`: {error}", path.display())),
        }
        found
    }

    /// Adds records of one configuration behind those that are there; lines that are refused go. Says which file it was.
    ///
    /// # Errors
    /// What the file system says, or a record that no line can hold.
    pub fn append(&self, spec: &str, records: &[Record]) -> io::Result<PathBuf> {
        let path = self.path(spec);
        crate::jit::create(&self.dir, Access::Owner)?;
        let lock = acquire(&self.dir.join("lock"), PATIENCE);
        if !matches!(lock, Ok(Some(_))) {
            tracing::warn!(
                "`{}` is written without its lock: another writer's records may be lost",
                path.display()
            );
        }
        let mut text = String::new();
        for record in self.read(spec).records.iter().chain(records) {
            text.push_str(&record.line().map_err(io::Error::other)?);
        }
        publish(&path, text.as_bytes(), Access::Owner)?;
        Ok(path)
    }
}

/// Adds the records among the lines of `text`, a file of that name.
pub(super) fn read_lines(name: &str, text: &str, found: &mut Found) {
    for (i, line) in text.lines().enumerate() {
        match Record::read(line) {
            Ok(record) => found.records.push(record),
            Err(why) => found.refused.push(format!(
                "`{name}` line {}: {why}; the record is not used, and measuring writes it anew",
                i + 1
            )),
        }
    }
}

impl Found {
    /// The records that count in `scope`, the last of each unit and bucket alone. What was made for the same
    /// configuration elsewhere is none of this machine's.
    pub fn for_scope(&self, scope: &Scope, reviewed: bool) -> Vec<&Record> {
        let mut chosen: Vec<&Record> = Vec::new();
        for record in self.records.iter().filter(|record| record.scope.differs(scope, reviewed).is_none()) {
            chosen.retain(|other| (&other.unit, other.bucket) != (&record.unit, record.bucket));
            chosen.push(record);
        }
        chosen
    }
}
