//! The text that is attended to, and the rows of its tensors.

use super::head::Head;
use super::random::{Random, Stream};
use super::{Needle, Synthetic};
use crate::Result;
use crate::memory::room;
use rayon::prelude::*;

/// Base of the rotary embedding, as in models of long contexts.
const THETA: f64 = 1e7;
/// Noise beside a topic of length 1, in queries and in keys.
pub(super) const NOISE: f64 = 0.4;
/// Query tokens that look for a needle.
const QUESTION: usize = 8;
/// Key tokens of a needle, in turn.
const WIDTHS: [usize; 4] = [1, 2, 4, 16];
/// How large a needle's content is in its keys.
const NEEDLE: f64 = 2.0;
/// The largest salience of a token.
const MOST_SALIENT: f64 = 2.5;
/// The norm of the sink's value, as a share of that of others.
const SINK_VALUE: f64 = 0.05;

/// What the heads have in common.
pub(super) struct Context {
    config: Synthetic,
    /// The topic of each token.
    topics: Vec<u8>,
    topic_count: usize,
    /// How strongly each token stands for its topic.
    salience: Vec<f32>,
    /// The topics as each KV head stores them, `[kv_head, topic]`, of length 1.
    vectors: Vec<Vec<f64>>,
    /// The needles' content, of length 1.
    needle_vectors: Vec<Vec<f64>>,
    /// The means of the topics' values.
    values: Vec<Vec<f64>>,
    needles: Vec<Needle>,
    /// Radians for each token, by plane.
    frequencies: Vec<f64>,
    /// Planes `0..position` hold the position, `content..sink` the content, and `sink` is the last.
    position: usize,
    content: usize,
    sink: usize,
}

impl Context {
    pub(super) fn new(config: Synthetic) -> Result<Self> {
        let Synthetic { tokens, kv_heads, head_dim, seed, .. } = config;
        let topic_count = (tokens / 768).clamp(5, 24);
        let mut random = Random::new(seed, Stream::Segments, [0, 0]);
        let mut topics = room("synthetic topics", tokens)?;
        while topics.len() < tokens {
            let end = (topics.len() + 96 + random.below(416)).min(tokens);
            topics.resize(end, random.below(topic_count) as u8);
        }
        let mut salience = room("synthetic topics", tokens)?;
        salience.extend((0..tokens).map(|token| {
            let normal = Random::new(seed, Stream::Salience, [token, 0]).normal();
            (0.35 * normal).exp().min(MOST_SALIENT) as f32
        }));
        let planes = head_dim / 2;
        let (content, sink) = (planes * 5 / 8, planes - 1);
        let direction = |stream, index, dims: usize| Random::new(seed, stream, index).direction(dims);
        let needles = plant(&config);
        Ok(Self {
            config,
            topics,
            topic_count,
            salience,
            vectors: (0..kv_heads * topic_count)
                .map(|i| direction(Stream::Topic, [i / topic_count, i % topic_count], 2 * (sink - content)))
                .collect(),
            needle_vectors: (0..needles.len())
                .map(|i| direction(Stream::NeedleContent, [i, 0], 2 * (sink - content)))
                .collect(),
            values: (0..kv_heads * topic_count)
                .map(|i| direction(Stream::TopicValue, [i / topic_count, i % topic_count], head_dim))
                .collect(),
            needles,
            frequencies: (0..planes).map(|i| THETA.powf(-(i as f64) / planes as f64)).collect(),
            position: planes * 3 / 8,
            content,
            sink,
        })
    }

    pub(super) fn config(&self) -> &Synthetic {
        &self.config
    }

    pub(super) fn topic_count(&self) -> usize {
        self.topic_count
    }

    pub(super) fn salience(&self) -> &[f32] {
        &self.salience
    }

    pub(super) fn frequencies(&self) -> &[f64] {
        &self.frequencies
    }

    pub(super) fn position_planes(&self) -> usize {
        self.position
    }

    pub(super) fn content_dims(&self) -> usize {
        2 * (self.sink - self.content)
    }

    pub(super) fn into_needles(self) -> Vec<Needle> {
        self.needles
    }

    pub(super) fn random(&self, stream: Stream, index: [usize; 2]) -> Random {
        Random::new(self.config.seed, stream, index)
    }

    /// All query heads.
    pub(super) fn heads(&self) -> Vec<Head> {
        (0..self.config.heads).into_par_iter().map(|index| Head::new(index, self)).collect()
    }

    /// The query of a token, in planes that are zero.
    pub(super) fn query(&self, head: &Head, token: usize, planes: &mut [[f64; 2]]) {
        let mut random = self.random(Stream::Query, [head.index, token]);
        let unit = (self.config.head_dim as f64).sqrt(); // the scale of the softmax takes it away
        let all = (self.position as f64).sqrt();
        planes[..head.planes].fill([unit * head.recent * all / head.planes as f64, 0.0]);
        planes[self.sink] = [unit * head.sink, 0.0];
        let content = &mut planes[self.content..self.sink];
        match self.needles.iter().position(|needle| needle.queries.contains(&token)) {
            Some(needle) => {
                let wanted = &self.needle_vectors[needle];
                fill(content, |i| unit * head.needle / NEEDLE * wanted[i]);
            }
            None => {
                let topic = usize::from(self.topics[token]);
                let similar = random.uniform() < self.config.similarity;
                let topic = if similar { topic } else { head.associated[topic] };
                let wanted = &self.vectors[head.kv_head * self.topic_count + topic];
                let noise = random.direction(self.content_dims());
                fill(content, |i| unit * head.gain * (wanted[i] + NOISE * noise[i]));
            }
        }
        self.rotate(token, planes);
    }

    /// The key of a token, in planes that are zero.
    pub(super) fn key(&self, kv_head: usize, token: usize, planes: &mut [[f64; 2]]) {
        planes[..self.position].fill([1.0 / (self.position as f64).sqrt(), 0.0]);
        let content = &mut planes[self.content..self.sink];
        match self.needles.iter().position(|needle| needle.keys.contains(&token)) {
            Some(needle) => fill(content, |i| NEEDLE * self.needle_vectors[needle][i]),
            None if token == 0 => planes[self.sink] = [1.0, 0.0],
            None => {
                let salience = f64::from(self.salience[token]);
                let topic = &self.vectors[kv_head * self.topic_count + usize::from(self.topics[token])];
                let noise = self.random(Stream::Key, [kv_head, token]).direction(self.content_dims());
                fill(content, |i| salience * (topic[i] + NOISE * noise[i]));
            }
        }
        self.rotate(token, planes);
    }

    /// The value of a token: half of its variance is its topic's.
    pub(super) fn value(&self, kv_head: usize, token: usize, planes: &mut [[f64; 2]]) {
        let mut random = self.random(Stream::Value, [kv_head, token]);
        let size = if token == 0 { SINK_VALUE } else { (0.25 * random.normal()).exp() };
        let mean = &self.values[kv_head * self.topic_count + usize::from(self.topics[token])];
        let unit = (self.config.head_dim as f64).sqrt();
        fill(planes, |i| size * core::f64::consts::FRAC_1_SQRT_2 * (unit * mean[i] + random.normal()));
    }

    /// Turns the planes to a token's position.
    fn rotate(&self, token: usize, planes: &mut [[f64; 2]]) {
        for (plane, frequency) in planes.iter_mut().zip(&self.frequencies) {
            let [x, y] = *plane;
            let (sin, cos) = (token as f64 * frequency).sin_cos();
            *plane = [x * cos - y * sin, x * sin + y * cos];
        }
    }
}

/// Writes values `0, 1, …` into both parts of consecutive planes.
fn fill(planes: &mut [[f64; 2]], mut value: impl FnMut(usize) -> f64) {
    for (i, plane) in planes.iter_mut().enumerate() {
        *plane = [value(2 * i), value(2 * i + 1)];
    }
}

/// Needles in the first part of the context, the queries that look for them in the last, one of each in a stretch of its own,
/// paired at random. A context too short to have far tokens gets none.
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
        let first = (from * n + stretch * slot as f64 + random.uniform() * (stretch - width as f64)) as usize;
        first..first + width
    };
    let needle = |i: usize| Needle {
        queries: place(0.65, 1.0, order[i], QUESTION),
        keys: place(0.02, 0.6, i, WIDTHS[i % WIDTHS.len()]),
    };
    (0..count).map(needle).collect()
}
