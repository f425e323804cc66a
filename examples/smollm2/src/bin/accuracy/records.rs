//! What was measured, context by context, in a file that a run can go on from.

use serde::{Deserialize, Serialize};
use smollm2::{Error, Result};
use std::path::Path;

/// One context, read by one method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// As the command line spells it.
    pub(crate) method: String,
    /// Tokens of the context.
    pub(crate) length: usize,
    pub(crate) task: String,
    /// Which of the task's contexts, from 0.
    pub(crate) context: usize,
    /// Questions that the context has.
    pub(crate) questions: usize,
    /// Share of the items right, for each question that was asked.
    pub(crate) scores: Vec<f64>,
    /// Tiles of all layers that reading the context visited, and that full attention would visit.
    pub(crate) visited: u64,
    pub(crate) visible: u64,
    /// Block-mass recall by layer, where it was measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) recall: Vec<f64>,
    /// Seconds of reading the context.
    pub(crate) attention: f64,
    pub(crate) rest: f64,
    pub(crate) device: String,
}

impl Record {
    pub(crate) fn is_complete(&self) -> bool {
        self.scores.len() == self.questions
    }

    /// Whether it is about the same.
    pub(crate) fn same(&self, method: &str, length: usize, task: &str, context: usize) -> bool {
        (&*self.method, self.length, &*self.task, self.context) == (method, length, task, context)
    }
}

/// The records of a file; none if it is not there.
pub(crate) fn read(path: &Path) -> Result<Vec<Record>> {
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| Error::file(path, error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::file(path, error)),
    }
}

/// Writes the records, one a line, so that the file is always whole.
pub(crate) fn write(path: &Path, records: &[Record]) -> Result<()> {
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
        let path = std::env::temp_dir().join(format!("accuracy-records-{}.json", std::process::id()));
        assert_eq!(read(&path).unwrap(), []);
        let record = Record {
            method: "budget = ratio(0.1)".into(),
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
        assert!(!record.is_complete() && record.same("budget = ratio(0.1)", 8192, "vt", 1));
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
