//! The table of kernels: the fields of each, its threads, its shared memory and its grid.

mod attention;
mod budget;
mod proxy;
mod select;

use super::Tiles;
use super::constants::{POOL_THREADS, SCORING_ROWS, WG_ROWS};
use super::sources::Native;
use crate::abi::{Access, Axis, Expr, Field, Kernel, Keys, Macro, Operand, Scalar, Size, Tensor};
use crate::{Budget, Scorer, Spec};

/// What kernels are made for.
pub(super) struct Cx<'a> {
    pub(super) spec: &'a Spec,
    pub(super) tiles: &'a Tiles,
    pub(super) native: Native,
}

impl Cx<'_> {
    /// What the scorer's keys are: a group's mean keys, or the keys of the one KV head that it has.
    pub(super) fn keys(&self) -> Keys {
        match self.spec.groups.is_some() && self.spec.groups != self.spec.kv_heads {
            true => Keys::Pooled,
            false => Keys::Sampled,
        }
    }

    /// A constant of the text with its value.
    pub(super) fn size(&self, name: Macro) -> Size {
        let (spec, tiles) = (self.spec, self.tiles);
        let value = match name {
            Macro::HeadDim => spec.head_dim,
            Macro::BlockQ => spec.block.q,
            Macro::SamplesQ => spec.block.q / spec.stride.q,
            Macro::PoolThreads => POOL_THREADS,
            Macro::ScoringRows => SCORING_ROWS,
            Macro::WgRows => WG_ROWS,
            Macro::TileHeads => tiles.heads,
            Macro::TileRows => tiles.rows,
            Macro::PackHeads => tiles.hopper.heads(spec),
            Macro::Warpgroups => tiles.hopper.warpgroups,
            Macro::StageKeys => tiles.hopper.keys,
            Macro::ScoreWarpgroups => tiles.hopper.score_warpgroups,
        };
        Size::Macro(name, value)
    }

    fn constant(&self, name: Macro) -> Expr {
        self.size(name).into()
    }
}

/// The kernels of a configuration, in the order in which they run; `dense` last, for contexts too short to drop blocks.
pub(super) fn kernels(cx: &Cx<'_>) -> Vec<Kernel> {
    let mut kernels = Vec::new();
    if !cx.spec.is_dense() {
        match cx.spec.scorer {
            Scorer::Proxy => kernels.extend(proxy::kernels(cx)),
        }
        match cx.spec.budget {
            Budget::Dynamic { .. } => kernels.extend(budget::dynamic(cx)),
            Budget::TopK { .. } | Budget::Ratio { .. } | Budget::All => {}
        }
        kernels.push(select::select(cx));
        kernels.push(attention::attend(cx));
    }
    kernels.push(attention::dense(cx));
    kernels
}

fn read(operand: impl Into<Operand>) -> Field {
    Field::Pointer(operand.into(), Access::Read)
}

fn write(operand: impl Into<Operand>) -> Field {
    Field::Pointer(operand.into(), Access::Write)
}

fn strides(tensor: Tensor) -> impl Iterator<Item = Field> {
    Axis::ALL.into_iter().map(move |axis| Field::Stride(tensor, axis))
}

fn numbers<const N: usize>(scalars: [Scalar; N]) -> impl Iterator<Item = Field> {
    scalars.into_iter().map(Field::Scalar)
}

fn number(number: u32) -> Expr {
    number.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::{Module, emit};
    use crate::{Arch, Block, Stride};

    /// Configurations that differ in which kernels they have.
    fn modules() -> Vec<Module> {
        let d = Spec::DEFAULT;
        let specs = [
            d,
            Spec { groups: Some(1), ..d },
            Spec { head_dim: 96, causal: false, ..d },
            Spec { head_dim: 256, budget: Budget::TopK { blocks: 9 }, ..d },
            Spec { block: Block { q: 32, kv: 32 }, stride: Stride { q: 4, kv: 32 }, ..d },
            Spec { block: Block { q: 128, kv: 64 }, budget: Budget::Ratio { share: 0.1 }, ..d },
            Spec { budget: Budget::All, ..d },
        ];
        specs.iter().flat_map(|spec| Arch::ALL.iter().map(|&arch| emit(spec, arch))).collect()
    }

    #[test]
    fn every_word_that_is_counted_up_is_set_to_zero_before() {
        for module in modules() {
            for kernel in &module.kernels {
                let left = module.clears_before(kernel.id);
                // A dense plan has no earlier kernel: there the launcher does it.
                let own: Vec<_> = if kernel.id.runs(true) { kernel.counts().collect() } else { Vec::new() };
                assert_eq!(left, own, "{}", kernel.id);
                for word in kernel.counts().chain(kernel.clears()) {
                    assert!(module.buffer(word).is_some_and(|buffer| buffer.dims.is_empty()), "{word}");
                }
            }
        }
    }

    #[test]
    fn buffers_are_those_that_kernels_use() {
        for module in modules() {
            let used = |scratch| module.kernels.iter().any(|kernel| kernel.scratch().any(|s| s == scratch));
            for &scratch in crate::abi::Scratch::ALL {
                assert_eq!(used(scratch), module.buffer(scratch).is_some(), "{scratch}");
            }
        }
    }

    #[test]
    fn kernels_stand_in_the_order_in_which_they_run() {
        for module in modules() {
            assert!(module.kernels.is_sorted_by_key(|kernel| kernel.id));
            assert!(module.units.is_sorted_by_key(|unit| unit.id));
            for kernel in &module.kernels {
                let unit = module.unit(kernel.unit).expect("a kernel is in a unit");
                assert!(unit.kernels.contains(&kernel.signature()), "{} in {}", kernel.id, unit.id);
                assert!(kernel.param_bytes() as usize <= Kernel::PARAM_BYTES, "{}", kernel.id);
            }
        }
    }
}
