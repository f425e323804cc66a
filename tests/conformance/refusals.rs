//! Bad input is refused with a typed error that names it, and the output buffer stays as it was.

use crate::backends::Backends;
use crate::inputs::{Case, Inputs};
use crate::kernels::{Dense64, HugeScale, Pinned, Small, SmallF16, TwoGroups};
use crate::numerics::same_bits;
use crate::verify;
use half::bf16;
use proxyattn::{AttentionKernel, Device, Element, Error, View, ViewMut};

/// Runs into a poisoned buffer of `shape`, and hands back the error.
fn refuse_into<K: AttentionKernel>(
    device: &Device,
    [q, k, v]: [View<'_, K::Elem>; 3],
    shape: [usize; 4],
) -> Error {
    let poison = K::Elem::from_f32(-12_288.0);
    let mut out = vec![poison; shape.iter().product()];
    let view = ViewMut::bhsd(&mut out, shape).expect("as many numbers as the shape says");
    let result = verify::load::<K>(device).prefill_into(&q, &k, &v, view);
    let error = result.expect_err("bad input is refused");
    assert!(out.iter().all(|x| x.to_bits() == poison.to_bits()), "the output was touched before: {error}");
    error
}

fn refuse<K: AttentionKernel>(device: &Device, inputs: &Inputs<K::Elem>) -> Error {
    let plain = verify::load::<K>(device).prefill(&inputs.q(), &inputs.k(), &inputs.v());
    let traced = verify::load::<K>(device).prefill_traced(&inputs.q(), &inputs.k(), &inputs.v(), &());
    let error = refuse_into::<K>(device, [inputs.q(), inputs.k(), inputs.v()], inputs.q_shape);
    assert_eq!(plain.expect_err("as `prefill_into`").to_string(), error.to_string());
    assert_eq!(traced.expect_err("as `prefill_into`").to_string(), error.to_string());
    error
}

/// NaN and infinities, one at a time, at tokens that the scorer samples and at others, in the last row, in the
/// first and the last dimension.
fn not_finite<K: AttentionKernel>(device: &Device) {
    let case = Case::new([4, 2], 230, 261).batch(2);
    let good = Inputs::<K::Elem>::generate(&case, K::SPEC.head_dim);
    verify::trace::<K>(device, &good);
    let last = K::SPEC.head_dim as usize - 1;
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for (batch, head, token, dim) in
            [(0, 0, 0, 0), (1, 0, 4, last), (0, 1, 101, 17), (1, 1, 229, 33), (1, 1, 227, 1)]
        {
            for arg in ["q", "k", "v"] {
                let mut bad = good.clone();
                let (data, shape) = match arg {
                    "q" => (&mut bad.q, good.q_shape),
                    "k" => (&mut bad.k, good.kv_shape),
                    _ => (&mut bad.v, good.kv_shape),
                };
                let position = [batch, head, token, dim];
                data[position.iter().zip(shape).fold(0, |index, (i, size)| index * size + i)] =
                    K::Elem::from_f32(value);
                match refuse::<K>(device, &bad) {
                    Error::NotFinite { arg: named, value: found, at } => {
                        assert_eq!((named, at), (arg, position), "{value} in {}", K::NAME);
                        assert!(
                            found == value || found.is_nan() && value.is_nan(),
                            "{value} reported as {found}"
                        );
                    }
                    other => panic!("{value} in {arg} at {position:?}: {other}"),
                }
            }
        }
    }
}

pub(crate) fn non_finite_inputs(device: &Device) {
    not_finite::<Small>(device);
    not_finite::<SmallF16>(device);
    not_finite::<Dense64>(device);
}

/// Finite inputs whose scores no f32 holds.
pub(crate) fn scores_out_of_range(device: &Device) {
    let case = Case::new([2, 1], 200, 200);
    let mut inputs = Inputs::generate(&case, 64);
    inputs.q[777] = bf16::from_f32(-1e30);
    inputs.k[4321] = bf16::from_f32(3e30);
    let error = refuse::<Small>(device, &inputs);
    let Error::ScoreRange { limit, bound, max_q, max_k } = error else { panic!("instead: {error}") };
    assert_eq!((max_q, max_k), (bf16::from_f32(1e30).to_f32(), bf16::from_f32(3e30).to_f32()));
    assert!(bound > limit && bound > 1e59 && limit < f64::from(f32::MAX), "bound {bound:e}, limit {limit:e}");
    assert!(
        matches!(refuse::<Dense64>(device, &inputs), Error::ScoreRange { .. }),
        "dense attention has scores too"
    );

    let inputs = Inputs::generate(&case, 64);
    let error = refuse::<HugeScale>(device, &inputs);
    assert!(matches!(error, Error::ScoreRange { .. }), "instead: {error}");
}

/// Finite values whose unnormalised sum no f32 holds.
pub(crate) fn values_out_of_range(device: &Device) {
    let mut inputs = Inputs::<bf16>::generate(&Case::new([2, 1], 200, 200), 64);
    inputs.v[5] = -bf16::MAX;
    for error in [refuse::<Small>(device, &inputs), refuse::<Dense64>(device, &inputs)] {
        let Error::ValueRange { limit, max_v } = error else { panic!("instead: {error}") };
        assert!(max_v == bf16::MAX.to_f32() && limit < max_v && limit > 1e30, "{max_v:e} over {limit:e}");
    }
}

/// Large values are not an error by themselves: nothing scores V, and a product may be small.
pub(crate) fn large_values_that_are_fine(backends: &Backends) {
    let mut inputs = Inputs::<bf16>::generate(&Case::new([2, 1], 200, 200), 64);
    let scale =
        |data: &mut [bf16], by: f32| data.iter_mut().for_each(|x| *x = bf16::from_f32(x.to_f32() * by));
    scale(&mut inputs.v, 1e30);
    verify::inputs::<Small>(backends, &inputs).unwrap_or_else(|fault| panic!("large v: {fault}"));
    scale(&mut inputs.v, 1e-30);
    scale(&mut inputs.q, 1e20);
    scale(&mut inputs.k, 1e-20);
    verify::inputs::<Small>(backends, &inputs).unwrap_or_else(|fault| panic!("large q, small k: {fault}"));
}

/// A tensor of ones.
fn ones(shape: [usize; 4]) -> (Vec<bf16>, [usize; 4]) {
    (vec![bf16::ONE; shape.iter().product()], shape)
}

fn shape_error<K: AttentionKernel<Elem = bf16>>(
    device: &Device,
    shapes: [[usize; 4]; 4],
) -> (&'static str, String) {
    let [q, k, v, out] = shapes;
    let tensors = [q, k, v].map(ones);
    let views = tensors.each_ref().map(|(data, shape)| View::bhsd(data, *shape).expect("as the shape says"));
    let error = refuse_into::<K>(device, views, out);
    let message = error.to_string();
    match error {
        Error::Shape { arg, expected, got } => {
            assert!(message.contains(arg) && !expected.is_empty() && !got.is_empty(), "{message}");
            (arg, message)
        }
        other => panic!("{shapes:?}: {other:?}"),
    }
}

pub(crate) fn shapes_that_do_not_fit(device: &Device) {
    let (q, kv) = ([1, 4, 70, 64], [1, 2, 100, 64]);
    let small = |q, k, v, out| shape_error::<Small>(device, [q, k, v, out]).0;
    let wide = |[batch, heads, tokens, _]: [usize; 4]| [batch, heads, tokens, 128];
    assert_eq!(small(wide(q), kv, kv, wide(q)), "q");
    assert_eq!(small(q, wide(kv), kv, q), "k");
    assert_eq!(small(q, kv, wide(kv), q), "v");
    assert_eq!(small([2, 4, 70, 64], kv, kv, [2, 4, 70, 64]), "k");
    assert_eq!(small(q, kv, [2, 2, 100, 64], q), "v");
    assert_eq!(small(q, kv, [1, 2, 99, 64], q), "v");
    assert_eq!(small(q, kv, [1, 1, 100, 64], q), "v");
    assert_eq!(small([1, 4, 101, 64], kv, kv, [1, 4, 101, 64]), "k");

    assert_eq!(small(q, [1, 2, 0, 64], [1, 2, 0, 64], q), "k");

    assert_eq!(small(q, [1, 0, 100, 64], [1, 0, 100, 64], q), "k");
    assert_eq!(small([1, 5, 70, 64], kv, kv, [1, 5, 70, 64]), "k");
    assert_eq!(small([1, 1, 70, 64], kv, kv, [1, 1, 70, 64]), "k");
    empty_queries(device, q, kv);
    for out in [[1, 4, 71, 64], [1, 3, 70, 64], [2, 4, 70, 64], [1, 4, 70, 32]] {
        assert_eq!(small(q, kv, kv, out), "out");
    }

    let pinned = |heads, kv_heads| {
        let (q, kv) = ([1, heads, 70, 64], [1, kv_heads, 100, 64]);
        shape_error::<Pinned>(device, [q, kv, kv, q])
    };
    for (heads, kv_heads, named, declared) in
        [(4, 2, "q", "its heads to be 6 as the"), (6, 3, "k", "its heads, kv_heads, to be 2 as the")]
    {
        let (arg, message) = pinned(heads, kv_heads);
        assert!(arg == named && message.contains(declared), "{message}");
    }
    let odd = [1, 3, 100, 64];
    let (arg, message) = shape_error::<TwoGroups>(device, [[1, 6, 70, 64], odd, odd, [1, 6, 70, 64]]);
    assert!(arg == "k" && message.contains("groups = 2"), "{message}");
}

/// Queries without an element, which leave no output to write to.
fn empty_queries(device: &Device, q: [usize; 4], kv: [usize; 4]) {
    let without = |mut shape: [usize; 4], axis: usize| {
        shape[axis] = 0;
        shape
    };
    for (q, kv, named) in [
        (without(q, 2), kv, "q"),
        (without(q, 2), without(kv, 2), "q"),
        (without(q, 0), without(kv, 0), "q"),
        (without(q, 1), kv, "q"),
    ] {
        let ((q, q_shape), (kv, kv_shape)) = (ones(q), ones(kv));
        let (q, kv) = (View::bhsd(&q, q_shape).expect("empty"), View::bhsd(&kv, kv_shape).expect("fits"));
        let error = verify::load::<Small>(device).prefill(&q, &kv, &kv).expect_err("nothing to attend from");
        assert!(matches!(error, Error::Shape { arg, .. } if arg == named), "{named}: {error}");
    }
}

/// After a refusal the same kernel goes on as if nothing had happened.
pub(crate) fn a_refusal_leaves_no_trace(device: &Device) {
    let inputs = Inputs::generate(&Case::new([4, 2], 150, 150), 64);
    let attention = verify::load::<Small>(device);
    let run = |inputs: &Inputs<bf16>| attention.prefill(&inputs.q(), &inputs.k(), &inputs.v());
    let first = run(&inputs).expect("good inputs");
    let mut bad = inputs.clone();
    bad.k[5000] = bf16::NAN;
    run(&bad).expect_err("NaN in k");
    let second = run(&inputs).expect("good inputs");
    assert!(same_bits(first.as_slice(), second.as_slice()));
}
