//! Whether each stage's buffers hold what the reference makes of what the stage before it left.

use crate::harness::{Memory, Place};
use core::f64::consts::LN_2;
use proxyattn::codegen::cuda::{CODES_PER_LOG2, Keys, Scratch, Shape, Tensor};
use proxyattn::codegen::{Dtype, Spec};
use proxyattn::{Element, View};
use proxyattn_oracle::{Grid, Heads, KernelLists, Oracle, Proxies, Samples, e4m3, in_order_of_cuts};

/// The buffers of a run.
pub(crate) struct Buffers<'a> {
    pub(crate) spec: Spec,
    pub(crate) shape: Shape,
    pub(crate) grid: Grid,
    pub(crate) memory: &'a Memory,
}

/// What `score` leaves of each sample.
pub(crate) struct SampleScores {
    maxima: Vec<u16>,
    floors: Vec<f32>,
    lse: Vec<f32>,
}

impl<'a> Buffers<'a> {
    pub(crate) fn new(spec: &Spec, shape: &Shape, memory: &'a Memory) -> Self {
        let Shape { batch, heads, kv_heads, q_len, kv_len } = *shape;
        let grid = Grid::new(spec, [batch, heads, kv_heads, q_len, kv_len].map(|number| number as usize));
        Self { spec: *spec, shape: *shape, grid, memory }
    }

    /// The reference on the inputs.
    pub(crate) fn oracle<T: Element>(&self) -> Oracle {
        let inputs = [Tensor::Q, Tensor::K, Tensor::V].map(|tensor| self.heads::<T>(tensor, tensor));
        Oracle::of_heads(self.grid.clone(), inputs)
    }

    /// What lies at a place with a tensor's strides.
    fn heads<T: Element>(&self, place: impl Into<Place>, like: Tensor) -> Heads {
        let elements: Vec<T> = self.memory.halves(place).into_iter().map(T::from_bits).collect();
        let [batch, head, token] = self.memory.strides[&like].map(|stride| stride as usize);
        let [heads, tokens] = like.extents().map(|extent| extent.of(&self.spec, &self.shape) as usize);
        let shape = [self.shape.batch as usize, heads, tokens, self.spec.head_dim as usize];
        let view = View::strided(&elements, shape, [batch, head, token, 1]);
        Heads::of(&view.expect("a buffer holds its tensor"))
    }

    /// How many floors and sums a sample has, and the keys that each is for.
    fn segments(&self) -> (usize, usize) {
        let (spec, shape) = (&self.spec, &self.shape);
        let samples = shape.batch * shape.groups(spec) * shape.rows(spec) * self.per_row() as u64;
        match self.memory.floats(Scratch::Lse).len() as u64 == samples {
            true => (1, usize::MAX),
            false => (shape.segments(spec) as usize, shape.segment_keys(spec) as usize),
        }
    }

    /// Sampled queries of a row.
    fn per_row(&self) -> usize {
        (self.spec.block.q / self.spec.sample_window().q) as usize
    }

    /// Sampled keys of a block.
    fn per_block(&self) -> usize {
        (self.spec.block.kv / self.spec.sample_window().kv) as usize
    }

    /// Where the sums and floors of a sample are: `[row][segment][sample of the row]`.
    fn part(&self, row: usize, segment: usize, i: usize) -> usize {
        (row * self.segments().0 + segment) * self.per_row() + i
    }

    /// Proxies are means but for the rounding of the element type; those in e4m3 are the reference's to the bit.
    pub(crate) fn pool<T: Element>(&self, oracle: &Oracle) {
        let (got, want) = (self.proxies::<T>(oracle), oracle.proxies());
        let epsilon = if self.spec.dtype == Dtype::F16 { 1e-3 } else { 8e-3 };
        let close = |name: &str, got: &Heads, want: &Heads| {
            assert_eq!(got.numbers().len(), want.numbers().len(), "numbers of {name}");
            for (got, want) in got.numbers().iter().zip(want.numbers()) {
                assert!((got - want).abs() <= epsilon * want.abs() + 1e-6, "{name}: {got}, not {want}");
            }
        };
        let (Some(centre), Some(wanted)) = (&got.centre, &want.centre) else {
            close("queries", &got.q.numbers, &want.q.numbers);
            close("keys", &got.k.numbers, &want.k.numbers);
            return;
        };
        // Keys of both signs may all but cancel.
        let keys = self.heads::<T>(Tensor::K, Tensor::K);
        let largest = keys.numbers().iter().fold(0.0, |max: f64, x| max.max(x.abs()));
        for (got, want) in centre.numbers().iter().zip(wanted.numbers()) {
            let tolerance = epsilon * want.abs() + 1e-6 * largest;
            assert!((got - want).abs() <= tolerance, "a centre is {got}, not {want}");
        }
        let want = oracle.rounded_proxies(Some(centre.clone()));
        for (name, got, want) in [("queries", got.q, want.q), ("keys", got.k, want.k)] {
            assert_eq!(got.exponents, want.exponents, "exponents of {name}");
            assert_eq!(got.numbers.numbers(), want.numbers.numbers(), "{name}");
        }
    }

    /// The proxies that `score` reads: the keys may be those of the inputs.
    fn proxies<T: Element>(&self, oracle: &Oracle) -> Proxies {
        if self.memory.has(Scratch::Centres) {
            return self.rounded_proxies::<T>();
        }
        let q = Samples::plain(self.heads::<T>(Scratch::ProxyQ, Tensor::ProxyQ));
        let k = match self.memory.has(Scratch::ProxyK) {
            true => Samples::plain(self.heads::<T>(Scratch::ProxyK, Tensor::Keys(Keys::Pooled))),
            false => oracle.proxies().k,
        };
        Proxies { q, k, centre: None }
    }

    /// Those in e4m3, which lie in bytes or in elements.
    fn rounded_proxies<T: Element>(&self) -> Proxies {
        let bytes = |scratch: Scratch, tensor: Tensor| {
            let tokens = tensor.extents()[1].of(&self.spec, &self.shape) as usize;
            let numbers = self.memory.bytes[&scratch.into()].iter().map(|&bits| e4m3(bits)).collect();
            Heads::new(numbers, tokens, self.spec.head_dim as usize)
        };
        let (q, k) = match self.memory.has(Scratch::ProxyQ8) {
            true => (
                bytes(Scratch::ProxyQ8, Tensor::ProxyQ8),
                bytes(Scratch::ProxyK8, Tensor::Keys(Keys::Pooled8)),
            ),
            false => (
                self.heads::<T>(Scratch::ProxyQ, Tensor::ProxyQ),
                self.heads::<T>(Scratch::ProxyK, Tensor::Keys(Keys::Pooled)),
            ),
        };
        let exponents = |scratch| -> Vec<i32> {
            let factors = self.memory.floats(scratch).into_iter();
            factors.map(|factor| factor.log2() as i32).collect()
        };
        let elements: Vec<T> = self.memory.halves(Scratch::Centres).into_iter().map(T::from_bits).collect();
        let centre = elements.iter().map(|x| f64::from(x.to_f32())).collect();
        Proxies {
            q: Samples { numbers: q, exponents: exponents(Scratch::QFactors), run: 1 },
            k: Samples { numbers: k, exponents: exponents(Scratch::KFactors), run: self.per_block() },
            centre: Some(Heads::new(centre, 1, self.spec.head_dim as usize)),
        }
    }

    /// Sums, floors and codes of every sample.
    pub(crate) fn score<T: Element>(&self, oracle: &Oracle) {
        let (spec, shape) = (&self.spec, &self.shape);
        let (groups, blocks) = (shape.groups(spec) as usize, self.grid.blocks());
        let (maxima, floors) = (self.memory.halves(Scratch::Maxima), self.memory.floats(Scratch::Floors));
        let lse = self.memory.floats(Scratch::Lse);
        let proxies = self.proxies::<T>(oracle);
        let (_, segment_keys) = self.segments();
        for sequence in 0..shape.batch as usize * groups {
            for sample in 0..shape.q_samples(spec) as usize {
                let token = sample * spec.sample_window().q as usize;
                let (log_sum, best) = oracle.proxy_maxima(&proxies, sequence, token);
                let (row, i) =
                    (sequence * self.grid.rows() + sample / self.per_row(), sample % self.per_row());
                // One sum for each segment that the sample sees.
                let seen = self.grid.keys_seen(token).div_ceil(spec.sample_window().kv as usize);
                let parts = (0..seen.div_ceil(segment_keys))
                    .map(|segment| f64::from(lse[self.part(row, segment, i)]));
                let (got, want) = (parts.map(f64::exp2).sum::<f64>().log2(), log_sum / LN_2);
                assert!(
                    (got - want).abs() < 2e-4 * (1.0 + want.abs()),
                    "lse {sequence}/{sample}: {got}, not {want}"
                );
                for (block, max) in best.iter().enumerate() {
                    let want = max / LN_2;
                    if want.is_infinite() {
                        continue; // What no sample sees is pinned or invisible: any code goes.
                    }
                    let floor = f64::from(floors[self.part(row, block * self.per_block() / segment_keys, i)]);
                    let code = f64::from(maxima[(row * blocks + block) * self.per_row() + i]);
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

    /// Heads of all sequences, as `(sequence, head)`.
    pub(crate) fn all_heads(&self) -> impl Iterator<Item = (usize, usize)> {
        let heads = self.grid.heads();
        (0..self.grid.batch() * heads).map(move |flat| (flat / heads, flat % heads))
    }

    /// What `score` has left.
    pub(crate) fn samples(&self) -> SampleScores {
        SampleScores {
            maxima: self.memory.halves(Scratch::Maxima),
            floors: self.memory.floats(Scratch::Floors),
            lse: self.memory.floats(Scratch::Lse),
        }
    }

    /// The blocks of a row of a group, among those of all sequences, in the order in which they fill its list.
    pub(crate) fn ranking(&self, scores: &SampleScores, sequence: usize, row: usize) -> Vec<usize> {
        let (spec, grid, blocks) = (&self.spec, &self.grid, self.grid.blocks());
        let SampleScores { maxima, floors, lse } = scores;
        let (segments, segment_keys) = self.segments();
        let at = sequence * grid.rows() + row;
        // As the kernel adds it up, but for the last bits of its exponentials.
        let lse_of = |i: usize| {
            if segments == 1 {
                return lse[self.part(at, 0, i)];
            }
            let last = (grid.row_tokens(row).end - 1) / spec.sample_window().q as usize
                * spec.sample_window().q as usize;
            let seen = grid.keys_seen(last).div_ceil(spec.sample_window().kv as usize);
            let parts: Vec<f32> =
                (0..seen.div_ceil(segment_keys)).map(|segment| lse[self.part(at, segment, i)]).collect();
            let top = parts.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
            top + parts.iter().map(|part| (part - top).exp2()).sum::<f32>().log2()
        };
        let samples = grid.row_tokens(row).len().div_ceil(spec.sample_window().q as usize);
        let sums: Vec<f32> = (0..samples).map(lse_of).collect();
        let score = |block: usize| {
            let codes = &maxima[(at * blocks + block) * self.per_row()..][..samples];
            let scores = codes.iter().zip(&sums).enumerate().map(|(i, (&code, sum))| {
                let floor = floors[self.part(at, block * self.per_block() / segment_keys, i)];
                let level = ((floor - sum) * 4096.0).round_ties_even() as i32;
                i32::from(code) * 64 + level
            });
            f64::from(scores.max().expect("a row has samples") as f32)
        };
        grid.ranking(row, &(0..grid.visible(row)).map(score).collect())
    }

    /// Lists and counts, exactly: the ranking is by f32 scores, and its arithmetic is two operations.
    pub(crate) fn select(&self) {
        let grid = &self.grid;
        let (rows, blocks, groups) = (grid.rows(), grid.blocks(), grid.groups());
        let heads = grid.heads() / groups;
        let (lists, counts) = (self.memory.words(Scratch::Lists), self.memory.words(Scratch::Counts));
        let measured = self.memory.has(Scratch::Measured).then(|| self.memory.words(Scratch::Measured));
        let samples = self.samples();
        for sequence in 0..grid.batch() * groups {
            for row in 0..rows {
                let at = sequence * rows + row;
                let ranking = self.ranking(&samples, sequence, row);
                let mut wanted = Vec::new();
                for head in sequence * heads..(sequence + 1) * heads {
                    let measured = measured.as_ref().map_or(0, |measured| measured[head] as usize);
                    let want = grid.count(measured, row);
                    assert_eq!(counts[head * rows + row] as usize, want, "count of head {head}, row {row}");
                    wanted.push(want);
                }
                let want = in_order_of_cuts(&ranking, &wanted);
                let got = &lists[at * blocks..][..want.len()];
                assert_eq!(got, want, "list {sequence}, row {row}, counts {wanted:?}");
                if measured.is_some() {
                    let fewest = wanted.iter().min().copied();
                    assert_eq!(Some(self.memory.words(Scratch::Runs)[at] as usize), fewest, "run of {at}");
                }
            }
        }
    }

    /// Lists of this run.
    pub(crate) fn lists(&self) -> KernelLists<'_> {
        KernelLists::new(&self.grid, self.memory.words(Scratch::Lists), self.memory.words(Scratch::Counts))
    }

    /// An output against attention over the lists' blocks; over all that are visible if `dense`.
    pub(crate) fn attention<T: Element>(&self, oracle: &Oracle, dense: bool) {
        let (place, want) = match dense {
            true => (Place::OutDense, oracle.attend_all()),
            false => (Tensor::Out.into(), oracle.attend(&self.lists())),
        };
        let got = self.heads::<T>(place, Tensor::Out);
        assert_eq!(got.numbers().len(), want.len(), "{place}");
        let epsilon = if self.spec.dtype == Dtype::F16 { 4e-3 } else { 2e-2 };
        for (i, (got, want)) in got.numbers().iter().zip(&want).enumerate() {
            let (row, dim) = (i / self.spec.head_dim as usize, i % self.spec.head_dim as usize);
            let (head, token) = (row / self.shape.q_len as usize, row % self.shape.q_len as usize);
            assert!(
                (got - want).abs() <= epsilon * (1.0 + want.abs()),
                "{place}: head {head}, token {token}, dim {dim}: {got}, not {want}"
            );
        }
    }
}
