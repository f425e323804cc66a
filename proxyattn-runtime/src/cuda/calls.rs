//! The kernels of a module, ready to be launched.

use cudarc::driver::CudaFunction;
use proxyattn_codegen::cuda::{Kernel, Module, Scratch};

/// A loaded kernel.
pub(super) struct Call {
    pub(super) kernel: Kernel,
    pub(super) function: CudaFunction,
    /// The words that have to be zero before it, where no earlier kernel sees to that.
    pub(super) clears: Vec<Scratch>,
}

impl Call {
    pub(super) fn new(kernel: &Kernel, module: &Module, function: CudaFunction) -> Self {
        Self { kernel: kernel.clone(), function, clears: module.clears_before(kernel.id) }
    }

    /// Whether it runs in a plan: the one of a dense plan, or one of the others.
    pub(super) fn runs(&self, dense: bool) -> bool {
        self.kernel.id.runs(dense)
    }
}
