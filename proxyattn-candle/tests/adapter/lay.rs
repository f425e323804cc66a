//! Where models keep queries, keys and values.

use candle_core::{Device, Tensor, WithDType};
use proxyattn::Element;

/// An element of both worlds.
pub(crate) trait Elem: Element + WithDType {}
impl<T: Element + WithDType> Elem for T {}

/// `(batch, heads, seq, dim)` numbers as a `(batch, seq, heads, dim)` tensor that lies in some way.
pub(crate) type Lay<T> = fn(&[T], [usize; 4]) -> Tensor;

/// `(batch, heads, seq, dim)`, dense.
pub(crate) fn bhsd<T: Elem>(data: &[T], shape: [usize; 4]) -> Tensor {
    Tensor::from_slice(data, &shape, &Device::Cpu).expect("as many numbers as the shape says")
}

/// In memory in the order of the axes.
pub(crate) fn contiguous<T: Elem>(data: &[T], shape: [usize; 4]) -> Tensor {
    bhsd(data, shape).transpose(1, 2).and_then(|t| t.contiguous()).expect("axes")
}

/// Heads first in memory.
fn transposed<T: Elem>(data: &[T], shape: [usize; 4]) -> Tensor {
    bhsd(data, shape).transpose(1, 2).expect("axes")
}

/// NaN before and after along `axis`, which nothing may read.
fn padded<T: Elem>(tensor: &Tensor, axis: usize, [before, after]: [usize; 2]) -> Tensor {
    let filled = |len: usize| {
        let mut dims = tensor.dims().to_vec();
        dims[axis] = len;
        let nan = vec![T::from_f32(f32::NAN); dims.iter().product()];
        Tensor::from_vec(nan, dims, &Device::Cpu).expect("as many numbers as the shape says")
    };
    let whole = Tensor::cat(&[&filled(before), tensor, &filled(after)], axis).expect("shapes that fit");
    whole.narrow(axis, before, tensor.dims()[axis]).expect("inside")
}

/// A cache `(batch, room, heads, dim)` that is partly full.
fn cache<T: Elem>(data: &[T], shape: [usize; 4]) -> Tensor {
    padded::<T>(&contiguous(data, shape), 1, [3, 50])
}

/// A cache `(batch, heads, room, dim)` that is partly full.
fn transposed_cache<T: Elem>(data: &[T], shape: [usize; 4]) -> Tensor {
    padded::<T>(&bhsd(data, shape), 2, [1, 33]).transpose(1, 2).expect("axes")
}

/// Some heads of a projection to queries, keys and values at once.
fn fused<T: Elem>(data: &[T], shape: [usize; 4]) -> Tensor {
    padded::<T>(&contiguous(data, shape), 2, [5, 2])
}

/// Sequences of a larger batch.
fn part_of_a_batch<T: Elem>(data: &[T], shape: [usize; 4]) -> Tensor {
    padded::<T>(&contiguous(data, shape), 0, [1, 1])
}

/// Rows that are the beginning of longer ones.
fn wide_rows<T: Elem>(data: &[T], shape: [usize; 4]) -> Tensor {
    padded::<T>(&contiguous(data, shape), 3, [8, 16])
}

/// Every way.
pub(crate) fn layouts<T: Elem>() -> [Lay<T>; 7] {
    [contiguous, transposed, cache, transposed_cache, fused, part_of_a_batch, wide_rows]
}
