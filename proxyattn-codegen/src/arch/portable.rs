//! The portable family: `mma.sync` and `cp.async`, from Ampere on.

use super::ArchFacts;
use crate::pipeline::{Cx, Part};

/// What is known of the family; the shared memory is that of 8.0.
pub(super) const FACTS: ArchFacts = ArchFacts {
    capability: (8, 0),
    specific: false,
    shared_bytes: 163 * 1024,
    multiprocessors: 108,
    // Between two measurements on an H100, not at the edge: at 1024 tokens choosing blocks takes the default configuration
    // longer than dense attention, at 8192 a sixth of that time (`docs/performance/h100-2026-11-23-short.txt`).
    dense_below: 3072,
};

/// Wrappers of PTX instructions; `elem.cuh` is built from the others.
pub(super) const PRELUDE: [&str; 8] = [
    "prelude/types.cuh",
    "prelude/convert.cuh",
    "prelude/memory.cuh",
    "prelude/async.cuh",
    "prelude/mma.cuh",
    "prelude/warp.cuh",
    "prelude/sync.cuh",
    "prelude/elem.cuh",
];

/// Threads of a CTA that computes means.
pub(crate) const POOL_THREADS: u32 = 128;
/// Rows of a CTA of the scoring passes.
pub(crate) const SCORING_ROWS: u32 = 128;
/// Threads of a CTA of the scoring passes.
pub(crate) const SCORING_THREADS: u32 = 128;

/// Sections and constants that kernels of every stage share.
pub(crate) fn part(cx: &Cx<'_>) -> Part {
    Part {
        sections: vec![("ROW_OF_96", cx.spec.head_dim == 96)],
        shared: vec![
            ("SCORING_THREADS", SCORING_THREADS.to_string()),
            ("SCORING_ROWS", SCORING_ROWS.to_string()),
        ],
        ..Part::default()
    }
}

/// What lies in shared memory of the scoring passes.
pub(crate) fn scoring_memory(cx: &Cx<'_>) -> String {
    let (row, tiles) = (cx.spec.head_dim * 2, cx.tiles);
    format!(
        "scoring:   {} B of queries, then in their place {} stages of {} B keys",
        SCORING_ROWS * row,
        tiles.ring_stages,
        tiles.ring_keys * row
    )
}
