//! Checks q, k and v, with shapes in candle's order: `(batch, seq, heads, dim)`.

use crate::into_candle;
use candle_core::{DType, DeviceLocation, Layout, Shape, Tensor};
use proxyattn::codegen::{Dtype, Spec};
use proxyattn::shapes::Shapes;
use proxyattn::{Attention, Element, Error, Problem, Result};
use std::any::Any;

/// The names of the arguments, in their order.
pub(crate) const NAMES: [&str; 3] = ["q", "k", "v"];

/// A tensor's layout with the axes in proxyattn's order: `[batch, heads, seq, dim]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axes {
    pub(crate) shape: [usize; 4],
    pub(crate) strides: [usize; 4],
    pub(crate) offset: usize,
}

impl Axes {
    fn new(arg: &'static str, layout: &Layout) -> Result<Self> {
        let &[batch, seq, heads, dim] = layout.dims() else {
            let expected = "4 dimensions (batch, seq, heads, dim)".into();
            return Err(Error::Shape { arg, expected, got: format!("shape {:?}", layout.dims()) });
        };
        let &[batch_step, seq_step, head_step, dim_step] = layout.stride() else {
            unreachable!("a layout has as many strides as dimensions");
        };
        if dim_step != 1 && dim > 1 {
            return Err(Error::Layout {
                arg,
                expected: "a last stride of 1 (a head's row contiguous)".into(),
                got: format!(
                    "strides {:?} for shape {:?}; call contiguous() first",
                    layout.stride(),
                    layout.dims()
                ),
            });
        }
        // An axis of length 1 may have any stride, even one that the GPU path would reject.
        let step = |size: usize, step: usize| if size > 1 { step } else { 0 };
        Ok(Self {
            shape: [batch, heads, seq, dim],
            strides: [step(batch, batch_step), step(heads, head_step), step(seq, seq_step), 1],
            offset: layout.start_offset(),
        })
    }

    /// The shape in candle's order.
    pub(crate) fn dims(&self) -> [usize; 4] {
        let [batch, heads, seq, dim] = self.shape;
        [batch, seq, heads, dim]
    }
}

/// The layouts of q, k and v, checked against each other and the kernel's configuration.
pub(crate) struct Inputs {
    pub(crate) axes: [Axes; 3],
    pub(crate) problem: Problem,
}

impl Inputs {
    pub(crate) fn new(spec: &Spec, layouts: [&Layout; 3]) -> Result<Self> {
        let axes = [0, 1, 2].map(|i| Axes::new(NAMES[i], layouts[i]));
        let [q, k, v] = axes;
        let axes = [q?, k?, v?];
        let shapes = Shapes {
            shapes: axes.map(|axes| axes.shape),
            written: |[batch, heads, seq, dim]| [batch, seq, heads, dim],
            swap: "; if it is (batch, heads, seq, dim), call transpose(1, 2) on it",
        };
        let problem = shapes.problem(spec)?;
        Ok(Self { axes, problem })
    }

    /// The shape of the output, in candle's order.
    pub(crate) fn output(&self) -> Shape {
        Shape::from(&self.axes[0].dims())
    }
}

/// Rejects tensors on different devices, or on a device without kernels.
pub(crate) fn same_place(q: &Tensor, k: &Tensor, v: &Tensor) -> candle_core::Result<()> {
    let place = q.device().location();
    for (arg, tensor) in [("k", k), ("v", v)] {
        let other = tensor.device().location();
        if other != place {
            let (expected, got) = (format!("a tensor on {}, as q is", name(place)), name(other));
            return Err(into_candle(Error::Layout {
                arg,
                expected,
                got: format!("one on {got}; move it with to_device"),
            }));
        }
    }
    Ok(())
}

/// A device, for messages.
pub(crate) fn name(place: DeviceLocation) -> String {
    match place {
        DeviceLocation::Cpu => "the CPU".into(),
        DeviceLocation::Cuda { gpu_id } => format!("CUDA device {gpu_id}"),
        DeviceLocation::Metal { gpu_id } => format!("Metal device {gpu_id}"),
    }
}

/// The dtype of a kernel's tensors.
pub(crate) fn dtype<T: Element>() -> DType {
    match T::DTYPE {
        Dtype::F16 => DType::F16,
        Dtype::Bf16 => DType::BF16,
    }
}

/// A tensor's memory as a slice of the kernel's element type; in candle the type is an enum variant.
pub(crate) fn typed<'a, T: Element, S: 'static>(
    attention: &Attention<T>,
    arg: &'static str,
    memory: Option<&'a dyn Any>,
    given: DType,
) -> Result<&'a S> {
    memory.and_then(|memory| memory.downcast_ref::<S>()).ok_or_else(|| {
        let wanted = dtype::<T>();
        let other = match given {
            DType::F16 => ", or declare `dtype = f16`",
            DType::BF16 => ", or declare `dtype = bf16`",
            _ => "",
        };
        Error::Shape {
            arg,
            expected: format!("dtype {wanted:?} as `{}` declares", attention.name()),
            got: format!("{given:?}; convert it with to_dtype(DType::{wanted:?}){other}"),
        }
    })
}
