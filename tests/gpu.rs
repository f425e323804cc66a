//! The CUDA backend against the reference. Opt-in: it runs where `PROXYATTN_GPU=1` says that there is a GPU, and says
//! that it does not run elsewhere.
//!
//! Proxies and scores are rounded to 16 bits on a GPU, so blocks whose scores are close may change places: how many do,
//! and how close they were, is printed and bounded.

#[path = "conformance/backends.rs"]
#[allow(dead_code)] // shared with the other suites
mod backends;
#[path = "gpu/beyond.rs"]
mod beyond;
#[path = "conformance/given.rs"]
#[allow(dead_code)]
mod given;
#[path = "conformance/kernels.rs"]
#[allow(dead_code)]
mod kernels;
#[path = "conformance/layers.rs"]
mod layers;
#[path = "gpu/lists.rs"]
mod lists;
#[path = "conformance/logits.rs"]
#[allow(dead_code)]
mod logits;
#[path = "gpu/raw.rs"]
mod raw;
#[path = "gpu/tune.rs"]
mod tune;

use backends::Backends;
use half::bf16;
use inputs::{Case, Inputs};
use kernels::*;
use proxyattn::codegen::{Arch, ArchSet, Spec};
use proxyattn::{Attention, AttentionKernel, Device, Element, Tensor};
use proxyattn_oracle::Oracle;
use proxyattn_oracle::compare::{self, Agreement, KernelLists};
use proxyattn_oracle::inputs;

/// Relative L2 distance of an output to the reference: probabilities are rounded to 16 bits, the output too.
const OUTPUT: f64 = 4e-3;
/// The same for a single token.
const TOKEN: f64 = 4e-2;
/// Blocks may change places when their log-scores differ by this share of the larger one (or of 1).
const SCORE: f64 = 0.05;

/// The GPU, or `None` where none was promised.
fn gpu() -> Option<Device> {
    if std::env::var_os("PROXYATTN_GPU").is_none_or(|value| value != "1") {
        eprintln!("skipped: PROXYATTN_GPU=1 runs this on CUDA device 0");
        return None;
    }
    Some(Device::cuda(0).expect("PROXYATTN_GPU promises a GPU"))
}

fn on<T: Element>(device: &Device, data: &[T], shape: [usize; 4]) -> Tensor<T> {
    let host = Tensor::from_bhsd(data.to_vec(), shape).expect("as many numbers as the shape says");
    host.to(device).expect("room on the device")
}

/// One kernel on some shapes: lists are well formed, blocks are the reference's but for close calls, and the output is
/// attention over them; traced and untraced runs agree to the bit.
fn check<K: AttentionKernel>(device: &Device, cases: &[Case]) {
    check_of::<K::Elem>((K::NAME, &K::SPEC), device, cases);
}

/// The same of a configuration that is known only now.
fn check_of<T: Element>((name, spec): (&str, &Spec), device: &Device, cases: &[Case]) {
    let (mut total, mut worst) = (Agreement::default(), (0.0f64, 0.0f64));
    for case in cases {
        let context = format!("{name} {case:?} {spec:?}");
        let layer = proxyattn_oracle::layer(spec.budget, case.problem.heads);
        let attention = Attention::<T>::load_layer(spec, device, &layer).expect("the kernel loads");
        let attention = attention.with_dense_below(0);
        let inputs = Inputs::<T>::generate(case, spec.head_dim);
        let q = on(device, &inputs.q, inputs.q_shape);
        let k = on(device, &inputs.k, inputs.kv_shape);
        let v = on(device, &inputs.v, inputs.kv_shape);
        let trace = attention.prefill_traced(&q, &k, &v, &()).unwrap_or_else(|e| panic!("{e}: {context}"));

        let oracle = Oracle::new(spec, &inputs.q(), &inputs.k(), &inputs.v());
        compare::structure(&oracle, &trace.selection).unwrap_or_else(|fault| panic!("{fault}: {context}"));
        let expected = oracle.attend(&trace.selection);
        let output = trace.output.into_vec().expect("the output comes back");
        let (all, token) = compare::distance(&output, &expected, spec.head_dim as usize);
        assert!(all <= OUTPUT && token <= TOKEN, "output {all:.2e}, worst token {token:.2e}: {context}");
        worst = (worst.0.max(all), worst.1.max(token));

        let agreement = compare::selection(&oracle, &trace.selection);
        assert!(agreement.gaps.is_none_or(|(_, high)| high <= SCORE), "{agreement}: {context}");
        total.add(agreement);

        let plain = attention.prefill(&q, &k, &v).and_then(Tensor::into_vec).expect("as traced");
        assert!(
            output.iter().zip(&plain).all(|(a, b)| a.to_f32().to_bits() == b.to_f32().to_bits()),
            "{context}"
        );
    }
    println!("{:<18} output {:.2e}, worst token {:.2e}; {total}", name, worst.0, worst.1);
}

/// Head ratios 1, 3, 4, 7 and 8, batches, ragged lengths, chunks at aligned and unaligned offsets.
fn shapes() -> Vec<Case> {
    vec![
        Case::new([4, 4], 1, 1),
        Case::new([4, 4], 33, 65),
        Case::new([6, 2], 200, 200),
        Case::new([8, 2], 320, 320).batch(2),
        Case::new([14, 2], 129, 300).seed(3),
        Case::new([16, 2], 64, 511).seed(4),
        Case::new([8, 2], 700, 700).seed(5),
        Case::new([4, 2], 1, 777).seed(6),
    ]
}

macro_rules! on_gpu {
    ($($name:ident: $($kernel:ident),+;)+) => {$(
        #[test]
        fn $name() {
            let Some(device) = gpu() else { return };
            $(check::<$kernel>(&device, &shapes());)+
        }
    )+};
}

on_gpu! {
    dense_matches: Dense64, Dense96, Dense128, Dense256, DenseBoth;
    dynamic_budgets_match: Small, SmallF16, Absolute, WideRows, Both, Wide;
    flat_budgets_match: WideBlocks, OneGroup, TopFour;
    shared_proxies_match: TwoGroups, OneGroup;
    counts_in_list_order_match: ListValues, ListValuesOfOne, OwnValues, ListPlain;
    divided_totals_match: Divided, DividedOfOne;
}

#[test]
fn every_kind_matches() {
    let Some(device) = gpu() else { return };
    let scorers =
        proxyattn_oracle::scorers().into_iter().map(|scorer| Spec { scorer, groups: Some(1), ..SMALL });
    let budgets = proxyattn_oracle::budgets().into_iter().map(|budget| Spec { budget, ..SMALL });
    for spec in scorers.chain(budgets) {
        let name = format!("{}, {}", spec.scorer, spec.budget);
        check_of::<bf16>((&name, &spec), &device, &shapes());
    }
}

/// More queries than keys, which takes kernels without a causal mask.
#[test]
fn cross_attention_matches() {
    let Some(device) = gpu() else { return };
    let cases = [(65, 64), (300, 40), (500, 333), (700, 1)]
        .map(|(q_len, kv_len)| Case::new([6, 2], q_len, kv_len).batch(2));
    check::<Both>(&device, &cases);
    check::<CrossTop>(&device, &cases);
    check::<DenseBoth>(&device, &cases);
}

#[test]
fn long_contexts_match() {
    let Some(device) = gpu() else { return };
    let cases = [Case::new([8, 2], 2048, 2048), Case::new([6, 2], 1000, 3001).seed(2)];
    check::<Default64>(&device, &cases);
    check::<Paper64>(&device, &[Case::new([8, 2], 3000, 3000)]);
}

/// The portable kernels, on every GPU.
struct Portable;

impl AttentionKernel for Portable {
    const NAME: &'static str = "Portable";
    const SPEC: Spec = Spec { arch: ArchSet::NONE.with(Arch::Sm80), ..Default64::SPEC };
    type Elem = bf16;
}

/// [`Large64`](logits::Large64) in portable kernels.
struct Large64Portable;

impl AttentionKernel for Large64Portable {
    const NAME: &'static str = "Large64Portable";
    const SPEC: Spec = Spec { arch: Portable::SPEC.arch, ..logits::Large64::SPEC };
    type Elem = bf16;
}

#[test]
fn large_logits_keep_their_order() {
    let Some(device) = gpu() else { return };
    let backends = Backends::of(&device);
    logits::rankings_keep_their_order::<logits::Large64>(&backends);
    logits::rankings_keep_their_order::<logits::Large128>(&backends);
    logits::rankings_keep_their_order::<logits::Large256>(&backends);
    logits::rankings_in_eight_bits_keep_their_order::<logits::Eight128>(&backends);
    logits::rankings_keep_their_order::<Large64Portable>(&backends);
}

#[test]
fn layers_have_shares_of_their_heads() {
    let Some(device) = gpu() else { return };
    layers::pruned_heads_are_zero(&device, &lists::judge);
    layers::layers_have_their_own_shares(&device);
    layers::a_layer_that_does_not_fit_is_refused(&device);
}
