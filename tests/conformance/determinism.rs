//! The same inputs give the same bits, however the work is spread.

use crate::backends::pool;
use crate::inputs::{Case, Inputs};
use crate::kernels::{Divided, Eight, Small, TwoGroups};
use crate::numerics::same_bits;
use crate::verify;
use proxyattn::{AttentionKernel, Device};
use proxyattn_runtime::InstructionSet;

fn repeats<K: AttentionKernel>(device: &Device, case: &Case) {
    let inputs = Inputs::<K::Elem>::generate(case, K::SPEC.head_dim);
    let first = verify::trace::<K>(device, &inputs);
    let set = InstructionSet::here();
    let on_threads = |threads| pool(threads, set).install(|| verify::trace::<K>(device, &inputs));
    let again = [verify::trace::<K>(device, &inputs), on_threads(1), on_threads(2), on_threads(5)];
    for (i, other) in again.iter().enumerate() {
        assert_eq!(first.selection, other.selection, "{}: run {i}, {case:?}", K::NAME);
        assert!(
            same_bits(first.output.as_slice(), other.output.as_slice()),
            "{}: run {i}, {case:?}",
            K::NAME
        );
    }
    let plain =
        verify::load::<K>(device).prefill(&inputs.q(), &inputs.k(), &inputs.v()).expect("good inputs");
    assert!(same_bits(first.output.as_slice(), plain.as_slice()), "{}: untraced, {case:?}", K::NAME);
}

pub(crate) fn runs_repeat(device: &Device) {
    repeats::<Small>(device, &Case::new([6, 2], 333, 333).batch(2));
    repeats::<TwoGroups>(device, &Case::new([8, 4], 200, 411));
    repeats::<Eight>(device, &Case::new([6, 2], 300, 500));
    repeats::<Divided>(device, &Case::new([6, 2], 300, 500).batch(2));
}
