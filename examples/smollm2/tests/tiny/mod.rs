//! A small random model, and the same model as plain loops in f64.

use smollm2::{Config, Layer, Matrix, Weights};

pub(crate) const CONFIG: Config = Config {
    layers: 2,
    hidden: 48,
    intermediate: 80,
    heads: 2,
    kv_heads: 1,
    head_dim: 64,
    vocab: 64,
    context: 2048,
    rope_theta: 1e4,
    rms_eps: 1e-5,
};

/// Numbers in [−1, 1), the same for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn matrix(&mut self, rows: usize, columns: usize) -> Matrix {
        // Variances as a trained model has them, with attention that is not flat.
        let size = 2.5 / (columns as f32).sqrt();
        let data = (0..rows * columns).map(|_| size * self.next()).collect();
        Matrix::new(rows, columns, data).unwrap()
    }

    fn vector(&mut self, length: usize) -> Vec<f32> {
        (0..length).map(|_| 1.0 + 0.3 * self.next()).collect()
    }
}

pub(crate) fn weights() -> Weights {
    let (c, mut random) = (CONFIG, Random(1));
    let layers = (0..c.layers).map(|_| Layer {
        attention_norm: random.vector(c.hidden),
        q: random.matrix(c.q_width(), c.hidden),
        k: random.matrix(c.kv_width(), c.hidden),
        v: random.matrix(c.kv_width(), c.hidden),
        o: random.matrix(c.hidden, c.q_width()),
        mlp_norm: random.vector(c.hidden),
        gate: random.matrix(c.intermediate, c.hidden),
        up: random.matrix(c.intermediate, c.hidden),
        down: random.matrix(c.hidden, c.intermediate),
    });
    let layers = layers.collect();
    Weights { config: c, layers, embedding: random.matrix(c.vocab, c.hidden), norm: random.vector(c.hidden) }
}

pub(crate) fn tokens(count: usize) -> Vec<u32> {
    let mut random = Random(count as u64);
    (0..count).map(|_| ((random.next() + 1.0) * 32.0) as u32).collect()
}

/// The token with the largest logit, and by how much it is ahead.
pub(crate) fn best(logits: &[f64]) -> (u32, f64) {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    (order[0] as u32, logits[order[0]] - logits[order[1]])
}

/// The logits after each token.
pub(crate) fn plain(w: &Weights, tokens: &[u32]) -> Vec<Vec<f64>> {
    let c = &w.config;
    let mut x: Vec<Vec<f64>> = tokens
        .iter()
        .map(|&token| w.embedding.row(token as usize).iter().map(|&x| x.into()).collect())
        .collect();
    for layer in &w.layers {
        let normed: Vec<_> = x.iter().map(|x| norm(x, &layer.attention_norm, c.rms_eps)).collect();
        let heads = |matrix: &Matrix, turns: bool| -> Vec<Vec<Vec<f64>>> {
            let of = |(position, x): (usize, &Vec<f64>)| {
                let y = linear(matrix, x);
                let heads = y.chunks(c.head_dim);
                heads
                    .map(|head| if turns { rotate(head, position, c.rope_theta) } else { head.to_vec() })
                    .collect()
            };
            normed.iter().enumerate().map(of).collect()
        };
        let (q, k, v) = (heads(&layer.q, true), heads(&layer.k, true), heads(&layer.v, false));
        for (t, x) in x.iter_mut().enumerate() {
            let attended: Vec<f64> = (0..c.heads)
                .flat_map(|head| {
                    let kv = head / (c.heads / c.kv_heads);
                    let logits: Vec<f64> = (0..=t).map(|s| dot(&q[t][head], &k[s][kv]) * c.scale()).collect();
                    let max = logits.iter().copied().fold(f64::MIN, f64::max);
                    let weights: Vec<f64> = logits.iter().map(|x| (x - max).exp()).collect();
                    let sum: f64 = weights.iter().sum();
                    let v = &v;
                    let weights = &weights;
                    (0..c.head_dim)
                        .map(|i| (0..=t).map(|s| weights[s] * v[s][kv][i]).sum::<f64>() / sum)
                        .collect::<Vec<_>>()
                })
                .collect();
            add(x, &linear(&layer.o, &attended));
            let normed = norm(x, &layer.mlp_norm, c.rms_eps);
            let up = linear(&layer.up, &normed);
            let inner: Vec<f64> = linear(&layer.gate, &normed)
                .iter()
                .zip(up)
                .map(|(g, u)| g / (1.0 + (-g).exp()) * u)
                .collect();
            add(x, &linear(&layer.down, &inner));
        }
    }
    x.iter().map(|x| linear(&w.embedding, &norm(x, &w.norm, c.rms_eps))).collect()
}

fn linear(matrix: &Matrix, x: &[f64]) -> Vec<f64> {
    let row = |row| matrix.row(row).iter().zip(x).map(|(&w, x)| f64::from(w) * x).sum();
    (0..matrix.rows).map(row).collect()
}

fn norm(x: &[f64], weight: &[f32], eps: f64) -> Vec<f64> {
    let rms = (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64 + eps).sqrt();
    x.iter().zip(weight).map(|(x, &weight)| x / rms * f64::from(weight)).collect()
}

fn rotate(head: &[f64], position: usize, theta: f64) -> Vec<f64> {
    let half = head.len() / 2;
    let turned = |i: usize| {
        let angle = position as f64 / theta.powf((i % half) as f64 / half as f64);
        match i < half {
            true => head[i] * angle.cos() - head[i + half] * angle.sin(),
            false => head[i] * angle.cos() + head[i - half] * angle.sin(),
        }
    };
    (0..head.len()).map(turned).collect()
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

fn add(x: &mut [f64], y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}
