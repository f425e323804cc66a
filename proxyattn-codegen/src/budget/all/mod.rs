//! The budget `all`: every block, which is dense attention.

use super::{Contract, RowView};
use crate::Key;
use crate::pipeline::{Cx, Part};

/// Every block: dense attention.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct All;

kind! {
    Key::Budget, All, "all", like "all";
    parts {}
    rules |all, spec| {}
}

impl Contract for All {
    fn wanted(&self, row: RowView, _: u64) -> u64 {
        row.visible
    }

    fn expected_share(&self, _: f64) -> f64 {
        1.0
    }

    fn meaning(&self) -> String {
        "every block".into()
    }

    fn wanted_text(&self) -> &'static [&'static str] {
        &[]
    }

    fn part(&self, _: &Cx<'_>) -> Part {
        Part::default()
    }
}
