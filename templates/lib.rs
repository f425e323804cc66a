//! The CUDA files that proxyattn assembles its kernels from, held in the crate so that it publishes with them.
//!
//! Every file is header-free CUDA. `prelude/` holds one named wrapper per PTX instruction, `stages/` the
//! kernel bodies and `hopper/` those for Hopper, which call the wrappers and contain no PTX of their own.

/// Lists the files by their path below this crate, which is also the name they are looked up by.
macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!($path))),*]
    };
}

/// Every template: its path below this crate, and its text. The prelude comes first and in the order that its
/// files must be emitted in.
pub const FILES: &[(&str, &str)] = files![
    // The portable family, sm_80 and up. `elem.cuh` comes last: it is built from the others.
    "prelude/types.cuh",
    "prelude/convert.cuh",
    "prelude/memory.cuh",
    "prelude/async.cuh",
    "prelude/mma.cuh",
    "prelude/warp.cuh",
    "prelude/sync.cuh",
    "prelude/elem.cuh",
    // sm_90a besides, after `elem.cuh`.
    "prelude/stmatrix.cuh",
    "prelude/mbarrier.cuh",
    "prelude/tma.cuh",
    "prelude/descriptor.cuh",
    "prelude/wgmma.cuh",
    "prelude/warpgroup.cuh",
    // The kernel bodies.
    "stages/attend.cuh",
    "stages/budget.cuh",
    "stages/counts.cuh",
    "stages/dense.cuh",
    "stages/flash.cuh",
    "stages/maxima.cuh",
    "stages/pool.cuh",
    "stages/ranking.cuh",
    "stages/score.cuh",
    "stages/select.cuh",
    "stages/softmax.cuh",
    "stages/tile.cuh",
    // Those for Hopper.
    "hopper/attend.cuh",
    "hopper/budget.cuh",
    "hopper/cta.cuh",
    "hopper/dense.cuh",
    "hopper/flash.cuh",
    "hopper/order.cuh",
    "hopper/ring.cuh",
    "hopper/schedule.cuh",
    "hopper/score.cuh",
    "hopper/scoring.cuh",
    "hopper/stream.cuh",
];

/// The text of the template with this path, such as `prelude/types.cuh`.
pub fn file(path: &str) -> Option<&'static str> {
    FILES.iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
}
