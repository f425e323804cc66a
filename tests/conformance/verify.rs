//! One prefill against the reference, in every respect.

use crate::compare::{self, Agreement};
use crate::inputs::{Case, Inputs};
use crate::oracle::Oracle;
use proxyattn::{Attention, AttentionKernel, Device, Trace};

/// A kernel that selects however short a context is.
pub(crate) fn load<K: AttentionKernel>(device: &Device) -> Attention<K::Elem> {
    K::load(device).expect("the suite's kernels are valid").with_dense_below(0)
}

pub(crate) fn trace<K: AttentionKernel>(device: &Device, inputs: &Inputs<K::Elem>) -> Trace<K::Elem> {
    load::<K>(device).prefill_traced(&inputs.q(), &inputs.k(), &inputs.v(), &()).expect("the inputs are good")
}

/// Structure and choice of the lists, and the output over them.
pub(crate) fn inputs<K: AttentionKernel>(
    device: &Device,
    given: &Inputs<K::Elem>,
) -> Result<Agreement, String> {
    let (oracle, trace) = over_own_lists::<K>(device, given)?;
    compare::selection(&K::SPEC, &oracle, &trace.selection).faultless()
}

/// Structure of the lists, and the output over them, whichever blocks they hold.
pub(crate) fn over_own_lists<K: AttentionKernel>(
    device: &Device,
    inputs: &Inputs<K::Elem>,
) -> Result<(Oracle, Trace<K::Elem>), String> {
    let trace = trace::<K>(device, inputs);
    let oracle = Oracle::new(&K::SPEC, &inputs.q(), &inputs.k(), &inputs.v());
    compare::structure(&oracle, &trace.selection)?;
    let expected = oracle.attend(|batch, head, row| trace.selection.blocks(batch, head, row));
    compare::output(trace.output.as_slice(), &expected, K::SPEC.head_dim as usize)?;
    Ok((oracle, trace))
}

/// The same for generated inputs; a failure names kernel, case and spec.
pub(crate) fn case<K: AttentionKernel>(device: &Device, case: &Case) -> Result<Agreement, String> {
    inputs::<K>(device, &Inputs::generate(case, K::SPEC.head_dim))
        .map_err(|fault| format!("{}: {fault}\n  {case:?}\n  {:?}", K::NAME, K::SPEC))
}

pub(crate) fn cases<K: AttentionKernel>(device: &Device, cases: impl IntoIterator<Item = Case>) {
    let mut total = Agreement::default();
    for given in cases {
        total.add(case::<K>(device, &given).unwrap_or_else(|fault| panic!("{fault}")));
    }
    println!("{}: {total}", K::NAME);
}
