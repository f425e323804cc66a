//! How the op is used: traces, a kernel of one's own, threads.

use crate::inputs::{Case, Inputs};
use crate::kernels::{Absolute, Small};
use crate::{bits, with_view};
use candle_core::{Device, Tensor};
use half::bf16;
use proxyattn::{AttentionKernel, Selection, Stage, proxy_attention};
use proxyattn_candle::{Options, ProxyAttention, attention, load};
use std::sync::{Arc, Mutex};

/// As a program declares it.
#[proxy_attention(head_dim = 64, block = 32, budget = dynamic(gamma = 0.8, min_tokens = 64, rows = ratio))]
struct Declared;

fn inputs<K: AttentionKernel<Elem = bf16>>(case: &Case) -> [Tensor; 3] {
    let inputs = Inputs::<bf16>::generate(case, K::SPEC.head_dim);
    let tensor = |data: Vec<bf16>, shape: [usize; 4]| {
        Tensor::from_vec(data, &shape, &Device::Cpu).and_then(|t| t.transpose(1, 2)).expect("a tensor")
    };
    [tensor(inputs.q, inputs.q_shape), tensor(inputs.k, inputs.kv_shape), tensor(inputs.v, inputs.kv_shape)]
}

#[test]
fn a_listener_hears_what_the_raw_api_tells() {
    let [q, k, v] = inputs::<Small>(&Case::new([6, 2], 300, 400));
    let heard: Arc<Mutex<Vec<Selection>>> = Arc::default();
    let sink = heard.clone();
    let options = Options::default().on_trace(move |selection, times| {
        assert!(times.of(Stage::Attend) > core::time::Duration::ZERO);
        sink.lock().expect("no panic").push(selection.clone());
    });
    let traced = attention::<Small>(&q, &k, &v, options.clone()).expect("good input");
    attention::<Small>(&q, &k, &v, options).expect("good input");

    let raw = load::<Small>(&Device::Cpu).expect("the kernel loads");
    let expected =
        with_view(&q, |q| with_view(&k, |k| with_view(&v, |v| raw.prefill_traced(&q, &k, &v, &()))));
    let expected = expected.expect("good input").selection;
    assert!(expected.density() < 0.9, "sparse: {}", expected.density());
    assert!(*heard.lock().expect("no panic") == [expected.clone(), expected], "once for each call");

    let plain = attention::<Small>(&q, &k, &v, Options::default()).expect("good input");
    assert_eq!(bits::<bf16>(&traced), bits::<bf16>(&plain));
}

#[test]
fn an_op_is_held_or_made_for_each_call() {
    let [q, k, v] = inputs::<Declared>(&Case::new([4, 2], 250, 250));
    let op =
        ProxyAttention::new(load::<Declared>(&Device::Cpu).expect("the kernel loads"), Options::default());
    let expected = bits::<bf16>(&attention::<Declared>(&q, &k, &v, Options::default()).expect("good input"));
    assert_eq!(bits::<bf16>(&op.forward(&q, &k, &v).expect("good input")), expected);
    assert_eq!(bits::<bf16>(&q.apply_op3(&k, &v, op.clone()).expect("good input")), expected);
    assert_eq!(bits::<bf16>(&q.apply_op3_no_bwd(&k, &v, &op).expect("good input")), expected);
}

#[test]
fn threads_share_an_op() {
    fn travels<T: Send + Sync + Clone + 'static>(_: &T) {}
    let op =
        ProxyAttention::new(load::<Absolute>(&Device::Cpu).expect("the kernel loads"), Options::default());
    travels(&op);
    let [q, k, v] = &inputs::<Absolute>(&Case::new([4, 2], 300, 300));
    let expected = &bits::<bf16>(&op.forward(q, k, v).expect("good input"));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(bits::<bf16>(&op.forward(q, k, v).expect("good input")) == *expected));
        }
    });
}
