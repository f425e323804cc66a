//! Kernels of one layer of a model: shares of heads that come when they are loaded.

use crate::inputs::{Case, Inputs};
use crate::kernels::SMALL;
use half::bf16;
use proxyattn::codegen::{Budget, PerHead, Spans, Spec};
use proxyattn::{Attention, Device, HeadSpan, LayerShares};
use proxyattn_oracle::Oracle;

/// How close an output has to be to the reference.
type Judge<'a> = &'a dyn Fn(&[bf16], &[f64], usize) -> Result<(), String>;

const SHARES: Spec = Spec { budget: Budget::PerHead(PerHead { share: 0.3, min_tokens: 64 }), ..SMALL };

fn load(device: &Device, weights: &[f64]) -> Attention<bf16> {
    let layer = LayerShares::new(weights).expect("good weights");
    Attention::load_layer(&SHARES, device, &layer).expect("a valid configuration")
}

/// The output of pruned heads is zero, also where the call is dense, and that of the others is attention over their lists.
pub(crate) fn pruned_heads_are_zero(device: &Device, judge: Judge<'_>) {
    let weights = [1.0, 0.0, 0.5, 2.0, 0.0, 1.0];
    for (case, below) in [
        (Case::new([6, 2], 300, 430).batch(2), 0),
        (Case::new([6, 3], 1, 200), 0),
        (Case::new([6, 2], 90, 90), 4096),
    ] {
        let inputs = Inputs::<bf16>::generate(&case, SHARES.head_dim);
        let [q, k, v] = inputs.on(device);
        let attention = load(device, &weights).with_dense_below(below);
        let trace = attention.prefill_traced(&q, &k, &v, &()).expect("good inputs");
        assert_eq!(trace.plan.is_dense(), below > 0, "{case:?}");
        let oracle = Oracle::new(&SHARES, &inputs.q(), &inputs.k(), &inputs.v());
        let mut expected = oracle.attend(&trace.selection);
        let output = trace.output.into_vec().expect("the output comes back");
        let of_head = case.problem.q_len * SHARES.head_dim as usize;
        let (mut others, mut wanted) = (Vec::new(), Vec::new());
        for (i, (got, want)) in
            output.chunks_exact(of_head).zip(expected.chunks_exact_mut(of_head)).enumerate()
        {
            if weights[i % 6] == 0.0 {
                assert!(got.iter().all(|x| x.to_bits() == 0), "head {i} of {case:?}");
                let (batch, head, last) = (i / 6, i % 6, trace.selection.geometry().rows() - 1);
                let count = trace.selection.count(batch, head, last);
                assert!(below > 0 || count == trace.selection.geometry().pinned(last), "{count}: {case:?}");
            } else {
                others.extend_from_slice(got);
                wanted.extend_from_slice(want);
            }
        }
        judge(&others, &wanted, SHARES.head_dim as usize).unwrap_or_else(|fault| panic!("{fault}: {case:?}"));
        let plain = attention.prefill(&q, &k, &v).and_then(proxyattn::Tensor::into_vec).expect("as traced");
        assert!(plain == output, "{case:?}");
    }
}

/// Layers of one configuration do not get in each other's way.
pub(crate) fn layers_have_their_own_shares(device: &Device) {
    let inputs = Inputs::<bf16>::generate(&Case::new([2, 1], 640, 640), SHARES.head_dim);
    let [q, k, v] = inputs.on(device);
    let layers = [[1.0, 2.0], [2.0, 0.5]].map(|weights| load(device, &weights).with_dense_below(0));
    for (layer, counts) in [(0, [6, 12]), (1, [12, 3]), (0, [6, 12])] {
        let selection = layers[layer].prefill_traced(&q, &k, &v, &()).expect("good inputs").selection;
        assert_eq!([0, 1].map(|head| selection.count(0, head, 19)), counts, "of the last row's 20 blocks");
    }
}

pub(crate) fn a_layer_that_does_not_fit_is_refused(device: &Device) {
    let bare = Attention::<bf16>::load(&SHARES, device).map(drop).expect_err("it has no layer").to_string();
    assert_eq!(
        bare,
        "loading `proxyattn` without its layer is not available: `budget = per_head(0.3, min_tokens = 64)` has a share for \
         each head of each layer; call `load_layer` with a `LayerShares`: of `HeadShares::layer`, or `LayerShares::new`"
    );
    let [q, k, v] = Inputs::<bf16>::generate(&Case::new([4, 2], 64, 64), 64).on(device);
    let other = load(device, &[1.0, 1.0]).prefill(&q, &k, &v).map(drop).expect_err("two weights, four heads");
    assert_eq!(other.to_string(), "`heads`: expected 2, as many as the kernel's layer has weights, got 4");
    let declared = Spec { heads: Some(4), ..SHARES };
    let layer = LayerShares::new(&[1.0]).expect("a weight");
    let few = Attention::<bf16>::load_layer(&declared, device, &layer).map(drop).expect_err("one weight");
    assert_eq!(
        few.to_string(),
        "`layer`: expected a weight for each of the 4 heads that the kernel declares, got 1"
    );
    for weights in [&[][..], &[1.0, -1.0], &[f64::NAN]] {
        LayerShares::new(weights).expect_err("not weights");
    }
    // Weights are no spans.
    let spec = Spec { budget: Budget::Spans(Spans { min_tokens: 64 }), ..SMALL };
    let weights =
        Attention::<bf16>::load_layer(&spec, device, &layer).map(drop).expect_err("it has no spans");
    assert_eq!(
        weights.to_string(),
        "loading `proxyattn` without its layer is not available: `budget = spans(min_tokens = 64)` has a span for each head of \
         each layer; call `load_layer` with a `LayerShares`: of `HeadSpans::layer`, or `LayerShares::from_spans`"
    );
    let spans = LayerShares::from_spans(&[HeadSpan { alpha: 64, beta: 0.0 }; 2]).expect("spans");
    let other =
        Attention::<bf16>::load_layer(&spec, device, &spans).and_then(|spans| spans.prefill(&q, &k, &v));
    assert_eq!(
        other.map(drop).expect_err("two spans, four heads").to_string(),
        "`heads`: expected 2, as many as the kernel's layer has spans, got 4"
    );
    LayerShares::from_spans(&[HeadSpan { alpha: 0, beta: -0.5 }]).expect_err("it shrinks");
    // Configurations that ask for no layer do not look at one.
    Attention::<bf16>::load_layer(&SMALL, device, &layer).expect("any layer");
}
