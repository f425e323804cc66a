//! What was measured, context by context, in a file that a run can go on from.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// One context, read by one method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// As the command line spells it.
    pub method: String,
    /// Which set it is of, where there are several.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub set: String,
    /// Tokens of the context.
    pub length: usize,
    /// One of [`TASKS`](super::TASKS).
    pub task: String,
    /// Which of the task's contexts, from 0.
    pub context: usize,
    /// Questions that the context has.
    pub questions: usize,
    /// Share of the items right, for each question that was asked.
    pub scores: Vec<f64>,
    /// Tiles of all layers that reading the context visited.
    pub visited: u64,
    /// Those that full attention would visit.
    pub visible: u64,
    /// Block-mass recall by layer, where it was measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recall: Vec<f64>,
    /// Seconds of attention, with all stages, of all layers, while the context was read.
    pub attention: f64,
    /// And of everything else.
    pub rest: f64,
    /// What it ran on.
    pub device: String,
}

impl Record {
    /// Whether every question was asked.
    pub fn is_complete(&self) -> bool {
        self.scores.len() == self.questions
    }

    /// Whether it is about the same.
    fn same(&self, other: &Key<'_>) -> bool {
        self.key() == *other
    }

    fn key(&self) -> Key<'_> {
        let Self { method, set, length, task, context, .. } = self;
        Key { method, set, length: *length, task, context: *context }
    }
}

/// What a record is of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Key<'a> {
    pub(super) method: &'a str,
    pub(super) set: &'a str,
    pub(super) length: usize,
    pub(super) task: &'a str,
    pub(super) context: usize,
}

/// All records, and the file that they are saved to as they come.
#[derive(Clone, Debug, Default)]
pub struct Records {
    all: Vec<Record>,
    path: Option<PathBuf>,
}

impl Records {
    /// Those of a file, none if it is not there; without a path they are not saved.
    ///
    /// # Errors
    /// [`Error::File`] for a file that cannot be read, or holds something else.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let all = path.map(read).transpose()?.unwrap_or_default();
        Ok(Self { all, path: path.map(Path::to_owned) })
    }

    /// Every record.
    pub fn all(&self) -> &[Record] {
        &self.all
    }

    /// Whether everything was asked.
    pub(super) fn has(&self, key: &Key<'_>) -> bool {
        self.all.iter().any(|record| record.same(key) && record.is_complete())
    }

    /// Takes a record, in the place of one of the same, and saves them all.
    pub(super) fn add(&mut self, record: Record) -> Result<()> {
        self.all.retain(|other| !other.same(&record.key()));
        self.all.push(record);
        self.path.as_deref().map_or(Ok(()), |path| write(path, &self.all))
    }
}

/// The records of a file; none if it is not there.
fn read(path: &Path) -> Result<Vec<Record>> {
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| Error::file(path, error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::file(path, error)),
    }
}

/// Writes the records, one a line, so that the file is always whole.
fn write(path: &Path, records: &[Record]) -> Result<()> {
    let line = |record| serde_json::to_string(record).map_err(|error| Error::file(path, error));
    let lines = records.iter().map(line).collect::<Result<Vec<_>>>()?;
    let partial = path.with_extension("partial");
    std::fs::write(&partial, format!("[\n{}\n]\n", lines.join(",\n")))
        .and_then(|()| std::fs::rename(&partial, path))
        .map_err(|error| Error::file(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_what_was_written_and_says_when_it_does_not() {
        let path = std::env::temp_dir().join(format!("smollm2-records-{}.json", std::process::id()));
        assert_eq!(read(&path).unwrap(), []);
        let record = Record {
            method: "budget = ratio(0.1)".into(),
            set: String::new(),
            length: 8192,
            task: "vt".into(),
            context: 1,
            questions: 3,
            scores: vec![1.0, 1.0 / 3.0],
            visited: 7,
            visible: 9,
            recall: Vec::new(),
            attention: 0.1,
            rest: 0.2,
            device: "cpu".into(),
        };
        let key = Key { method: "budget = ratio(0.1)", set: "", length: 8192, task: "vt", context: 1 };
        assert!(!record.is_complete() && record.same(&key));
        assert!(!record.same(&Key { set: "another", ..key }));
        let records = [record.clone(), Record { recall: vec![0.75], ..record }];
        write(&path, &records).unwrap();
        let kept = read(&path).unwrap();
        std::fs::write(&path, "[{}]").unwrap();
        let damaged = read(&path).unwrap_err().to_string();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(kept, records);
        assert!(damaged.contains("missing field `method`"), "{damaged}");
    }
}
