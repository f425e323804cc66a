//! Tensors that own their elements, in host memory or on a GPU.

use super::{AsView, Data, DataMut, Shape, View, ViewMut, bhsd_strides, bshd_strides, check, extent};
use crate::cuda::device::{failed, no_memory};
use crate::memory::{copied, product, room, zeros};
use crate::{Device, Element, Result};
use cudarc::driver::CudaSlice;

/// An owned tensor `[batch, heads, tokens, dim]`, in host memory or on a GPU.
///
/// ```
/// use proxyattn::{Device, Tensor, prelude::bf16};
///
/// let numbers: Vec<f32> = (0..2 * 3 * 4).map(|i| i as f32).collect();
/// let tensor = Tensor::<bf16>::from_f32(&numbers, [1, 2, 3, 4])?;
/// assert_eq!(tensor.shape(), [1, 2, 3, 4]);
/// let copy = tensor.to(&Device::auto())?;
/// assert_eq!(copy.to_f32()?, numbers);
/// # Ok::<(), proxyattn::Error>(())
/// ```
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

// The bounds are the methods' own: then the compiler says what an element is.
impl<T> Tensor<T> {
    /// Zeros in host memory, in memory order `[batch, heads, tokens, dim]`.
    ///
    /// # Errors
    /// [`Error::Overflow`](crate::Error::Overflow) if the shape is not addressable, [`Error::Memory`](crate::Error::Memory) if the memory is not available.
    pub fn zeros(shape: [usize; 4]) -> Result<Self>
    where
        T: Element,
    {
        Self::zeros_for("tensor", shape)
    }

    /// A tensor that takes ownership of `data`, in memory order `[batch, heads, tokens, dim]`.
    ///
    /// ```
    /// use proxyattn::{Tensor, prelude::bf16};
    ///
    /// let tensor = Tensor::from_bhsd(vec![bf16::ONE; 8 * 100 * 64], [1, 8, 100, 64])?;
    /// # assert_eq!(tensor.shape(), [1, 8, 100, 64]);
    /// # Ok::<(), proxyattn::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`View::bhsd`].
    pub fn from_bhsd(data: Vec<T>, shape: [usize; 4]) -> Result<Self>
    where
        T: Element,
    {
        let strides = bhsd_strides(shape);
        check(data.len(), shape, strides)?;
        Ok(Self { storage: Storage::Host(data), shape, strides })
    }

    /// A tensor that takes ownership of `data`, in memory order `[batch, tokens, heads, dim]`. `shape` is in memory order;
    /// [`shape`](Self::shape) of the result is `[batch, heads, tokens, dim]` as always. Nothing is moved in memory.
    ///
    /// ```
    /// use proxyattn::{Tensor, prelude::bf16};
    ///
    /// let tensor = Tensor::from_bshd(vec![bf16::ONE; 100 * 8 * 64], [1, 100, 8, 64])?;
    /// assert_eq!(tensor.shape(), [1, 8, 100, 64]);
    /// # Ok::<(), proxyattn::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`View::bshd`].
    pub fn from_bshd(data: Vec<T>, shape: [usize; 4]) -> Result<Self>
    where
        T: Element,
    {
        let [batch, tokens, heads, dim] = shape;
        let shape = [batch, heads, tokens, dim];
        let strides = bshd_strides(shape);
        check(data.len(), shape, strides)?;
        Ok(Self { storage: Storage::Host(data), shape, strides })
    }

    /// Numbers in memory order `[batch, heads, tokens, dim]`, each rounded to the nearest element, ties to even. Magnitudes
    /// beyond the largest element become infinite, which [`prefill`](crate::Attention::prefill) refuses on the CPU.
    ///
    /// ```
    /// use proxyattn::{Tensor, prelude::bf16};
    ///
    /// let tensor = Tensor::<bf16>::from_f32(&[1.0, 0.1, -2.0, 3.0], [1, 1, 2, 2])?;
    /// assert_eq!(tensor.to_f32()?, [1.0, 0.100_097_656, -2.0, 3.0]); // bf16 has 8 bits of mantissa
    /// # Ok::<(), proxyattn::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`View::bhsd`], and [`Error::Memory`](crate::Error::Memory) if the memory is not available.
    pub fn from_f32(numbers: &[f32], shape: [usize; 4]) -> Result<Self>
    where
        T: Element,
    {
        check(numbers.len(), shape, bhsd_strides(shape))?;
        let mut data = zeros("tensor", numbers.len())?;
        data.iter_mut().zip(numbers).for_each(|(element, &number)| *element = T::from_f32(number));
        Self::from_bhsd(data, shape)
    }
}

impl<T: Element> Tensor<T> {
    fn zeros_for(what: &'static str, shape: Shape) -> Result<Self> {
        let strides = bhsd_strides(shape);
        Ok(Self { storage: Storage::Host(zeros(what, extent(shape, strides)?)?), shape, strides })
    }

    /// The elements as f32, exactly, in the order `[batch, heads, tokens, dim]` whatever the memory order is. A tensor on a
    /// GPU is copied to the host first.
    ///
    /// # Errors
    /// [`Error::Memory`](crate::Error::Memory) or [`Error::Cuda`](crate::Error::Cuda).
    pub fn to_f32(&self) -> Result<Vec<f32>> {
        if matches!(self.storage, Storage::Cuda(_)) {
            return self.to(&Device::Cpu)?.to_f32();
        }
        let [batch, heads, tokens, _] = self.shape;
        let view = self.as_view();
        let mut numbers = room("tensor", product(&self.shape))?;
        for (batch, head) in (0..batch).flat_map(|batch| (0..heads).map(move |head| (batch, head))) {
            for token in 0..tokens {
                numbers.extend(view.row(batch, head, token).iter().map(|element| element.to_f32()));
            }
        }
        Ok(numbers)
    }

    /// `[batch, heads, tokens, dim]`.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// The elements in memory order: `[batch, heads, tokens, dim]`, but for a tensor of [`from_bshd`](Self::from_bshd).
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

    /// The elements in host memory, in memory order: `[batch, heads, tokens, dim]`, but for a tensor of
    /// [`from_bshd`](Self::from_bshd).
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

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};

    #[test]
    fn numbers_keep_their_logical_order() {
        let numbers: Vec<f32> = (0..2 * 3 * 4 * 5).map(|i| i as f32).collect();
        let bhsd = Tensor::<f16>::from_f32(&numbers, [2, 3, 4, 5]).unwrap();
        assert_eq!(bhsd.to_f32().unwrap(), numbers);
        // The same memory as 3 tokens of 4 heads.
        let bshd = Tensor::from_bshd(bhsd.clone().into_vec().unwrap(), [2, 3, 4, 5]).unwrap();
        assert_eq!(bshd.shape(), [2, 4, 3, 5]);
        assert_eq!(bshd.to_f32().unwrap()[5..10], [20.0, 21.0, 22.0, 23.0, 24.0], "head 0, token 1");
        let copy = bshd.to(&Device::Cpu).unwrap();
        assert_eq!((copy.to_f32().unwrap(), copy.as_slice()), (bshd.to_f32().unwrap(), bhsd.as_slice()));
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let told = |result: Result<Tensor<bf16>>| result.unwrap_err().to_string();
        let short =
            "`data`: expected at least 6 elements for shape [1, 1, 2, 3] with strides [6, 6, 3, 1], got 5";
        assert_eq!(told(Tensor::from_f32(&[0.0; 5], [1, 1, 2, 3])), short);
        assert_eq!(
            told(Tensor::from_bshd(vec![bf16::ONE; 5], [1, 2, 1, 3])),
            short.replace("[6, 6, 3, 1]", "[6, 3, 3, 1]")
        );
        assert!(told(Tensor::from_bshd(Vec::new(), [usize::MAX; 4])).contains("overflows"));
        assert!(
            told(Tensor::zeros([1, 32, 1 << 34, 128]))
                .starts_with("`tensor`: cannot allocate 140737488355328 bytes")
        );
    }
}
