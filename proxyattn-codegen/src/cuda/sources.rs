//! Which files make up which translation unit.

use super::{HopperTiles, Tiles};
use crate::{Arch, Budget, Spec};

/// Which kernels of a configuration are written for Hopper; the others are those of the portable family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family {
    pub(super) score: bool,
    pub(super) budget: bool,
    pub(super) attend: bool,
    pub(super) dense: bool,
}

impl Family {
    pub(super) fn of(spec: &Spec, arch: Arch, tiles: &Tiles) -> Self {
        let hopper = match arch {
            Arch::Sm80 => false,
            Arch::Sm90a => HopperTiles::exist_for(spec),
        };
        Self {
            score: hopper && !spec.is_dense() && tiles.hopper.score(spec),
            budget: hopper && matches!(spec.budget, Budget::Dynamic { .. }) && tiles.hopper.budget(spec),
            attend: hopper && HopperTiles::attend(spec),
            dense: hopper,
        }
    }
}

/// The wrappers that a unit's kernels use, in the order in which they build on each other.
pub(super) fn prelude(hopper: bool) -> Vec<&'static str> {
    let mut files = vec![
        "prelude/types.cuh",
        "prelude/convert.cuh",
        "prelude/memory.cuh",
        "prelude/async.cuh",
        "prelude/mma.cuh",
        "prelude/warp.cuh",
        "prelude/sync.cuh",
        "prelude/elem.cuh",
    ];
    if hopper {
        files.extend([
            "prelude/stmatrix.cuh",
            "prelude/mbarrier.cuh",
            "prelude/tma.cuh",
            "prelude/descriptor.cuh",
            "prelude/wgmma.cuh",
            "prelude/warpgroup.cuh",
        ]);
    }
    files
}

/// The units of a configuration, and the files of each.
pub(super) fn units(spec: &Spec, family: Family) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut units = Vec::new();
    if !spec.is_dense() {
        let dynamic = matches!(spec.budget, Budget::Dynamic { .. });
        let mut scoring = vec!["stages/tile.cuh", "stages/pool.cuh"];
        let portable_budget = dynamic && !family.budget;
        if portable_budget || !family.score {
            scoring.push("stages/softmax.cuh");
        }
        if !family.score {
            scoring.push("stages/score.cuh");
        }
        if portable_budget {
            scoring.extend(["stages/budget.cuh", "stages/counts.cuh"]);
        }
        scoring.extend(["stages/ranking.cuh", "stages/select.cuh"]);
        units.push(("scoring", scoring));
        if family.score {
            units.push(("score", vec!["hopper/cta.cuh", "hopper/scoring.cuh", "hopper/score.cuh"]));
        }
        if family.budget {
            let files = ["hopper/cta.cuh", "hopper/scoring.cuh", "hopper/budget.cuh", "stages/counts.cuh"];
            units.push(("budget", files.to_vec()));
        }
        units.push((
            "attend",
            attention(family.attend, [&["hopper/schedule.cuh", "hopper/attend.cuh"], &["stages/attend.cuh"]]),
        ));
    }
    units.push(("dense", attention(family.dense, [&["hopper/dense.cuh"], &["stages/dense.cuh"]])));
    units
}

/// What the attention kernels of each family stand on.
const ON_HOPPER: [&str; 5] =
    ["hopper/cta.cuh", "hopper/order.cuh", "hopper/ring.cuh", "hopper/flash.cuh", "hopper/stream.cuh"];
const PORTABLE: [&str; 2] = ["stages/tile.cuh", "stages/flash.cuh"];

fn attention(hopper: bool, [on_hopper, portable]: [&[&'static str]; 2]) -> Vec<&'static str> {
    if hopper { [&ON_HOPPER, on_hopper].concat() } else { [&PORTABLE, portable].concat() }
}
