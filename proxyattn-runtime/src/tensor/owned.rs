//! Tensors that own their elements, in host memory or on a GPU.

use super::{AsView, Data, DataMut, Shape, View, ViewMut, bhsd_strides, check, extent};
use crate::cuda::device::{failed, no_memory};
use crate::memory::{copied, zeros};
use crate::{Device, Element, Result};
use cudarc::driver::CudaSlice;

/// An owned tensor `[batch, heads, tokens, dim]`, in host memory or on a GPU.
#[derive(Debug)]
pub struct Tensor<T> {
    storage: Storage<T>,
    shape: Shape,
    strides: Shape,
}

#[derive(Debug)]
enum Storage<T> {
    Host(Vec<T>),
    Cuda(CudaSlice<T>),
}

impl<T> AsView<T> for Tensor<T> {
    fn as_view(&self) -> View<'_, T> {
        let data = match &self.storage {
            Storage::Host(data) => Data::Host(data),
            Storage::Cuda(data) => Data::Cuda(data, 0),
        };
        View { data, shape: self.shape, strides: self.strides }
    }
}

impl<T: Element> Tensor<T> {
    /// Zeros in host memory, in memory order `[batch, heads, tokens, dim]`.
    ///
    /// # Errors
    /// [`Error::Overflow`](crate::Error::Overflow) if the shape is not addressable, [`Error::Memory`](crate::Error::Memory) if the memory is not available.
    pub fn zeros(shape: [usize; 4]) -> Result<Self> {
        Self::zeros_for("tensor", shape)
    }

    fn zeros_for(what: &'static str, shape: Shape) -> Result<Self> {
        let strides = bhsd_strides(shape);
        Ok(Self { storage: Storage::Host(zeros(what, extent(shape, strides)?)?), shape, strides })
    }

    /// A tensor that takes ownership of `data`, in memory order `[batch, heads, tokens, dim]`.
    ///
    /// # Errors
    /// Those of [`View::bhsd`].
    pub fn from_bhsd(data: Vec<T>, shape: [usize; 4]) -> Result<Self> {
        let strides = bhsd_strides(shape);
        check(data.len(), shape, strides)?;
        Ok(Self { storage: Storage::Host(data), shape, strides })
    }

    /// `[batch, heads, tokens, dim]`.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// The elements, in memory order `[batch, heads, tokens, dim]`.
    ///
    /// # Panics
    /// If the tensor is on a GPU; [`to`](Self::to) copies it to the host.
    pub fn as_slice(&self) -> &[T] {
        match &self.storage {
            Storage::Host(data) => data,
            Storage::Cuda(_) => panic!("a tensor on a GPU has no slice in host memory"),
        }
    }

    /// A mutable view of the tensor.
    pub fn view_mut(&mut self) -> ViewMut<'_, T> {
        let data = match &mut self.storage {
            Storage::Host(data) => DataMut::Host(data),
            Storage::Cuda(data) => DataMut::Cuda(data, 0),
        };
        ViewMut { data, shape: self.shape, strides: self.strides }
    }

    /// A copy on `device`; a copy to the host waits until it is complete.
    ///
    /// # Errors
    /// [`Error::Memory`](crate::Error::Memory) if the memory is not available, [`Error::Cuda`](crate::Error::Cuda) if it fails.
    pub fn to(&self, device: &Device) -> Result<Self> {
        let storage = match (&self.storage, device) {
            (Storage::Host(data), Device::Cpu) => Storage::Host(copied("tensor", data)?),
            (Storage::Host(data), Device::Cuda(device)) => {
                let copy = device.stream().clone_htod(data);
                Storage::Cuda(copy.map_err(no_memory(
                    "copying to the device",
                    "tensor",
                    size_of_val(&data[..]) as u64,
                ))?)
            }
            (Storage::Cuda(data), Device::Cpu) => {
                let mut copy = zeros("tensor", data.len())?;
                data.stream().memcpy_dtoh(data, &mut copy).map_err(failed("copying to the host"))?;
                data.stream().synchronize().map_err(failed("cuStreamSynchronize"))?;
                Storage::Host(copy)
            }
            (Storage::Cuda(data), Device::Cuda(device)) => {
                let copy = device.stream().clone_dtod(data);
                Storage::Cuda(copy.map_err(no_memory(
                    "copying on the device",
                    "tensor",
                    data.num_bytes() as u64,
                ))?)
            }
        };
        Ok(Self { storage, shape: self.shape, strides: self.strides })
    }

    /// Waits until all work on the tensor's stream is done; returns at once for a tensor in host memory.
    ///
    /// # Errors
    /// [`Error::Cuda`](crate::Error::Cuda), also for a kernel that failed earlier in the stream.
    pub fn synchronize(&self) -> Result<()> {
        match &self.storage {
            Storage::Host(_) => Ok(()),
            Storage::Cuda(data) => data.stream().synchronize().map_err(failed("cuStreamSynchronize")),
        }
    }

    /// A tensor on `device` for a kernel to write, in memory order `[batch, heads, tokens, dim]`: uninitialised on a GPU, zeros
    /// on the CPU.
    pub(crate) fn uninit(shape: Shape, device: &Device) -> Result<Self> {
        let Device::Cuda(cuda) = device else { return Self::zeros_for("output", shape) };
        let strides = bhsd_strides(shape);
        let len = extent(shape, strides)?;
        // SAFETY: 16-bit floats have no invalid bits, and the tensor leaves this crate only after a kernel that
        // writes every element has been launched.
        let data = unsafe { cuda.stream().alloc(len) };
        let data =
            data.map_err(no_memory("allocating the output", "output", (len * size_of::<T>()) as u64))?;
        Ok(Self { storage: Storage::Cuda(data), shape, strides })
    }

    /// The elements in host memory, in memory order `[batch, heads, tokens, dim]`.
    ///
    /// # Errors
    /// [`Error::Memory`](crate::Error::Memory) or [`Error::Cuda`](crate::Error::Cuda) if a copy from the device fails.
    pub fn into_vec(self) -> Result<Vec<T>> {
        if let Storage::Host(data) = self.storage {
            return Ok(data);
        }
        match self.to(&Device::Cpu)?.storage {
            Storage::Host(data) => Ok(data),
            Storage::Cuda(_) => unreachable!("the copy is in host memory"),
        }
    }
}

impl<T: Element> Clone for Tensor<T> {
    /// # Panics
    /// If the memory is not available; for host memory the process aborts. [`Tensor::to`] returns an error instead.
    fn clone(&self) -> Self {
        let storage = match &self.storage {
            Storage::Host(data) => Storage::Host(data.clone()),
            Storage::Cuda(data) => Storage::Cuda(data.clone()),
        };
        Self { storage, shape: self.shape, strides: self.strides }
    }
}
