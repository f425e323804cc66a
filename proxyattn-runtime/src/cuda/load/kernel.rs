//! A kernel that can be launched.

use cudarc::driver::CudaFunction;
use proxyattn_codegen::cuda::{Kernel, Scratch, UnitId};
use std::sync::Arc;

/// A loaded kernel.
pub(crate) struct LoadedKernel {
    /// Its parameters, grid and shared memory.
    pub(crate) table: Kernel,
    pub(crate) function: CudaFunction,
    /// The words that the host sets to 0 before each launch, because no earlier kernel does.
    pub(crate) clears: Vec<Scratch>,
    /// Whether it belongs to the budget and needs nothing of what the scorer's kernels write.
    pub(crate) beside_score: bool,
}

impl LoadedKernel {
    /// Whether it runs in a plan: a dense plan runs one kernel, the others run all the rest.
    pub(crate) fn runs(&self, dense: bool) -> bool {
        self.table.id.runs(dense)
    }
}

/// Those of one unit.
pub(crate) fn of_unit(kernels: &[Arc<LoadedKernel>], unit: UnitId) -> Vec<Arc<LoadedKernel>> {
    kernels.iter().filter(|kernel| kernel.table.unit == unit).cloned().collect()
}
