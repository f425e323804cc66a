//! The CUDA files that proxyattn assembles its kernels from, held in the crate so that it publishes with them.
//!
//! Every file is header-free CUDA. `prelude/` holds one named wrapper per PTX instruction; the others are the kernel bodies,
//! which call the wrappers and contain no PTX of their own. They lie in folders named as those of `proxyattn-codegen`: the
//! text of a choice stands under the name of the choice. `x.hopper.cuh` is Hopper's version of `x.cuh` beside it.

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
    // The kernel bodies, by the choices that they belong to.
    "arch/hopper/cta.cuh",
    "arch/hopper/scoring.cuh",
    "arch/portable/scoring.cuh",
    "arch/portable/tile.cuh",
    "attend/hopper/attend.cuh",
    "attend/hopper/dense.cuh",
    "attend/hopper/flash.cuh",
    "attend/hopper/order.cuh",
    "attend/hopper/ring.cuh",
    "attend/hopper/schedule.cuh",
    "attend/hopper/stream.cuh",
    "attend/portable/attend.cuh",
    "attend/portable/dense.cuh",
    "attend/portable/flash.cuh",
    "budget/dynamic/counts.cuh",
    "budget/flat/top_k.cuh",
    "budget/mass/list.cuh",
    "budget/mass/masses.cuh",
    "budget/mass/norms.cuh",
    "budget/mass/order.cuh",
    "budget/mass/partials.cuh",
    "budget/mass/partials.hopper.cuh",
    "budget/mass/wanted.cuh",
    "budget/ratio/wanted.cuh",
    "geometry/diagonal.cuh",
    "geometry/samples.cuh",
    "geometry/sequence.cuh",
    "scorer/proxy/maxima.cuh",
    "scorer/proxy/pool.cuh",
    "scorer/proxy/score.cuh",
    "scorer/proxy/score.hopper.cuh",
    "select/ranking.cuh",
    "select/ranks.cuh",
    "select/rows.cuh",
    "select/select.cuh",
];

/// The text of the template with this path, such as `prelude/types.cuh`.
pub fn file(path: &str) -> Option<&'static str> {
    FILES.iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
}
