//! `all`: every block.

use super::Contract;
use crate::Grid;
use proxyattn_codegen::{All, Budget};

impl Contract for All {
    fn examples() -> Vec<Budget> {
        vec![Budget::All]
    }

    fn wanted(&self, grid: &Grid, row: usize, _: usize) -> usize {
        grid.visible(row)
    }
}
