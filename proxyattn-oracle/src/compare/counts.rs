//! Whether counts are the reference's, or as good.

use super::{Agreement, Lists, Ties};
use crate::Oracle;
use crate::budget::Given;

/// The counts of every head of a sequence.
pub(super) fn compare(oracle: &Oracle, lists: &dyn Lists, batch: usize, ties: &Ties, into: &mut Agreement) {
    let (given, measured) = (Given { oracle, lists, batch, ties }, oracle.measured(batch));
    let differing = |head: usize| given.differs(head, |row| measured[head][row]);
    let differ: Vec<Option<usize>> = (0..oracle.heads).map(differing).collect();
    if differ.iter().all(Option::is_none) {
        return;
    }
    for (head, (row, verdict)) in differ.into_iter().zip(given.close()).enumerate() {
        match (row, verdict) {
            (None, _) => {}
            (Some(_), Ok(())) => into.recounted += 1,
            (Some(row), Err(why)) => {
                let (got, expected) = (given.count(head, row), oracle.count(measured[head][row], row));
                into.faults.push(format!(
                    "batch {batch} head {head} row {row}: {got} blocks instead of {expected} {why}"
                ));
            }
        }
    }
}
