//! Records on disk: `<cache>/tune/<spec>.jsonl`, one record per line. New records are appended, and the last one for a bucket
//! is used; older ones are kept for reference.
//!
//! Files are replaced atomically. Writers use a lock if they can get it; without the lock, the worst case is that records of
//! one writer are lost and measured again.

use super::{Record, Scope, Source};
use crate::jit::{Access, acquire, publish};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Digits of a configuration's hash in a file's name.
const DIGITS: usize = 32;
/// How long a writer waits for the lock.
const PATIENCE: Duration = Duration::from_secs(10);

/// The records of a cache directory.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

/// The contents of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Records of any machine, oldest first.
    pub records: Vec<Record>,
    /// Lines that were rejected, and why.
    pub refused: Vec<String>,
}

impl Store {
    /// The store of the cache at `root` ([`Jit::cache_dir`](crate::jit::Jit::cache_dir)). Directories are created only when
    /// something is written.
    pub fn new(root: &Path) -> Self {
        Self { dir: root.join("tune") }
    }

    /// The file of a configuration, which [`Scope::spec`] names.
    pub fn path(&self, spec: &str) -> PathBuf {
        self.dir.join(format!("{spec:.DIGITS$}.jsonl"))
    }

    /// Every record of a configuration. A file that cannot be read is reported as rejected.
    pub fn read(&self, spec: &str) -> Found {
        let path = self.path(spec);
        let mut found = Found::default();
        match fs::read(&path) {
            // A line that is not UTF-8 is rejected on its own; the others are read.
            Ok(bytes) => {
                found.read(&path.display().to_string(), &String::from_utf8_lossy(&bytes));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => found.refused.push(format!("`{}`: {error}", path.display())),
        }
        found
    }

    /// Appends records of one configuration, drops rejected lines, and returns the file's path.
    ///
    /// # Errors
    /// An I/O error, or a record that cannot be written as a line.
    pub fn append(&self, spec: &str, records: &[Record]) -> io::Result<PathBuf> {
        crate::jit::create(&self.dir, Access::Owner)?;
        self.rewrite(spec, |known| known.extend_from_slice(records))
    }

    /// Every configuration that has records, in the form of [`path`](Self::path)'s argument; empty if nothing was tuned.
    ///
    /// # Errors
    /// An I/O error.
    pub fn specs(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut specs = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let digits = name.to_str().and_then(|name| name.strip_suffix(".jsonl"));
            let digits = digits.filter(|d| d.len() == DIGITS && d.bytes().all(|b| b.is_ascii_hexdigit()));
            specs.extend(digits.map(str::to_owned));
        }
        specs.sort();
        Ok(specs)
    }

    /// Drops rejected lines of a configuration and, if `replaced`, the records that a later one of the same scope, unit and
    /// bucket has replaced. Returns the number of dropped lines.
    ///
    /// # Errors
    /// An I/O error.
    pub fn tidy(&self, spec: &str, replaced: bool) -> io::Result<usize> {
        let found = self.read(spec);
        let gone = found.refused.len() + if replaced { found.replaced().count() } else { 0 };
        if gone == 0 {
            return Ok(0);
        }
        self.rewrite(spec, |records| {
            let found = Found { records: std::mem::take(records), refused: Vec::new() };
            let old: Vec<&Record> = found.replaced().filter(|_| replaced).collect();
            let kept =
                found.records.iter().filter(|record| !old.iter().any(|old| std::ptr::eq(*old, *record)));
            *records = kept.cloned().collect();
        })?;
        Ok(gone)
    }

    /// Deletes the records of a configuration, if there are any.
    ///
    /// # Errors
    /// An I/O error.
    pub fn remove(&self, spec: &str) -> io::Result<()> {
        match fs::remove_file(self.path(spec)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Applies `change` to the records of a file, and replaces the file.
    fn rewrite(&self, spec: &str, change: impl FnOnce(&mut Vec<Record>)) -> io::Result<PathBuf> {
        let path = self.path(spec);
        let lock = acquire(&self.dir.join("lock"), PATIENCE);
        if !matches!(lock, Ok(Some(_))) {
            tracing::warn!(
                "writing `{}` without its lock: another writer's records may be lost",
                path.display()
            );
        }
        let mut records = self.read(spec).records;
        change(&mut records);
        let lines: Result<String, String> = records.iter().map(Record::line).collect();
        let text = lines.map_err(io::Error::other)?;
        publish(&path, text.as_bytes(), Access::Owner)?;
        Ok(path)
    }
}

impl Found {
    /// Adds the records in `text`; `name` is its file name, for messages.
    pub fn read(&mut self, name: &str, text: &str) {
        for (i, line) in text.lines().enumerate() {
            match Record::read(line) {
                Ok(record) => self.records.push(record),
                Err(why) => self.refused.push(format!(
                    "`{name}` line {}: {why}; the record is not used, and tuning again replaces it",
                    i + 1
                )),
            }
        }
    }

    /// Records that a later one of the same scope, unit and bucket has replaced.
    pub fn replaced(&self) -> impl Iterator<Item = &Record> {
        let same = |a: &Record, b: &Record| (&a.scope, a.unit, a.bucket) == (&b.scope, b.unit, b.bucket);
        let replaced = move |(i, record): &(usize, &Record)| {
            self.records[i + 1..].iter().any(|later| same(later, record))
        };
        self.records.iter().enumerate().filter(replaced).map(|(_, record)| record)
    }

    /// The records that are valid in `scope`, only the last of each unit and bucket. Records of the same configuration from
    /// other machines are skipped.
    pub fn for_scope(&self, scope: &Scope, reviewed: bool) -> Vec<&Record> {
        let mut chosen: Vec<&Record> = Vec::new();
        for record in self.records.iter().filter(|record| record.scope.differs(scope, reviewed).is_none()) {
            chosen.retain(|other| (other.unit, other.bucket) != (record.unit, record.bucket));
            chosen.push(record);
        }
        chosen
    }

    /// The records that are valid in `scope`: this machine's and, for units and buckets that they lack, the reviewed ones.
    pub(crate) fn or_shipped(&self, shipped: &Found, scope: &Scope) -> Vec<(Record, Source)> {
        let own = self.for_scope(scope, false);
        let known =
            |record: &&Record| !own.iter().any(|o| (o.unit, o.bucket) == (record.unit, record.bucket));
        let reviewed: Vec<_> = shipped.for_scope(scope, true).into_iter().filter(known).collect();
        let sources = [(own.as_slice(), Source::Measured), (reviewed.as_slice(), Source::Shipped)];
        let pairs =
            sources.into_iter().flat_map(|(records, source)| records.iter().map(move |r| (*r, source)));
        pairs.map(|(record, source)| (record.clone(), source)).collect()
    }
}
