//! What runs under the stub driver, step by step.

use candle_core::{DType, Device, Error, Result, Storage, Tensor};
use half::bf16;
use proxyattn::cudarc::driver::DevicePtr;
use proxyattn::{AttentionKernel, View, ViewMut, proxy_attention};
use proxyattn_candle::{Options, ProxyAttention, attention, load};

#[proxy_attention(head_dim = 64, budget = dynamic(order = list, weigh = values))]
struct Sparse;

#[proxy_attention(head_dim = 64, budget = all)]
struct Dense;

const BATCH: usize = 2;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const DIM: usize = 64;
/// Enough that the default budget drops blocks.
const CONTEXT: usize = 704;
const CHUNK: usize = 640;

/// How a step that failed goes on.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Then {
    /// The child ends.
    Stop,
    /// The step is done once more: the driver fails but once.
    Retry,
}

/// One step, announced.
fn step<T>(name: &str, then: Then, mut run: impl FnMut() -> Result<T>) -> Result<T> {
    println!("step {name}");
    run().or_else(|error| {
        println!("told: {error}");
        if then == Then::Stop { Err(error) } else { run() }
    })
}

/// The whole way, with the op called so many times.
pub(crate) fn run(calls: usize, then: Then) {
    steps(calls, then).expect("a step that is done again is done");
    println!("done");
}

fn steps(calls: usize, then: Then) -> Result<()> {
    let device = step("open", then, || Device::new_cuda(0))?;
    let host = |dims: [usize; 4]| Tensor::zeros(&dims, DType::BF16, &Device::Cpu);
    let q = step("upload", then, || host([BATCH, HEADS, CHUNK, DIM])?.to_device(&device)?.transpose(1, 2))?;
    // Part of a cache, and part of a fused projection.
    let k = step("upload", then, || {
        host([BATCH, 2 * CONTEXT, KV_HEADS, DIM])?.to_device(&device)?.narrow(1, 5, CONTEXT)
    })?;
    let v = step("upload", then, || {
        host([BATCH, CONTEXT, HEADS + KV_HEADS, DIM])?.to_device(&device)?.narrow(2, HEADS, KV_HEADS)
    })?;

    println!("step addresses");
    for tensor in [&q, &k, &v] {
        with_view(tensor, |_, address| println!("tensor {address:x}"));
    }
    step("load", then, || load::<Sparse>(&device))?;
    step("load dense", then, || load::<Dense>(&device))?;
    for _ in 0..calls {
        step("op", then, || selecting(&q, &k, &v, Options::default()))?;
        step("dense", then, || attention::<Dense>(&q, &k, &v, Options::default()))?;
    }
    if then == Then::Stop {
        step("raw", then, || raw::<Sparse>(&device, &q, &k, &v))?;
        step("raw dense", then, || raw::<Dense>(&device, &q, &k, &v))?;
        // candle's default stream is another one in each thread.
        step("raw elsewhere", then, || {
            let elsewhere = || raw::<Sparse>(&device, &q, &k, &v);
            std::thread::scope(|scope| scope.spawn(elsewhere).join().expect("no panic"))
        })?;
    }
    let listening = Options::default().on_trace(|selection, _| println!("heard {}", selection.density()));
    let out = step("traced", then, || selecting(&q, &k, &v, listening.clone()))?;
    assert_eq!((out.dims(), out.is_contiguous()), (q.dims(), true));
    println!("step release");
    Ok(())
}

/// The op, without the rule that short contexts run dense.
fn selecting(q: &Tensor, k: &Tensor, v: &Tensor, options: Options) -> Result<Tensor> {
    ProxyAttention::new(load::<Sparse>(q.device())?.with_dense_below(0), options).forward(q, k, v)
}

/// The raw API on the tensors' memory.
fn raw<K: AttentionKernel<Elem = bf16>>(device: &Device, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<()> {
    let stream = device.as_cuda_device()?.cuda_stream();
    let device = proxyattn::Device::from_stream(stream.clone()).map_err(Error::wrap)?;
    let attention = K::load(&device).map_err(Error::wrap)?.with_dense_below(0);
    let mut out = stream.clone_htod(&vec![bf16::ZERO; BATCH * CHUNK * HEADS * DIM]).map_err(Error::wrap)?;
    let (shape, strides) = ([BATCH, HEADS, CHUNK, DIM], [CHUNK * HEADS * DIM, DIM, HEADS * DIM, 1]);
    let out = ViewMut::cuda(&mut out, 0, shape, strides).map_err(Error::wrap)?;
    with_view(q, |q, _| with_view(k, |k, _| with_view(v, |v, _| attention.prefill_into(&q, &k, &v, out))))
        .map_err(Error::wrap)
}

/// Looks at a tensor's memory as the raw API does; with its address.
fn with_view<R>(tensor: &Tensor, look: impl FnOnce(View<'_, bf16>, u64) -> R) -> R {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else { panic!("not on a GPU") };
    let bhsd = |axes: &[usize]| [axes[0], axes[2], axes[1], axes[3]];
    let (shape, strides, offset) = (bhsd(layout.dims()), bhsd(layout.stride()), layout.start_offset());
    let slice = storage.as_cuda_slice::<bf16>().expect("of this type");
    let address = slice.device_ptr(slice.stream()).0 + 2 * offset as u64;
    look(View::cuda(slice, offset, shape, strides).expect("a layout that fits"), address)
}
