//! From records to variants: which records apply here, and their kernels.

use super::pipelines::Variant;
use crate::Result;
use crate::cuda::load::{LoadedKernel, Loader, in_parallel};
use crate::jit::Jit;
use crate::tune::{Choice, Constant, Found, Machine, Record, Scope, Source, Store, constants, shipped};
use proxyattn_codegen::cuda::{Constants, Unit, UnitId, candidates, tunable};
use std::sync::Arc;

/// The records that apply here, each with its source, and the reasons why others are refused.
pub(crate) struct Recorded {
    pub(crate) records: Vec<(Record, Source)>,
    pub(super) refused: Vec<String>,
}

/// The scope of the records that apply here.
pub(super) fn scope(loader: &Loader) -> Result<Scope> {
    let Loader { device, spec, arch, module, .. } = loader;
    let program = loader.program(&module.units[0], &[]);
    let machine = Machine {
        gpu: device.name().to_owned(),
        multiprocessors: device.multiprocessors(),
        driver: device.driver().to_owned(),
        nvrtc: Jit::global()?.compiler(&program, device.target(*arch))?,
    };
    Ok(Scope::of(machine, spec, *arch, module))
}

impl Recorded {
    /// This machine's records and, for buckets that have none, shipped ones. `newer` records win over both. There are none
    /// without a compiler, which other tiles would need.
    pub(crate) fn read(loader: &Loader, newer: &[Record]) -> Result<Self> {
        let tunable = !tunable(&loader.spec, loader.arch).is_empty();
        let Some(scope) = tunable.then(|| scope(loader).ok()).flatten() else {
            return Ok(Self { records: Vec::new(), refused: Vec::new() });
        };
        let mut own = match Jit::global()?.cache_dir() {
            Some(root) => Store::new(root).read(&scope.spec),
            None => Found::default(),
        };
        own.records.extend_from_slice(newer);
        for refused in &own.refused {
            tracing::warn!("tuning record: {refused}");
        }
        let records = own.or_shipped(&shipped(), &scope);
        Ok(Self { records, refused: own.refused })
    }

    /// The kernels that the records name, and every reason for a refusal. A record whose kernels cannot be loaded is
    /// refused, and its bucket does without it.
    pub(super) fn variants(
        &self,
        loader: &Loader,
        load: &(impl Fn(&Unit, &Constants) -> Result<Vec<Arc<LoadedKernel>>> + Sync),
    ) -> (Vec<Variant>, Vec<String>) {
        // Each unit with each choice is loaded once, however many buckets use it.
        let mut wanted: Vec<(UnitId, &[Constant])> = Vec::new();
        for (record, _) in &self.records {
            if !wanted.contains(&(record.unit, &record.winner)) {
                wanted.push((record.unit, &record.winner));
            }
        }
        let load = |&(id, winner): &(UnitId, &[Constant])| {
            let choices = candidates(&loader.spec, loader.arch, id);
            let choice: &Constants = match choices.iter().find(|choice| constants(choice) == winner) {
                Some(choice) => choice,
                None if winner.is_empty() => &[],
                None => return Err("it names no candidate".to_owned()),
            };
            let unit = loader.module.unit(id);
            let unit = unit.ok_or_else(|| "the configuration has no such unit".to_owned())?;
            load(unit, choice).map_err(|error| error.to_string())
        };
        let loaded = in_parallel(&wanted, load, &mut |_| ());
        let (mut variants, mut refused) = (Vec::new(), self.refused.clone());
        for (record, source) in &self.records {
            let place = wanted.iter().position(|wanted| *wanted == (record.unit, &*record.winner));
            match &loaded[place.unwrap_or_else(|| unreachable!("it was just put there"))] {
                Ok(kernels) => {
                    let choice = Choice {
                        unit: record.unit,
                        bucket: record.bucket,
                        constants: record.winner.clone(),
                        source: *source,
                    };
                    variants.push(Variant { choice, kernels: kernels.clone() });
                }
                Err(why) => {
                    let what = format!("`{}` for {}: {why}; it is not used", record.unit, record.bucket);
                    tracing::warn!("tuning record of `{}`: {what}", loader.name);
                    refused.push(what);
                }
            }
        }
        (variants, refused)
    }
}
