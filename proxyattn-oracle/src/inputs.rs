//! Seeded inputs with the structure that attention has: a sink, a drifting topic, planted matches, and heads
//! of different sharpness, so that neither budgets nor rankings are degenerate.

use proxyattn_runtime::{Device, Element, Problem, Tensor, View};

/// A shape and the seed of its numbers: all that a failure has to name.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The shape.
    pub problem: Problem,
    /// The seed.
    pub seed: u64,
}

impl Case {
    /// One sequence of `heads` query heads over `kv_heads` KV heads.
    pub fn new([heads, kv_heads]: [usize; 2], q_len: usize, kv_len: usize) -> Self {
        Self { problem: Problem { batch: 1, heads, kv_heads, q_len, kv_len }, seed: 1 }
    }

    /// So many sequences.
    pub fn batch(self, batch: usize) -> Self {
        Self { problem: Problem { batch, ..self.problem }, ..self }
    }

    /// Other numbers.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

/// Q, K and V, dense in memory order `[batch, heads, tokens, dim]`.
#[derive(Clone, Debug)]
pub struct Inputs<T> {
    /// Queries.
    pub q: Vec<T>,
    /// Keys.
    pub k: Vec<T>,
    /// Values.
    pub v: Vec<T>,
    /// The shape of the queries.
    pub q_shape: [usize; 4],
    /// The shape of the keys, and of the values.
    pub kv_shape: [usize; 4],
}

impl<T: Element> Inputs<T> {
    /// The queries.
    pub fn q(&self) -> View<'_, T> {
        View::bhsd(&self.q, self.q_shape).expect("as many numbers as the shape says")
    }

    /// The keys.
    pub fn k(&self) -> View<'_, T> {
        View::bhsd(&self.k, self.kv_shape).expect("as many numbers as the shape says")
    }

    /// The values.
    pub fn v(&self) -> View<'_, T> {
        View::bhsd(&self.v, self.kv_shape).expect("as many numbers as the shape says")
    }

    /// Q, K and V on a device.
    pub fn on(&self, device: &Device) -> [Tensor<T>; 3] {
        let tensor = |data: &Vec<T>, shape| {
            let host = Tensor::from_bhsd(data.clone(), shape).expect("as many numbers as the shape says");
            host.to(device).expect("room on the device")
        };
        [tensor(&self.q, self.q_shape), tensor(&self.k, self.kv_shape), tensor(&self.v, self.kv_shape)]
    }

    /// The inputs of a case.
    pub fn generate(case: &Case, head_dim: u32) -> Self {
        let Problem { batch, heads, kv_heads, q_len, kv_len } = case.problem;
        let dim = head_dim as usize;
        let [q, k, v] =
            Numbers::generate(case, dim).map(|numbers| numbers.into_iter().map(T::from_f32).collect());
        Self { q, k, v, q_shape: [batch, heads, q_len, dim], kv_shape: [batch, kv_heads, kv_len, dim] }
    }
}

/// Q, K and V before they are rounded.
#[derive(Default)]
struct Numbers {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
}

impl Numbers {
    fn generate(case: &Case, dim: usize) -> [Vec<f32>; 3] {
        let Problem { batch, heads, kv_heads, q_len, kv_len } = case.problem;
        let mut numbers = Self::default();
        let mut random = Random(case.seed);
        for _ in 0..batch * kv_heads {
            numbers.push_kv_head(&mut random, heads / kv_heads, [q_len, kv_len, dim]);
        }
        [numbers.q, numbers.k, numbers.v]
    }

    /// A KV head and its query heads.
    fn push_kv_head(&mut self, random: &mut Random, q_heads: usize, [q_len, kv_len, dim]: [usize; 3]) {
        let sink = random.direction(dim);
        let mut topic = random.direction(dim);
        let mut topics = Vec::with_capacity(kv_len);
        for _ in 0..kv_len {
            let step = random.direction(dim);
            topics.push(topic.clone());
            topic.iter_mut().zip(step).for_each(|(t, s)| *t = 0.97 * *t + 0.24 * s);
        }
        let keys: Vec<Vec<f32>> = (0..kv_len)
            .map(|position| {
                let pull = if position == 0 { 0.6 } else { 0.0 };
                let noise = random.direction(dim);
                (0..dim).map(|d| noise[d] + 0.6 * topics[position][d] + pull * sink[d]).collect()
            })
            .collect();
        for head in 0..q_heads {
            let sharpness = [1.0, 2.5, 1.6, 0.4][head % 4];
            for token in 0..q_len {
                // More queries than keys are another sequence, which looks at the keys again and again.
                let position = if q_len > kv_len { token % kv_len } else { kv_len - q_len + token };
                // A run of 24 queries looks for one key of the past.
                let run = position as u64 / 24 * 0x9E37 + head as u64 % 2;
                let wanted = &keys[(Random(run).next() % (position as u64 + 1)) as usize];
                let noise = random.direction(dim);
                let q = (0..dim)
                    .map(|d| noise[d] + 0.5 * topics[position][d] + 0.35 * wanted[d] + 0.5 * sink[d])
                    .map(|x| sharpness * x);
                self.q.extend(q);
            }
        }
        self.k.extend(keys.iter().flatten());
        self.v.extend((0..kv_len * dim).map(|_| random.normal() + 0.25));
    }
}

/// The `SplitMix64` generator.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    #[allow(clippy::should_implement_trait)] // it never ends
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// Nearly normal: the sum of the four 16-bit parts of one draw, centred and scaled to unit variance.
    pub fn normal(&mut self) -> f32 {
        let bits = self.next();
        let sum: u64 = (0..4).map(|i| bits >> (16 * i) & 0xFFFF).sum();
        (sum as f32 / 65_536.0 - 2.0) * 3.0f32.sqrt()
    }

    /// A vector of `dim` such numbers.
    fn direction(&mut self, dim: usize) -> Vec<f32> {
        (0..dim).map(|_| self.normal()).collect()
    }
}
