//! The op on tensors on a GPU: candle's context, candle's stream, candle's allocator.
//!
//! Why this is sound: kernels read q, k and v and write the output and a workspace, all by address. Each address comes from
//! a slice that stays borrowed until the kernels are enqueued, with a cudarc guard that makes other streams wait, as for
//! candle's own kernels. The output is new, so nothing else refers to it. The workspace is freed in stream order, after the
//! kernels. Each call has its own workspace: candle's default stream is a different one in each thread, so two calls that
//! shared a workspace could run at the same time.

use crate::into_candle;
use crate::op::ProxyAttention;
use crate::tensors::{Axes, Inputs, NAMES, dtype, typed};
use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::cuda_backend::{CudaStorageSlice, WrapErr};
use candle_core::{CudaDevice, CudaStorage, Layout, Result, Shape};
use proxyattn::cudarc::driver::{CudaContext, CudaSlice, CudaStream, DevicePtr, DevicePtrMut};
use proxyattn::{
    Attention, AttentionKernel, Device, Element, Error, Plan, RawArgs, RawTensor, View, ViewMut,
};
use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

/// Every loaded kernel, for each context: an [`Attention`] of one of the two element types.
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
    let device = Device::from_stream(stream.clone()).map_err(into_candle)?;
    let attention = K::load(&device).map_err(into_candle)?; // without the lock: a compilation takes seconds
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
    let inputs = Inputs::new(attention.spec(), layouts).map_err(into_candle)?;
    let slice = |i: usize| {
        let (memory, dtype) = (elements(&storages[i].slice), storages[i].dtype());
        let slice = typed::<T, CudaSlice<T>>(attention, NAMES[i], memory, dtype)?;
        check_context(NAMES[i], slice, attention)?;
        Ok(slice)
    };
    let slices =
        [slice(0).map_err(into_candle)?, slice(1).map_err(into_candle)?, slice(2).map_err(into_candle)?];
    let view = |i: usize| {
        let axes: &Axes = &inputs.axes[i];
        View::cuda(slices[i], axes.offset, axes.shape, axes.strides).map_err(into_candle)
    };
    let (q, k, v) = (view(0)?, view(1)?, view(2)?); // checks the slices' lengths
    let plan = attention.plan(&inputs.problem).map_err(into_candle)?; // before memory is allocated

    let device = storages[0].device();
    let shape = inputs.output();
    // SAFETY: 16-bit floats have no invalid bits, and the storage is not accessible before a kernel that writes every element
    // has been launched.
    let mut storage = unsafe { device.alloc_uninit(&shape, dtype::<T>()) }?;
    let out = elements_mut(&mut storage.slice).and_then(|out| out.downcast_mut::<CudaSlice<T>>());
    let out = out.expect("it was allocated with the kernel's dtype");
    check_context("out", out, attention).map_err(into_candle)?;
    match &op.options().listener {
        None => launch(attention, &plan, slices, &inputs.axes, out, device)?,
        Some(listener) => {
            // A trace uses the kernel's own stream, and waits for it.
            device.cuda_stream().synchronize().w()?;
            let [_, heads, seq, dim] = q.shape();
            let strides = [seq * heads * dim, dim, heads * dim, 1];
            let out = ViewMut::cuda(out, 0, q.shape(), strides).map_err(into_candle)?;
            let (selection, times) =
                attention.prefill_traced_into(&q, &k, &v, out, &()).map_err(into_candle)?;
            listener(&selection, &times);
        }
    }
    Ok((storage, shape))
}

/// Enqueues the kernels on candle's stream.
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
    let len = usize::try_from(workspace_bytes).unwrap_or(usize::MAX).max(1); // the driver rejects 0 bytes
    // SAFETY: the kernels write every byte that they read.
    let mut workspace = unsafe { device.alloc::<u8>(len) }?;

    // The guards order other streams' work on the tensors. cudarc stores their errors instead of returning them, so check
    // before anything is launched, and again after the guards are dropped.
    let (q, q_guard) = address(q, &axes[0], stream);
    let (k, k_guard) = address(k, &axes[1], stream);
    let (v, v_guard) = address(v, &axes[2], stream);
    let (out, out_guard) = out.device_ptr_mut(stream);
    let (workspace, workspace_guard) = workspace.device_ptr_mut(stream);
    stream.context().check_err().w()?;
    let [_, heads, seq, dim] = axes[0].shape.map(|size| size as i64);
    let out = RawTensor { address: out, strides: [seq * heads * dim, dim, heads * dim] };
    let args = RawArgs { q, k, v, out, workspace, workspace_bytes };
    // SAFETY: `forward` has checked that the slices cover the axes' extents, in the kernel's context; the output and the
    // workspace were allocated for the plan. All are borrowed until the kernels are enqueued, and later uses are ordered
    // after the kernels, by the stream or by the guards' events.
    let launched = unsafe { attention.launch_raw(plan, &args, stream.cu_stream()) };
    drop((q_guard, k_guard, v_guard, out_guard, workspace_guard));
    let recorded = stream.context().check_err();
    if recorded.is_err() {
        // Other streams cannot be ordered after the kernels, so wait until the kernels are done.
        let _ = stream.synchronize();
    }
    launched.map_err(into_candle)?;
    recorded.w()
}

/// The address of a tensor, and the guard that orders later writes after the work launched while the guard lives.
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

/// Rejects memory of a context other than the kernel's, where its addresses are not valid.
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

/// Like [`elements`], but mutable.
fn elements_mut(slice: &mut CudaStorageSlice) -> Option<&mut dyn Any> {
    match slice {
        CudaStorageSlice::BF16(data) => Some(data),
        CudaStorageSlice::F16(data) => Some(data),
        _ => None,
    }
}
