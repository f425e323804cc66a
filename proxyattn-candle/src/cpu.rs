//! The op on tensors in host memory.

use crate::op::ProxyAttention;
use crate::tensors::{Inputs, NAMES, dtype, typed};
use crate::told;
use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::cpu_backend::CpuDevice;
use candle_core::{CpuStorage, Layout, Result, Shape};
use proxyattn::{AttentionKernel, View, ViewMut};
use std::any::Any;

pub(crate) fn forward<K: AttentionKernel>(
    op: &ProxyAttention<K>,
    storages: [&CpuStorage; 3],
    layouts: [&Layout; 3],
) -> Result<(CpuStorage, Shape)> {
    let inputs = Inputs::new(&K::SPEC, layouts).map_err(told)?;
    let view = |i: usize| {
        let (storage, axes) = (storages[i], inputs.axes[i]);
        let data = typed::<K, Vec<K::Elem>>(NAMES[i], elements(storage), storage.dtype())?;
        let data = data.get(axes.offset..).unwrap_or_default();
        View::strided(data, axes.shape, axes.strides)
    };
    let (q, k, v) = (view(0).map_err(told)?, view(1).map_err(told)?, view(2).map_err(told)?);
    op.attention().plan(&inputs.problem).map_err(told)?; // before memory is asked for
    let shape = inputs.output();
    let mut storage = CpuDevice.zeros_impl(&shape, dtype::<K::Elem>())?;
    let out = elements_mut(&mut storage).and_then(|out| out.downcast_mut::<Vec<K::Elem>>());
    let out = out.expect("it was allocated with the kernel's dtype");
    let out = ViewMut::bshd(out, inputs.axes[0].dims()).map_err(told)?;
    match &op.options().listener {
        None => op.attention().prefill_into(&q, &k, &v, out).map_err(told)?,
        Some(listener) => {
            let (selection, times) =
                op.attention().prefill_traced_into(&q, &k, &v, out, &()).map_err(told)?;
            listener(&selection, &times);
        }
    }
    Ok((storage, shape))
}

/// The memory of a 16-bit tensor.
fn elements(storage: &CpuStorage) -> Option<&dyn Any> {
    match storage {
        CpuStorage::BF16(data) => Some(data),
        CpuStorage::F16(data) => Some(data),
        _ => None,
    }
}

/// As [`elements`], to write to.
fn elements_mut(storage: &mut CpuStorage) -> Option<&mut dyn Any> {
    match storage {
        CpuStorage::BF16(data) => Some(data),
        CpuStorage::F16(data) => Some(data),
        _ => None,
    }
}
