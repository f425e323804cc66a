//! What a configuration's text has: the names that `//@if` may ask for.

use super::kernels::Cx;
use crate::abi::Keys;
use crate::{Budget, Rows};

/// The answer to each name of a section, for one configuration.
#[derive(PartialEq)]
pub(super) struct Features(Vec<(&'static str, bool)>);

impl Features {
    pub(super) fn of(cx: &Cx<'_>) -> Self {
        let (spec, tiles) = (cx.spec, cx.tiles);
        let sparse = !spec.is_dense();
        let samples_kv = spec.block.kv / spec.stride.kv;
        let [ratio_rows, top_k, ratio] = match spec.budget {
            Budget::Dynamic { rows: Rows::Ratio, .. } => [true, false, false],
            Budget::Dynamic { rows: Rows::Absolute, .. } | Budget::All => [false; 3],
            Budget::TopK { .. } => [false, true, false],
            Budget::Ratio { .. } => [false, false, true],
        };
        let holds_queries = spec.head_dim == 64;
        Self(vec![
            ("CAUSAL", spec.causal),
            ("DYNAMIC", cx.spec.budget.is_measured()),
            ("ROWS_RATIO", ratio_rows),
            ("TOP_K_BUDGET", top_k),
            ("RATIO_BUDGET", ratio),
            ("POOL_KEYS", sparse && cx.keys() == Keys::Pooled),
            ("STRIDED_Q", spec.stride.q > 1),
            ("STRIDED_KV", spec.stride.kv > 1),
            ("SEGMENTS", cx.native.segments()),
            ("BLOCK_FILLS_STAGE", samples_kv == tiles.hopper.keys),
            ("TICKETS", cx.native.tickets()),
            ("UNUSUAL_SCALE", super::header::has_unusual_scale(spec)),
            ("ROW_OF_96", spec.head_dim == 96),
            ("FLASH_HOLDS_QUERIES", holds_queries),
            ("QUERIES_HELD", sparse || holds_queries),
            ("QUERIES_IN_SHARED", !holds_queries),
            // How a block's samples lie in a tile of scores.
            ("BLOCK_SPANS_TILES", samples_kv > tiles.ring_keys),
            ("BLOCK_FILLS_N_TILES", samples_kv <= tiles.ring_keys && samples_kv >= 8),
            ("BLOCK_WITHIN_N_TILE", samples_kv < 8),
            ("BLOCK_OF_4", samples_kv == 4),
            ("BLOCK_OF_2", samples_kv == 2),
            ("BLOCK_OF_1", samples_kv == 1),
            ("SAMPLES_BY_EIGHT", (spec.block.q / spec.stride.q).is_multiple_of(8)),
        ])
    }

    /// # Panics
    /// If no section has this name: a template's typing error.
    pub(super) fn holds(&self, name: &str) -> bool {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.unwrap_or_else(|| panic!("no section is called `{name}`")).1
    }
}
