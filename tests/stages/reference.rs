//! What each stage should have computed, from what the stage before it left: plain loops in f64.

use crate::harness::{Memory, Place};
use proxyattn::Geometry;
use proxyattn::codegen::cuda::{CODES_PER_LOG2, Scratch, Shape, Tensor};
use proxyattn::codegen::{Dtype, Spec};
use proxyattn::prelude::{bf16, f16};

pub(crate) struct Reference<'a> {
    pub(crate) spec: Spec,
    pub(crate) shape: Shape,
    pub(crate) geometry: Geometry,
    pub(crate) memory: &'a Memory,
}

impl Reference<'_> {
    fn decode(&self, bits: u16) -> f64 {
        match self.spec.dtype {
            Dtype::F16 => f16::from_bits(bits).to_f64(),
            Dtype::Bf16 => bf16::from_bits(bits).to_f64(),
        }
    }

    fn dim(&self) -> usize {
        self.spec.head_dim as usize
    }

    /// A dense buffer of rows of `head_dim`.
    fn rows_of(&self, scratch: Scratch) -> Vec<Vec<f64>> {
        let halves = self.memory.halves(scratch);
        halves.chunks(self.dim()).map(|row| row.iter().map(|&bits| self.decode(bits)).collect()).collect()
    }

    /// `[head][token][dim]` of one sequence of a tensor of the caller's.
    fn heads(&self, tensor: Tensor, batch: u64) -> Vec<Vec<Vec<f64>>> {
        self.heads_at(tensor.into(), tensor, batch)
    }

    /// The same of what lies elsewhere with a tensor's strides.
    fn heads_at(&self, place: Place, like: Tensor, batch: u64) -> Vec<Vec<Vec<f64>>> {
        let halves = self.memory.halves(place);
        let [per_batch, per_head, per_token] = self.memory.strides[&like].map(|stride| stride as usize);
        let [heads, tokens] = like.extents().map(|extent| extent.of(&self.spec, &self.shape) as usize);
        let row = |head: usize, token: usize| {
            let at = batch as usize * per_batch + head * per_head + token * per_token;
            halves[at..at + self.dim()].iter().map(|&bits| self.decode(bits)).collect()
        };
        (0..heads).map(|head| (0..tokens).map(|token| row(head, token)).collect()).collect()
    }

    /// How many floors and sums a sample has, and the keys that each is for.
    fn segments(&self) -> (usize, usize) {
        let (spec, shape) = (&self.spec, &self.shape);
        let per_row = u64::from(spec.block.q / spec.stride.q);
        let samples = shape.batch * shape.groups(spec) * shape.rows(spec) * per_row;
        match self.memory.floats(Scratch::Lse).len() as u64 == samples {
            true => (1, usize::MAX),
            false => (shape.segments(spec) as usize, shape.segment_keys(spec) as usize),
        }
    }

    /// The segments, their keys, and where the sums and floors of a sample are: `[row][segment][sample of the row]`.
    fn part(&self, row: usize, segment: usize, i: usize) -> usize {
        (row * self.segments().0 + segment) * (self.spec.block.q / self.spec.stride.q) as usize + i
    }

    /// The mean over a run of heads at every `stride`-th token.
    fn mean(heads: &[Vec<Vec<f64>>], stride: usize) -> Vec<Vec<f64>> {
        let sample = |token: usize| -> Vec<f64> {
            let sum = |d: usize| heads.iter().map(|head| head[token][d]).sum::<f64>() / heads.len() as f64;
            (0..heads[0][token].len()).map(sum).collect()
        };
        (0..heads[0].len()).step_by(stride).map(sample).collect()
    }

    /// Largest deviation of the proxies, relative to the rounding of the element type.
    pub(crate) fn pool(&self, proxies: Scratch) {
        let (tensor, stride) = match proxies {
            Scratch::ProxyQ => (Tensor::Q, self.spec.stride.q as usize),
            Scratch::ProxyK => (Tensor::K, self.spec.stride.kv as usize),
            other => unreachable!("{other} is no mean over heads"),
        };
        let groups = self.shape.groups(&self.spec) as usize;
        let epsilon = if self.spec.dtype == Dtype::F16 { 1e-3 } else { 8e-3 };
        let mut got = self.rows_of(proxies).into_iter();
        for batch in 0..self.shape.batch {
            let heads = self.heads(tensor, batch);
            for group in heads.chunks(heads.len() / groups) {
                for want in Self::mean(group, stride) {
                    for (got, want) in got.next().expect("as many rows").iter().zip(want) {
                        assert!(
                            (got - want).abs() <= epsilon * want.abs() + 1e-6,
                            "{proxies}: {got}, not {want}"
                        );
                    }
                }
            }
        }
        assert!(got.next().is_none(), "{proxies} has rows to spare");
    }

    /// Log₂ scores of queries against keys; −∞ from a query's limit on.
    fn logits(&self, query: &[f64], keys: &[Vec<f64>], limit: usize) -> Vec<f64> {
        let scale = self.spec.softmax_scale() * std::f64::consts::LOG2_E;
        let dot = |key: &Vec<f64>| query.iter().zip(key).map(|(a, b)| a * b).sum::<f64>() * scale;
        keys.iter().enumerate().map(|(i, key)| if i < limit { dot(key) } else { f64::NEG_INFINITY }).collect()
    }

    pub(crate) fn score(&self) {
        let (spec, shape) = (&self.spec, &self.shape);
        let per_row = (spec.block.q / spec.stride.q) as usize;
        let per_block = (spec.block.kv / spec.stride.kv) as usize;
        let (groups, blocks) = (shape.groups(spec) as usize, self.geometry.blocks());
        let (maxima, floors) = (self.memory.halves(Scratch::Maxima), self.memory.floats(Scratch::Floors));
        let lse = self.memory.floats(Scratch::Lse);
        let queries = self.rows_of(Scratch::ProxyQ);
        let (_, segment_keys) = self.segments();
        let samples = shape.q_samples(spec) as usize;
        for sequence in 0..shape.batch as usize * groups {
            let keys = if self.memory.has(Scratch::ProxyK) {
                let samples = shape.kv_samples(spec) as usize;
                self.rows_of(Scratch::ProxyK)[sequence * samples..][..samples].to_vec()
            } else {
                let heads = self.heads(Tensor::K, (sequence / groups) as u64);
                Self::mean(&heads[sequence % groups..][..1], spec.stride.kv as usize)
            };
            for sample in 0..samples {
                let position = self.geometry.offset() + sample * spec.stride.q as usize;
                let seen = if spec.causal { position / spec.stride.kv as usize + 1 } else { usize::MAX };
                let keys_len = keys.len();
                let logits = self.logits(&queries[sequence * samples + sample], &keys, seen.min(keys_len));
                let want = logits.iter().map(|x| x.exp2()).sum::<f64>().log2();
                let (row, i) = (sequence * self.geometry.rows() + sample / per_row, sample % per_row);
                // One sum for each segment that the sample sees.
                let parts = (0..seen.min(keys_len).div_ceil(segment_keys))
                    .map(|segment| f64::from(lse[self.part(row, segment, i)]));
                let got = parts.map(f64::exp2).sum::<f64>().log2();
                assert!(
                    (got - want).abs() < 2e-4 * (1.0 + want.abs()),
                    "lse {sequence}/{sample}: {got}, not {want}"
                );
                for (block, logits) in logits.chunks(per_block).enumerate() {
                    let want = logits.iter().fold(f64::NEG_INFINITY, |max, &x| max.max(x));
                    if want.is_infinite() {
                        continue; // What no sample sees is pinned or invisible: any code goes.
                    }
                    let floor = f64::from(floors[self.part(row, block * per_block / segment_keys, i)]);
                    let code = f64::from(maxima[(row * blocks + block) * per_row + i]);
                    let got = floor + code / f64::from(CODES_PER_LOG2);
                    let half = 0.5 / f64::from(CODES_PER_LOG2) + 1e-4 * (1.0 + want.abs());
                    assert!(
                        (got - want).abs() <= half,
                        "maximum {sequence}/{sample}/{block}: {got}, not {want}"
                    );
                }
            }
        }
    }

    /// Partials hold each (query, block)'s share of the sum, and the measured counts lie between those of slightly smaller
    /// and slightly larger shares.
    pub(crate) fn budget(&self, gamma: f64) {
        let measured = self.memory.words(Scratch::Measured);
        let partials = (self.memory.floats(Scratch::PartialMax), self.memory.floats(Scratch::PartialSum));
        let queries = (self.spec.block.q as usize).min(self.shape.q_len as usize);
        let ratio = self.shape.heads_per_kv() as usize;
        for batch in 0..self.shape.batch {
            let (q, k) = (self.heads(Tensor::Q, batch), self.heads(Tensor::K, batch));
            for (head, q) in q.iter().enumerate() {
                let mut masses = vec![0.0; self.geometry.blocks()];
                let flat = batch as usize * self.shape.heads as usize + head;
                for (i, (token, query)) in q.iter().enumerate().skip(q.len() - queries).enumerate() {
                    let limit =
                        if self.spec.causal { self.geometry.offset() + token + 1 } else { usize::MAX };
                    let logits = self.logits(query, &k[head / ratio], limit);
                    let total: f64 = logits.iter().map(|x| x.exp2()).sum();
                    let blocks = logits.chunks(self.spec.block.kv as usize).enumerate();
                    for (block, logits) in blocks {
                        let sum = logits.iter().map(|x| x.exp2()).sum::<f64>();
                        masses[block] += sum / total / queries as f64;
                        let at = (flat * masses.len() + block) * self.spec.block.q as usize + i;
                        let (max, under) = (f64::from(partials.0[at]), f64::from(partials.1[at]));
                        let (got, want) = (max + under.log2(), sum.log2());
                        // What weighs nothing beside the whole may be any little.
                        let nothing = total.log2() - 60.0;
                        assert!(
                            (got - want).abs() < 2e-4 * (1.0 + want.abs()) || got.max(want) < nothing,
                            "partial {batch}/{head}/{i}/{block}: {got}, not {want}"
                        );
                    }
                }
                masses.sort_by(|a, b| b.total_cmp(a));
                let fewest = |share: f64| {
                    let mut sum = 0.0;
                    let reached = masses.iter().position(|mass| {
                        sum += mass;
                        sum >= share
                    });
                    reached.map_or(masses.len(), |last| last + 1)
                };
                let got = measured[flat] as usize;
                let (low, high) = (fewest(gamma - 1e-4), fewest(gamma + 1e-4));
                assert!((low..=high).contains(&got), "head {head}: {got} blocks, not {low}..={high}");
            }
        }
    }

    /// Lists and counts, exactly: the ranking is by f32 scores, and its arithmetic is two operations.
    pub(crate) fn select(&self) {
        let spec = &self.spec;
        let per_row = (spec.block.q / spec.stride.q) as usize;
        let (rows, blocks) = (self.geometry.rows(), self.geometry.blocks());
        let groups = self.shape.groups(spec) as usize;
        let heads = self.shape.heads as usize / groups;
        let (maxima, floors) = (self.memory.halves(Scratch::Maxima), self.memory.floats(Scratch::Floors));
        let lse = self.memory.floats(Scratch::Lse);
        let (segments, segment_keys) = self.segments();
        // As the kernel adds it up, but for the last bits of its exponentials.
        let lse_of = |at: usize, row: usize, i: usize| {
            if segments == 1 {
                return lse[self.part(at, 0, i)];
            }
            let last = (self.geometry.tokens(row).end - 1) / spec.stride.q as usize * spec.stride.q as usize;
            let seen = (self.geometry.offset() + last) / spec.stride.kv as usize + 1;
            let all = self.shape.kv_samples(spec) as usize;
            let seen = if spec.causal { seen.min(all) } else { all };
            let parts: Vec<f32> =
                (0..seen.div_ceil(segment_keys)).map(|segment| lse[self.part(at, segment, i)]).collect();
            let top = parts.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
            top + parts.iter().map(|part| (part - top).exp2()).sum::<f32>().log2()
        };
        let per_block = (spec.block.kv / spec.stride.kv) as usize;
        let (lists, counts) = (self.memory.words(Scratch::Lists), self.memory.words(Scratch::Counts));
        let measured = self.memory.has(Scratch::Measured).then(|| self.memory.words(Scratch::Measured));
        for sequence in 0..self.shape.batch as usize * groups {
            for row in 0..rows {
                let at = sequence * rows + row;
                let tokens = self.geometry.tokens(row).len().div_ceil(spec.stride.q as usize);
                let score = |block: usize| {
                    let codes = &maxima[(at * blocks + block) * per_row..][..tokens];
                    let scores = codes.iter().enumerate().map(|(i, &code)| {
                        let floor = floors[self.part(at, block * per_block / segment_keys, i)];
                        let level = ((floor - lse_of(at, row, i)) * 4096.0).round_ties_even() as i32;
                        i32::from(code) * 64 + level
                    });
                    scores.max().expect("a row has samples") as f32
                };
                let key = |&block: &usize| {
                    let pinned = self.geometry.is_pinned(row, block);
                    (!pinned, if pinned { 0.0 } else { -score(block) }, block)
                };
                let mut ranking: Vec<usize> = (0..self.geometry.visible(row)).collect();
                ranking.sort_by(|a, b| {
                    let (a, b) = (key(a), key(b));
                    a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2))
                });
                let mut cuts = Vec::new();
                for head in sequence * heads..(sequence + 1) * heads {
                    let measured = measured.as_ref().map_or(0, |measured| measured[head] as usize);
                    let want = self.geometry.count(&spec.budget, measured, row);
                    assert_eq!(counts[head * rows + row] as usize, want, "count of head {head}, row {row}");
                    cuts.push(want);
                }
                cuts.sort_unstable();
                cuts.dedup();
                let mut begin = 0;
                for &cut in &cuts {
                    ranking[begin..cut].sort_unstable();
                    begin = cut;
                }
                let got: Vec<usize> =
                    lists[at * blocks..][..begin].iter().map(|&block| block as usize).collect();
                assert_eq!(got, ranking[..begin], "list {sequence}, row {row}, cuts {cuts:?}");
                if measured.is_some() {
                    assert_eq!(self.memory.words(Scratch::Runs)[at] as usize, cuts[0]);
                }
            }
        }
    }

    /// An output against attention over the given blocks; all that are visible if `dense`.
    pub(crate) fn attention(&self, dense: bool) {
        let place = if dense { Place::OutDense } else { Tensor::Out.into() };
        let (rows, blocks) = (self.geometry.rows(), self.geometry.blocks());
        let ratio = self.shape.heads_per_kv() as usize;
        let groups = self.shape.groups(&self.spec) as usize;
        let per_group = self.shape.heads as usize / groups;
        let (lists, counts) = match dense {
            true => (Vec::new(), Vec::new()),
            false => (self.memory.words(Scratch::Lists), self.memory.words(Scratch::Counts)),
        };
        let epsilon = if self.spec.dtype == Dtype::F16 { 4e-3 } else { 2e-2 };
        for batch in 0..self.shape.batch {
            let [q, k, v] = [Tensor::Q, Tensor::K, Tensor::V].map(|tensor| self.heads(tensor, batch));
            let got = self.heads_at(place, Tensor::Out, batch);
            for head in 0..q.len() {
                let flat = batch as usize * q.len() + head;
                for row in 0..rows {
                    let visited: Vec<usize> = if dense {
                        (0..self.geometry.visible(row)).collect()
                    } else {
                        let list = &lists[((flat / per_group) * rows + row) * blocks..];
                        list[..counts[flat * rows + row] as usize]
                            .iter()
                            .map(|&block| block as usize)
                            .collect()
                    };
                    for token in self.geometry.tokens(row) {
                        let limit =
                            if self.spec.causal { self.geometry.offset() + token + 1 } else { usize::MAX };
                        let logits = self.logits(&q[head][token], &k[head / ratio], limit);
                        let keys: Vec<usize> = visited.iter().flat_map(|&b| self.geometry.keys(b)).collect();
                        let max = keys.iter().fold(f64::NEG_INFINITY, |max, &key| max.max(logits[key]));
                        let total: f64 = keys.iter().map(|&key| (logits[key] - max).exp2()).sum();
                        for d in 0..self.dim() {
                            let weigh =
                                |&key: &usize| (logits[key] - max).exp2() / total * v[head / ratio][key][d];
                            let want: f64 = keys.iter().map(weigh).sum();
                            let got = got[head][token][d];
                            assert!(
                                (got - want).abs() <= epsilon * (1.0 + want.abs()),
                                "{place}: head {head}, token {token}, dim {d}: {got}, not {want}"
                            );
                        }
                    }
                }
            }
        }
    }
}
