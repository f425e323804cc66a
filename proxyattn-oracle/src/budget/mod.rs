//! How many blocks a head may visit in a row. A budget is a line of `budgets!` and a folder, which implements the contract.

mod held;
mod mass;

use crate::compare::{Lists, Ties};
use crate::stages::Buffers;
use crate::{Grid, Oracle, Scores};
use proxyattn_codegen::{Budget, OfLayer};
use proxyattn_runtime::LayerShares;

/// A budget, as the reference answers for it.
pub(crate) trait Contract {
    /// Values of its parts for short contexts in small blocks, which every suite tries.
    fn examples() -> Vec<Budget>
    where
        Self: Sized;

    /// Blocks that a head wants of a row, before bounds, where `measured` were counted for it.
    fn wanted(&self, grid: &Grid, row: usize, measured: usize) -> usize;

    /// What is counted for each head and row of a sequence, `[head][row]`: 0 where nothing is.
    fn measured(&self, oracle: &Oracle, _batch: usize) -> Vec<Vec<usize>> {
        vec![vec![0; oracle.rows()]; oracle.heads]
    }

    /// How many blocks of a row `select` keeps by their log₂ scores, −∞ of those that have none; `None` where a count says how
    /// many.
    fn kept(&self, _: &Grid, _row: usize, _scores: &Scores) -> Option<usize> {
        None
    }

    /// Of each head of a sequence, whether other counts than the reference's are as good where some differ: rounding or a
    /// near tie decided. If not, why.
    fn close(&self, given: &Given<'_>) -> Vec<Result<(), String>> {
        vec![Err(String::new()); given.oracle.heads]
    }

    /// Asserts that what its kernels left is near the reference's.
    fn near(&self, _left: &Buffers<'_>, _oracle: &Oracle) {}

    /// Asserts that the counts are exactly those of what the kernels before have left.
    fn exact(&self, _left: &Buffers<'_>) {}
}

/// Counts of a sequence that somebody gives, and some of which differ from the reference's.
pub(crate) struct Given<'a> {
    pub(crate) oracle: &'a Oracle,
    pub(crate) lists: &'a dyn Lists,
    pub(crate) batch: usize,
    pub(crate) ties: &'a Ties,
}

impl Given<'_> {
    /// How many blocks a head visits in a row.
    pub(crate) fn count(&self, head: usize, row: usize) -> usize {
        self.lists.count(self.batch, head, row)
    }

    /// The first row in which a head's counts are not those of what was measured for it, by row.
    pub(crate) fn differs(&self, head: usize, measured: impl Fn(usize) -> usize) -> Option<usize> {
        let differs = |&row: &usize| self.count(head, row) != self.oracle.count(measured(row), row);
        (0..self.oracle.rows()).find(differs)
    }

    /// The counts of the last row that explain those of every row.
    pub(crate) fn explained_by(&self, head: usize) -> impl Iterator<Item = usize> {
        (1..=self.oracle.blocks()).filter(move |&count| self.differs(head, |_| count).is_none())
    }
}

macro_rules! make {
    ($($(#[$doc:meta])+ $name:ident: $Kind:ident$(($held:ident))? => $value:expr;)+) => {
        $(mod $name;)+

        /// The budget itself.
        fn contract<R>(budget: Budget, ask: impl FnOnce(&dyn Contract) -> R) -> R {
            match budget {
                $(Budget::$Kind$(($held))? => ask(&$value),)+
            }
        }

        /// Every kind of budget, with values for short contexts in small blocks.
        pub fn budgets() -> Vec<Budget> {
            [$(<proxyattn_codegen::$Kind as Contract>::examples()),+].concat()
        }
    };
}
proxyattn_codegen::budgets!(make);

/// The layer that every suite loads, for budgets that ask for one.
pub fn layer(budget: Budget, heads: usize) -> LayerShares {
    let layer = match budget.of_layer() {
        Some(OfLayer::Spans) => LayerShares::from_spans(&(0..heads).map(spans::span).collect::<Vec<_>>()),
        _ => LayerShares::new(&(0..heads).map(per_head::weight).collect::<Vec<_>>()),
    };
    layer.expect("heads")
}

impl Grid {
    /// Blocks that a head may visit in a row, when `measured` were counted for it.
    pub fn count(&self, measured: usize, row: usize) -> usize {
        let visible = self.visible(row);
        let wanted = contract(self.spec.budget, |budget| budget.wanted(self, row, measured));
        wanted.max(self.pinned(row)).min(visible)
    }

    /// As the contract has it.
    pub(crate) fn kept(&self, row: usize, scores: &Scores) -> Option<usize> {
        contract(self.spec.budget, |budget| budget.kept(self, row, scores))
    }
}

impl Oracle {
    /// What a budget counts for each head and row of a sequence, `[head][row]`, before it is raised to what is pinned.
    pub fn measured(&self, batch: usize) -> Vec<Vec<usize>> {
        contract(self.spec.budget, |budget| budget.measured(self, batch))
    }
}

impl Given<'_> {
    /// As the contract has it.
    pub(crate) fn close(&self) -> Vec<Result<(), String>> {
        contract(self.oracle.spec.budget, |budget| budget.close(self))
    }
}

impl Buffers<'_> {
    /// Asserts that the buffers of the budget, if it has any, are near the reference's and lead to its counts.
    pub fn budget(&self, oracle: &Oracle) {
        contract(self.grid.spec.budget, |budget| budget.near(self, oracle));
        self.counted();
    }

    /// Asserts that the budget's counts are exactly those of what the kernels before have left.
    pub fn counted(&self) {
        contract(self.grid.spec.budget, |budget| budget.exact(self));
    }
}
