//! The op on candle's CPU tensors: the bits of the raw API on the same memory, and errors that name what is wrong.

#[path = "../../tests/conformance/kernels.rs"]
#[allow(dead_code)]
mod kernels;
#[path = "adapter/lay.rs"]
mod lay;
#[path = "adapter/layouts.rs"]
mod layouts;
#[path = "adapter/refusals.rs"]
mod refusals;
#[path = "adapter/use.rs"]
mod usage;
#[cfg(not(feature = "cuda"))]
#[path = "adapter/without_cuda.rs"]
mod without_cuda;

use candle_core::{CpuStorage, Error, Storage, Tensor};
use lay::Elem;
use proxyattn::{Element, View};
use proxyattn_oracle::inputs;

/// Looks at a tensor's memory as the raw API does, and hands `look` the view.
fn with_view<T: Elem, R>(tensor: &Tensor, look: impl FnOnce(View<'_, T>) -> R) -> R {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else { panic!("not in host memory") };
    let data = T::cpu_storage_as_slice(storage).expect("of this type");
    let (shape, strides) = (layout.dims(), layout.stride());
    let bhsd = |axes: &[usize]| [axes[0], axes[2], axes[1], axes[3]];
    let view = View::strided(&data[layout.start_offset()..], bhsd(shape), bhsd(strides));
    look(view.expect("a tensor that the raw API reads"))
}

/// The bits of a contiguous tensor.
fn bits<T: Elem>(tensor: &Tensor) -> Vec<u16> {
    assert!(tensor.is_contiguous(), "{:?}", tensor.layout());
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else { panic!("not in host memory") };
    assert_eq!(layout.start_offset(), 0);
    assert!(matches!(storage, CpuStorage::BF16(_) | CpuStorage::F16(_)), "of the kernel's dtype");
    T::cpu_storage_as_slice(storage).expect("of this type").iter().map(|&x| Element::to_bits(x)).collect()
}

/// An error's message, without the backtrace that candle adds where one is asked for.
fn message(error: Error) -> String {
    match error {
        Error::WithBacktrace { inner, .. } => message(*inner),
        error => error.to_string(),
    }
}
