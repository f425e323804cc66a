//! The buffers between kernels.

use crate::Plan;
use crate::cuda::load::{LoadedKernel, Loader};
use core::ops::Range;
use proxyattn_codegen::cuda::{Buffer, Scratch, Shape};
use std::sync::Arc;

/// Buffers of the longest pipeline.
pub(super) const BUFFERS: usize = Scratch::ALL.len();

/// Where a plan's buffers lie in the workspace, in bytes. A buffer that the plan does not use is empty.
pub(crate) struct Layout {
    ranges: [Range<u64>; BUFFERS],
    bytes: u64,
}

/// The next address at which a buffer may begin.
fn aligned(end: u64) -> u64 {
    end.checked_next_multiple_of(Buffer::ALIGNMENT).unwrap_or(u64::MAX)
}

impl Layout {
    /// The layout of a plan. Its kernels use the same buffers whatever their tiles.
    pub(crate) fn of(loader: &Loader, plan: &Plan, kernels: &[Arc<LoadedKernel>]) -> Self {
        let shape = Shape::from(plan.problem());
        let mut used = [false; BUFFERS];
        for kernel in kernels.iter().filter(|kernel| kernel.runs(plan.is_dense())) {
            let own = kernel.table.scratch().filter(|scratch| !scratch.of_layer());
            own.for_each(|scratch| used[scratch as usize] = true);
        }
        let bytes =
            |scratch| loader.module.buffer(scratch).map_or(0, |buffer| buffer.bytes(&loader.spec, &shape));
        Self::new(|scratch| if used[scratch as usize] { bytes(scratch) } else { 0 })
    }

    /// The same without lists, for those that come from outside.
    pub(crate) fn without_lists(&self) -> Self {
        Self::new(|scratch| match scratch {
            Scratch::Lists | Scratch::Counts | Scratch::Runs => 0,
            other => self.range(other).end - self.range(other).start,
        })
    }

    /// Buffers of so many bytes, one after the other; what 64 bits do not hold is `u64::MAX`, which no memory is.
    fn new(bytes_of: impl Fn(Scratch) -> u64) -> Self {
        let mut end = 0u64;
        let ranges = core::array::from_fn(|i| match bytes_of(Scratch::ALL[i]) {
            0 => 0..0,
            bytes => {
                let start = aligned(end);
                end = start.saturating_add(bytes);
                start..end
            }
        });
        Self { ranges, bytes: aligned(end) }
    }

    /// Where a buffer lies.
    pub(crate) fn range(&self, buffer: Scratch) -> Range<u64> {
        self.ranges[buffer as usize].clone()
    }

    /// The buffers that the plan uses, each with its bytes.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = (Scratch, Range<u64>)> {
        let all = Scratch::ALL.iter().map(|&buffer| (buffer, self.range(buffer)));
        all.filter(|(_, range)| !range.is_empty())
    }

    /// The size of the workspace.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}
