//! What a configuration's text has: the names that `//@if` may ask for.

use super::Tiles;
use super::sources::Family;
use crate::{Budget, Rows, Spec};

/// The answer to each name of a section, for one configuration.
#[derive(PartialEq)]
pub(super) struct Features(Vec<(&'static str, bool)>);

impl Features {
    pub(super) fn of(spec: &Spec, tiles: &Tiles, family: Family) -> Self {
        let sparse = !spec.is_dense();
        let samples_kv = spec.block.kv / spec.stride.kv;
        let dynamic = matches!(spec.budget, Budget::Dynamic { .. });
        let holds_queries = spec.head_dim == 64;
        Self(vec![
            ("CAUSAL", spec.causal),
            ("DYNAMIC", dynamic),
            ("ROWS_RATIO", matches!(spec.budget, Budget::Dynamic { rows: Rows::Ratio, .. })),
            ("TOP_K_BUDGET", matches!(spec.budget, Budget::TopK { .. })),
            ("RATIO_BUDGET", matches!(spec.budget, Budget::Ratio { .. })),
            ("POOL_KEYS", pools_keys(spec)),
            ("STRIDED_Q", spec.stride.q > 1),
            ("STRIDED_KV", spec.stride.kv > 1),
            ("SEGMENTS", family.score),
            ("BLOCK_FILLS_STAGE", samples_kv == tiles.hopper.keys),
            ("TICKETS", family.attend),
            ("WIDE", spec.head_dim > 128),
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

/// Whether a group's proxy keys differ from the keys of one KV head, so that they have to be computed.
pub(super) fn pools_keys(spec: &Spec) -> bool {
    !spec.is_dense() && spec.groups.is_some() && spec.groups != spec.kv_heads
}
