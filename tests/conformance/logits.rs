//! Logits of any size: what f32 holds must not cost a ranking its order.
//!
//! Every group has one head, so that the proxies are the inputs to the bit, whatever a backend rounds them to.

use crate::backends::Backends;
use crate::inputs::{Case, Inputs};
use half::{bf16, f16};
use proxyattn::codegen::{Block, Budget, Precision, Proxy, Scorer, Spec, Stride, VerticalSlash};
use proxyattn::{AttentionKernel, Element};
use proxyattn_oracle::Oracle;
use proxyattn_oracle::compare::{self, Lists, Ties};

/// Sizes of logits, in nats.
pub(crate) const SIZES: [f64; 7] = [1.0, 126.0, 2520.0, 10_080.0, 20_160.0, 50_400.0, 1e6];

/// What e4m3 on tensor cores keeps apart.
pub(crate) const MODERATE: [f64; 5] = [1.0, 126.0, 2520.0, 10_080.0, 20_160.0];

const NATIVE: Scorer = Scorer::Proxy(Proxy { scores: Precision::Native, ..Proxy::DEFAULT });

/// Blocks in a context, of which the lists keep four.
const BLOCKS: usize = 40;

macro_rules! kernels {
    ($($(#[$doc:meta])* $name:ident($elem:ty) = $spec:expr;)+) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl AttentionKernel for $name {
            const NAME: &'static str = stringify!($name);
            const SPEC: Spec = Spec { dtype: <$elem as Element>::DTYPE, budget: Budget::top_k(4), ..$spec };
            type Elem = $elem;
        }
    )+};
}

kernels! {
    Large64(bf16) = Spec { head_dim: 64, block: Block { q: 64, kv: 32 }, ..Spec::DEFAULT };
    Large128(f16) = Spec { head_dim: 128, block: Block { q: 64, kv: 64 }, scorer: NATIVE, ..Spec::DEFAULT };
    /// In e4m3 on tensor cores, which add up with fewer bits than f32 has: for logits of up to some 2e4.
    Eight128(f16) = Spec { head_dim: 128, block: Block { q: 64, kv: 64 }, ..Spec::DEFAULT };
    /// Two samples to a block of keys, as the paper scores them.
    Large256(bf16) = Spec {
        head_dim: 256, block: Block { q: 32, kv: 32 }, stride: Stride { q: 8, kv: 16 }, scorer: Spec::PAPER.scorer, ..Spec::DEFAULT
    };
    /// Scores that are added up over queries and heads.
    LargeLast(bf16) = Spec {
        head_dim: 64, block: Block { q: 64, kv: 32 }, scorer: Scorer::VerticalSlash(VerticalSlash::DEFAULT), ..Spec::DEFAULT
    };
}

/// One input, and how close scores may be that change places.
pub(crate) struct Sample<T> {
    pub(crate) name: String,
    pub(crate) inputs: Inputs<T>,
    ties: Ties,
}

/// The inputs of all kinds for a configuration, with logits of these sizes and both signs.
pub(crate) fn samples<K: AttentionKernel>(sizes: &[f64]) -> Vec<Sample<K::Elem>> {
    let mut all = Vec::new();
    for size in sizes.iter().flat_map(|&size| [size, -size]) {
        for (order, place) in ORDERS {
            // The lowest of the steep ladder's blocks lie more than 2^10 below the highest.
            for step in [2.0, 24.0] {
                let logit = |block| (size, step * place(block) as f64);
                all.push(Sample::of::<K>(format!("{order} by {step} from {size:e}"), size, logit));
            }
        }
        // All but every fifth block lie far from the others.
        all.push(Sample::of::<K>(format!("{size:e} and none"), size, |block| {
            (if block % 5 == 2 { 0.0 } else { size }, 2.0 * (block * 17 % BLOCKS) as f64)
        }));
        all.push(Sample::of::<K>(format!("all {size:e}"), size, |_| (size, 0.0)));
        all.push(Sample::outlier::<K>(size));
        all.push(Sample::massive_key::<K>(size));
    }
    all.push(Sample::underflow::<K>());
    all
}

/// A block's place in an order.
type Place = fn(usize) -> usize;

/// How the blocks' logits are ordered along the context.
const ORDERS: [(&str, Place); 3] = [
    ("rising", |block| block),
    ("falling", |block| BLOCKS - 1 - block),
    ("mixed", |block| block * 17 % BLOCKS),
];

impl<T: Element> Sample<T> {
    /// Every key of a block has the same logit with every query: a sum of two numbers of nats, of which all dims but the
    /// last hold the first.
    fn of<K: AttentionKernel<Elem = T>>(
        name: String,
        size: f64,
        logit: impl Fn(usize) -> (f64, f64),
    ) -> Self {
        let (dim, mut inputs) = (K::SPEC.head_dim as usize, blank::<K>());
        let q = T::from_f32((2.0 * (dim as f64).sqrt()) as f32);
        inputs.q.fill(q);
        let factor = f64::from(q.to_f32()) * K::SPEC.softmax_scale();
        let (block, tokens) = (K::SPEC.block.kv as usize, inputs.kv_shape[2]);
        for (i, key) in inputs.k.chunks_exact_mut(dim).enumerate() {
            let (most, last) = logit(i % tokens / block);
            key.fill(T::from_f32((most / factor / (dim - 1) as f64) as f32));
            key[dim - 1] = T::from_f32((last / factor) as f32);
        }
        Self { name, inputs, ties: Ties::of_size(size) }
    }

    /// One dim adds the same to every logit, and the others decide.
    fn outlier<K: AttentionKernel<Elem = T>>(size: f64) -> Self {
        let mut inputs = blank::<K>();
        let (q, k) = pair::<K>(size);
        inputs.q.chunks_exact_mut(K::SPEC.head_dim as usize).for_each(|row| row[0] = q);
        inputs.k.chunks_exact_mut(K::SPEC.head_dim as usize).for_each(|row| row[0] = k);
        Self { name: format!("a dim of {size:e}"), inputs, ties: Ties::of_size(size) }
    }

    /// One key has a logit of that size with every query.
    fn massive_key<K: AttentionKernel<Elem = T>>(size: f64) -> Self {
        let (dim, mut inputs) = (K::SPEC.head_dim as usize, blank::<K>());
        let (q, k) = pair::<K>(size);
        inputs.q.chunks_exact_mut(dim).for_each(|row| row[0] = q);
        inputs.k.chunks_exact_mut(dim).for_each(|row| row[0] = T::from_f32(0.0));
        let tokens = inputs.kv_shape[2] * dim;
        // Of a token that every stride samples.
        inputs.k.chunks_exact_mut(tokens).for_each(|head| head[320 * dim] = k);
        Self { name: format!("a key of {size:e}"), inputs, ties: Ties::of_size(size) }
    }

    /// Logits that are 0 in f32.
    fn underflow<K: AttentionKernel<Elem = T>>() -> Self {
        let mut inputs = blank::<K>();
        let tiny = |x: &mut T| *x = T::from_f32(x.to_f32() * 1e-7);
        inputs.q.iter_mut().for_each(tiny);
        inputs.k.iter_mut().for_each(tiny);
        Self { name: "underflow".into(), inputs, ties: Ties::of_size(0.0) }
    }

    pub(crate) fn oracle(&self, spec: &Spec) -> Oracle {
        Oracle::new(spec, &self.inputs.q(), &self.inputs.k(), &self.inputs.v())
    }

    /// What a backend's lists get wrong, with the sample's name.
    pub(crate) fn judge(&self, oracle: &Oracle, lists: &dyn Lists) -> Result<(), String> {
        let verdict = compare::lists(oracle, lists, &self.ties).faultless();
        verdict.map(drop).map_err(|fault| format!("{}: {fault}", self.name))
    }
}

/// A context of [`BLOCKS`] blocks whose last part asks; the numbers are drawn at random.
fn blank<K: AttentionKernel>() -> Inputs<K::Elem> {
    let kv_len = BLOCKS * K::SPEC.block.kv as usize - 5;
    Inputs::generate(&Case::new([2, 2], 150, kv_len), K::SPEC.head_dim)
}

/// Two numbers whose product is a logit of that size.
fn pair<K: AttentionKernel>(size: f64) -> (K::Elem, K::Elem) {
    let product = size / K::SPEC.softmax_scale();
    let q = K::Elem::from_f32(product.abs().sqrt() as f32);
    (q, K::Elem::from_f32((product / f64::from(q.to_f32())) as f32))
}

/// Every list of every backend against the reference, whatever the logits' size.
pub(crate) fn rankings_keep_their_order<K: AttentionKernel>(backends: &Backends) {
    rankings::<K>(backends, &SIZES);
}

/// The same for sizes that e4m3 keeps apart.
pub(crate) fn rankings_in_eight_bits_keep_their_order<K: AttentionKernel>(backends: &Backends) {
    rankings::<K>(backends, &MODERATE);
}

fn rankings<K: AttentionKernel>(backends: &Backends, sizes: &[f64]) {
    let mut faults = Vec::new();
    for sample in samples::<K>(sizes) {
        let oracle = sample.oracle(&K::SPEC);
        for backend in backends.iter() {
            let selection = backend.run(|device| {
                let attention = K::load(device).expect("the kernel loads").with_dense_below(0);
                let [q, k, v] = sample.inputs.on(device);
                attention.prefill_traced(&q, &k, &v, &()).expect("f32 holds every logit").selection
            });
            faults.extend(
                sample
                    .judge(&oracle, &selection)
                    .map_err(|fault| format!("{}: {fault}", backend.name()))
                    .err(),
            );
        }
    }
    assert!(faults.is_empty(), "{}: {} inputs\n{}", K::NAME, faults.len(), faults.join("\n"));
}
