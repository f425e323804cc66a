//! Prefill on tensors in device memory.

use super::calls::Call;
use super::pipelines::Picked;
use super::workspace::Layout;
use super::{Kernels, RawArgs, RawTensor, failed};
use crate::inputs::Inputs;
use crate::memory::{filled, product, room};
use crate::tensor::{Data, DataMut};
use crate::{Element, Error, Observer, Plan, Result, Selection, Stage, StageTimes, View, ViewMut};
use core::ops::Range;
use cudarc::driver::{CudaSlice, DevicePtr, DevicePtrMut, SyncOnDrop};
use proxyattn_codegen::cuda::Scratch;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

/// A plan, its kernels and inputs that they can read.
pub(crate) struct Checked<'a> {
    kernels: &'a Kernels,
    plan: &'a Plan,
    calls: Picked<'a>,
    inputs: [RawTensor; 3],
    /// Another stream may have written to an input, and may write to it next: while these live, cudarc orders both.
    guards: [SyncOnDrop<'a>; 3],
}

/// Refuses a problem that the plan's kernels cannot run, and inputs that they cannot read, before memory is allocated.
pub(crate) fn check<'a, T: Element>(
    kernels: &'a Kernels,
    plan: &'a Plan,
    inputs: &'a Inputs<'a, T>,
) -> Result<Checked<'a>> {
    let calls = kernels.pick(plan);
    kernels.check(plan, &calls)?;
    kernels.device.bind()?;
    let resolve = |arg, view| {
        let (tensor, guard) = resolve(arg, view, kernels)?;
        tensor.check(arg, kernels.maps(plan))?;
        Ok((tensor, guard))
    };
    let [(q, q_guard), (k, k_guard), (v, v_guard)] =
        [resolve("q", &inputs.q)?, resolve("k", &inputs.k)?, resolve("v", &inputs.v)?];
    Ok(Checked { kernels, plan, calls, inputs: [q, k, v], guards: [q_guard, k_guard, v_guard] })
}

/// Enqueues a plan's kernels in the device's stream; returns before they have run.
pub(crate) fn prefill<T: Element>(checked: Checked<'_>, out: &mut ViewMut<'_, T>) -> Result<()> {
    let stream = checked.kernels.device.stream().cu_stream();
    with_args(checked, out, |Launch { kernels, calls, plan, layout, args, .. }| {
        // SAFETY: `with_args` holds every tensor and the workspace, sized for the plan, until the launches are in the
        // stream, and cudarc orders whatever touches them next behind it.
        unsafe { kernels.launch(calls, plan, layout, args, stream, Stage::ALL) }
    })
}

/// Runs a plan stage by stage, waiting for each.
pub(crate) fn prefill_traced<T: Element>(
    checked: Checked<'_>,
    out: &mut ViewMut<'_, T>,
    observer: &dyn Observer,
) -> Result<(Selection, StageTimes)> {
    let stream = checked.kernels.device.stream();
    let mut times = StageTimes::default();
    let selection = with_args(checked, out, |Launch { kernels, calls, plan, layout, args, workspace }| {
        stream.synchronize().map_err(failed("cuStreamSynchronize"))?;
        for &stage in Stage::ALL {
            let planned = !plan.is_dense() || stage == Stage::Attend;
            if planned {
                observer.begin(stage, 1);
            }
            let begun = Instant::now();
            // SAFETY: as in `prefill`.
            unsafe { kernels.launch(calls, plan, layout, args, stream.cu_stream(), &[stage]) }?;
            stream.synchronize().map_err(failed("cuStreamSynchronize"))?;
            if planned {
                times.set(stage, begun.elapsed());
                observer.advance(stage, 1);
            }
        }
        match workspace {
            Some(workspace) if !plan.is_dense() => read_selection(kernels, plan, layout, workspace),
            _ => Selection::dense(plan),
        }
    })?;
    Ok((selection, times))
}

struct Launch<'a> {
    kernels: &'a Kernels,
    calls: &'a [Arc<Call>],
    plan: &'a Plan,
    layout: &'a Layout,
    args: &'a RawArgs,
    workspace: Option<&'a CudaSlice<u8>>,
}

/// Gives `run` the addresses of the tensors and of a workspace that is large enough.
fn with_args<T: Element, R>(
    checked: Checked<'_>,
    out: &mut ViewMut<'_, T>,
    run: impl FnOnce(Launch<'_>) -> Result<R>,
) -> Result<R> {
    let Checked { kernels, plan, calls, inputs: [q, k, v], guards } = checked;
    let layout = kernels.layout(plan);
    let stream = kernels.device.stream();
    let context = stream.context();
    let strides = outer(out.strides());
    let (address, out_guard) = match out.data_mut() {
        DataMut::Cuda(slice, offset) => {
            check_context("out", slice, kernels)?;
            let (base, guard) = slice.device_ptr_mut(stream);
            (base + (*offset * size_of::<T>()) as u64, guard)
        }
        DataMut::Host(_) => return Err(not_here("out", kernels)),
    };
    let out = RawTensor { address, strides };
    out.check("out", kernels.maps(plan))?;
    // Memory is allocated when everything else is in order.
    let mut held = kernels.workspace.lock().unwrap_or_else(PoisonError::into_inner);
    let workspace = held.reserve(stream, layout.bytes())?;
    // The guards report no errors: cudarc is asked for them before anything is launched, and again when they are gone.
    context.check_err().map_err(failed("cuStreamWaitEvent"))?;
    let args = RawArgs { q, k, v, out, workspace, workspace_bytes: layout.bytes() };
    let result =
        run(Launch { kernels, calls: &calls, plan, layout: &layout, args: &args, workspace: held.slice() });
    drop((guards, out_guard));
    let recorded = context.check_err().map_err(failed("cuEventRecord"));
    let recorded = recorded.and(held.used(stream));
    if recorded.is_err() {
        // Nothing tells other streams when the tensors and the workspace are free; so they are, before anybody can ask.
        let _ = stream.synchronize();
    }
    result.and_then(|result| recorded.map(|()| result))
}

/// The address of a view, and the guard that orders later writes to it behind what is launched while it lives.
fn resolve<'a, T: Element>(
    arg: &'static str,
    view: &View<'a, T>,
    kernels: &'a Kernels,
) -> Result<(RawTensor, SyncOnDrop<'a>)> {
    let Data::Cuda(slice, offset) = view.data() else { return Err(not_here(arg, kernels)) };
    check_context(arg, slice, kernels)?;
    let (base, guard) = slice.device_ptr(kernels.device.stream());
    let address = base + (offset * size_of::<T>()) as u64;
    Ok((RawTensor { address, strides: outer(view.strides()) }, guard))
}

fn check_context<T>(arg: &'static str, slice: &CudaSlice<T>, kernels: &Kernels) -> Result<()> {
    let context = kernels.device.stream().context();
    if slice.context() == context {
        return Ok(());
    }
    Err(Error::Layout {
        arg,
        expected: format!("a tensor of CUDA device {}", context.ordinal()),
        got: format!("one of another context, on device {}", slice.context().ordinal()),
    })
}

fn outer([batch, head, token, _]: [usize; 4]) -> [i64; 3] {
    [batch, head, token].map(|stride| stride as i64) // an extent in memory fits i64, so its strides do
}

fn not_here(arg: &'static str, kernels: &Kernels) -> Error {
    Error::Layout {
        arg,
        expected: format!("a tensor on {}", kernels.device.name()),
        got: "one in host memory; move it with Tensor::to(&device)".into(),
    }
}

/// Copies lists and counts to the host.
fn read_selection(
    kernels: &Kernels,
    plan: &Plan,
    layout: &Layout,
    workspace: &CudaSlice<u8>,
) -> Result<Selection> {
    let (geometry, problem) = (plan.geometry(), plan.problem());
    let (rows, blocks) = (geometry.rows(), geometry.blocks());
    let lists = read_buffer(kernels, workspace, layout.range(Scratch::Lists))?;
    let counts = read_buffer(kernels, workspace, layout.range(Scratch::Counts))?;
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

fn read_buffer(kernels: &Kernels, workspace: &CudaSlice<u8>, range: Range<u64>) -> Result<Vec<u32>> {
    let view = workspace.slice(range.start as usize..range.end as usize); // inside the workspace
    let mut bytes = filled("lists", view.len(), 0u8)?;
    kernels.device.stream().memcpy_dtoh(&view, &mut bytes).map_err(failed("cuMemcpyDtoHAsync"))?;
    kernels.device.stream().synchronize().map_err(failed("cuStreamSynchronize"))?;
    let (words, _) = bytes.as_chunks::<4>();
    let mut numbers = room("lists", words.len())?;
    numbers.extend(words.iter().map(|word| u32::from_ne_bytes(*word)));
    Ok(numbers)
}
