//! Which variant of each kernel a bucket runs: settled when records are read, so that a launch only counts to its bucket.

use super::calls::Call;
use crate::Plan;
use crate::tune::{Bucket, Choice, Tuned};
use core::ops::Deref;
use proxyattn_codegen::cuda::UnitId;
use std::sync::Arc;

/// A unit's kernels with the tiles of a record.
pub(super) struct Variant {
    pub(super) choice: Choice,
    pub(super) calls: Vec<Arc<Call>>,
}

/// Every kernel for each bucket; none where nothing is tuned.
#[derive(Default)]
pub(super) struct Pipelines {
    buckets: Vec<Pipeline>,
    /// The records behind them.
    pub(super) told: Tuned,
}

struct Pipeline {
    calls: Vec<Arc<Call>>,
    /// The records behind them, by their place among all.
    choices: Vec<usize>,
    /// Heads to a KV head have to be a multiple of each of these, or warps would be idle that are not with the default
    /// tiles.
    packs: Vec<u32>,
}

impl Pipelines {
    /// The default kernels, with each unit that has variants replaced by that of the nearest bucket; and what was refused.
    pub(super) fn new(default: &[Arc<Call>], variants: Vec<Variant>, refused: Vec<String>) -> Self {
        let nearest = |bucket: Bucket, unit: UnitId| {
            let of_unit = variants.iter().enumerate().filter(|(_, variant)| variant.choice.unit == unit);
            let distance = |of: Bucket| (of.distance(bucket, unit.reads_lists()), of.tokens);
            of_unit.min_by_key(|(_, variant)| distance(variant.choice.bucket)).map(|(i, _)| i)
        };
        let pipeline = |bucket| {
            let mut choices = Vec::new();
            let mut tuned = |call: &Arc<Call>| {
                let i = nearest(bucket, call.kernel.unit)?;
                if !choices.contains(&i) {
                    choices.push(i);
                }
                variants[i].calls.iter().find(|other| other.kernel.id == call.kernel.id).cloned()
            };
            let calls: Vec<_> =
                default.iter().map(|call| tuned(call).unwrap_or_else(|| call.clone())).collect();
            let pairs =
                calls.iter().zip(default).map(|(call, default)| (call.kernel.pack, default.kernel.pack));
            let packs = pairs.filter(|(pack, default)| pack > default).map(|(pack, _)| pack).collect();
            Pipeline { calls, choices, packs }
        };
        let buckets = if variants.is_empty() { Vec::new() } else { Bucket::all().map(pipeline).collect() };
        let choices = variants.into_iter().map(|variant| variant.choice).collect();
        Self { buckets, told: Tuned { choices, refused } }
    }

    /// The records that a plan's kernels run by.
    pub(super) fn choices(&self, plan: &Plan) -> Vec<Choice> {
        let of =
            |pipeline: &Pipeline| pipeline.choices.iter().map(|&i| self.told.choices[i].clone()).collect();
        let all: Vec<Choice> = self.of(plan).map(of).unwrap_or_default();
        all.into_iter().filter(|choice| choice.unit.runs(plan.is_dense())).collect()
    }

    fn of(&self, plan: &Plan) -> Option<&Pipeline> {
        let heads = plan.problem().heads_per_kv();
        let pipeline = self.buckets.get(Bucket::of(plan).index())?;
        pipeline.packs.iter().all(|&pack| heads.is_multiple_of(pack as usize)).then_some(pipeline)
    }
}

/// The kernels of a plan: those of its bucket, or the default ones.
pub(super) enum Picked<'a> {
    Tuned(Arc<Pipelines>, usize),
    Default(&'a [Arc<Call>]),
}

impl<'a> Picked<'a> {
    pub(super) fn new(pipelines: Arc<Pipelines>, plan: &Plan, default: &'a [Arc<Call>]) -> Self {
        match pipelines.of(plan).is_some() {
            true => Self::Tuned(pipelines, Bucket::of(plan).index()),
            false => Self::Default(default),
        }
    }
}

impl Deref for Picked<'_> {
    type Target = [Arc<Call>];

    fn deref(&self) -> &[Arc<Call>] {
        match self {
            Self::Tuned(pipelines, bucket) => &pipelines.buckets[*bucket].calls,
            Self::Default(calls) => calls,
        }
    }
}
