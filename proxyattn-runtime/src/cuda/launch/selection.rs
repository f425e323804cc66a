//! Block lists from the workspace to the host.

use super::Launch;
use crate::cuda::device::failed;
use crate::memory::{filled, product, room};
use crate::{Result, Selection};
use core::ops::Range;
use cudarc::driver::{CudaSlice, CudaStream};
use proxyattn_codegen::cuda::Scratch;
use std::sync::Arc;

/// Copies lists and counts to the host.
pub(crate) fn read_selection(
    launch: &Launch<'_>,
    workspace: &CudaSlice<u8>,
    stream: &Arc<CudaStream>,
) -> Result<Selection> {
    let (plan, layout) = (launch.plan, &launch.layout);
    let (geometry, problem) = (plan.geometry(), plan.problem());
    let (rows, blocks) = (geometry.rows(), geometry.blocks());
    let lists = read_buffer(stream, workspace, layout.range(Scratch::Lists))?;
    let counts = read_buffer(stream, workspace, layout.range(Scratch::Counts))?;
    let sequences = product(&[problem.batch, plan.groups()]);
    let heads = plan.heads_per_group();
    let longest = |list: usize| {
        let (sequence, row) = (list / rows, list % rows);
        (0..heads).map(|head| counts[(sequence * heads + head) * rows + row]).max().unwrap_or(0) as usize
    };
    let listed = (0..product(&[sequences, rows])).map(longest).sum();
    let (mut starts, mut all) = (room("lists", product(&[sequences, rows]) + 1)?, room("lists", listed)?);
    starts.push(0);
    for (i, list) in lists.chunks_exact(blocks).enumerate() {
        all.extend_from_slice(&list[..longest(i)]);
        starts.push(all.len());
    }
    let (batch, heads, groups) = (problem.batch, problem.heads, plan.groups());
    Ok(Selection { geometry, batch, heads, groups, starts, blocks: all, counts })
}

fn read_buffer(stream: &Arc<CudaStream>, workspace: &CudaSlice<u8>, range: Range<u64>) -> Result<Vec<u32>> {
    let view = workspace.slice(range.start as usize..range.end as usize); // inside the workspace
    let mut bytes = filled("lists", view.len(), 0u8)?;
    stream.memcpy_dtoh(&view, &mut bytes).map_err(failed("cuMemcpyDtoHAsync"))?;
    stream.synchronize().map_err(failed("cuStreamSynchronize"))?;
    let (words, _) = bytes.as_chunks::<4>();
    let mut numbers = room("lists", words.len())?;
    numbers.extend(words.iter().map(|word| u32::from_ne_bytes(*word)));
    Ok(numbers)
}
