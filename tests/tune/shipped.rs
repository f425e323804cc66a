//! The records that ship with the crate: whole, and of use to this version.

use crate::records;
use proxyattn::codegen::cuda::emit;
use proxyattn::codegen::{Arch, Budget, Spec};
use proxyattn::tune::{Record, Scope, shipped};
use proxyattn_attribute::{Errors, read};

#[test]
fn every_shipped_line_is_whole() {
    assert_eq!(shipped().refused, Vec::<String>::new());
}

/// Why no program of this version would ever use a record; `None` if one does.
fn out_of_date(record: &Record) -> Option<String> {
    let mut errors = Errors::default();
    let tokens = record.attribute.parse().expect("an attribute that was once parsed");
    let spec: Spec = read(tokens, &mut errors).spec;
    if !errors.is_empty() {
        return Some(format!("`{}` is no configuration", record.attribute));
    }
    let arch = Arch::ALL.iter().copied().find(|arch| arch.as_str() == record.arch).expect("a family");
    let scope = Scope::of(record.scope.machine.clone(), &spec, arch, &emit(&spec, arch));
    record.scope.differs(&scope, true)
}

/// The text of the kernels and the candidates are part of what a record counts for. A change of either leaves it behind,
/// and a record that no program will ever find is not to be shipped.
#[test]
fn every_shipped_record_counts_for_this_version() {
    for record in shipped().records {
        let Record { unit, bucket, attribute, .. } = &record;
        assert_eq!(
            out_of_date(&record),
            None,
            "the record of `{unit}` for {bucket} is out of date: measure it again with `proxyattn tune '{attribute}' \
             --export FILE` on {}, or delete its line",
            record.scope.machine.gpu
        );
    }
}

#[test]
fn a_record_that_is_out_of_date_is_noticed() {
    let spec = Spec { head_dim: 64, budget: Budget::ratio(0.1), ..Spec::DEFAULT };
    let machine = records::scope().machine;
    let scope = |spec: &Spec, arch| Scope::of(machine.clone(), spec, arch, &emit(spec, arch));
    let scope_of_now = scope(&spec, Arch::Sm90a);
    let now = Record { scope: scope_of_now.clone(), attribute: spec.attribute(), ..records::record(4096) };
    assert_eq!(out_of_date(&now), None);

    let mut other_text = emit(&spec, Arch::Sm90a);
    other_text.units[0].kernels.push_str("// changed\n");
    let changed = [
        Scope::of(machine.clone(), &spec, Arch::Sm90a, &other_text),
        Scope { candidates: "others".into(), ..scope_of_now },
        scope(&Spec { head_dim: 128, ..spec }, Arch::Sm90a),
        scope(&spec, Arch::Sm80),
    ];
    for scope in changed {
        assert!(out_of_date(&Record { scope, ..now.clone() }).is_some());
    }
    let renamed = Record { attribute: "head_dimension = 64".into(), ..now };
    assert_eq!(out_of_date(&renamed).as_deref(), Some("`head_dimension = 64` is no configuration"));
}
