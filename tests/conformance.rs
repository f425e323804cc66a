//! Every backend against one plain reference.
//!
//! The checks are written once (`conformance/`) and instantiated per device at the end of this file; what they are compared
//! with is computed once for all of a device's instruction sets. A failure prints the specification, the problem and the
//! seed of its inputs.

#[path = "conformance/backends.rs"]
mod backends;
#[path = "conformance/causality.rs"]
mod causality;
#[path = "conformance/cross.rs"]
mod cross;
#[path = "conformance/determinism.rs"]
mod determinism;
#[path = "conformance/given.rs"]
mod given;
#[path = "conformance/kernels.rs"]
mod kernels;
#[path = "conformance/layers.rs"]
mod layers;
#[path = "conformance/layouts.rs"]
mod layouts;
#[path = "conformance/logits.rs"]
mod logits;
#[path = "conformance/magnitudes.rs"]
mod magnitudes;
#[path = "conformance/memory.rs"]
mod memory;
#[path = "conformance/numerics.rs"]
mod numerics;
#[path = "conformance/parts.rs"]
mod parts;
#[path = "conformance/random.rs"]
mod random;
#[path = "conformance/refusals.rs"]
mod refusals;
#[path = "conformance/short.rs"]
mod short;
#[path = "conformance/suite.rs"]
mod suite;
#[path = "conformance/verify.rs"]
mod verify;

use backends::Backends;
use proxyattn_oracle::inputs;

suite::conformance!(cpu, Backends::cpu());

mod lists_from_outside {
    use super::*;
    use proxyattn_oracle::compare;

    #[test]
    fn random_lists_are_followed() {
        Backends::cpu().each(|device| {
            given::random_lists_are_followed(
                device,
                &|got, want, dim| compare::output(got, want, dim).map(drop),
                &|got, want, dim| compare::output(got, want, dim).map(drop),
            );
        });
    }

    #[test]
    fn selections_can_be_given_back() {
        Backends::cpu().each(|device| given::selections_can_be_given_back(device, true));
    }

    #[test]
    fn nested_lists_on_a_flat_kernel() {
        let judge = |got: &[half::bf16], want: &[f64], dim: usize| compare::output(got, want, dim).map(drop);
        Backends::cpu().each(|device| given::nested_lists_on_a_flat_kernel(device, &judge));
    }

    #[test]
    fn bad_lists_are_refused() {
        Backends::cpu().each(given::bad_lists_are_refused);
    }
}

mod layers_of_a_model {
    use super::*;
    use proxyattn_oracle::compare;

    #[test]
    fn pruned_heads_are_zero() {
        let judge = |got: &[half::bf16], want: &[f64], dim: usize| compare::output(got, want, dim).map(drop);
        Backends::cpu().each(|device| layers::pruned_heads_are_zero(device, &judge));
    }

    #[test]
    fn layers_have_their_own_shares() {
        Backends::cpu().each(layers::layers_have_their_own_shares);
    }

    #[test]
    fn a_layer_that_does_not_fit_is_refused() {
        Backends::cpu().each(layers::a_layer_that_does_not_fit_is_refused);
    }
}
