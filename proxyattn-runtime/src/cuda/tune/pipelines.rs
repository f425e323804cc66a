//! Which variant of each kernel a bucket runs. It is settled when records are read, so that a launch only looks up its
//! bucket.

use crate::Plan;
use crate::cuda::load::LoadedKernel;
use crate::tune::{Bucket, Choice, Tuned};
use proxyattn_codegen::cuda::UnitId;
use std::sync::Arc;

/// A unit's kernels with the tiles of a record.
pub(super) struct Variant {
    pub(super) choice: Choice,
    pub(super) kernels: Vec<Arc<LoadedKernel>>,
}

/// Every kernel for each bucket; no buckets where nothing is tuned.
#[derive(Default)]
pub(super) struct Pipelines {
    buckets: Vec<Pipeline>,
    /// The records in use, and the refused ones.
    pub(super) records: Tuned,
}

struct Pipeline {
    kernels: Arc<[Arc<LoadedKernel>]>,
    /// Its records, by their place among all.
    choices: Vec<usize>,
    /// Heads to a KV head have to be a multiple of each of these: otherwise warps would be idle that are busy with the
    /// default tiles.
    packs: Vec<u32>,
}

impl Pipelines {
    /// The default kernels, with each unit that has variants replaced by that of the nearest bucket; and the reasons why
    /// records are refused.
    pub(super) fn new(default: &[Arc<LoadedKernel>], variants: Vec<Variant>, refused: Vec<String>) -> Self {
        let nearest = |bucket: Bucket, unit: UnitId| {
            let of_unit = variants.iter().enumerate().filter(|(_, variant)| variant.choice.unit == unit);
            let distance = |of: Bucket| (of.distance(bucket, unit.reads_lists()), of.tokens);
            of_unit.min_by_key(|(_, variant)| distance(variant.choice.bucket)).map(|(i, _)| i)
        };
        let pipeline = |bucket| {
            let (mut choices, mut packs) = (Vec::new(), Vec::new());
            let mut tuned = |kernel: &Arc<LoadedKernel>| {
                let i = nearest(bucket, kernel.table.unit)?;
                if !choices.contains(&i) {
                    choices.push(i);
                }
                let same = |other: &&Arc<LoadedKernel>| other.table.id == kernel.table.id;
                let tuned = variants[i].kernels.iter().find(same)?;
                packs.extend(Some(tuned.table.pack).filter(|pack| *pack > kernel.table.pack));
                Some(tuned.clone())
            };
            let kernels = default.iter().map(|kernel| tuned(kernel).unwrap_or_else(|| kernel.clone()));
            Pipeline { kernels: kernels.collect(), choices, packs }
        };
        let buckets = if variants.is_empty() { Vec::new() } else { Bucket::all().map(pipeline).collect() };
        let choices = variants.into_iter().map(|variant| variant.choice).collect();
        Self { buckets, records: Tuned { choices, refused } }
    }

    /// The kernels of a plan's bucket, if any are tuned.
    pub(super) fn of(&self, plan: &Plan) -> Option<&Arc<[Arc<LoadedKernel>]>> {
        self.bucket(plan).map(|pipeline| &pipeline.kernels)
    }

    /// The records that decide the tiles of a plan's kernels.
    pub(super) fn choices(&self, plan: &Plan) -> Vec<Choice> {
        let places = self.bucket(plan).map_or(&[][..], |pipeline| &pipeline.choices);
        let choices = places.iter().map(|&i| &self.records.choices[i]);
        choices.filter(|choice| choice.unit.runs(plan.is_dense())).cloned().collect()
    }

    fn bucket(&self, plan: &Plan) -> Option<&Pipeline> {
        let heads = plan.problem().heads_per_kv();
        let pipeline = self.buckets.get(Bucket::of(plan).index())?;
        pipeline.packs.iter().all(|&pack| heads.is_multiple_of(pack as usize)).then_some(pipeline)
    }
}
