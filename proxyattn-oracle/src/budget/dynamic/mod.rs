//! `dynamic`: as many blocks as hold γ of the softmax mass of a head's last queries.

mod stages;

use super::held::Held;
use super::mass::{Measure, carried, fewest, floor};
use super::{Contract, Given};
use crate::stages::Buffers;
use crate::{Grid, Oracle};
use proxyattn_codegen::{Budget, Dynamic, Order, Rows, Weigh};

fn measure(dynamic: &Dynamic) -> Measure {
    Measure { order: dynamic.order, weigh: dynamic.weigh }
}

impl Contract for Dynamic {
    fn examples() -> Vec<Budget> {
        let of = |gamma, rows, order, weigh| {
            Budget::Dynamic(Dynamic { gamma, min_tokens: 64, rows, order, weigh })
        };
        vec![
            of(0.6, Rows::Ratio, Order::List, Weigh::Values),
            of(0.8, Rows::Absolute, Order::Own, Weigh::None),
        ]
    }

    fn wanted(&self, grid: &Grid, row: usize, measured: usize) -> usize {
        carried(grid, self.rows, row, measured).max(floor(self.min_tokens, grid.spec.block))
    }

    fn measured(&self, oracle: &Oracle, batch: usize) -> Vec<Vec<usize>> {
        let of_head = |head| {
            let held = measure(self).held_in_order(oracle, batch, head);
            vec![fewest(&held, self.gamma); oracle.rows()]
        };
        (0..oracle.heads).map(of_head).collect()
    }

    /// The share of the mass at the boundary may be as far from γ as rounding goes.
    fn close(&self, given: &Given<'_>) -> Vec<Result<(), String>> {
        let of_head = |head| {
            let held = Held::of(given, head, measure(self));
            match given.explained_by(head).any(|count| held.reaches(count, self.gamma)) {
                true => Ok(()),
                false => Err("no count of the last row that the mass allows explains it".into()),
            }
        };
        (0..given.oracle.heads).map(of_head).collect()
    }

    fn near(&self, left: &Buffers<'_>, oracle: &Oracle) {
        measure(self).near(left, oracle);
        stages::near_counts(self, left, oracle);
    }

    fn exact(&self, left: &Buffers<'_>) {
        stages::exact_counts(self, left);
    }
}
