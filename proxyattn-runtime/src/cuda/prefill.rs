//! Prefill on tensors in device memory.

use super::calls::Call;
use super::workspace::Layout;
use super::{Kernels, RawArgs, RawTensor, failed};
use crate::attention::Inputs;
use crate::memory::{filled, product, room};
use crate::tensor::{Data, DataMut};
use crate::{Element, Error, Observer, Plan, Result, Selection, Stage, StageTimes, View, ViewMut};
use core::ops::Range;
use cudarc::driver::{CudaSlice, DevicePtr, DevicePtrMut};
use proxyattn_codegen::cuda::Scratch;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

/// Refuses what a plan's kernels cannot take of its problem, and inputs that they cannot read: before memory is asked for.
pub(crate) fn check<T: Element>(kernels: &Kernels, plan: &Plan, inputs: &Inputs<'_, T>) -> Result<()> {
    kernels.check(plan, &kernels.pick(plan))?;
    kernels.device.bind()?;
    let maps = kernels.maps(plan);
    for (arg, view) in [("q", &inputs.q), ("k", &inputs.k), ("v", &inputs.v)] {
        let (tensor, guard) = resolve(arg, view, kernels)?;
        drop(guard);
        tensor.check(arg, maps)?;
    }
    Ok(())
}

/// Runs a plan on the device's stream; returns before it is done.
pub(crate) fn prefill<T: Element>(
    kernels: &Kernels,
    plan: &Plan,
    inputs: &Inputs<'_, T>,
    out: &mut ViewMut<'_, T>,
) -> Result<()> {
    let calls = kernels.pick(plan);
    with_args(kernels, &calls, plan, inputs, out, |args, layout, _| {
        // SAFETY: `with_args` holds every tensor and the workspace, sized for the plan, until the launches are in the
        // stream, and cudarc orders whatever touches them next behind it.
        unsafe { kernels.launch(&calls, plan, layout, args, kernels.device.stream().cu_stream(), Stage::ALL) }
    })
}

/// Runs a plan stage by stage, waiting for each.
pub(crate) fn prefill_traced<T: Element>(
    kernels: &Kernels,
    plan: &Plan,
    inputs: &Inputs<'_, T>,
    out: &mut ViewMut<'_, T>,
    observer: &dyn Observer,
) -> Result<(Selection, StageTimes)> {
    let stream = kernels.device.stream();
    let mut times = StageTimes::default();
    let calls = kernels.pick(plan);
    let selection = with_args(kernels, &calls, plan, inputs, out, |args, layout, workspace| {
        stream.synchronize().map_err(failed("cuStreamSynchronize"))?;
        for &stage in Stage::ALL {
            let planned = !plan.is_dense() || stage == Stage::Attend;
            if planned {
                observer.begin(stage, 1);
            }
            let begun = Instant::now();
            // SAFETY: as in `prefill`.
            unsafe { kernels.launch(&calls, plan, layout, args, stream.cu_stream(), &[stage]) }?;
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

/// Gives `run` the addresses of the tensors and of a workspace that is large enough.
fn with_args<T: Element, R>(
    kernels: &Kernels,
    calls: &[Arc<Call>],
    plan: &Plan,
    inputs: &Inputs<'_, T>,
    out: &mut ViewMut<'_, T>,
    run: impl FnOnce(&RawArgs, &Layout, Option<&CudaSlice<u8>>) -> Result<R>,
) -> Result<R> {
    kernels.check(plan, calls)?;
    let layout = kernels.layout(plan);
    kernels.device.bind()?;
    let stream = kernels.device.stream();
    let context = stream.context();

    // Another stream may have written to a tensor, and may write to it next: its events order both. cudarc keeps their
    // errors to itself, so it is asked before anything is launched, and once more when the guards are gone.
    let (q, q_guard) = resolve("q", &inputs.q, kernels)?;
    let (k, k_guard) = resolve("k", &inputs.k, kernels)?;
    let (v, v_guard) = resolve("v", &inputs.v, kernels)?;
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
    for (arg, tensor) in [("q", &q), ("k", &k), ("v", &v), ("out", &out)] {
        tensor.check(arg, kernels.maps(plan))?;
    }
    // Memory is asked for when everything else is in order.
    let mut held = kernels.workspace.lock().unwrap_or_else(PoisonError::into_inner);
    let workspace = held.reserve(stream, layout.bytes())?;
    context.check_err().map_err(failed("cuStreamWaitEvent"))?;
    let args = RawArgs { q, k, v, out, workspace, workspace_bytes: layout.bytes() };
    let result = run(&args, &layout, held.slice());

    drop((q_guard, k_guard, v_guard, out_guard));
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
) -> Result<(RawTensor, impl Drop + use<'a, T>)> {
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
