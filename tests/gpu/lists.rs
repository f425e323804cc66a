//! Attention over lists from outside.

use super::*;
use proxyattn::cudarc::driver::DevicePtr;
use proxyattn::{Packed, Problem, RawLists};

pub(crate) fn judge<T: Element>(got: &[T], want: &[f64], dim: usize) -> Result<(), String> {
    let (all, token) = compare::distance(got, want, dim);
    match all <= OUTPUT && token <= TOKEN {
        true => Ok(()),
        false => Err(format!("output {all:.2e}, worst token {token:.2e}")),
    }
}

#[test]
fn random_lists_are_followed() {
    let Some(device) = gpu() else { return };
    given::random_lists_are_followed(&device, &judge, &judge);
}

#[test]
fn selections_can_be_given_back() {
    let Some(device) = gpu() else { return };
    given::selections_can_be_given_back(&device, false);
}

#[test]
fn nested_lists_on_a_flat_kernel() {
    let Some(device) = gpu() else { return };
    given::nested_lists_on_a_flat_kernel(&device, &judge);
}

#[test]
fn bad_lists_are_refused() {
    let Some(device) = gpu() else { return };
    given::bad_lists_are_refused(&device);
}

/// Lists that are on the device already, in the form in which kernels read them: a caller's own memory.
fn in_device_memory<K: AttentionKernel>(device: &Device) {
    let Device::Cuda(cuda) = device else { unreachable!("it was opened as one") };
    let stream = cuda.stream();
    let attention = K::load(device).expect("the kernel loads").with_dense_below(0);
    let case = Case::new([8, 2], 300, 700).batch(2);
    let inputs = Inputs::<K::Elem>::generate(&case, K::SPEC.head_dim);
    let [q, k, v] = inputs.on(device);
    let trace = attention.prefill_traced(&q, &k, &v, &()).expect("good inputs");
    let packed = Packed::new(&trace.selection, case.problem.kv_heads, &K::SPEC).expect("room");
    assert_eq!(packed.parts, 1, "heads of a group share a list");
    let [lists, counts, runs] = [&packed.lists, &packed.counts, &packed.runs]
        .map(|words| stream.clone_htod(words).expect("room on the device"));
    let [(lists, _a), (counts, _b), (runs, _c)] =
        [&lists, &counts, &runs].map(|slice| slice.device_ptr(stream));
    let raw = RawLists { lists, counts, runs: Some(runs), groups: packed.groups, width: packed.width };
    // SAFETY: the three buffers live until the output has come back, and hold what the kernel itself has selected.
    let lists = unsafe { attention.lists_on_device(&case.problem, &raw) }.expect("good addresses");
    assert!(lists.selection().is_none());
    let output = attention.prefill_with(&q, &k, &v, &lists).and_then(Tensor::into_vec).expect("good lists");
    assert!(output == trace.output.into_vec().expect("the output comes back"), "{}", K::NAME);

    let refuse = |raw: RawLists, problem: &Problem| {
        // SAFETY: nothing is run over these.
        unsafe { attention.lists_on_device(problem, &raw) }.map(drop).expect_err("bad lists").to_string()
    };
    let message = refuse(RawLists { groups: 3, ..raw }, &case.problem);
    assert_eq!(message, "`groups`: expected a divisor of kv_heads = 2, got 3");
    assert!(
        refuse(RawLists { lists: 2, ..raw }, &case.problem).starts_with("`lists`: expected a device address")
    );
    assert!(refuse(RawLists { width: 0, ..raw }, &case.problem).starts_with("`width`"));
    if K::SPEC.budget.differs_within_group() {
        assert!(refuse(RawLists { runs: None, ..raw }, &case.problem).contains("`runs`, the smallest count"));
    }
}

#[test]
fn lists_in_device_memory_are_followed() {
    let Some(device) = gpu() else { return };
    in_device_memory::<Default64>(&device);
    in_device_memory::<Portable>(&device);
    in_device_memory::<TopFour>(&device);
    in_device_memory::<TwoGroups>(&device);
}

/// Each family, with rows of 64 queries: on Hopper these are its own kernels.
#[test]
fn both_families_follow_lists() {
    let Some(device) = gpu() else { return };
    for spec in [Default64::SPEC, Portable::SPEC] {
        let attention = Attention::<bf16>::load(&spec, &device).expect("the kernel loads");
        let case = Case::new([12, 3], 700, 1500).batch(2);
        let inputs = Inputs::<bf16>::generate(&case, spec.head_dim);
        let ([q, k, v], oracle) =
            (inputs.on(&device), Oracle::new(&spec, &inputs.q(), &inputs.k(), &inputs.v()));
        for list_heads in [1, 3, 12] {
            for tokens in [64, 128] {
                let numbers = given::Numbers::random(&spec, &case.problem, list_heads, tokens, 7);
                let lists = attention.lists(&case.problem, &numbers.view()).expect("good lists");
                let output =
                    attention.prefill_with(&q, &k, &v, &lists).and_then(Tensor::into_vec).expect("good");
                judge(&output, &oracle.attend(&numbers), 64).unwrap_or_else(|fault| {
                    panic!("{fault}: {list_heads} list heads of {tokens} tokens, {spec:?}")
                });
            }
        }
    }
}
