//! The kernels of each plan, with the tiles of its bucket.

use super::pipelines::Pipelines;
use super::records::Recorded;
use crate::Plan;
use crate::cuda::load::{LoadedKernel, Loader, of_unit};
use crate::tune::{Choice, Tuned};
use proxyattn_codegen::cuda::{Constants, Unit};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// A configuration's kernels: with their default tiles, and with those that records name.
pub(crate) struct TunedKernels {
    /// Those with their default tiles, in the order in which they run.
    pub(crate) default: Arc<[Arc<LoadedKernel>]>,
    pipelines: RwLock<Pipelines>,
}

impl TunedKernels {
    /// Kernels without records.
    pub(crate) fn new(default: Arc<[Arc<LoadedKernel>]>) -> Self {
        Self { default, pipelines: RwLock::default() }
    }

    /// The kernels of a plan: those of its bucket, or the default ones.
    pub(crate) fn pick(&self, plan: &Plan) -> Arc<[Arc<LoadedKernel>]> {
        self.pipelines().of(plan).unwrap_or(&self.default).clone()
    }

    /// Which records are in use.
    pub(crate) fn records(&self) -> Tuned {
        self.pipelines().records.clone()
    }

    /// The records that decide the tiles of a plan's kernels.
    pub(crate) fn choices(&self, plan: &Plan) -> Vec<Choice> {
        self.pipelines().choices(plan)
    }

    /// Loads the kernels that the records name, and uses them from now on.
    pub(crate) fn adopt(&self, loader: &Loader, recorded: &Recorded) {
        let load = |unit: &Unit, constants: &Constants| match constants.is_empty() {
            true => Ok(of_unit(&self.default, unit.id)),
            false => loader.load(unit, constants),
        };
        let (variants, refused) = recorded.variants(loader, &load);
        let pipelines = Pipelines::new(&self.default, variants, refused);
        *self.pipelines.write().unwrap_or_else(PoisonError::into_inner) = pipelines;
    }

    fn pipelines(&self) -> RwLockReadGuard<'_, Pipelines> {
        self.pipelines.read().unwrap_or_else(PoisonError::into_inner)
    }
}
