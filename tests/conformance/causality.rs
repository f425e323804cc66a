//! What is not yet written cannot be read: future keys and values leave earlier outputs alone.

use crate::inputs::{Case, Inputs};
use crate::kernels::{Dense64, DenseBoth, FourAlone, Unweighed, WideRows};
use crate::numerics::same_bits;
use crate::verify;
use proxyattn::{AttentionKernel, Device, Element};

/// Other numbers from key `from` on, as large as the ones they replace.
fn rewrite<T: Element>(data: &[T], [_, _, tokens, dim]: [usize; 4], from: usize) -> Vec<T> {
    let mut data = data.to_vec();
    for head in data.chunks_exact_mut(tokens * dim) {
        head[from * dim..].reverse();
        head[from * dim..].iter_mut().for_each(|x| *x = T::from_f32(1.0 - x.to_f32()));
    }
    data
}

/// Whether the outputs of the first `tokens` query tokens are the same bits in every head.
fn same_until<T: Element>(a: &[T], b: &[T], [_, _, q_len, dim]: [usize; 4], tokens: usize) -> bool {
    let head = q_len * dim;
    a.chunks_exact(head)
        .zip(b.chunks_exact(head))
        .all(|(a, b)| same_bits(&a[..tokens * dim], &b[..tokens * dim]))
}

/// Rewrites keys and values (or values alone) from the position of query token `token` on.
fn check<K: AttentionKernel>(device: &Device, case: &Case, token: usize, with_keys: bool) {
    let inputs = Inputs::<K::Elem>::generate(case, K::SPEC.head_dim);
    let from = case.problem.kv_len - case.problem.q_len + token;
    let mut changed = inputs.clone();
    changed.v = rewrite(&inputs.v, inputs.kv_shape, from);
    if with_keys {
        changed.k = rewrite(&inputs.k, inputs.kv_shape, from);
    }
    let (before, after) = (verify::trace::<K>(device, &inputs), verify::trace::<K>(device, &changed));
    let context = format!("{}: token {token}, keys {with_keys}, {case:?}", K::NAME);
    // Rows that end before the token do not see what was rewritten, and neither do their lists. Values
    // choose nothing where they weigh nothing.
    let rows = if with_keys { token / K::SPEC.block.q as usize } else { before.selection.geometry().rows() };
    for row in 0..rows {
        for (batch, head) in
            (0..case.problem.batch).flat_map(|b| (0..case.problem.heads).map(move |h| (b, h)))
        {
            let (a, b) =
                (before.selection.blocks(batch, head, row), after.selection.blocks(batch, head, row));
            assert_eq!(a, b, "batch {batch} head {head} row {row}, {context}");
        }
    }
    let until = if with_keys { rows * K::SPEC.block.q as usize } else { token };
    let (a, b) = (before.output.as_slice(), after.output.as_slice());
    assert!(same_until(a, b, inputs.q_shape, until), "an earlier output changed, {context}");
    assert!(!same_until(a, b, inputs.q_shape, token + 1), "the token's own value has no effect, {context}");
}

pub(crate) fn the_future_is_not_read(device: &Device) {
    for case in [Case::new([4, 2], 200, 200).batch(2), Case::new([3, 1], 130, 247)] {
        for token in [1, 31, 32, 33, 64, 95, 100, 128] {
            check::<Dense64>(device, &case, token, true);
            check::<Dense64>(device, &case, token, false);
            // A count that no later token decides.
            check::<FourAlone>(device, &case, token, true);
            check::<FourAlone>(device, &case, token, false);
            check::<Unweighed>(device, &case, token, false);
            check::<WideRows>(device, &case, token, false);
        }
    }
}

/// Every query of a kernel that is not causal sees the last value.
pub(crate) fn the_future_is_read_where_asked(device: &Device) {
    let case = Case::new([2, 1], 100, 150);
    let inputs = Inputs::generate(&case, 64);
    let mut changed = inputs.clone();
    changed.v = rewrite(&inputs.v, inputs.kv_shape, 100);
    let (before, after) =
        (verify::trace::<DenseBoth>(device, &inputs), verify::trace::<DenseBoth>(device, &changed));
    for (token, (a, b)) in
        before.output.as_slice().chunks(64).zip(after.output.as_slice().chunks(64)).enumerate()
    {
        assert!(!same_bits(a, b), "token {token} does not see the end");
    }
}
