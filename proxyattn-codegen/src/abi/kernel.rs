//! Kernels and their parameters. The C struct in the text and the offsets that a launcher writes at come from one table,
//! so that they cannot disagree.
//!
//! A kernel takes one struct by value: tensor maps first, then eight-byte fields, then four-byte ones, so that there is
//! no padding and every offset is a running sum. A launcher fills `param_bytes` bytes, on a multiple of 64, and passes
//! their address as the only argument.

use super::{Access, Expr, Field, Operand, Scratch};
use crate::geometry::Shape;
use crate::{Arch, Spec, Stage};
use core::fmt::Write;

named! {
    /// Which kernel it is, in the order in which they run.
    pub enum KernelId {
        /// Mean queries of the groups.
        PoolQueries = "pool_queries",
        /// Mean keys of the groups.
        PoolKeys = "pool_keys",
        /// The last queries of each head against all keys, for a scorer.
        ScorePartials = "score_partials",
        /// What the scores of each last query sum to.
        ScoreSums = "score_sums",
        /// What the last queries give to each block.
        ScoreMasses = "score_masses",
        /// Proxy queries against keys: maxima and sums.
        Score = "score",
        /// Norms of values.
        BudgetNorms = "budget_norms",
        /// The last queries of each head against all keys.
        BudgetPartials = "budget_partials",
        /// What share of each head's mass the blocks hold.
        BudgetMasses = "budget_masses",
        /// What share of each head's mass the first blocks of its list hold.
        BudgetShares = "budget_shares",
        /// How many blocks each head needs.
        BudgetCounts = "budget_counts",
        /// Lists and counts.
        Select = "select",
        /// Attention over the lists.
        Attend = "attend",
        /// Attention over everything; takes the place of all others where nothing is dropped.
        Dense = "dense",
    }
}

impl KernelId {
    /// The stage that it belongs to.
    pub const fn stage(self) -> Stage {
        match self {
            KernelId::PoolQueries | KernelId::PoolKeys => Stage::Pool,
            KernelId::ScorePartials | KernelId::ScoreSums | KernelId::ScoreMasses | KernelId::Score => {
                Stage::Score
            }
            KernelId::BudgetNorms
            | KernelId::BudgetPartials
            | KernelId::BudgetMasses
            | KernelId::BudgetShares
            | KernelId::BudgetCounts => Stage::Budget,
            KernelId::Select => Stage::Select,
            KernelId::Attend | KernelId::Dense => Stage::Attend,
        }
    }

    /// Whether it runs in a plan: the one of a dense plan, or one of the others.
    pub const fn runs(self, dense: bool) -> bool {
        matches!(self, KernelId::Dense) == dense
    }

    /// Its symbol: `proxyattn_attend`.
    pub fn symbol(self) -> String {
        format!("proxyattn_{self}")
    }

    /// The name of its parameter struct: `AttendParams`.
    pub fn struct_name(self) -> String {
        let words = self.name().split('_').map(|word| word[..1].to_uppercase() + &word[1..]);
        words.collect::<String>() + "Params"
    }
}

named! {
    /// A translation unit, in the order in which they run.
    pub enum UnitId {
        /// The lists: every kernel before attention that has no unit of its own.
        Scoring = "scoring",
        /// The scorer's pass over the keys, where it is Hopper's.
        Score = "score",
        /// The budget's pass over the keys, where it is Hopper's.
        Budget = "budget",
        /// Attention over the lists.
        Attend = "attend",
        /// Attention over everything.
        Dense = "dense",
    }
}

impl UnitId {
    /// Whether its kernels run in a plan: those of a dense plan, or those of the others.
    pub const fn runs(self, dense: bool) -> bool {
        matches!(self, UnitId::Dense) == dense
    }

    /// Whether it scores blocks, so that with other tiles blocks of about one score may change places.
    pub const fn scores(self) -> bool {
        match self {
            UnitId::Scoring | UnitId::Score => true,
            UnitId::Budget | UnitId::Attend | UnitId::Dense => false,
        }
    }

    /// Whether how fast it runs depends on how much of the context the lists hold.
    pub const fn reads_lists(self) -> bool {
        match self {
            UnitId::Attend => true,
            UnitId::Scoring | UnitId::Score | UnitId::Budget | UnitId::Dense => false,
        }
    }
}

/// A field at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// What it is.
    pub field: Field,
    /// Where it lies in the struct.
    pub offset: u32,
}

/// One kernel of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Which one it is.
    pub id: KernelId,
    /// The translation unit that it is in.
    pub unit: UnitId,
    /// The family that it is written for.
    pub arch: Arch,
    /// Its parameters, in the struct's order.
    pub params: Vec<Param>,
    /// Threads of a CTA.
    pub threads: u32,
    /// Bytes of shared memory of a CTA.
    pub shared: Expr,
    /// The grid.
    pub grid: [Expr; 3],
    /// Query heads of a KV head that share a CTA: a number of heads that is no multiple of it leaves warps idle.
    pub pack: u32,
    /// The launch bounds, as the text has them.
    pub(crate) bounds: &'static str,
    /// The templates that it is written in, in the order in which they build on each other. A translation unit has those of
    /// its kernels, each once.
    pub(crate) files: Vec<&'static str>,
}

impl Kernel {
    /// The most that a parameter struct takes, in bytes.
    pub const PARAM_BYTES: usize = 1024;

    /// Bytes of the parameter struct.
    pub fn param_bytes(&self) -> u32 {
        let end = self.params.last().map_or(0, |last| last.offset + last.field.bytes());
        end.next_multiple_of(if self.takes_maps() { 64 } else { 8 })
    }

    /// Whether it reads or writes tensors through tensor maps.
    pub fn takes_maps(&self) -> bool {
        self.params.iter().any(|param| matches!(param.field, Field::Map(..)))
    }

    /// Whether tensor cores multiply for it: a text that has them do so is among its own.
    pub fn on_tensor_cores(&self) -> bool {
        const TEXTS: [&str; 4] = [
            "arch/portable/scoring.cuh",
            "arch/hopper/scoring.cuh",
            "attend/portable/flash.cuh",
            "attend/hopper/flash.cuh",
        ];
        self.files.iter().any(|file| TEXTS.contains(file))
    }

    /// Bytes of shared memory of a CTA for a shape.
    pub fn shared_bytes(&self, spec: &Spec, shape: &Shape) -> u64 {
        self.shared.eval(spec, shape, 1)
    }

    /// Bytes of shared memory of a CTA for the smallest shape: no launch needs fewer.
    pub fn least_shared_bytes(&self, spec: &Spec) -> u64 {
        self.shared_bytes(spec, &Shape::SMALLEST)
    }

    /// The grid for a shape, on a GPU with that many multiprocessors: at least one CTA along each axis.
    pub fn ctas(&self, spec: &Spec, shape: &Shape, multiprocessors: u64) -> [u64; 3] {
        self.grid.each_ref().map(|axis| axis.eval(spec, shape, multiprocessors).max(1))
    }

    /// What its addresses and tensor maps are of.
    pub fn operands(&self) -> impl Iterator<Item = Operand> {
        self.params.iter().filter_map(|param| match param.field {
            Field::Map(tensor, _) => Some(tensor.into()),
            Field::Pointer(operand, _) => Some(operand),
            Field::Stride(..) | Field::Scalar(_) => None,
        })
    }

    /// The buffers that it uses.
    pub fn scratch(&self) -> impl Iterator<Item = Scratch> {
        self.operands().filter_map(Operand::scratch)
    }

    /// The words that it sets to zero for a later kernel.
    pub fn clears(&self) -> impl Iterator<Item = Scratch> {
        self.accessed(Access::Clear)
    }

    /// The words that it counts up, from zero.
    pub fn counts(&self) -> impl Iterator<Item = Scratch> {
        self.accessed(Access::Count)
    }

    /// The buffers that it reads.
    pub fn reads(&self) -> impl Iterator<Item = Scratch> {
        self.accessed(Access::Read)
    }

    /// The buffers that it writes.
    pub fn writes(&self) -> impl Iterator<Item = Scratch> {
        self.accessed(Access::Write)
    }

    fn accessed(&self, how: Access) -> impl Iterator<Item = Scratch> {
        self.params.iter().filter_map(move |param| match param.field {
            Field::Pointer(operand, access) if access == how => operand.scratch(),
            // A map of a buffer is read: what is stored through one is the output.
            Field::Map(tensor, _) if how == Access::Read => tensor.scratch(),
            Field::Map(..) | Field::Pointer(..) | Field::Stride(..) | Field::Scalar(_) => None,
        })
    }

    /// The struct and the signature, as the text has them.
    pub(crate) fn signature(&self) -> String {
        let (name, symbol) = (self.id.struct_name(), self.id.symbol());
        let mut out = format!("struct {name} {{\n");
        for param in &self.params {
            let _ = writeln!(out, "    {};", param.field.declaration());
        }
        let bounds = self.bounds;
        let _ = write!(
            out,
            "}};\nextern \"C\" __global__ void __launch_bounds__({bounds})\n{symbol}(const __grid_constant__ {name} p)\n"
        );
        out
    }
}
