//! The op on tensors on a GPU: candle's context, candle's stream, candle's allocator.
//!
//! Why this is sound: kernels read q, k and v and write the output and a workspace, all by address. Each address comes
//! from a slice that is borrowed until the kernels are in the stream, together with a guard of cudarc's that makes other
//! streams wait, as they do for candle's own kernels. The output is fresh, so nobody else has it; the workspace is freed
//! in the order of the stream, behind the kernels. It belongs to one call, because candle's default stream is another one
//! in each thread, and two calls that shared it could run at the same time.

use crate::op::ProxyAttention;
use crate::tensors::{Axes, Inputs, NAMES, dtype, typed};
use crate::told;
use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::cuda_backend::{CudaStorageSlice, WrapErr};
use candle_core::{CudaDevice, CudaStorage, Layout, Result, Shape};
use proxyattn::cudarc::driver::{CudaContext, CudaSlice, CudaStream, DevicePtr, DevicePtrMut};
use proxyattn::{
    Attention, AttentionKernel, Device, Element, Error, Plan, RawArgs, RawTensor, View, ViewMut,
};
use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

/// Every kernel that was loaded, for each context: an [`Attention`] of one of the two element types.
static LOADED: Mutex<Vec<Box<dyn Any + Send>>> = Mutex::new(Vec::new());

pub(crate) fn load<K: AttentionKernel>(device: &CudaDevice) -> Result<Attention<K::Elem>> {
    let stream = device.cuda_stream();
    let known = |loaded: &[Box<dyn Any + Send>]| {
        let mut typed = loaded.iter().filter_map(|one| one.downcast_ref::<Attention<K::Elem>>());
        let same = |one: &&Attention<K::Elem>| (one.name(), one.spec()) == (K::NAME, &K::SPEC);
        typed.find(|one| same(one) && is_of(one, stream.context())).cloned()
    };
    let lock = || LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(attention) = known(&lock()) {
        return Ok(attention);
    }
    let device = Device::from_stream(stream.clone()).map_err(told)?;
    let attention = K::load(&device).map_err(told)?; // without the lock: a compilation takes seconds
    let mut loaded = lock();
    // Another thread may have been faster: all use the same kernel, so that tuning it once tunes it for all.
    Ok(known(&loaded).unwrap_or_else(|| {
        loaded.push(Box::new(attention.clone()));
        attention
    }))
}

/// Whether a kernel was loaded for this context.
fn is_of<T: Element>(attention: &Attention<T>, context: &Arc<CudaContext>) -> bool {
    matches!(attention.device(), Device::Cuda(device) if device.stream().context() == context)
}

pub(crate) fn forward<T: Element>(
    op: &ProxyAttention<T>,
    storages: [&CudaStorage; 3],
    layouts: [&Layout; 3],
) -> Result<(CudaStorage, Shape)> {
    let attention = op.attention();
    let inputs = Inputs::new(attention.spec(), layouts).map_err(told)?;
    let slice = |i: usize| {
        let (memory, dtype) = (elements(&storages[i].slice), storages[i].dtype());
        let slice = typed::<T, CudaSlice<T>>(attention, NAMES[i], memory, dtype)?;
        check_context(NAMES[i], slice, attention)?;
        Ok(slice)
    };
    let slices = [slice(0).map_err(told)?, slice(1).map_err(told)?, slice(2).map_err(told)?];
    let view = |i: usize| {
        let axes: &Axes = &inputs.axes[i];
        View::cuda(slices[i], axes.offset, axes.shape, axes.strides).map_err(told)
    };
    let (q, k, v) = (view(0)?, view(1)?, view(2)?); // which the slices are long enough for
    let plan = attention.plan(&inputs.problem).map_err(told)?; // before memory is asked for

    let device = storages[0].device();
    let shape = inputs.output();
    // SAFETY: 16-bit floats have no invalid bits, and nobody sees the storage before a kernel that writes every element
    // has been launched.
    let mut storage = unsafe { device.alloc_uninit(&shape, dtype::<T>()) }?;
    let out = elements_mut(&mut storage.slice).and_then(|out| out.downcast_mut::<CudaSlice<T>>());
    let out = out.expect("it was allocated with the kernel's dtype");
    check_context("out", out, attention).map_err(told)?;
    match &op.options().listener {
        None => launch(attention, &plan, slices, &inputs.axes, out, device)?,
        Some(listener) => {
            // The kernel has a stream of its own here, and a trace waits for it.
            device.cuda_stream().synchronize().w()?;
            let [_, heads, seq, dim] = q.shape();
            let strides = [seq * heads * dim, dim, heads * dim, 1];
            let out = ViewMut::cuda(out, 0, q.shape(), strides).map_err(told)?;
            let (selection, times) = attention.prefill_traced_into(&q, &k, &v, out, &()).map_err(told)?;
            listener(&selection, &times);
        }
    }
    Ok((storage, shape))
}

/// Puts the kernels into candle's stream.
fn launch<T: Element>(
    attention: &Attention<T>,
    plan: &Plan,
    [q, k, v]: [&CudaSlice<T>; 3],
    axes: &[Axes; 3],
    out: &mut CudaSlice<T>,
    device: &CudaDevice,
) -> Result<()> {
    let stream = &*device.cuda_stream();
    let workspace_bytes = attention.workspace_bytes(plan);
    let len = usize::try_from(workspace_bytes).unwrap_or(usize::MAX).max(1); // no driver allocates nothing
    // SAFETY: the kernels write every byte that they read.
    let mut workspace = unsafe { device.alloc::<u8>(len) }?;

    // The guards order what other streams do with the tensors. cudarc keeps their errors to itself, so it is asked before
    // anything is launched, and once more when the guards are gone.
    let (q, q_guard) = address(q, &axes[0], stream);
    let (k, k_guard) = address(k, &axes[1], stream);
    let (v, v_guard) = address(v, &axes[2], stream);
    let (out, out_guard) = out.device_ptr_mut(stream);
    let (workspace, workspace_guard) = workspace.device_ptr_mut(stream);
    stream.context().check_err().w()?;
    let [_, heads, seq, dim] = axes[0].shape.map(|size| size as i64);
    let out = RawTensor { address: out, strides: [seq * heads * dim, dim, heads * dim] };
    let args = RawArgs { q, k, v, out, workspace, workspace_bytes };
    // SAFETY: `forward` has seen that the slices hold what the axes reach, in the kernel's context; the output and the
    // workspace were allocated for the plan. All are borrowed here until the kernels are in the stream, and what is done
    // to them later comes after the kernels, in the stream or by the guards' events.
    let launched = unsafe { attention.launch_raw(plan, &args, stream.cu_stream()) };
    drop((q_guard, k_guard, v_guard, out_guard, workspace_guard));
    let recorded = stream.context().check_err();
    if recorded.is_err() {
        // Nothing tells other streams when the tensors are free; so they are, before anybody can ask.
        let _ = stream.synchronize();
    }
    launched.map_err(told)?;
    recorded.w()
}

/// Where a tensor begins, and the guard that orders later writes to it behind what is launched while it lives.
fn address<'a, T: Element>(
    slice: &'a CudaSlice<T>,
    axes: &Axes,
    stream: &'a CudaStream,
) -> (RawTensor, impl Drop + use<'a, T>) {
    let (base, guard) = slice.device_ptr(stream);
    let [batch, head, token, _] = axes.strides.map(|stride| stride as i64); // an extent in memory fits i64
    let address = base + (axes.offset * size_of::<T>()) as u64;
    (RawTensor { address, strides: [batch, head, token] }, guard)
}

/// Refuses memory of another context than the kernel's, whose addresses mean nothing there.
fn check_context<T: Element>(
    arg: &'static str,
    slice: &CudaSlice<T>,
    attention: &Attention<T>,
) -> proxyattn::Result<()> {
    if is_of(attention, slice.context()) {
        return Ok(());
    }
    Err(Error::Layout {
        arg,
        expected: "a tensor of the context that the kernel was loaded for".into(),
        got: format!("one of another context, on CUDA device {}", slice.context().ordinal()),
    })
}

/// The memory of a 16-bit tensor.
fn elements(slice: &CudaStorageSlice) -> Option<&dyn Any> {
    match slice {
        CudaStorageSlice::BF16(data) => Some(data),
        CudaStorageSlice::F16(data) => Some(data),
        _ => None,
    }
}

/// As [`elements`], to write to.
fn elements_mut(slice: &mut CudaStorageSlice) -> Option<&mut dyn Any> {
    match slice {
        CudaStorageSlice::BF16(data) => Some(data),
        CudaStorageSlice::F16(data) => Some(data),
        _ => None,
    }
}
