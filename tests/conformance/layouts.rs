//! Memory order is the caller's: every layout of the same numbers gives the same bits.

use crate::inputs::{Case, Inputs};
use crate::kernels::{Eight, Small, SmallF16, Wide, WideRows};
use crate::numerics::same_bits;
use crate::verify;
use proxyattn::{AttentionKernel, Device, Element, Tensor, View, ViewMut};

/// A value that no kernel computes here.
const POISON: f32 = -12_288.0;

/// How a tensor lies in memory, as the order of its first three axes and the unused elements after a row, a
/// plane and a volume of it.
#[derive(Clone, Copy, Debug)]
struct Layout {
    order: [usize; 3],
    gaps: [usize; 3],
}

const LAYOUTS: [Layout; 5] = [
    Layout { order: [0, 2, 1], gaps: [0, 0, 0] },
    Layout { order: [0, 1, 2], gaps: [5, 0, 0] },
    Layout { order: [0, 1, 2], gaps: [0, 7, 3] },
    Layout { order: [2, 0, 1], gaps: [3, 1, 2] },
    Layout { order: [1, 2, 0], gaps: [1, 8, 0] },
];

impl Layout {
    fn strides(&self, shape: [usize; 4]) -> [usize; 4] {
        let mut strides = [0, 0, 0, 1];
        let mut step = shape[3];
        for (&axis, gap) in self.order.iter().rev().zip(self.gaps) {
            step += gap;
            strides[axis] = step;
            step *= shape[axis];
        }
        strides
    }

    /// The numbers of a contiguous tensor in this layout, with NaN in the gaps: nothing may read those.
    fn spread<T: Element>(&self, data: &[T], shape: [usize; 4]) -> Vec<T> {
        let mut spread = vec![T::from_f32(f32::NAN); self.extent(shape)];
        for (row, at) in data.chunks_exact(shape[3]).zip(self.starts(shape)) {
            spread[at..at + shape[3]].copy_from_slice(row);
        }
        spread
    }

    fn extent(&self, shape: [usize; 4]) -> usize {
        self.starts(shape).max().expect("not empty") + shape[3]
    }

    /// Where each row lies, in the order of a contiguous tensor.
    fn starts(&self, [batch, heads, tokens, dim]: [usize; 4]) -> impl Iterator<Item = usize> {
        let strides = self.strides([batch, heads, tokens, dim]);
        let rows =
            (0..batch).flat_map(move |b| (0..heads).flat_map(move |h| (0..tokens).map(move |t| [b, h, t])));
        rows.map(move |[b, h, t]| b * strides[0] + h * strides[1] + t * strides[2])
    }
}

fn check<K: AttentionKernel>(device: &Device, case: &Case) {
    let inputs = Inputs::<K::Elem>::generate(case, K::SPEC.head_dim);
    let expected = verify::trace::<K>(device, &inputs);
    let expected = expected.output.as_slice();
    for (i, layout) in LAYOUTS.into_iter().enumerate() {
        let other = LAYOUTS[(i + 1) % LAYOUTS.len()];
        let context = format!("{}: {layout:?}, {case:?}", K::NAME);
        let (q, k) = (layout.spread(&inputs.q, inputs.q_shape), other.spread(&inputs.k, inputs.kv_shape));
        let v = layout.spread(&inputs.v, inputs.kv_shape);
        let q =
            View::strided(&q, inputs.q_shape, layout.strides(inputs.q_shape)).expect("a layout that fits");
        let k =
            View::strided(&k, inputs.kv_shape, other.strides(inputs.kv_shape)).expect("a layout that fits");
        let v =
            View::strided(&v, inputs.kv_shape, layout.strides(inputs.kv_shape)).expect("a layout that fits");
        let got = verify::load::<K>(device).prefill(&q, &k, &v).unwrap_or_else(|e| panic!("{e}: {context}"));
        assert!(same_bits(got.as_slice(), expected), "inputs in {context}");

        let poison = K::Elem::from_f32(POISON);
        let mut out = vec![poison; other.extent(inputs.q_shape) + 9];
        let strides = other.strides(inputs.q_shape);
        let view = ViewMut::strided(&mut out, inputs.q_shape, strides).expect("a layout that fits");
        verify::load::<K>(device).prefill_into(&q, &k, &v, view).unwrap_or_else(|e| panic!("{e}: {context}"));
        let mut wanted = vec![poison; out.len()];
        for (row, at) in expected.chunks_exact(inputs.q_shape[3]).zip(other.starts(inputs.q_shape)) {
            wanted[at..at + row.len()].copy_from_slice(row);
        }
        assert!(same_bits(&out, &wanted), "output in {other:?}, or between its rows; {context}");
    }
}

pub(crate) fn layouts_agree(device: &Device) {
    check::<Small>(device, &Case::new([6, 2], 150, 150).batch(2));
    check::<Small>(device, &Case::new([4, 2], 1, 170));
    check::<SmallF16>(device, &Case::new([3, 1], 130, 203));
    check::<Eight>(device, &Case::new([4, 2], 150, 203));
    check::<WideRows>(device, &Case::new([2, 2], 200, 200).batch(2));
    check::<Wide>(device, &Case::new([2, 1], 140, 140));
}

/// `bshd` and owned tensors are read as what they are.
pub(crate) fn named_orders_agree(device: &Device) {
    let case = Case::new([6, 2], 140, 190).batch(2);
    let inputs = Inputs::generate(&case, 64);
    let attention = verify::load::<Small>(device);
    let expected = attention.prefill(&inputs.q(), &inputs.k(), &inputs.v()).expect("good inputs");
    let order = Layout { order: [0, 2, 1], gaps: [0; 3] };
    let swap = |[batch, heads, tokens, dim]: [usize; 4]| [batch, tokens, heads, dim];
    let [q, k, v] = [(&inputs.q, inputs.q_shape), (&inputs.k, inputs.kv_shape), (&inputs.v, inputs.kv_shape)]
        .map(|(data, shape)| (order.spread(data, shape), swap(shape)));
    let q_bshd = View::bshd(&q.0, q.1).expect("fits");
    let (k_bshd, v_bshd) = (View::bshd(&k.0, k.1).expect("fits"), View::bshd(&v.0, v.1).expect("fits"));
    let got = attention.prefill(&q_bshd, &k_bshd, &v_bshd).expect("good inputs");
    assert!(same_bits(got.as_slice(), expected.as_slice()), "bshd inputs");

    let tensor = |data: &Vec<_>, shape| Tensor::from_bhsd(data.clone(), shape).expect("fits");
    let q_owned = tensor(&inputs.q, inputs.q_shape);
    let (k_owned, v_owned) = (tensor(&inputs.k, inputs.kv_shape), tensor(&inputs.v, inputs.kv_shape));
    let mut out = vec![half::bf16::ZERO; inputs.q.len()];
    let view = ViewMut::bshd(&mut out, swap(inputs.q_shape)).expect("fits");
    attention.prefill_into(&q_owned, &k_owned, &v_owned, view).expect("good inputs");
    assert!(same_bits(&out, &order.spread(expected.as_slice(), inputs.q_shape)), "bshd output");
}
