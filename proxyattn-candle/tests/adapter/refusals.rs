//! What is wrong is told by the argument's name, with what was expected and what was given.

use crate::kernels::{Pinned, Small, SmallF16, TwoGroups};
use crate::message;
use candle_core::{DType, Device, MetalDevice, Tensor, Var};
use half::bf16;
use proxyattn::AttentionKernel;
use proxyattn::codegen::{Spec, Stride};
use proxyattn_candle::{Options, attention, load};

fn tensor(dtype: DType, dims: [usize; 4]) -> Tensor {
    Tensor::ones(&dims, dtype, &Device::Cpu).expect("a tensor")
}

fn zeros(dims: [usize; 4]) -> Tensor {
    tensor(DType::BF16, dims)
}

fn refuse<K: AttentionKernel>(q: &Tensor, k: &Tensor, v: &Tensor) -> String {
    message(attention::<K>(q, k, v, Options::default()).expect_err("bad input is refused"))
}

const Q: [usize; 4] = [2, 70, 4, 64];
const KV: [usize; 4] = [2, 90, 2, 64];

#[test]
fn good_input_is_not() {
    attention::<Small>(&zeros(Q), &zeros(KV), &zeros(KV), Options::default()).expect("good input");
}

#[test]
fn dtypes() {
    let (q, kv) = (zeros(Q), zeros(KV));
    assert_eq!(
        refuse::<Small>(&tensor(DType::F32, Q), &kv, &kv),
        "`q`: expected dtype BF16 as `Small` declares, got F32; convert it with to_dtype(DType::BF16)"
    );
    assert_eq!(
        refuse::<Small>(&q, &tensor(DType::F16, KV), &kv),
        "`k`: expected dtype BF16 as `Small` declares, got F16; convert it with to_dtype(DType::BF16), or declare \
         `dtype = f16`"
    );
    assert_eq!(
        refuse::<Small>(&q, &kv, &tensor(DType::U32, KV)),
        "`v`: expected dtype BF16 as `Small` declares, got U32; convert it with to_dtype(DType::BF16)"
    );
    assert_eq!(
        refuse::<SmallF16>(&q, &kv, &kv),
        "`q`: expected dtype F16 as `SmallF16` declares, got BF16; convert it with to_dtype(DType::F16), or declare \
         `dtype = bf16`"
    );
}

#[test]
fn shapes() {
    let (q, kv) = (zeros(Q), zeros(KV));
    assert_eq!(
        refuse::<Small>(&q.flatten(2, 3).expect("axes"), &kv, &kv),
        "`q`: expected 4 dimensions (batch, seq, heads, dim), got shape [2, 70, 256]"
    );
    assert_eq!(
        refuse::<Small>(&q, &zeros([2, 90, 2, 32]), &kv),
        "`k`: expected head_dim 64 as the kernel declares, got shape [2, 90, 2, 32], 2 heads of 90 tokens (q: shape \
         [2, 70, 4, 64], 4 heads of 70 tokens)"
    );
    assert_eq!(
        refuse::<Small>(&q, &zeros([1, 90, 2, 64]), &kv),
        "`k`: expected the batch of q, 2, got shape [1, 90, 2, 64], 2 heads of 90 tokens (q: shape [2, 70, 4, 64], 4 heads \
         of 70 tokens)"
    );
    assert_eq!(
        refuse::<Small>(&q, &kv, &zeros([2, 91, 2, 64])),
        "`v`: expected the shape of k, [2, 90, 2, 64], got shape [2, 91, 2, 64], 2 heads of 91 tokens (q: shape \
         [2, 70, 4, 64], 4 heads of 70 tokens)"
    );
    let short = zeros([2, 69, 2, 64]);
    assert_eq!(
        refuse::<Small>(&q, &short, &short),
        "`k`: expected its tokens, kv_len, to be at least q_len = 70, because causal queries are the end of the context (for \
         cross-attention, declare `causal = false`), got shape [2, 69, 2, 64], 2 heads of 69 tokens (q: shape [2, 70, 4, 64], \
         4 heads of 70 tokens)"
    );
    let three = zeros([2, 90, 3, 64]);
    assert_eq!(
        refuse::<Small>(&q, &three, &three),
        "`k`: expected its heads, kv_heads, to be a divisor of heads = 4, got shape [2, 90, 3, 64], 3 heads of 90 tokens (q: \
         shape [2, 70, 4, 64], 4 heads of 70 tokens)"
    );
    assert_eq!(
        refuse::<Pinned>(&q, &kv, &kv),
        "`q`: expected its heads to be 6 as the kernel declares, got shape [2, 70, 4, 64], 4 heads of 70 tokens"
    );
    let one = zeros([2, 90, 1, 64]);
    assert_eq!(
        refuse::<TwoGroups>(&q, &one, &one),
        "`k`: expected its heads, kv_heads, to be a multiple of the kernel's groups = 2, got shape [2, 90, 1, 64], 1 head of 90 \
         tokens (q: shape [2, 70, 4, 64], 4 heads of 70 tokens)"
    );
    let nothing = zeros([2, 0, 2, 64]);
    assert_eq!(
        refuse::<Small>(&zeros([2, 0, 4, 64]), &nothing, &nothing),
        "`q`: expected its tokens, q_len, to be at least 1, got shape [2, 0, 4, 64], 4 heads of 0 tokens"
    );
}

/// `(batch, heads, seq, dim)`, as candle's models have it, where `(batch, seq, heads, dim)` is expected.
#[test]
fn heads_and_tokens_swapped() {
    let turned = |dims| zeros(dims).transpose(1, 2).expect("axes");
    let (q, kv) = (turned([1, 70, 4, 64]), turned([1, 70, 2, 64]));
    assert_eq!(
        refuse::<Small>(&q, &kv, &kv),
        "`k`: expected its tokens, kv_len, to be at least q_len = 4, because causal queries are the end of the context (for \
         cross-attention, declare `causal = false`), got shape [1, 2, 70, 64], 70 heads of 2 tokens (q: shape [1, 4, 70, 64], \
         70 heads of 4 tokens); if it is (batch, heads, seq, dim), call transpose(1, 2) on it"
    );
}

/// A shape that nobody could hold costs no memory: it is refused before the output is asked for.
#[test]
fn sizes() {
    let tall = zeros([1, 1, 1, 64]).broadcast_as((1, 1 << 31, 1, 64)).expect("a view");
    assert_eq!(
        refuse::<Small>(&tall, &tall, &tall),
        "`k`: the number of tokens overflows: expected at most 1073741824, got 2147483648"
    );
}

/// An output that nobody could hold is an error, and no abort.
#[test]
fn memory() {
    let one = zeros([1, 16, 1, 64]);
    let many = one.broadcast_as((1 << 36, 16, 1, 64)).expect("a view");
    assert_eq!(
        refuse::<Small>(&many, &many, &many),
        "`output`: cannot allocate 140737488355328 bytes of host memory; pass fewer tokens, heads or sequences per call, or free \
         other memory"
    );
}

#[test]
fn layouts() {
    let (q, kv) = (zeros(Q), zeros(KV));
    let turned = zeros([2, 90, 64, 2]).transpose(2, 3).expect("axes");
    assert_eq!(
        refuse::<Small>(&q, &kv, &turned),
        "`v`: expected a last stride of 1 (a head's row contiguous), got strides [11520, 128, 1, 2] for shape [2, 90, 2, \
         64]; call contiguous() first"
    );
}

#[test]
fn values() {
    let (q, kv) = (zeros(Q), zeros(KV));
    let mut numbers = vec![bf16::ONE; KV.iter().product()];
    numbers[((90 + 17) * 2 + 1) * 64 + 5] = bf16::NAN;
    let nan = Tensor::from_vec(numbers, &KV, &Device::Cpu).expect("a tensor");
    assert_eq!(
        refuse::<Small>(&q, &nan, &kv),
        "`k`: expected finite values, got NaN at [batch 1, head 1, token 17, dim 5]"
    );
    let large = (q * 1e35).expect("a product");
    let error = refuse::<Small>(&large, &(&kv * 1e3).expect("a product"), &kv);
    assert!(
        error.starts_with("`q`, `k`: expected scores below 1e28, got values whose scores may reach"),
        "{error}"
    );
}

struct Broken;

impl AttentionKernel for Broken {
    const NAME: &'static str = "Broken";
    const SPEC: Spec = Spec { head_dim: 64, stride: Stride { q: 5, kv: 1 }, ..Spec::DEFAULT };
    type Elem = bf16;
}

#[test]
fn kernels() {
    let error = refuse::<Broken>(&zeros(Q), &zeros(KV), &zeros(KV));
    assert_eq!(
        error,
        "`Broken`: expected a valid configuration, got `stride(q)` must divide `block(q)`, and 5 does not divide 64 (its \
         divisors are 1, 2, 4, 8, 16, 32, 64)"
    );
}

#[test]
fn devices() {
    let error = load::<Small>(&Device::Metal(MetalDevice)).expect_err("there are no kernels for Metal");
    assert_eq!(
        message(error),
        "`Small` on Metal is not available: there are kernels for the CPU and for CUDA devices; move q, k and v with \
         to_device(&Device::Cpu)"
    );
}

#[test]
fn gradients() {
    let q = Var::from_tensor(&zeros(Q)).expect("a variable");
    let out = attention::<Small>(&q, &zeros(KV), &zeros(KV), Options::default()).expect("good input");
    let error = out.sum_all().and_then(|loss| loss.backward()).expect_err("there is no backward pass");
    assert_eq!(message(error), "backward is not supported for proxyattn");
}
