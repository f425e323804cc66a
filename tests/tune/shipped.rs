//! The records that ship with the crate: whole, and of use to this version.

use proxyattn::codegen::cuda::emit;
use proxyattn::codegen::{Arch, Spec};
use proxyattn::tune::{Scope, candidates_of, shipped};
use proxyattn_attribute::{Errors, read};

#[test]
fn every_shipped_line_is_whole() {
    assert_eq!(shipped().refused, Vec::<String>::new());
}

/// The text of the kernels and the candidates are part of what a record counts for. A change of either leaves it behind,
/// and a record that no program will ever find is not to be shipped.
#[test]
fn every_shipped_record_counts_for_this_version() {
    for record in shipped().records {
        let mut errors = Errors::default();
        let tokens = record.attribute.parse().expect("an attribute that was once parsed");
        let spec: Spec = read(tokens, &mut errors).spec;
        assert!(errors.is_empty(), "`{}`: {}", record.attribute, errors.iter().next().expect("one"));
        let arch = Arch::ALL.iter().copied().find(|arch| arch.as_str() == record.arch).expect("a family");
        let scope =
            Scope::of(record.scope.machine.clone(), &spec, arch, &emit(&spec, arch), candidates_of(&spec));
        let differs = record.scope.differs(&scope, true);
        assert_eq!(
            differs, None,
            "the record of `{}` for {} ({}) is out of date: measure it again with `proxyattn tune '{}' --export FILE` on \
             the same GPU, or delete its line",
            record.unit, record.bucket, record.scope.machine.gpu, record.attribute
        );
    }
}
