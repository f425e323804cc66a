//! The CUDA backend.
//!
//! ```text
//! check ─▶ addresses ─▶ workspace ─▶ pool ─▶ score ─┬▶ select ─▶ attend
//!                                    budget ────────┘
//!                                    └─── not for a dense plan ──┘
//!
//! device/  the driver, GPUs, and errors of both
//! load/    Spec ─codegen─▶ text ─jit─▶ cubin ─▶ kernels
//! launch/  plan and addresses ─▶ parameters ─▶ streams
//! tune/    the kernels of each bucket, and measuring tiles
//! ```
//!
//! Between the first and the last kernel there is no allocation, no synchronisation and no transfer, so that `launch/` can be
//! captured in a graph. Work is ordered by the device's stream, and a call returns before it is done. Work that a call puts
//! on another stream begins and ends between two points of that one.

pub(crate) mod device;
mod kernels;
mod launch;
mod load;
mod tune;

pub use device::{CudaDevice, DriverInfo, GpuInfo};
pub(crate) use kernels::CudaKernels;
pub(crate) use launch::{Borrowed, Given};
pub use launch::{RawArgs, RawLists, RawTensor};

use crate::inputs::Inputs;
use crate::{Element, Observer, Plan, Result, Selection, Stage, StageTimes, ViewMut};
use cudarc::driver::{CudaSlice, SyncOnDrop};
use device::failed;
use launch::{Launch, borrow, borrow_mut, read_selection};
use std::time::Instant;

/// A plan's kernels, and inputs that they can read.
pub(crate) struct Checked<'a> {
    kernels: &'a CudaKernels,
    launch: Launch<'a>,
    inputs: [RawTensor; 3],
    guards: [SyncOnDrop<'a>; 3],
}

/// Refuses a problem that the plan's kernels cannot run, and inputs that they cannot read, before memory is allocated.
pub(crate) fn check<'a, T: Element>(
    kernels: &'a CudaKernels,
    plan: &'a Plan,
    inputs: &'a Inputs<'a, T>,
) -> Result<Checked<'a>> {
    check_of(kernels, kernels.launch(plan, inputs.layer)?, inputs)
}

/// The same of attention over lists from outside.
pub(crate) fn check_over<'a, T: Element>(
    kernels: &'a CudaKernels,
    plan: &'a Plan,
    inputs: &'a Inputs<'a, T>,
    given: &'a Given,
) -> Result<(Checked<'a>, Borrowed<'a>)> {
    let checked = check_of(kernels, kernels.launch_over_lists(plan)?, inputs)?;
    Ok((checked, given.borrow(kernels.device())))
}

fn check_of<'a, T: Element>(
    kernels: &'a CudaKernels,
    launch: Launch<'a>,
    inputs: &'a Inputs<'a, T>,
) -> Result<Checked<'a>> {
    let device = kernels.device();
    device.bind()?;
    let (q, q_guard) = borrow("q", &inputs.q, device)?;
    let (k, k_guard) = borrow("k", &inputs.k, device)?;
    let (v, v_guard) = borrow("v", &inputs.v, device)?;
    for (arg, tensor) in [("q", &q), ("k", &k), ("v", &v)] {
        launch.check_tensor(arg, tensor)?;
    }
    Ok(Checked { kernels, launch, inputs: [q, k, v], guards: [q_guard, k_guard, v_guard] })
}

/// Enqueues a plan's kernels in the device's stream; returns before they have run.
pub(crate) fn prefill<T: Element>(checked: Checked<'_>, out: &mut ViewMut<'_, T>) -> Result<()> {
    let stream = checked.kernels.stream().cu_stream();
    with_memory(checked, out, |launch, args, _| {
        // SAFETY: `with_memory` holds every tensor and the workspace, sized for the plan, until the launches are in the
        // stream, and cudarc orders later accesses after them.
        unsafe { launch.run(args, stream, Stage::ALL) }
    })
}

/// Enqueues attention over lists from outside; returns before it has run.
pub(crate) fn prefill_over<T: Element>(
    (checked, lists): (Checked<'_>, Borrowed<'_>),
    out: &mut ViewMut<'_, T>,
) -> Result<()> {
    let stream = checked.kernels.stream().cu_stream();
    with_memory(checked, out, move |launch, args, _| {
        let lists = lists; // until the launches are in the stream
        // SAFETY: as in `prefill`; lists are copied ones, which cudarc orders as it does tensors, or those that the caller of
        // `Attention::lists_on_device` vouches for.
        unsafe { launch.run_over(&lists, args, stream) }
    })
}

/// Runs a plan stage by stage, and waits for each.
pub(crate) fn prefill_traced<T: Element>(
    checked: Checked<'_>,
    out: &mut ViewMut<'_, T>,
    observer: &dyn Observer,
) -> Result<(Selection, StageTimes)> {
    let stream = checked.kernels.stream();
    let mut times = StageTimes::default();
    let selection = with_memory(checked, out, |launch, args, workspace| {
        let (plan, wait) = (launch.plan, || stream.synchronize().map_err(failed("cuStreamSynchronize")));
        wait()?;
        for &stage in Stage::ALL {
            let planned = !plan.is_dense() || stage == Stage::Attend;
            if planned {
                observer.begin(stage, 1);
            }
            let begun = Instant::now();
            // SAFETY: as in `prefill`.
            unsafe { launch.run(args, stream.cu_stream(), &[stage]) }?;
            wait()?;
            if planned {
                times.set(stage, begun.elapsed());
                observer.advance(stage, 1);
            }
        }
        match workspace {
            Some(workspace) if !plan.is_dense() => read_selection(launch, workspace, stream),
            _ => Selection::dense(plan),
        }
    })?;
    Ok((selection, times))
}

/// Calls `run` with the addresses of the tensors and of a workspace that is large enough.
fn with_memory<T: Element, R>(
    checked: Checked<'_>,
    out: &mut ViewMut<'_, T>,
    run: impl FnOnce(&Launch<'_>, &RawArgs, Option<&CudaSlice<u8>>) -> Result<R>,
) -> Result<R> {
    let Checked { kernels, launch, inputs: [q, k, v], guards } = checked;
    let (stream, context) = (kernels.stream(), kernels.stream().context());
    let (out, out_guard) = borrow_mut("out", out, kernels.device())?;
    launch.check_tensor("out", &out)?;
    // Memory is allocated when everything else is in order.
    let mut workspace = kernels.workspace();
    let workspace_bytes = launch.layout.bytes();
    let address = workspace.reserve(stream, workspace_bytes)?;
    // The guards report no errors: cudarc is asked for them before anything is launched, and again when they are gone.
    context.check_err().map_err(failed("cuStreamWaitEvent"))?;
    let result =
        run(&launch, &RawArgs { q, k, v, out, workspace: address, workspace_bytes }, workspace.slice());
    drop((guards, out_guard));
    let recorded = context.check_err().map_err(failed("cuEventRecord"));
    let recorded = recorded.and(workspace.used(stream));
    if recorded.is_err() {
        // Other streams cannot know when the tensors and the workspace are free: so this waits until they are.
        let _ = stream.synchronize();
    }
    result.and_then(|result| recorded.map(|()| result))
}
