//! The output of pruned heads: zero, whatever they have visited.

use super::{Launch, RawArgs};
use crate::Result;
use crate::cuda::device::failed;
use crate::layer::Layer;
use cudarc::driver::sys::{self, CUstream};

impl Launch<'_> {
    /// Enqueues zeros as the output of the layer's pruned heads, behind attention.
    ///
    /// # Safety
    /// As [`run`](Self::run).
    pub(super) unsafe fn zero_pruned(&self, args: &RawArgs, stream: CUstream) -> Result<()> {
        let (problem, [batch, head, token]) = (self.plan.problem(), args.out.strides);
        let bytes = self.loader.spec.dtype.bytes() as i64;
        let width = i64::from(self.loader.spec.head_dim) * bytes;
        // The first token in memory, and the step to the next: one token has none.
        let last = (problem.q_len - 1) as i64 * token * bytes;
        let (first, pitch) = match problem.q_len {
            1 => (0, width),
            _ => (last.min(0), (token * bytes).abs()),
        };
        for pruned in self.layer.into_iter().flat_map(Layer::pruned) {
            for sequence in 0..problem.batch as i64 {
                let offset = (sequence * batch + pruned as i64 * head) * bytes + first;
                let address = args.out.address.wrapping_add_signed(offset);
                // SAFETY: a row of bytes for each of the head's tokens, all within the output, for which the caller vouches.
                let code = unsafe {
                    sys::cuMemsetD2D8Async(address, pitch as usize, 0, width as usize, problem.q_len, stream)
                };
                code.result().map_err(failed("cuMemsetD2D8Async"))?;
            }
        }
        Ok(())
    }
}
