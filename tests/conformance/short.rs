//! Below a length a sparse kernel runs dense: exactly below it, and to the bit.

use crate::inputs::{Case, Inputs};
use crate::kernels::{Dense64, Small};
use crate::numerics::same_bits;
use crate::verify;
use half::bf16;
use proxyattn::{Attention, AttentionKernel, Device, Plan, Trace, WhyDense};

fn trace(attention: &Attention<bf16>, inputs: &Inputs<bf16>) -> Trace<bf16> {
    attention.prefill_traced(&inputs.q(), &inputs.k(), &inputs.v(), &()).expect("good inputs")
}

/// One call on each side of an edge.
fn on_both_sides(attention: &Attention<bf16>, device: &Device, [below, above]: [&Case; 2]) {
    let tokens = attention.dense_below();
    let inputs = Inputs::<bf16>::generate(below, 64);
    let short = trace(attention, &inputs);
    assert_eq!(short.plan.why_dense(), Some(WhyDense::Short { below: tokens }), "{below:?}");
    let dense = verify::trace::<Dense64>(device, &inputs);
    assert_eq!(short.selection, dense.selection, "{below:?}");
    assert!(same_bits(short.output.as_slice(), dense.output.as_slice()), "{below:?}");
    let plain = attention.prefill(&inputs.q(), &inputs.k(), &inputs.v()).expect("good inputs");
    assert!(same_bits(plain.as_slice(), dense.output.as_slice()), "untraced, {below:?}");
    assert!(verify::trace::<Small>(device, &inputs).selection.density() < 1.0, "there was something to drop");

    let inputs = Inputs::<bf16>::generate(above, 64);
    let (long, sparse) = (trace(attention, &inputs), verify::trace::<Small>(device, &inputs));
    assert_eq!((long.plan, long.plan.why_dense()), (sparse.plan, None), "{above:?}");
    assert_eq!(long.selection, sparse.selection, "{above:?}");
    assert!(long.selection.density() < 1.0, "{above:?}");
    assert!(same_bits(long.output.as_slice(), sparse.output.as_slice()), "{above:?}");
}

/// At the device's own number, and at one of the caller's.
pub(crate) fn the_edge_is_exact(device: &Device) {
    let attention = Small::load(device).expect("the suite's kernels are valid");
    let whole = |tokens| Case::new([4, 2], tokens, tokens);
    for attention in [attention.clone(), attention.clone().with_dense_below(300)] {
        let edge = attention.dense_below();
        on_both_sides(&attention, device, [&whole(edge - 1), &whole(edge)]);
    }
    assert_eq!(attention.with_dense_below(0).dense_below(), 0);
}

/// A chunk counts by its pairs: 96 queries at the end of 600 keys are 53,040, a context of 325 has 52,975.
pub(crate) fn chunks_count_by_their_pairs(device: &Device) {
    let load = || Small::load(device).expect("the suite's kernels are valid");
    let chunk = Case::new([4, 2], 96, 600);
    let plan = |below| load().with_dense_below(below).plan(&chunk.problem).expect("a good problem");
    assert_eq!(plan(325).why_dense(), None);
    assert_eq!(plan(326).why_dense(), Some(WhyDense::Short { below: 326 }));
    let next = Case::new([4, 2], 97, 600);
    on_both_sides(&load().with_dense_below(326), device, [&chunk, &next]);
}

/// `Plan::new` does not know the rule, and what is dense for another reason says so.
pub(crate) fn plans_say_why(device: &Device) {
    let why = |plan: Plan| plan.why_dense();
    let of = |tokens| Case::new([4, 2], tokens, tokens).problem;
    let small = Small::load(device).expect("the suite's kernels are valid").with_dense_below(1000);
    assert_eq!(small.plan(&of(40)).map(why).expect("good"), Some(WhyDense::Kept));
    assert_eq!(small.plan(&of(400)).map(why).expect("good"), Some(WhyDense::Short { below: 1000 }));
    assert_eq!(Plan::new(&Small::SPEC, &of(400)).map(why).expect("good"), None);
    let dense = Dense64::load(device).expect("the suite's kernels are valid");
    assert_eq!(dense.plan(&of(400)).map(why).expect("good"), Some(WhyDense::Declared));

    let any = Attention::<bf16>::load(&Small::SPEC, device).expect("a valid configuration");
    let own = Small::load(device).expect("the suite's kernels are valid").dense_below();
    assert_eq!(any.dense_below(), own, "the device's");
    let any = any.with_dense_below(1000);
    assert_eq!(any.plan(&of(400)).map(why).expect("good"), Some(WhyDense::Short { below: 1000 }));
    let inputs = Inputs::<bf16>::generate(&Case::new([4, 2], 400, 400), 64);
    let trace = any.prefill_traced(&inputs.q(), &inputs.k(), &inputs.v(), &()).expect("good inputs");
    assert_eq!(why(trace.plan), Some(WhyDense::Short { below: 1000 }));
    assert!(trace.selection.density() >= 1.0);
}
