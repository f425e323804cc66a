//! Prefills against the reference, in every respect.

use crate::backends::Backends;
use crate::inputs::{Case, Inputs};
use proxyattn::codegen::Spec;
use proxyattn::{Attention, AttentionKernel, Device, Element, Selection, Trace};
use proxyattn_oracle::Oracle;
use proxyattn_oracle::compare::{self, Agreement};

/// A kernel that selects however short a context is.
pub(crate) fn load<K: AttentionKernel>(device: &Device) -> Attention<K::Elem> {
    K::load(device).expect("the suite's kernels are valid").with_dense_below(0)
}

pub(crate) fn trace<K: AttentionKernel>(device: &Device, inputs: &Inputs<K::Elem>) -> Trace<K::Elem> {
    trace_of(&load::<K>(device), inputs)
}

fn trace_of<T: Element>(attention: &Attention<T>, inputs: &Inputs<T>) -> Trace<T> {
    attention.prefill_traced(&inputs.q(), &inputs.k(), &inputs.v(), &()).expect("the inputs are good")
}

/// Structure and choice of every backend's lists, and the output over them.
pub(crate) fn inputs<K: AttentionKernel>(
    backends: &Backends,
    given: &Inputs<K::Elem>,
) -> Result<Agreement, String> {
    inputs_of(&K::SPEC, backends, given)
}

/// The same of a configuration that is known only now.
fn inputs_of<T: Element>(spec: &Spec, backends: &Backends, given: &Inputs<T>) -> Result<Agreement, String> {
    let (oracle, selections) = lists_of(spec, backends, given)?;
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
    lists_of(&K::SPEC, backends, inputs)
}

fn lists_of<T: Element>(
    spec: &Spec,
    backends: &Backends,
    inputs: &Inputs<T>,
) -> Result<(Oracle, Vec<Selection>), String> {
    let oracle = Oracle::new(spec, &inputs.q(), &inputs.k(), &inputs.v());
    let mut selections: Vec<Selection> = Vec::new();
    let mut expected = Vec::new();
    for backend in backends.iter() {
        let trace = backend.run(|device| {
            let layer = proxyattn_oracle::layer(spec.budget, inputs.q_shape[1]);
            let attention =
                Attention::<T>::load_layer(spec, device, &layer).expect("the suite's kernels are valid");
            trace_of(&attention.with_dense_below(0), inputs)
        });
        let mut agrees = || -> Result<(), String> {
            compare::structure(&oracle, &trace.selection)?;
            // As a rule the backends choose the same blocks.
            if selections.last() != Some(&trace.selection) {
                expected = oracle.attend(&trace.selection);
            }
            compare::output(trace.output.as_slice(), &expected, spec.head_dim as usize).map(drop)
        };
        agrees().map_err(|fault| format!("{}: {fault}", backend.name()))?;
        selections.push(trace.selection);
    }
    Ok((oracle, selections))
}

/// The same for generated inputs; a failure names case and spec.
pub(crate) fn case_of<T: Element>(
    spec: &Spec,
    backends: &Backends,
    case: &Case,
) -> Result<Agreement, String> {
    inputs_of::<T>(spec, backends, &Inputs::generate(case, spec.head_dim))
        .map_err(|fault| format!("{fault}\n  {case:?}\n  {spec:?}"))
}

pub(crate) fn cases<K: AttentionKernel>(backends: &Backends, cases: impl IntoIterator<Item = Case>) {
    let mut total = Agreement::default();
    for given in cases {
        let agreement = case_of::<K::Elem>(&K::SPEC, backends, &given);
        total.add(agreement.unwrap_or_else(|fault| panic!("{}: {fault}", K::NAME)));
    }
    println!("{}: {total}", K::NAME);
}
