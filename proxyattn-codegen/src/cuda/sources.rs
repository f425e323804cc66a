//! Which files make up which translation unit.

use super::kernels::Cx;
use super::{HopperTiles, Tiles};
use crate::abi::UnitId;
use crate::{Arch, Spec};

/// The family that each kernel of a configuration is written for, where there is more than the portable one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Native {
    pub(super) score: Arch,
    pub(super) budget: Arch,
    pub(super) attend: Arch,
    pub(super) dense: Arch,
}

impl Native {
    pub(super) fn of(spec: &Spec, arch: Arch, tiles: &Tiles) -> Self {
        let hopper = match arch {
            Arch::Sm80 => false,
            Arch::Sm90a => HopperTiles::exist_for(spec),
        };
        let family = |exists: bool| if hopper && exists { Arch::Sm90a } else { Arch::Sm80 };
        Self {
            score: family(!spec.is_dense() && tiles.hopper.score(spec)),
            budget: family(spec.budget.is_measured() && tiles.hopper.budget(spec)),
            attend: family(HopperTiles::attend(spec)),
            dense: family(true),
        }
    }

    /// Whether the sums of `score` come in segments of the keys, and its work by ticket.
    pub(super) fn segments(self) -> bool {
        match self.score {
            Arch::Sm80 => false,
            Arch::Sm90a => true,
        }
    }

    /// Whether the work of `attend` comes by ticket.
    pub(super) fn tickets(self) -> bool {
        match self.attend {
            Arch::Sm80 => false,
            Arch::Sm90a => true,
        }
    }
}

/// The wrappers that a unit's kernels use, in the order in which they build on each other.
pub(super) fn prelude(arch: Arch) -> Vec<&'static str> {
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
    match arch {
        Arch::Sm80 => {}
        Arch::Sm90a => files.extend([
            "prelude/stmatrix.cuh",
            "prelude/mbarrier.cuh",
            "prelude/tma.cuh",
            "prelude/descriptor.cuh",
            "prelude/wgmma.cuh",
            "prelude/warpgroup.cuh",
        ]),
    }
    files
}

/// The units of a configuration, and the files of each.
pub(super) fn units(cx: &Cx<'_>) -> Vec<(UnitId, Vec<&'static str>)> {
    let mut units = Vec::new();
    if !cx.spec.is_dense() {
        let portable_budget = cx.spec.budget.is_measured() && cx.native.budget == Arch::Sm80;
        let portable_score = cx.native.score == Arch::Sm80;
        let mut scoring = vec!["stages/tile.cuh", "stages/pool.cuh"];
        if portable_budget || portable_score {
            scoring.push("stages/softmax.cuh");
        }
        match cx.native.score {
            Arch::Sm80 => scoring.extend(["stages/maxima.cuh", "stages/score.cuh"]),
            Arch::Sm90a => {}
        }
        if portable_budget {
            scoring.extend(["stages/budget.cuh", "stages/counts.cuh"]);
        }
        scoring.extend(["stages/ranking.cuh", "stages/select.cuh"]);
        units.push((UnitId::Scoring, scoring));
        match cx.native.score {
            Arch::Sm80 => {}
            Arch::Sm90a => {
                units.push((
                    UnitId::Score,
                    vec!["hopper/cta.cuh", "hopper/scoring.cuh", "stages/maxima.cuh", "hopper/score.cuh"],
                ));
            }
        }
        if cx.spec.budget.is_measured() && !portable_budget {
            let files = ["hopper/cta.cuh", "hopper/scoring.cuh", "hopper/budget.cuh", "stages/counts.cuh"];
            units.push((UnitId::Budget, files.to_vec()));
        }
        let attend = match cx.native.attend {
            Arch::Sm80 => [&PORTABLE[..], &["stages/attend.cuh"]].concat(),
            Arch::Sm90a => [&ON_HOPPER[..], &["hopper/schedule.cuh", "hopper/attend.cuh"]].concat(),
        };
        units.push((UnitId::Attend, attend));
    }
    let dense = match cx.native.dense {
        Arch::Sm80 => [&PORTABLE[..], &["stages/dense.cuh"]].concat(),
        Arch::Sm90a => [&ON_HOPPER[..], &["hopper/dense.cuh"]].concat(),
    };
    units.push((UnitId::Dense, dense));
    units
}

/// What the attention kernels of each family stand on.
const ON_HOPPER: [&str; 5] =
    ["hopper/cta.cuh", "hopper/order.cuh", "hopper/ring.cuh", "hopper/flash.cuh", "hopper/stream.cuh"];
const PORTABLE: [&str; 2] = ["stages/tile.cuh", "stages/flash.cuh"];
