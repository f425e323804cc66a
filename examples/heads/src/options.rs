//! What is measured, and how much may be lost.

use crate::{Error, Result};

/// The parameters of the report; [`Options::default`] has the documented ones.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Options {
    /// Share of the blocks that a head visits when regret is measured, in (0, 1].
    pub keep: f64,
    /// How many more blocks than with one proxy per KV head the default budget may visit with fewer: a share of their number,
    /// 0 or more.
    pub growth: f64,
    /// The maximum regret of a choice of `groups` for flat budgets, at the 95th percentile, in [0, 1].
    pub regret: f64,
    /// Number of query-block rows to measure, evenly spaced over the last three quarters of the context.
    pub rows: usize,
    /// Number of tokens in an overlap.
    pub top: usize,
    /// Number of tokens up to a query that do not count as far.
    pub window: usize,
    /// Factor on `q·k`; `None` is `1/√head_dim`.
    pub scale: Option<f64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { keep: 0.1, growth: 0.15, regret: 0.05, rows: 64, top: 64, window: 64, scale: None }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |option, expected, got: String| Err(Error::Option { option, expected, got });
        if !(self.keep > 0.0 && self.keep <= 1.0) {
            return refuse("keep", "a share above 0 and up to 1", self.keep.to_string());
        }
        if !(self.growth.is_finite() && self.growth >= 0.0) {
            return refuse("growth", "a number from 0 on", self.growth.to_string());
        }
        if !(0.0..=1.0).contains(&self.regret) {
            return refuse("regret", "a share from 0 to 1", self.regret.to_string());
        }
        for (option, value) in [("rows", self.rows), ("top", self.top), ("window", self.window)] {
            if value == 0 {
                return refuse(option, "at least 1", "0".into());
            }
        }
        match self.scale {
            Some(scale) if !(scale.is_finite() && scale > 0.0) => {
                refuse("scale", "a positive number", scale.to_string())
            }
            _ => Ok(()),
        }
    }
}
