//! Attention inputs made from a seed, where no model is at hand.
//!
//! A context is a sequence of segments, each about one of a few topics that come back later. A query looks for
//! the topic that it is in, as in every head, or for another that its head associates with it; `similarity` is
//! the share of the former. On top of that: a sink on the first token and a pull towards recent tokens, of
//! different strength per head, and *needles*: a few far tokens that one later span of queries asks for.
//!
//! It all happens in separate planes of the rotary embedding, as in trained models: fast planes carry recency,
//! slow ones content, and the slowest one the sink.

use half::bf16;
use kit::input::Qkv;
use proxyattn::Tensor;
use rayon::prelude::*;

/// Base of the rotary embedding.
const THETA: f64 = 5e5;
/// Query tokens that ask for a needle.
const QUESTION: usize = 8;
/// Key tokens that a needle spans, in turn.
const WIDTHS: [usize; 4] = [1, 2, 4, 16];

/// What to generate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Synthetic {
    pub(super) tokens: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    /// 0: each head looks for topics of its own. 1: all look for the same.
    pub(super) similarity: f64,
    pub(super) seed: u64,
}

/// A planted pair: the queries from token `question` on ask for the keys from token `key` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Needle {
    pub(super) question: usize,
    pub(super) key: usize,
    pub(super) width: usize,
}

impl Needle {
    /// The tokens in the middle of the question and of the needle: what lies astride two blocks counts for the
    /// one that holds more of it.
    pub(super) fn middle(&self) -> [usize; 2] {
        [self.question + QUESTION / 2, self.key + self.width / 2]
    }
}

/// Random streams, so that no draw depends on the order of the threads.
#[derive(Clone, Copy)]
enum Stream {
    Segments,
    Needles,
    NeedleContent,
    Topic,
    HeadTraits,
    Salience,
    Query,
    Key,
    Value,
    TopicValue,
}

/// The generator `SplitMix64`.
struct Random(u64);

impl Random {
    fn new(seed: u64, stream: Stream, index: [usize; 2]) -> Self {
        let mut random = Self(seed ^ (stream as u64).wrapping_mul(0xA24B_AED4_963E_E407));
        for i in index {
            random.0 = random.next() ^ (i as u64).wrapping_mul(0x9FB2_1C65_1E98_DF25);
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In (0, 1).
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    fn below(&mut self, n: usize) -> usize {
        ((self.uniform() * n as f64) as usize).min(n - 1)
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (core::f64::consts::TAU * self.uniform()).cos()
    }

    /// A direction: `dims` normal values of expected length 1.
    fn direction(&mut self, dims: usize) -> Vec<f64> {
        (0..dims).map(|_| self.normal() / (dims as f64).sqrt()).collect()
    }
}

/// What the heads of a context have in common.
struct Context {
    config: Synthetic,
    /// The topic of each token.
    topics: Vec<usize>,
    topic_count: usize,
    needles: Vec<Needle>,
    /// Rotary planes `(i, i + head_dim / 2)`: `0..recency` and `content..sink`, where `sink` is the last.
    recency: usize,
    content: usize,
    sink: usize,
}

/// The inputs, and what was planted in them.
pub(super) fn generate(config: Synthetic) -> proxyattn::Result<(Qkv<bf16>, Vec<Needle>)> {
    let context = Context::new(config);
    let Synthetic { heads, kv_heads, .. } = config;
    let q = context.tensor(heads, |head| context.queries(head))?;
    let k = context.tensor(kv_heads, |head| context.keys(head))?;
    let v = context.tensor(kv_heads, |head| context.values(head))?;
    Ok((Qkv { q, k, v }, context.needles))
}

impl Context {
    fn new(config: Synthetic) -> Self {
        let topic_count = (config.tokens / 768).clamp(5, 24);
        let mut random = Random::new(config.seed, Stream::Segments, [0, 0]);
        let mut topics = Vec::with_capacity(config.tokens);
        while topics.len() < config.tokens {
            let end = (topics.len() + 96 + random.below(416)).min(config.tokens);
            topics.resize(end, random.below(topic_count));
        }
        let planes = config.head_dim / 2;
        let needles = plant(&config);
        Self {
            config,
            topics,
            topic_count,
            needles,
            recency: planes / 4,
            content: planes * 5 / 8,
            sink: planes - 1,
        }
    }

    fn random(&self, stream: Stream, index: [usize; 2]) -> Random {
        Random::new(self.config.seed, stream, index)
    }

    fn tensor(
        &self,
        heads: usize,
        head: impl Fn(usize) -> Vec<bf16> + Send + Sync,
    ) -> proxyattn::Result<Tensor<bf16>> {
        let data: Vec<bf16> = (0..heads).into_par_iter().flat_map_iter(head).collect();
        Tensor::from_bhsd(data, [1, heads, self.config.tokens, self.config.head_dim])
    }

    fn content_dims(&self) -> usize {
        2 * (self.sink - self.content)
    }

    /// What a KV head stores of each topic.
    fn topic_vectors(&self, kv_head: usize) -> Vec<Vec<f64>> {
        let vector = |topic| self.random(Stream::Topic, [kv_head, topic]).direction(self.content_dims());
        (0..self.topic_count).map(vector).collect()
    }

    fn needle_content(&self, index: usize) -> Vec<f64> {
        self.random(Stream::NeedleContent, [index, 0]).direction(self.content_dims())
    }

    /// Rotates one token's planes to its position and rounds.
    fn rotate(&self, token: usize, planes: &[[f64; 2]], out: &mut Vec<bf16>) {
        let turned = planes.iter().enumerate().map(|(i, &[x, y])| {
            let (sin, cos) = (token as f64 * THETA.powf(-(i as f64) / planes.len() as f64)).sin_cos();
            [x * cos - y * sin, x * sin + y * cos]
        });
        let turned: Vec<[f64; 2]> = turned.collect();
        out.extend((0..2).flat_map(|part| turned.iter().map(move |plane| bf16::from_f64(plane[part]))));
    }

    fn queries(&self, head: usize) -> Vec<bf16> {
        let Synthetic { tokens, heads, kv_heads, head_dim, similarity, .. } = self.config;
        let topics = self.topic_vectors(head / (heads / kv_heads));
        let mut traits = self.random(Stream::HeadTraits, [head, 0]);
        let (gain, sink, recency) =
            (traits.between(6.0, 11.0), traits.between(3.0, 10.0), traits.between(2.0, 8.0));
        // The topic that this head associates with each.
        let n = self.topic_count;
        let own: Vec<usize> = (0..n).map(|topic| (topic + 1 + traits.below(n - 1)) % n).collect();
        let unit = (head_dim as f64).sqrt(); // undone by the softmax scale
        let mut out = Vec::with_capacity(tokens * head_dim);
        let mut planes = vec![[0.0; 2]; head_dim / 2];
        for token in 0..tokens {
            let topic = self.topics[token];
            let mut random = self.random(Stream::Query, [head, token]);
            planes[..self.recency].fill([unit * recency / (self.recency as f64).sqrt(), 0.0]);
            let target = if random.uniform() < similarity { topic } else { own[topic] };
            let noise = random.direction(self.content_dims());
            let want = |i: usize| gain * (topics[target][i] + 0.4 * noise[i]);
            fill(&mut planes[self.content..self.sink], |i| unit * want(i));
            planes[self.sink] = [unit * sink, 0.0];
            let asked =
                self.needles.iter().position(|n| (n.question..n.question + QUESTION).contains(&token));
            if let Some(needle) = asked {
                let content = self.needle_content(needle);
                fill(&mut planes[self.content..self.sink], |i| unit * 10.0 * content[i]);
            }
            self.rotate(token, &planes, &mut out);
        }
        out
    }

    fn keys(&self, head: usize) -> Vec<bf16> {
        let Synthetic { tokens, head_dim, .. } = self.config;
        let topics = self.topic_vectors(head);
        let mut out = Vec::with_capacity(tokens * head_dim);
        let mut planes = vec![[0.0; 2]; head_dim / 2];
        for token in 0..tokens {
            // A few tokens of a topic carry most of it.
            let salience = (0.35 * self.random(Stream::Salience, [token, 0]).normal()).exp().min(2.0);
            let noise = self.random(Stream::Key, [head, token]).direction(self.content_dims());
            let have = |i: usize| topics[self.topics[token]][i] + 0.4 * noise[i];
            planes[..self.recency].fill([1.0 / (self.recency as f64).sqrt(), 0.0]);
            fill(&mut planes[self.content..self.sink], |i| salience * have(i));
            planes[self.sink] = if token == 0 { [1.0, 0.0] } else { [0.0; 2] };
            let planted = self.needles.iter().position(|n| (n.key..n.key + n.width).contains(&token));
            if let Some(needle) = planted {
                let content = self.needle_content(needle);
                fill(&mut planes[self.content..self.sink], |i| 2.0 * content[i]);
            }
            self.rotate(token, &planes, &mut out);
        }
        out
    }

    fn values(&self, head: usize) -> Vec<bf16> {
        let Synthetic { tokens, head_dim, .. } = self.config;
        let topic = |c| self.random(Stream::TopicValue, [head, c]).direction(head_dim);
        let topics: Vec<_> = (0..self.topic_count).map(topic).collect();
        let row = |token: usize| {
            let mut random = self.random(Stream::Value, [head, token]);
            let mean = &topics[self.topics[token]];
            (0..head_dim).map(|i| bf16::from_f64(4.0 * mean[i] + random.normal())).collect::<Vec<_>>()
        };
        (0..tokens).flat_map(row).collect()
    }
}

/// Writes values `0, 1, …` into both parts of consecutive planes.
fn fill(planes: &mut [[f64; 2]], value: impl Fn(usize) -> f64) {
    for (i, plane) in planes.iter_mut().enumerate() {
        *plane = [value(2 * i), value(2 * i + 1)];
    }
}

/// Needles in the first part of the context, questions in the last, one of each in a stretch of its own, paired
/// at random. A context too short to have far tokens gets none.
fn plant(config: &Synthetic) -> Vec<Needle> {
    let count = if config.tokens < 1024 { 0 } else { (config.tokens / 512).min(64) };
    let mut random = Random::new(config.seed, Stream::Needles, [0, 0]);
    let mut order: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        order.swap(i, random.below(i + 1));
    }
    let n = config.tokens as f64;
    let mut place = |from: f64, to: f64, slot: usize, width: usize| {
        let stretch = (to - from) * n / count as f64;
        (from * n + stretch * slot as f64 + random.uniform() * (stretch - width as f64)) as usize
    };
    let needle = |i: usize| {
        let width = WIDTHS[i % WIDTHS.len()];
        Needle { question: place(0.65, 1.0, order[i], QUESTION), key: place(0.02, 0.6, i, width), width }
    };
    (0..count).map(needle).collect()
}
