//! Layouts that models have: every one gives the bits of the raw API on the same memory, and of dense tensors.

use crate::inputs::{Case, Inputs};
use crate::kernels::{Absolute, Both, CrossTop, Default64, DenseBoth, OneGroup, Small, SmallF16, WideRows};
use crate::lay::{Elem, bhsd, contiguous, layouts};
use crate::{bits, with_view};
use candle_core::Tensor;
use proxyattn::{AttentionKernel, Element, ViewMut};
use proxyattn_candle::{Options, ProxyAttention, attention};

fn check<K: AttentionKernel<Elem: Elem>>(case: Case) {
    // Short contexts are there to be selected from.
    let raw = K::load(&proxyattn::Device::Cpu).expect("the kernel loads").with_dense_below(0);
    let inputs = Inputs::<K::Elem>::generate(&case, K::SPEC.head_dim);
    let [batch, heads, q_len, dim] = inputs.q_shape;
    let dense = raw.prefill(&inputs.q(), &inputs.k(), &inputs.v()).and_then(|t| t.into_vec());
    let dense = contiguous(&dense.expect("good inputs"), inputs.q_shape);
    let ways = layouts::<K::Elem>();
    for i in 0..ways.len() {
        let context = format!("{} {case:?}, layouts from {i}", K::NAME);
        let q = ways[i](&inputs.q, inputs.q_shape);
        let k = ways[(i + 1) % ways.len()](&inputs.k, inputs.kv_shape);
        let v = ways[(i + 3) % ways.len()](&inputs.v, inputs.kv_shape);

        let op = ProxyAttention::new(raw.clone(), Options::default());
        let out = op.forward(&q, &k, &v).unwrap_or_else(|e| panic!("{e}: {context}"));
        assert_eq!(out.dims(), q.dims(), "{context}");
        let out = bits::<K::Elem>(&out);

        let mut expected = vec![K::Elem::from_f32(f32::NAN); batch * heads * q_len * dim];
        let view = ViewMut::bshd(&mut expected, [batch, q_len, heads, dim]).expect("as many numbers");
        with_view(&q, |q| with_view(&k, |k| with_view(&v, |v| raw.prefill_into(&q, &k, &v, view))))
            .unwrap_or_else(|e| panic!("{e}: {context}"));
        let expected: Vec<u16> = expected.into_iter().map(Element::to_bits).collect();
        assert!(out == expected, "the raw API on the same memory: {context}");
        assert!(out == bits::<K::Elem>(&dense), "the raw API on dense tensors: {context}");
    }
}

#[test]
fn every_layout_has_the_bits_of_the_raw_api() {
    check::<Small>(Case::new([4, 4], 300, 300));
    check::<Small>(Case::new([6, 2], 291, 291).batch(2));
    check::<SmallF16>(Case::new([7, 1], 257, 257));
    check::<OneGroup>(Case::new([8, 2], 320, 320));
    check::<Absolute>(Case::new([4, 2], 400, 400));
    check::<WideRows>(Case::new([3, 3], 333, 333));
    check::<DenseBoth>(Case::new([4, 1], 130, 130).batch(3));
}

#[test]
fn chunks_of_a_context_have_the_bits_of_the_raw_api() {
    check::<Small>(Case::new([6, 2], 100, 357).batch(2));
    check::<SmallF16>(Case::new([4, 1], 64, 300));
    check::<WideRows>(Case::new([2, 2], 1, 400));
    check::<Default64>(Case::new([8, 4], 200, 900));
}

/// Cross-attention: without a causal mask the lengths have nothing to do with each other.
#[test]
fn more_queries_than_keys_have_the_bits_of_the_raw_api() {
    check::<Both>(Case::new([4, 2], 357, 200).batch(2));
    check::<CrossTop>(Case::new([4, 1], 301, 300));
    check::<DenseBoth>(Case::new([2, 2], 300, 1));
}

/// An axis of one element has any stride: candle makes such tensors, and none of them is an obstacle.
#[test]
fn the_stride_of_a_single_sequence_does_not_matter() {
    let inputs = Inputs::<half::bf16>::generate(&Case::new([2, 1], 200, 200), 64);
    let dense = |data: &[half::bf16], shape| contiguous(data, shape);
    let odd = |data: &[half::bf16], shape: [usize; 4]| {
        let [_, heads, seq, dim] = shape;
        let tensor = bhsd(data, [heads, seq, dim, 1]).permute((3, 1, 0, 2)).expect("axes");
        assert_eq!((tensor.dims()[0], tensor.stride()[0]), (1, 1));
        tensor
    };
    let run = |lay: &dyn Fn(&[half::bf16], [usize; 4]) -> Tensor| {
        let (q, k) = (lay(&inputs.q, inputs.q_shape), lay(&inputs.k, inputs.kv_shape));
        attention::<Small>(&q, &k, &lay(&inputs.v, inputs.kv_shape), Options::default()).expect("good inputs")
    };
    assert_eq!(bits::<half::bf16>(&run(&odd)), bits::<half::bf16>(&run(&dense)));
}
