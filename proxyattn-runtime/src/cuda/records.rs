//! From records to variants: which count here, and their kernels.

use super::Kernels;
use super::kernels::side_by_side;
use super::pipelines::{Pipelines, Variant};
use crate::Result;
use crate::jit::Jit;
use crate::tune::{Choice, Constant, Found, Machine, Record, Scope, Source, Store, constants, shipped};
use proxyattn_codegen::cuda::{Constants, UnitId};

/// Records that count here, each with whose it is, and what is refused.
pub(super) struct Recorded {
    pub(super) records: Vec<(Record, Source)>,
    pub(super) refused: Vec<String>,
}

impl Kernels {
    /// The candidates for a unit, without the default tiles.
    pub(super) fn choices(&self, unit: UnitId) -> &[Vec<(&'static str, u32)>] {
        self.candidates.iter().find(|(of, _)| *of == unit).map_or(&[], |(_, choices)| choices)
    }

    /// What records have to be made for to count here.
    pub(super) fn scope(&self) -> Result<Scope> {
        let target = self.device.target(self.arch);
        let program = self.program(&self.module.units[0], &[]);
        let machine = Machine {
            gpu: self.device.name().to_owned(),
            multiprocessors: self.device.multiprocessors(),
            driver: self.device.driver().to_owned(),
            nvrtc: Jit::global()?.compiler(&program, target)?,
        };
        Ok(Scope::of(machine, &self.spec, self.arch, &self.module))
    }

    /// The records that count here: this machine's and, for buckets that it lacks, shipped ones. `newer` wins over both.
    /// None without a compiler, which other tiles would need.
    pub(super) fn recorded(&self, newer: &[Record]) -> Result<Recorded> {
        let Some(scope) = (!self.candidates.is_empty()).then(|| self.scope().ok()).flatten() else {
            return Ok(Recorded { records: Vec::new(), refused: Vec::new() });
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
        Ok(Recorded { records, refused: own.refused })
    }

    /// Every record that counts here, whole.
    pub(crate) fn in_force(&self) -> Result<Vec<(Record, Source)>> {
        self.recorded(&[]).map(|recorded| recorded.records)
    }

    /// Loads what the records name, and launches it from now on. A record whose kernels cannot be loaded is told, and its
    /// bucket does without.
    pub(super) fn adopt(&self, recorded: &Recorded) {
        let mut refused = recorded.refused.clone();
        // The kernels of each unit and choice once, however many buckets run them.
        let mut wanted: Vec<(UnitId, &[Constant])> = Vec::new();
        for (record, _) in &recorded.records {
            if !wanted.contains(&(record.unit, &record.winner)) {
                wanted.push((record.unit, &record.winner));
            }
        }
        let load = |&(unit, winner): &(UnitId, &[Constant])| {
            let known = self.choices(unit).iter().find(|choice| constants(choice) == winner);
            let choice: &Constants = match known {
                Some(choice) => choice,
                None if winner.is_empty() => &[],
                None => return Err("it names no candidate".to_owned()),
            };
            let text = self.module.unit(unit);
            let text = text.ok_or_else(|| "the configuration has no such unit".to_owned())?;
            self.unit(text, choice).map_err(|error| error.to_string())
        };
        let loaded = side_by_side(&wanted, load, &mut |_| ());
        let mut variants = Vec::new();
        for (record, source) in &recorded.records {
            let place = wanted.iter().position(|wanted| *wanted == (record.unit, &*record.winner));
            match &loaded[place.unwrap_or_else(|| unreachable!("it was just put there"))] {
                Ok(calls) => {
                    let choice = Choice {
                        unit: record.unit,
                        bucket: record.bucket,
                        constants: record.winner.clone(),
                        source: *source,
                    };
                    variants.push(Variant { choice, calls: calls.clone() });
                }
                Err(why) => {
                    let what = format!("`{}` for {}: {why}; it is not used", record.unit, record.bucket);
                    tracing::warn!("tuning record of `{}`: {what}", self.name);
                    refused.push(what);
                }
            }
        }
        self.replace(Pipelines::new(&self.default, variants, refused));
    }
}
