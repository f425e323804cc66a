//! Prefills against the reference, in every respect.

use crate::backends::Backends;
use crate::inputs::{Case, Inputs};
use proxyattn::{Attention, AttentionKernel, Device, Selection, Trace};
use proxyattn_oracle::Oracle;
use proxyattn_oracle::compare::{self, Agreement};

/// A kernel that selects however short a context is.
pub(crate) fn load<K: AttentionKernel>(device: &Device) -> Attention<K::Elem> {
    K::load(device).expect("the suite's kernels are valid").with_dense_below(0)
}

pub(crate) fn trace<K: AttentionKernel>(device: &Device, inputs: &Inputs<K::Elem>) -> Trace<K::Elem> {
    load::<K>(device).prefill_traced(&inputs.q(), &inputs.k(), &inputs.v(), &()).expect("the inputs are good")
}

/// Structure and choice of every backend's lists, and the output over them.
pub(crate) fn inputs<K: AttentionKernel>(
    backends: &Backends,
    given: &Inputs<K::Elem>,
) -> Result<Agreement, String> {
    let (oracle, selections) = over_own_lists::<K>(backends, given)?;
    let mut total = Agreement::default();
    for (backend, selection) in backends.iter().zip(&selections) {
        let agreement = compare::selection(&oracle, selection).faultless();
        total.add(agreement.map_err(|fault| format!("{}: {fault}", backend.name()))?);
    }
    Ok(total)
}

/// Structure of every backend's lists, and the output over them, whichever blocks they hold.
pub(crate) fn over_own_lists<K: AttentionKernel>(
    backends: &Backends,
    inputs: &Inputs<K::Elem>,
) -> Result<(Oracle, Vec<Selection>), String> {
    let oracle = Oracle::new(&K::SPEC, &inputs.q(), &inputs.k(), &inputs.v());
    let mut selections: Vec<Selection> = Vec::new();
    let mut expected = Vec::new();
    for backend in backends.iter() {
        let trace = backend.run(|device| trace::<K>(device, inputs));
        let mut agrees = || -> Result<(), String> {
            compare::structure(&oracle, &trace.selection)?;
            // As a rule the backends choose the same blocks.
            if selections.last() != Some(&trace.selection) {
                expected = oracle.attend(&trace.selection);
            }
            compare::output(trace.output.as_slice(), &expected, K::SPEC.head_dim as usize).map(drop)
        };
        agrees().map_err(|fault| format!("{}: {fault}", backend.name()))?;
        selections.push(trace.selection);
    }
    Ok((oracle, selections))
}

/// The same for generated inputs; a failure names kernel, case and spec.
pub(crate) fn case<K: AttentionKernel>(backends: &Backends, case: &Case) -> Result<Agreement, String> {
    inputs::<K>(backends, &Inputs::generate(case, K::SPEC.head_dim))
        .map_err(|fault| format!("{}: {fault}\n  {case:?}\n  {:?}", K::NAME, K::SPEC))
}

pub(crate) fn cases<K: AttentionKernel>(backends: &Backends, cases: impl IntoIterator<Item = Case>) {
    let mut total = Agreement::default();
    for given in cases {
        total.add(case::<K>(backends, &given).unwrap_or_else(|fault| panic!("{fault}")));
    }
    println!("{}: {total}", K::NAME);
}
