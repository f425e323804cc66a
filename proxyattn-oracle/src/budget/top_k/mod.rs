//! `top_k`: a budget that no input decides.

use super::Contract;
use crate::Grid;
use proxyattn_codegen::{Budget, TopK};

impl Contract for TopK {
    fn examples() -> Vec<Budget> {
        vec![Budget::top_k(4)]
    }

    fn wanted(&self, _: &Grid, _: usize, _: usize) -> usize {
        self.blocks as usize
    }
}
