//! The op on tensors in host memory.

use crate::into_candle;
use crate::op::ProxyAttention;
use crate::tensors::{Inputs, NAMES, typed};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, Layout, Result, Shape};
use proxyattn::prelude::{bf16, f16};
use proxyattn::{Element, Error, Tensor, View, ViewMut};
use std::any::Any;

pub(crate) fn forward<T: Element>(
    op: &ProxyAttention<T>,
    storages: [&CpuStorage; 3],
    layouts: [&Layout; 3],
) -> Result<(CpuStorage, Shape)> {
    let inputs = Inputs::new(op.attention().spec(), layouts).map_err(into_candle)?;
    let view = |i: usize| {
        let (storage, axes) = (storages[i], inputs.axes[i]);
        let data = typed::<T, Vec<T>>(op.attention(), NAMES[i], elements(storage), storage.dtype())?;
        let data = data.get(axes.offset..).unwrap_or_default();
        View::strided(data, axes.shape, axes.strides)
    };
    let (q, k, v) =
        (view(0).map_err(into_candle)?, view(1).map_err(into_candle)?, view(2).map_err(into_candle)?);
    op.attention().plan(&inputs.problem).map_err(into_candle)?; // before memory is allocated
    let dims = inputs.axes[0].dims();
    let mut output = zeros::<T>(dims).map_err(into_candle)?;
    let out = ViewMut::bshd(&mut output, dims).map_err(into_candle)?;
    match &op.options().listener {
        None => op.attention().prefill_into(&q, &k, &v, out).map_err(into_candle)?,
        Some(listener) => {
            let (selection, times) =
                op.attention().prefill_traced_into(&q, &k, &v, out, &()).map_err(into_candle)?;
            listener(&selection, &times);
        }
    }
    Ok((storage(output), inputs.output()))
}

/// The memory of a 16-bit tensor.
fn elements(storage: &CpuStorage) -> Option<&dyn Any> {
    match storage {
        CpuStorage::BF16(data) => Some(data),
        CpuStorage::F16(data) => Some(data),
        _ => None,
    }
}

/// Memory for the output.
fn zeros<T: Element>(dims: [usize; 4]) -> proxyattn::Result<Vec<T>> {
    let zeros = Tensor::zeros(dims).and_then(Tensor::into_vec);
    zeros.map_err(|error| match error {
        Error::Memory { of, bytes, .. } => Error::Memory { what: "output", of, bytes },
        other => other,
    })
}

/// A 16-bit tensor's memory, as a candle storage.
fn storage<T: Element>(data: Vec<T>) -> CpuStorage {
    let data: Box<dyn Any> = Box::new(data);
    match data.downcast::<Vec<bf16>>() {
        Ok(data) => CpuStorage::BF16(*data),
        Err(data) => match data.downcast::<Vec<f16>>() {
            Ok(data) => CpuStorage::F16(*data),
            Err(_) => unreachable!("elements are of one of the two types"),
        },
    }
}
