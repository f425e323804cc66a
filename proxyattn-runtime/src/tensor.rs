//! Attention tensors: logically always `[batch, heads, tokens, dim]`, with any memory layout.

mod owned;

pub use owned::Tensor;

use crate::{Error, Result};
use cudarc::driver::CudaSlice;

/// The axes of every tensor here, in logical order.
pub(crate) type Shape = [usize; 4];

/// A borrowed tensor `[batch, heads, tokens, dim]` with any strides, the last being 1.
///
/// What heads and what tokens are cannot be told from numbers: memory that is read in the wrong order is an error only where
/// the shapes do not fit. A kernel that declares `heads` and `kv_heads` refuses every such mix-up.
///
/// ```
/// use proxyattn::{View, prelude::bf16};
///
/// // One sequence of 100 tokens, 8 heads of 64 dims, a token's heads side by side.
/// let memory = vec![bf16::ONE; 100 * 8 * 64];
/// let view = View::bshd(&memory, [1, 100, 8, 64])?;
/// assert_eq!(view.shape(), [1, 8, 100, 64]);
/// assert_eq!(view.strides(), [51_200, 64, 512, 1]);
/// assert_eq!(view.row(0, 7, 99).len(), 64);
/// # Ok::<(), proxyattn::Error>(())
/// ```
#[derive(Debug)]
pub struct View<'a, T> {
    data: Data<'a, T>,
    shape: Shape,
    strides: Shape,
}

/// Where a view's elements are.
#[derive(Debug)]
pub(crate) enum Data<'a, T> {
    Host(&'a [T]),
    /// A device buffer, and the element at which the tensor starts.
    Cuda(&'a CudaSlice<T>, usize),
}

/// Where the elements of a mutable view are.
#[derive(Debug)]
pub(crate) enum DataMut<'a, T> {
    Host(&'a mut [T]),
    Cuda(&'a mut CudaSlice<T>, usize),
}

// Derived implementations would require `T: Copy`.
impl<T> Clone for View<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for View<'_, T> {}

impl<T> Clone for Data<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Data<'_, T> {}

/// A mutably borrowed tensor; its elements must not overlap.
///
/// ```
/// use proxyattn::{ViewMut, prelude::bf16};
///
/// let mut memory = vec![bf16::ZERO; 100 * 8 * 64];
/// let output = ViewMut::bshd(&mut memory, [1, 100, 8, 64])?; // for `Attention::prefill_into`
/// assert_eq!(output.shape(), [1, 8, 100, 64]);
/// # Ok::<(), proxyattn::Error>(())
/// ```
#[derive(Debug)]
pub struct ViewMut<'a, T> {
    data: DataMut<'a, T>,
    shape: Shape,
    strides: Shape,
}

/// A type that can be borrowed as a [`View`], for the arguments of [`prefill`](crate::Attention::prefill).
///
/// ```
/// use proxyattn::{AsView, Tensor};
/// use proxyattn::prelude::bf16;
///
/// fn tokens(tensor: &impl AsView<bf16>) -> usize {
///     tensor.as_view().shape()[2]
/// }
///
/// let tensor = Tensor::zeros([1, 8, 300, 128])?;
/// assert_eq!((tokens(&tensor), tokens(&tensor.as_view())), (300, 300));
/// # Ok::<(), proxyattn::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tensor of `{T}`, the element type that the kernel is declared with",
    label = "expected a `Tensor<{T}>` or a `View<{T}>`",
    note = "the kernel's `dtype` is the element type of q, k, v and the output: bf16, unless it is declared with \
            `#[proxy_attention(dtype = f16)]`",
    note = "elements in memory become a tensor with their shape: `View::bhsd(&elements, [batch, heads, tokens, head_dim])`, or \
            `View::bshd` for memory order [batch, tokens, heads, head_dim]",
    note = "f32 numbers have to be rounded: `Tensor::from_f32(&numbers, [batch, heads, tokens, head_dim])`"
)]
pub trait AsView<T> {
    /// The view.
    fn as_view(&self) -> View<'_, T>;
}

impl<T> AsView<T> for View<'_, T> {
    fn as_view(&self) -> View<'_, T> {
        *self
    }
}

impl<T, A: AsView<T> + ?Sized> AsView<T> for &A {
    fn as_view(&self) -> View<'_, T> {
        (**self).as_view()
    }
}

/// Strides, in elements and in the order batch, heads, tokens, dim, of a dense tensor whose memory order is
/// `[batch, heads, tokens, dim]`.
fn bhsd_strides([_, heads, tokens, dim]: Shape) -> Shape {
    let token = dim;
    let head = tokens.saturating_mul(token);
    [heads.saturating_mul(head), head, token, 1]
}

/// The same for the memory order `[batch, tokens, heads, dim]`.
fn bshd_strides([_, heads, tokens, dim]: Shape) -> Shape {
    let token = heads.saturating_mul(dim);
    [tokens.saturating_mul(token), dim, token, 1]
}

/// The extent in memory of a tensor with these strides, in elements.
fn extent(shape: Shape, strides: Shape) -> Result<usize> {
    let mut last = 0usize;
    for (size, stride) in shape.into_iter().zip(strides) {
        if size == 0 {
            return Ok(0);
        }
        let step = (size - 1).checked_mul(stride);
        last = step.and_then(|step| last.checked_add(step)).ok_or_else(|| overflow(shape, strides))?;
    }
    last.checked_add(1).filter(|&n| n <= isize::MAX as usize / 2).ok_or_else(|| overflow(shape, strides))
}

fn overflow(shape: Shape, strides: Shape) -> Error {
    Error::Overflow {
        arg: "shape",
        what: "the extent in memory",
        limit: isize::MAX as u64 / 2,
        got: format!("shape {shape:?} with strides {strides:?}"),
    }
}

fn check(len: usize, shape: Shape, strides: Shape) -> Result<()> {
    if strides[3] != 1 && shape[3] > 1 {
        return Err(Error::Layout {
            arg: "strides",
            expected: "a last stride of 1 (a head's row contiguous)".into(),
            got: format!("{strides:?}"),
        });
    }
    let needed = extent(shape, strides)?;
    if needed > len {
        return Err(Error::Shape {
            arg: "data",
            expected: format!("at least {needed} elements for shape {shape:?} with strides {strides:?}"),
            got: format!("{len}"),
        });
    }
    Ok(())
}

/// Rejects strides with which two indices share an element: in order of stride, each axis must step over the span of the
/// smaller ones.
fn check_disjoint(shape: Shape, strides: Shape) -> Result<()> {
    if shape.contains(&0) {
        return Ok(());
    }
    let mut axes: Vec<_> = shape.into_iter().zip(strides).filter(|&(size, _)| size > 1).collect();
    axes.sort_by_key(|&(_, stride)| stride);
    let mut span = 0;
    for (size, stride) in axes {
        if stride <= span {
            return Err(Error::Layout {
                arg: "strides",
                expected: "strides with which no elements overlap".into(),
                got: format!("{strides:?} for shape {shape:?}"),
            });
        }
        span += (size - 1) * stride;
    }
    Ok(())
}

impl<'a, T> View<'a, T> {
    /// A tensor `shape = [batch, heads, tokens, dim]` that starts at `data[0]` and steps by `strides` elements,
    /// in the same order of axes.
    ///
    /// ```
    /// use proxyattn::{View, prelude::bf16};
    ///
    /// // The keys of a fused projection: 32 query heads, 8 KV heads for k and 8 for v in each of 100 tokens.
    /// let (heads, kv_heads, dim, tokens) = (32, 8, 128, 100);
    /// let token = (heads + 2 * kv_heads) * dim;
    /// let qkv = vec![bf16::ONE; tokens * token];
    /// let strides = [tokens * token, dim, token, 1];
    /// let q = View::strided(&qkv, [1, heads, tokens, dim], strides)?;
    /// let k = View::strided(&qkv[heads * dim..], [1, kv_heads, tokens, dim], strides)?;
    /// # assert_eq!((q.shape()[1], k.shape()[1]), (32, 8));
    /// # Ok::<(), proxyattn::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Layout`] if the last stride is not 1, [`Error::Shape`] if `data` is too short,
    /// [`Error::Overflow`] if the extent is not addressable.
    pub fn strided(data: &'a [T], shape: [usize; 4], strides: [usize; 4]) -> Result<Self> {
        check(data.len(), shape, strides)?;
        Ok(Self { data: Data::Host(data), shape, strides })
    }

    /// A tensor in device memory that starts at element `offset` of `data`; otherwise like [`View::strided`].
    ///
    /// ```no_run
    /// use proxyattn::{Device, View, prelude::bf16};
    ///
    /// let Device::Cuda(device) = Device::cuda(0)? else { unreachable!("it is a GPU") };
    /// let memory = device.stream().clone_htod(&vec![bf16::ONE; 8 * 100 * 64]).expect("memory");
    /// let view = View::cuda(&memory, 0, [1, 8, 100, 64], [51_200, 6400, 64, 1])?;
    /// # Ok::<(), proxyattn::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`View::strided`].
    pub fn cuda(
        data: &'a CudaSlice<T>,
        offset: usize,
        shape: [usize; 4],
        strides: [usize; 4],
    ) -> Result<Self> {
        check(data.len().saturating_sub(offset), shape, strides)?;
        Ok(Self { data: Data::Cuda(data, offset), shape, strides })
    }

    /// A contiguous tensor in memory order `[batch, heads, tokens, dim]`, as in PyTorch's SDPA and in burn.
    ///
    /// ```
    /// use proxyattn::{View, prelude::bf16};
    ///
    /// let memory = vec![bf16::ONE; 8 * 100 * 64];
    /// let view = View::bhsd(&memory, [1, 8, 100, 64])?;
    /// assert_eq!(view.strides(), [51_200, 6400, 64, 1]);
    /// assert!(View::bhsd(&memory, [1, 8, 101, 64]).is_err(), "too few elements");
    /// # Ok::<(), proxyattn::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`View::strided`].
    pub fn bhsd(data: &'a [T], shape: [usize; 4]) -> Result<Self> {
        Self::strided(data, shape, bhsd_strides(shape))
    }

    /// A contiguous tensor in memory order `[batch, tokens, heads, dim]`, as in FlashAttention and candle. `shape` is in memory
    /// order; [`View::shape`] of the result is `[batch, heads, tokens, dim]` as always.
    ///
    /// ```
    /// use proxyattn::{View, prelude::bf16};
    ///
    /// let memory = vec![bf16::ONE; 100 * 8 * 64];
    /// let view = View::bshd(&memory, [1, 100, 8, 64])?;
    /// assert_eq!(view.shape(), [1, 8, 100, 64]);
    /// # Ok::<(), proxyattn::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`View::strided`].
    pub fn bshd(data: &'a [T], shape: [usize; 4]) -> Result<Self> {
        let [batch, tokens, heads, dim] = shape;
        let shape = [batch, heads, tokens, dim];
        Self::strided(data, shape, bshd_strides(shape))
    }

    /// `[batch, heads, tokens, dim]`.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// The strides in elements, for each axis of [`View::shape`].
    pub fn strides(&self) -> [usize; 4] {
        self.strides
    }

    /// Whether the elements are in host memory, as [`View::row`] requires.
    pub fn is_on_host(&self) -> bool {
        matches!(self.data, Data::Host(_))
    }

    pub(crate) fn data(&self) -> Data<'a, T> {
        self.data
    }

    /// The `dim` elements of one token of one head.
    ///
    /// # Panics
    /// If an index is out of bounds, or the tensor is on a GPU ([`Tensor::to`] copies it to the host).
    #[inline]
    pub fn row(&self, batch: usize, head: usize, token: usize) -> &'a [T] {
        let [batches, heads, tokens, dim] = self.shape;
        assert!(batch < batches && head < heads && token < tokens, "row outside of {:?}", self.shape);
        let start = batch * self.strides[0] + head * self.strides[1] + token * self.strides[2];
        match self.data {
            Data::Host(data) => &data[start..start + dim],
            Data::Cuda(..) => panic!("a tensor on a GPU has no rows in host memory"),
        }
    }
}

impl<'a, T> ViewMut<'a, T> {
    /// Like [`View::strided`], but mutable.
    ///
    /// # Errors
    /// Those of [`View::strided`], and [`Error::Layout`] if elements overlap.
    pub fn strided(data: &'a mut [T], shape: [usize; 4], strides: [usize; 4]) -> Result<Self> {
        check(data.len(), shape, strides)?;
        check_disjoint(shape, strides)?;
        Ok(Self { data: DataMut::Host(data), shape, strides })
    }

    /// Like [`View::cuda`], but mutable.
    ///
    /// # Errors
    /// Those of [`ViewMut::strided`].
    pub fn cuda(
        data: &'a mut CudaSlice<T>,
        offset: usize,
        shape: [usize; 4],
        strides: [usize; 4],
    ) -> Result<Self> {
        check(data.len().saturating_sub(offset), shape, strides)?;
        check_disjoint(shape, strides)?;
        Ok(Self { data: DataMut::Cuda(data, offset), shape, strides })
    }

    /// Like [`View::bhsd`], but mutable.
    ///
    /// # Errors
    /// Those of [`ViewMut::strided`].
    pub fn bhsd(data: &'a mut [T], shape: [usize; 4]) -> Result<Self> {
        Self::strided(data, shape, bhsd_strides(shape))
    }

    /// Like [`View::bshd`], but mutable.
    ///
    /// # Errors
    /// Those of [`ViewMut::strided`].
    pub fn bshd(data: &'a mut [T], shape: [usize; 4]) -> Result<Self> {
        let [batch, tokens, heads, dim] = shape;
        let shape = [batch, heads, tokens, dim];
        Self::strided(data, shape, bshd_strides(shape))
    }

    /// `[batch, heads, tokens, dim]`.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    pub(crate) fn strides(&self) -> [usize; 4] {
        self.strides
    }

    pub(crate) fn data_mut(&mut self) -> &mut DataMut<'a, T> {
        &mut self.data
    }

    /// A handle through which several threads can write disjoint rows; `None` for a tensor on a GPU.
    pub(crate) fn rows(&mut self) -> Option<Rows<'_, T>> {
        let DataMut::Host(data) = &mut self.data else { return None };
        Some(Rows {
            base: data.as_mut_ptr(),
            shape: self.shape,
            strides: self.strides,
            _data: core::marker::PhantomData,
        })
    }
}

/// Rows of a [`ViewMut`], each of which at most one thread may write.
pub(crate) struct Rows<'a, T> {
    base: *mut T,
    shape: Shape,
    strides: Shape,
    _data: core::marker::PhantomData<&'a mut [T]>,
}

// SAFETY: a `Rows` is the exclusive borrow of a `ViewMut`, handed out row by row through the unsafe `row`, whose caller
// guarantees that no row is held twice. Rows never overlap: the view passed `check_disjoint`.
unsafe impl<T: Send> Sync for Rows<'_, T> {}

impl<T> Rows<'_, T> {
    /// The `dim` elements of one token of one head.
    ///
    /// # Safety
    /// No other reference to the same row may be alive.
    #[allow(clippy::mut_from_ref)] // the safety contract above replaces the borrow checker
    pub(crate) unsafe fn row(&self, batch: usize, head: usize, token: usize) -> &mut [T] {
        let [batches, heads, tokens, dim] = self.shape;
        assert!(batch < batches && head < heads && token < tokens, "row outside of {:?}", self.shape);
        let start = batch * self.strides[0] + head * self.strides[1] + token * self.strides[2];
        // SAFETY: the indices were just checked against the shape, whose extent lies within the slice (`check`), and the
        // caller holds this row exclusively.
        unsafe { core::slice::from_raw_parts_mut(self.base.add(start), dim) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::bf16;

    #[test]
    fn both_orders_read_the_same_token() {
        let numbers: Vec<u32> = (0..2 * 3 * 4 * 5).collect();
        let bhsd = View::bhsd(&numbers, [2, 3, 4, 5]).unwrap();
        assert_eq!(bhsd.row(1, 2, 3)[0], ((3 + 2) * 4 + 3) * 5);
        let bshd = View::bshd(&numbers, [2, 4, 3, 5]).unwrap();
        assert_eq!(bshd.shape(), [2, 3, 4, 5]);
        assert_eq!(bshd.row(1, 2, 3)[0], ((4 + 3) * 3 + 2) * 5);
    }

    #[test]
    fn bad_views_are_refused() {
        let data = vec![0u32; 100];
        let message = |r: Result<View<'_, u32>>| r.unwrap_err().to_string();
        assert!(message(View::strided(&data, [1, 1, 5, 4], [20, 20, 1, 5])).contains("last stride of 1"));
        assert!(message(View::bhsd(&data, [1, 1, 26, 4])).contains("at least 104 elements"));
        assert!(message(View::bhsd(&data, [1, 2, usize::MAX / 2, 4])).contains("overflows"));
        assert!(Tensor::<bf16>::zeros([usize::MAX, 2, 2, 2]).is_err());
    }

    #[test]
    fn an_output_may_not_overlap_itself() {
        let mut data = vec![0u32; 64];
        let broadcast = ViewMut::strided(&mut data, [1, 2, 4, 8], [0, 0, 8, 1]);
        assert!(broadcast.unwrap_err().to_string().contains("overlap"));
        let sliding = ViewMut::strided(&mut data, [1, 1, 4, 8], [0, 0, 4, 1]);
        assert!(sliding.unwrap_err().to_string().contains("overlap"));
        assert!(ViewMut::strided(&mut data, [1, 2, 4, 8], [0, 8, 16, 1]).is_ok());
    }
}
