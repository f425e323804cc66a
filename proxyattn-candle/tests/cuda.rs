//! The op on candle's CUDA tensors. Opt-in: it runs where `PROXYATTN_GPU=1` says that there is a GPU, and says that it does
//! not run elsewhere. None of candle's own kernels is needed, so `cargo xtask candle-cuda --gpu` runs it without a toolkit.

#[path = "../../tests/conformance/kernels.rs"]
#[allow(dead_code)]
mod kernels;
#[path = "adapter/lay.rs"]
mod lay;

use candle_core::cuda_backend::CudaDType;
use candle_core::{Device, Storage, Tensor};
use half::bf16;
use inputs::{Case, Inputs};
use kernels::*;
use lay::Elem;
use proxyattn::{AttentionKernel, Element, View, ViewMut};
use proxyattn_candle::{Options, ProxyAttention, attention, load};
use proxyattn_oracle::inputs;
use std::sync::{Arc, Mutex};

/// The GPU, or `None` where none was promised.
fn gpu() -> Option<Device> {
    if std::env::var_os("PROXYATTN_GPU").is_none_or(|value| value != "1") {
        eprintln!("skipped: PROXYATTN_GPU=1 runs this on CUDA device 0");
        return None;
    }
    Some(Device::new_cuda(0).expect("PROXYATTN_GPU promises a GPU"))
}

/// q, k and v, each in the next of candle's layouts from `first` on.
fn tensors<T: Elem>(device: &Device, inputs: &Inputs<T>, first: usize) -> [Tensor; 3] {
    let ways = lay::layouts::<T>();
    let lay = |i: usize, data: &[T], shape| {
        let host = ways[(first + i) % ways.len()](data, shape);
        let tensor = host.to_device(device).expect("room on the device");
        assert_eq!(tensor.stride(), host.stride(), "a copy keeps the layout");
        tensor
    };
    [
        lay(0, &inputs.q, inputs.q_shape),
        lay(1, &inputs.k, inputs.kv_shape),
        lay(2, &inputs.v, inputs.kv_shape),
    ]
}

fn bits<T: Elem>(tensor: &Tensor) -> Vec<u16> {
    assert!(tensor.is_contiguous());
    let host = tensor.flatten_all().and_then(|t| t.to_vec1::<T>()).expect("a copy");
    host.into_iter().map(Element::to_bits).collect()
}

/// Looks at a tensor's memory as the raw API does.
fn with_view<T: Elem + CudaDType, R>(tensor: &Tensor, look: impl FnOnce(View<'_, T>) -> R) -> R {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else { panic!("not on a GPU") };
    let (shape, strides) = (layout.dims(), layout.stride());
    let bhsd = |axes: &[usize]| [axes[0], axes[2], axes[1], axes[3]];
    let slice = storage.as_cuda_slice::<T>().expect("of this type");
    look(View::cuda(slice, layout.start_offset(), bhsd(shape), bhsd(strides)).expect("a layout that fits"))
}

fn check<K: AttentionKernel<Elem: Elem + CudaDType>>(device: &Device, case: Case) {
    let stream = device.as_cuda_device().expect("a GPU").cuda_stream();
    let raw = K::load(&proxyattn::Device::from_stream(stream.clone()).expect("a GPU"));
    // Short contexts are there to be selected from.
    let raw = raw.expect("the kernel loads").with_dense_below(0);
    let inputs = Inputs::<K::Elem>::generate(&case, K::SPEC.head_dim);
    let [batch, heads, q_len, dim] = inputs.q_shape;
    for first in 0..lay::layouts::<K::Elem>().len() {
        let context = format!("{} {case:?}, layouts from {first}", K::NAME);
        let [q, k, v] = &tensors(device, &inputs, first);
        let op =
            ProxyAttention::new(load::<K>(device).expect("loaded").with_dense_below(0), Options::default());
        let out = op.forward(q, k, v).unwrap_or_else(|e| panic!("{e}: {context}"));
        assert_eq!(out.dims(), q.dims(), "{context}");

        let nan = vec![<K::Elem as Element>::from_f32(f32::NAN); batch * heads * q_len * dim];
        let mut expected = stream.clone_htod(&nan).expect("room");
        let strides = [q_len * heads * dim, dim, heads * dim, 1];
        let view = ViewMut::cuda(&mut expected, 0, inputs.q_shape, strides).expect("as many numbers");
        with_view(q, |q| with_view(k, |k| with_view(v, |v| raw.prefill_into(&q, &k, &v, view))))
            .unwrap_or_else(|e| panic!("{e}: {context}"));
        let expected = stream.clone_dtoh(&expected).expect("a copy");
        let expected: Vec<u16> = expected.into_iter().map(Element::to_bits).collect();
        assert!(bits::<K::Elem>(&out) == expected, "the raw API on the same memory: {context}");
    }
}

/// The op, without the rule that short contexts run dense.
fn selecting(q: &Tensor, k: &Tensor, v: &Tensor, options: Options) -> Tensor {
    let kernel = load::<Default64>(q.device()).expect("loaded").with_dense_below(0);
    ProxyAttention::new(kernel, options).forward(q, k, v).expect("good input")
}

#[test]
fn every_layout_has_the_bits_of_the_raw_api() {
    let Some(device) = gpu() else { return };
    check::<Default64>(&device, Case::new([6, 2], 1500, 1500));
    check::<Small>(&device, Case::new([6, 2], 291, 400).batch(2));
    check::<SmallF16>(&device, Case::new([7, 1], 257, 257));
    check::<Absolute>(&device, Case::new([4, 2], 900, 1000));
    check::<WideRows>(&device, Case::new([3, 3], 333, 333));
    check::<Dense128>(&device, Case::new([4, 1], 130, 130).batch(3));
}

/// candle's default stream is another one in each thread.
#[test]
fn threads_do_not_disturb_each_other() {
    let Some(device) = gpu() else { return };
    let run = |seed: u64| -> Vec<Vec<u16>> {
        let inputs = Inputs::<bf16>::generate(&Case::new([8, 2], 3000, 3000).seed(seed), 64);
        let [q, k, v] = tensors(&device, &inputs, 0);
        let call = |_| selecting(&q, &k, &v, Options::default());
        let outputs: Vec<_> = (0..10).map(call).collect();
        outputs.iter().map(bits::<bf16>).collect()
    };
    let alone: Vec<_> = (0..4).map(run).collect();
    let run = &run;
    let together: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|seed| scope.spawn(move || run(seed))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(alone.iter().all(|runs| runs.iter().all(|bits| *bits == runs[0])), "one thread");
    assert!(together == alone, "four threads");
}

#[test]
fn a_listener_hears_what_was_visited() {
    let Some(device) = gpu() else { return };
    let inputs = Inputs::<bf16>::generate(&Case::new([8, 2], 3000, 3000), 64);
    let [q, k, v] = tensors(&device, &inputs, 1);
    let heard: Arc<Mutex<Vec<f64>>> = Arc::default();
    let sink = heard.clone();
    let options =
        Options::default().on_trace(move |selection, _| sink.lock().expect("").push(selection.density()));
    let traced = selecting(&q, &k, &v, options);
    let plain = selecting(&q, &k, &v, Options::default());
    assert!(bits::<bf16>(&traced) == bits::<bf16>(&plain));
    let heard = heard.lock().expect("no panic");
    assert!(heard.len() == 1 && heard[0] > 0.0 && heard[0] < 0.9, "{heard:?}");
}

#[test]
fn what_is_wrong_is_named() {
    let Some(device) = gpu() else { return };
    let inputs = Inputs::<bf16>::generate(&Case::new([4, 2], 200, 200), 64);
    let [q, k, v] = tensors(&device, &inputs, 0);
    let refuse = |q: &Tensor, k: &Tensor, v: &Tensor| {
        attention::<Small>(q, k, v, Options::default()).expect_err("bad input is refused").to_string()
    };
    let host = k.to_device(&Device::Cpu).expect("a copy");
    let error = refuse(&q, &host, &v);
    assert!(
        error.starts_with("`k`: expected a tensor on CUDA device 0, as q is, got one on the CPU"),
        "{error}"
    );
    let host = v.to_device(&Device::Cpu).expect("a copy");
    let wide = Tensor::cat(&[&host, &host], 3).and_then(|wide| wide.to_device(&device)).expect("room");
    let error = refuse(&q, &k, &wide.narrow(3, 1, 64).expect("inside"));
    assert!(error.starts_with("`v`: expected an address on 16 bytes"), "{error}");
    let wider = host.to_dtype(candle_core::DType::F32).and_then(|v| v.to_device(&device)).expect("room");
    let error = refuse(&q, &k, &wider);
    assert!(error.starts_with("`v`: expected dtype BF16 as `Small` declares, got F32"), "{error}");

    let on_cpu = ProxyAttention::new(load::<Small>(&Device::Cpu).expect("loads"), Options::default());
    let error = on_cpu.forward(&q, &k, &v).expect_err("it was loaded elsewhere").to_string();
    assert!(
        error.starts_with("`q`: expected a tensor on the CPU, for which the kernel was loaded"),
        "{error}"
    );
    let on_gpu = ProxyAttention::new(load::<Small>(&device).expect("loads"), Options::default());
    let [q, k, v] = tensors(&Device::Cpu, &inputs, 0);
    let error = on_gpu.forward(&q, &k, &v).expect_err("it was loaded elsewhere").to_string();
    assert!(error.starts_with("`q`: expected a tensor on CUDA device 0, for which the kernel"), "{error}");
}
