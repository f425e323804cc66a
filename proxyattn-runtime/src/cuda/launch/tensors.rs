//! Tensors in device memory as addresses.

use super::RawTensor;
use crate::cuda::device::CudaDevice;
use crate::tensor::{Data, DataMut};
use crate::{Element, Error, Result, View, ViewMut};
use cudarc::driver::{CudaSlice, DevicePtr, DevicePtrMut, SyncOnDrop};

/// The address of a view, and the guard that orders other streams' writes around the work enqueued while it lives.
pub(crate) fn borrow<'a, T: Element>(
    arg: &'static str,
    view: &View<'a, T>,
    device: &'a CudaDevice,
) -> Result<(RawTensor, SyncOnDrop<'a>)> {
    let Data::Cuda(slice, offset) = view.data() else { return Err(not_here(arg, device)) };
    check_context(arg, slice, device)?;
    let (base, guard) = slice.device_ptr(device.stream());
    Ok((raw::<T>(base, offset, view.strides()), guard))
}

/// The same for a view to write to.
pub(crate) fn borrow_mut<'a, T: Element>(
    arg: &'static str,
    view: &'a mut ViewMut<'_, T>,
    device: &'a CudaDevice,
) -> Result<(RawTensor, SyncOnDrop<'a>)> {
    let strides = view.strides();
    let DataMut::Cuda(slice, offset) = view.data_mut() else { return Err(not_here(arg, device)) };
    check_context(arg, slice, device)?;
    let (base, guard) = slice.device_ptr_mut(device.stream());
    Ok((raw::<T>(base, *offset, strides), guard))
}

fn raw<T>(base: u64, offset: usize, [batch, head, token, _]: [usize; 4]) -> RawTensor {
    // An extent in memory fits i64, so its strides do.
    let strides = [batch, head, token].map(|stride| stride as i64);
    RawTensor { address: base + (offset * size_of::<T>()) as u64, strides }
}

fn check_context<T>(arg: &'static str, slice: &CudaSlice<T>, device: &CudaDevice) -> Result<()> {
    let context = device.stream().context();
    if slice.context() == context {
        return Ok(());
    }
    Err(Error::Layout {
        arg,
        expected: format!("a tensor of CUDA device {}", context.ordinal()),
        got: format!("one of another context, on device {}", slice.context().ordinal()),
    })
}

fn not_here(arg: &'static str, device: &CudaDevice) -> Error {
    Error::Layout {
        arg,
        expected: format!("a tensor on {}", device.name()),
        got: "one in host memory; move it with Tensor::to(&device)".into(),
    }
}
