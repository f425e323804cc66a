//! The value between a [`Spec`] and its text: the stages of a configuration on a family of GPUs, in order, with their
//! kernels, buffers and constants. Each choice adds its [`Part`]; nobody else asks what was chosen.

use crate::abi::{Buffer, Expr, Kernel, KernelId, Macro, Scratch, Size, UnitId};
use crate::arch::hopper::WG_ROWS;
use crate::arch::portable::{POOL_THREADS, SCORING_ROWS};
use crate::arch::{HopperTiles, Tiles, hopper, portable};
use crate::{Arch, Spec, Stage, attend, scorer, select, text};

/// What kernels are made for.
pub(crate) struct Cx<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) tiles: &'a Tiles,
    pub(crate) native: Native,
}

/// The family that each kernel of a configuration is written for, where there is more than the portable one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Native {
    pub(crate) score: Arch,
    pub(crate) budget: Arch,
    pub(crate) attend: Arch,
    pub(crate) dense: Arch,
}

impl Native {
    pub(crate) fn of(spec: &Spec, arch: Arch, tiles: &Tiles) -> Self {
        let hopper = match arch {
            Arch::Sm80 => false,
            Arch::Sm90a => HopperTiles::exist_for(spec),
        };
        let family = |exists: bool| if hopper && exists { Arch::Sm90a } else { Arch::Sm80 };
        Self {
            score: family(!spec.is_dense() && tiles.hopper.score(spec)),
            budget: family(spec.budget.measures().is_some() && tiles.hopper.budget(spec)),
            attend: family(HopperTiles::attend(spec)),
            dense: family(true),
        }
    }
}

impl Cx<'_> {
    /// Samples of a row of blocks.
    pub(crate) fn samples_q(&self) -> u32 {
        self.spec.block_samples().q
    }

    /// Whether the sums of the scorer come in segments of the keys, and its work by ticket.
    pub(crate) fn segments(&self) -> bool {
        match self.native.score {
            Arch::Sm80 => false,
            Arch::Sm90a => true,
        }
    }

    /// A constant of the text with its value.
    pub(crate) fn size(&self, name: Macro) -> Size {
        let (spec, tiles) = (self.spec, self.tiles);
        let value = match name {
            Macro::HeadDim => spec.head_dim,
            Macro::BlockQ => spec.block.q,
            Macro::SamplesQ => self.samples_q(),
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

    pub(crate) fn constant(&self, name: Macro) -> Expr {
        self.size(name).into()
    }
}

/// A constant of the text: its name and its value.
pub(crate) type Define = (&'static str, String);

/// What a choice adds to a pipeline.
#[derive(Default)]
pub(crate) struct Part {
    /// In the order in which they run.
    pub(crate) kernels: Vec<Kernel>,
    /// In the order in which they are written.
    pub(crate) buffers: Vec<Buffer>,
    /// Names that `//@if` may ask for, and the answers.
    pub(crate) sections: Vec<(&'static str, bool)>,
    /// Constants of the configuration.
    pub(crate) defines: Vec<Define>,
    /// Constants that the launch knows, too.
    pub(crate) shared: Vec<Define>,
    /// Constants under a heading of their own.
    pub(crate) tables: Vec<(&'static str, Vec<Define>)>,
    /// What lies where in the shared memory of a unit's kernels, in a line each.
    pub(crate) memory: Vec<(UnitId, String)>,
}

impl Part {
    /// With what another part adds.
    pub(crate) fn and(mut self, other: Part) -> Self {
        self.kernels.extend(other.kernels);
        self.buffers.extend(other.buffers);
        self.sections.extend(other.sections);
        self.defines.extend(other.defines);
        self.shared.extend(other.shared);
        self.tables.extend(other.tables);
        self.memory.extend(other.memory);
        self
    }
}

/// A configuration on a family of GPUs: what the parts add up to.
pub(crate) struct Pipeline(Part);

impl Pipeline {
    pub(crate) fn of(cx: &Cx<'_>) -> Self {
        let spec = cx.spec;
        // Of a dense configuration the sections and constants alone: files that it shares with others ask for them.
        let of_sparse = |part: Part| match spec.is_dense() {
            true => Part { kernels: vec![], buffers: vec![], memory: vec![], ..part },
            false => part,
        };
        let parts = [
            configuration(spec),
            of_sparse(spec.scorer.contract(|scorer| scorer.part(cx))),
            portable::part(cx),
            of_sparse(spec.budget.contract(|budget| budget.part(cx))),
            of_sparse(select::part(cx)),
            hopper::part(cx),
            scorer::contract_part(cx),
            of_sparse(attend::attend(cx)),
            attend::dense(cx),
        ];
        Self(parts.into_iter().fold(Part::default(), Part::and))
    }

    /// The kernels, in the order in which they run; `dense` last, for contexts too short to drop blocks.
    pub(crate) fn kernels(&self) -> &[Kernel] {
        &self.0.kernels
    }

    /// The kernels of the budget that need nothing of what the scorer's write: they may run beside those.
    pub(crate) fn beside_score(&self) -> Vec<KernelId> {
        let mut late: Vec<Scratch> = Vec::new();
        let mut beside = Vec::new();
        for kernel in self.kernels() {
            let waits = match kernel.id.stage() {
                Stage::Pool | Stage::Score => true,
                Stage::Budget => kernel.reads().any(|scratch| late.contains(&scratch)),
                Stage::Select | Stage::Attend => continue,
            };
            match waits {
                true => late.extend(kernel.writes()),
                false => beside.push(kernel.id),
            }
        }
        beside
    }

    /// The buffers, in the order in which they are written.
    pub(crate) fn buffers(&self) -> &[Buffer] {
        &self.0.buffers
    }

    /// The translation units in their order, and the templates of each.
    pub(crate) fn units(&self) -> Vec<(UnitId, Vec<&'static str>)> {
        let units = UnitId::ALL.iter().map(|&unit| {
            let mut files = Vec::new();
            for &file in self.of_unit(unit).flat_map(|kernel| &kernel.files) {
                if !files.contains(&file) {
                    files.push(file);
                }
            }
            (unit, files)
        });
        units.filter(|(_, files)| !files.is_empty()).collect()
    }

    /// The kernels of a unit.
    pub(crate) fn of_unit(&self, unit: UnitId) -> impl Iterator<Item = &Kernel> {
        self.0.kernels.iter().filter(move |kernel| kernel.unit == unit)
    }

    /// Whether the text has a section, by its name.
    ///
    /// # Panics
    /// If no section has this name: a template's typing error.
    pub(crate) fn holds(&self, name: &str) -> bool {
        let found = self.0.sections.iter().find(|(known, _)| *known == name);
        found.unwrap_or_else(|| panic!("no section is called `{name}`")).1
    }

    /// All sections, and whether the text has them.
    pub(crate) fn sections(&self) -> &[(&'static str, bool)] {
        &self.0.sections
    }

    /// Constants of the configuration.
    pub(crate) fn defines(&self) -> &[Define] {
        &self.0.defines
    }

    /// Constants that the launch knows, too, under their headings.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (&'static str, &[Define])> {
        let first = ("What the launch knows, too.", &self.0.shared[..]);
        core::iter::once(first).chain(self.0.tables.iter().map(|(heading, defines)| (*heading, &defines[..])))
    }

    /// What lies where in the shared memory of a unit's kernels.
    pub(crate) fn memory(&self, unit: UnitId) -> impl Iterator<Item = &str> {
        self.0.memory.iter().filter(move |(of, _)| *of == unit).map(|(_, line)| &line[..])
    }
}

/// What every kernel may ask of a configuration.
fn configuration(spec: &Spec) -> Part {
    let (window, samples) = (spec.sample_window(), spec.block_samples());
    Part {
        sections: vec![
            ("CAUSAL", spec.causal),
            ("UNUSUAL_SCALE", text::has_unusual_scale(spec)),
            ("PER_HEAD", spec.budget.differs_within_group()),
        ],
        defines: vec![
            ("HEAD_DIM", spec.head_dim.to_string()),
            ("BLOCK_Q", spec.block.q.to_string()),
            ("BLOCK_KV", spec.block.kv.to_string()),
            ("STRIDE_Q", window.q.to_string()),
            ("STRIDE_KV", window.kv.to_string()),
            ("SAMPLES_Q", samples.q.to_string()),
            ("SAMPLES_KV", samples.kv.to_string()),
            ("KEEP_SINK", spec.keep.sink.to_string()),
            ("KEEP_LOCAL", spec.keep.local.to_string()),
            ("MASKED_SCORE", text::masked_score(spec)),
        ],
        ..Part::default()
    }
}

/// Pieces of shared memory, one after the other, in words.
pub(crate) struct Words {
    /// Where each begins, by its name in the text.
    starts: Vec<(&'static str, u32)>,
    /// Their end.
    words: u32,
}

impl Words {
    pub(crate) fn new(pieces: &[(&'static str, u32)]) -> Self {
        let mut words = 0;
        let place = |&(name, length): &(&'static str, u32)| {
            let start = words;
            words += length;
            (name, start)
        };
        let starts = pieces.iter().map(place).collect();
        Self { starts, words }
    }

    /// Bytes of all pieces.
    pub(crate) fn bytes(&self) -> u32 {
        self.words * 4
    }

    /// As constants of the text.
    pub(crate) fn defines(&self) -> Vec<Define> {
        self.starts.iter().map(|&(name, start)| (name, start.to_string())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::{Module, emit};
    use crate::syntax::every_word;
    use crate::{Block, Budget, Dynamic, Order, Ratio, Scorer, Split, Stride, Weigh};

    /// Configurations that differ in which kernels they have.
    fn modules() -> Vec<Module> {
        let d = Spec::DEFAULT;
        let by_list =
            Budget::Dynamic(Dynamic { order: Order::List, weigh: Weigh::Values, ..Dynamic::DEFAULT });
        let specs = [
            d,
            Spec { groups: Some(1), ..d },
            Spec { head_dim: 96, causal: false, ..d },
            Spec { head_dim: 256, budget: Budget::top_k(9), ..d },
            Spec { block: Block { q: 32, kv: 32 }, stride: Stride { q: 4, kv: 32 }, ..d },
            Spec { block: Block { q: 128, kv: 64 }, budget: Budget::ratio(0.1), ..d },
            Spec { budget: Budget::All, ..d },
            Spec { budget: by_list, ..d },
            Spec { budget: Budget::Ratio(Ratio { split: Split::Heads, ..Ratio::DEFAULT }), ..d },
        ];
        let scorers = every_word::<Scorer>().into_iter().map(|scorer| Spec { scorer, ..d });
        let budgets = every_word::<Budget>().into_iter().map(|budget| Spec { budget, ..d });
        let specs = specs.into_iter().chain(scorers).chain(budgets);
        specs.flat_map(|spec| Arch::ALL.iter().map(move |&arch| emit(&spec, arch))).collect()
    }

    #[test]
    fn pieces_lie_one_after_the_other() {
        let words = Words::new(&[("A", 3), ("B", 5), ("C", 0)]);
        assert_eq!((&words.starts[..], words.bytes()), (&[("A", 0), ("B", 3), ("C", 8)][..], 32));
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
    fn what_reads_scores_runs_after_them() {
        let beside = |order, weigh| {
            let budget = Budget::Dynamic(Dynamic { order, weigh, ..Dynamic::DEFAULT });
            emit(&Spec { budget, ..Spec::DEFAULT }, Arch::Sm80).beside_score
        };
        use KernelId::{BudgetCounts, BudgetMasses, BudgetNorms, BudgetPartials};
        assert_eq!(beside(Order::Own, Weigh::None), [BudgetPartials, BudgetMasses, BudgetCounts]);
        assert_eq!(beside(Order::List, Weigh::None), [BudgetPartials, BudgetMasses]);
        assert_eq!(beside(Order::List, Weigh::Values), [BudgetNorms, BudgetPartials, BudgetMasses]);
        let of = |budget| emit(&Spec { budget, ..Spec::DEFAULT }, Arch::Sm80).beside_score;
        let divided = Ratio { split: Split::Heads, ..Ratio::DEFAULT };
        assert_eq!(of(Budget::Ratio(divided)), [BudgetNorms, BudgetPartials, BudgetMasses]);
        assert_eq!(of(Budget::top_k(9)), []);
        for module in modules() {
            for id in module.beside_score {
                let kernel = module.kernels.iter().find(|kernel| kernel.id == id).expect("a kernel");
                assert!(
                    !kernel.files.contains(&"select/ranks.cuh"),
                    "{id} ranks blocks before the scores are there"
                );
            }
        }
    }

    #[test]
    fn tensor_cores_multiply_whatever_is_long() {
        use KernelId::{Attend, BudgetPartials, Dense, Score, ScorePartials};
        for module in modules() {
            // What a scorer multiplies may be short.
            for kernel in module.kernels.iter().filter(|kernel| kernel.id != Score) {
                let long = matches!(kernel.id, ScorePartials | BudgetPartials | Attend | Dense);
                assert_eq!(kernel.on_tensor_cores(), long, "{}", kernel.id);
            }
        }
        for &arch in Arch::ALL {
            let module = emit(&Spec::DEFAULT, arch);
            assert!(module.kernel(Score).is_some_and(Kernel::on_tensor_cores), "{arch}");
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
