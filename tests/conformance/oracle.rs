//! The reference: every stage as its formula reads, in f64, one token at a time.
//!
//! It shares no code with the runtime. It reads the numbers of a `Spec` and the rows of a `View`, and finds
//! out for itself which blocks a row sees, which are pinned and how many a head may visit.

use proxyattn::codegen::{Budget, Rows, Scorer, Spec};
use proxyattn::{Element, View};
use rayon::prelude::*;

/// One prefill, as numbers.
pub(crate) struct Oracle {
    spec: Spec,
    pub(crate) batch: usize,
    pub(crate) heads: usize,
    kv_heads: usize,
    pub(crate) groups: usize,
    q_len: usize,
    kv_len: usize,
    scale: f64,
    q: Heads,
    k: Heads,
    v: Heads,
}

/// Tokens of heads, `[batch · heads, tokens, dim]`.
struct Heads {
    data: Vec<f64>,
    tokens: usize,
    dim: usize,
}

impl Heads {
    fn of<T: Element>(view: &View<'_, T>) -> Self {
        let [batch, heads, tokens, dim] = view.shape();
        let mut data = Vec::with_capacity(batch * heads * tokens * dim);
        for b in 0..batch {
            for h in 0..heads {
                for t in 0..tokens {
                    data.extend(view.row(b, h, t).iter().map(|x| f64::from(x.to_f32())));
                }
            }
        }
        Self { data, tokens, dim }
    }

    fn row(&self, head: usize, token: usize) -> &[f64] {
        let start = (head * self.tokens + token) * self.dim;
        &self.data[start..start + self.dim]
    }

    /// The mean over a run of heads, at every `stride`-th token.
    fn mean(&self, heads: core::ops::Range<usize>, stride: usize) -> Self {
        let tokens = self.tokens.div_ceil(stride);
        let mut data = vec![0.0; tokens * self.dim];
        for head in heads.clone() {
            for (sample, mean) in data.chunks_exact_mut(self.dim).enumerate() {
                for (m, x) in mean.iter_mut().zip(self.row(head, sample * stride)) {
                    *m += x / heads.len() as f64;
                }
            }
        }
        Self { data, tokens, dim: self.dim }
    }
}

/// Log-scores of the blocks that a row sees; −∞ where no sampled query of the row sees a sampled key.
pub(crate) type Scores = Vec<f64>;

impl Oracle {
    pub(crate) fn new<T: Element>(spec: &Spec, q: &View<'_, T>, k: &View<'_, T>, v: &View<'_, T>) -> Self {
        let [batch, heads, q_len, _] = q.shape();
        let [_, kv_heads, kv_len, _] = k.shape();
        Self {
            spec: *spec,
            batch,
            heads,
            kv_heads,
            groups: spec.groups.map_or(kv_heads, |groups| groups as usize),
            q_len,
            kv_len,
            scale: spec.scale.unwrap_or(1.0 / f64::from(spec.head_dim).sqrt()),
            q: Heads::of(q),
            k: Heads::of(k),
            v: Heads::of(v),
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.q_len.div_ceil(self.spec.block.q as usize)
    }

    fn row_tokens(&self, row: usize) -> core::ops::Range<usize> {
        let block = self.spec.block.q as usize;
        row * block..self.q_len.min((row + 1) * block)
    }

    fn block_of(&self, key: usize) -> usize {
        key / self.spec.block.kv as usize
    }

    /// The key that a query token stands at; none of more queries than keys.
    fn position(&self, token: usize) -> Option<usize> {
        (self.kv_len + token).checked_sub(self.q_len).filter(|_| self.q_len <= self.kv_len)
    }

    /// Keys that a query token sees: the first so many.
    fn keys_seen(&self, token: usize) -> usize {
        match self.spec.causal {
            true => self.position(token).expect("causal queries are the end of the keys") + 1,
            false => self.kv_len,
        }
    }

    /// Blocks that some token of the row sees: the first so many.
    pub(crate) fn visible(&self, row: usize) -> usize {
        self.row_tokens(row)
            .map(|t| self.block_of(self.keys_seen(t) - 1) + 1)
            .max()
            .expect("a row has tokens")
    }

    /// Whether a block is kept whatever its score.
    pub(crate) fn is_pinned(&self, row: usize, block: usize) -> bool {
        let own = || self.row_tokens(row).filter_map(|t| self.position(t)).map(|key| self.block_of(key));
        let local =
            own().min().is_some_and(|first| block < first && block + self.spec.keep.local as usize >= first);
        block < self.spec.keep.sink as usize || local || own().any(|b| b == block)
    }

    /// Log-scores of every row, `[batch · groups, rows]`.
    pub(crate) fn scores(&self) -> Vec<Scores> {
        let (stride_q, stride_kv) = (self.spec.stride.q as usize, self.spec.stride.kv as usize);
        let mut all = Vec::new();
        for b in 0..self.batch {
            for g in 0..self.groups {
                let run = |heads: usize| {
                    let size = heads / self.groups;
                    b * heads + g * size..b * heads + (g + 1) * size
                };
                let rows = (0..self.rows()).into_par_iter();
                match self.spec.scorer {
                    Scorer::Proxy => {
                        let q = self.q.mean(run(self.heads), stride_q);
                        let k = self.k.mean(run(self.kv_heads), stride_kv);
                        all.par_extend(rows.map(|row| self.row_scores(row, &q, &k)));
                    }
                }
            }
        }
        all
    }

    /// The largest probability in each tile of a row, over the sampled queries and keys; its logarithm.
    fn row_scores(&self, row: usize, q: &Heads, k: &Heads) -> Scores {
        let (stride_q, stride_kv) = (self.spec.stride.q as usize, self.spec.stride.kv as usize);
        let mut scores = vec![f64::NEG_INFINITY; self.visible(row)];
        let mut logits = Vec::new();
        for token in self.row_tokens(row).filter(|t| t % stride_q == 0) {
            let samples = self.keys_seen(token).div_ceil(stride_kv);
            logits.clear();
            logits.extend((0..samples).map(|s| self.scale * dot(q.row(0, token / stride_q), k.row(0, s))));
            let log_sum = log_sum_exp(&logits);
            for (s, logit) in logits.iter().enumerate() {
                let score = &mut scores[self.block_of(s * stride_kv)];
                *score = score.max(logit - log_sum);
            }
        }
        scores
    }

    /// Blocks of a row, best first: the pinned ones, then by score, then by index.
    pub(crate) fn ranking(&self, row: usize, scores: &Scores) -> Vec<usize> {
        let mut blocks: Vec<usize> = (0..self.visible(row)).collect();
        blocks.sort_by(|&a, &b| {
            let pinned = self.is_pinned(row, b).cmp(&self.is_pinned(row, a));
            pinned.then(scores[b].total_cmp(&scores[a])).then(a.cmp(&b))
        });
        blocks
    }

    /// Softmax mass of a head's last queries: the share that its best 1, 2, … blocks hold.
    pub(crate) fn mass(&self, batch: usize, head: usize) -> Vec<f64> {
        let mut mass = vec![0.0; self.block_of(self.kv_len - 1) + 1];
        let last = self.q_len - self.q_len.min(self.spec.block.q as usize)..self.q_len;
        for token in last {
            let logits = self.logits(batch, head, token, 0..self.keys_seen(token));
            let log_sum = log_sum_exp(&logits);
            for (key, logit) in logits.iter().enumerate() {
                mass[self.block_of(key)] += (logit - log_sum).exp();
            }
        }
        mass.sort_by(|a, b| b.total_cmp(a));
        let mut sum = 0.0;
        let cumulated: Vec<f64> = mass
            .iter()
            .map(|m| {
                sum += m;
                sum
            })
            .collect();
        cumulated.iter().map(|c| c / sum).collect()
    }

    /// The fewest blocks whose share of the mass reaches `gamma`.
    pub(crate) fn fewest(mass: &[f64], gamma: f64) -> usize {
        mass.iter().position(|&share| share >= gamma).map_or(mass.len(), |i| i + 1)
    }

    /// Blocks that a head may visit in a row, when its last row needs `measured`.
    pub(crate) fn count(&self, measured: usize, row: usize) -> usize {
        let visible = self.visible(row);
        let wanted = match self.spec.budget {
            Budget::All => visible,
            Budget::TopK { blocks } => blocks as usize,
            // What somebody wrote as 0.07 is 7 of 100, whatever binary floats make of it.
            Budget::Ratio { share } => ((share * 1e6).round() as usize * visible).div_ceil(1_000_000),
            Budget::Dynamic { min_tokens, rows, .. } => {
                let carried = match rows {
                    Rows::Ratio => (measured * visible).div_ceil(self.visible(self.rows() - 1)),
                    Rows::Absolute => measured,
                };
                carried.max(min_tokens.div_ceil(self.spec.block.kv) as usize)
            }
        };
        let pinned = (0..visible).filter(|&block| self.is_pinned(row, block)).count();
        wanted.max(pinned).min(visible)
    }

    /// The output `[batch, heads, q_len, dim]` when a head visits the blocks that `lists(batch, head, row)` names.
    pub(crate) fn attend<L: AsRef<[u32]>>(
        &self,
        lists: impl Fn(usize, usize, usize) -> L + Sync,
    ) -> Vec<f64> {
        let rows = self.rows();
        let tiles = (0..self.batch * self.heads * rows).into_par_iter();
        tiles
            .flat_map_iter(|tile| {
                let (head, row) = (tile / rows, tile % rows);
                let (batch, head) = (head / self.heads, head % self.heads);
                let list = lists(batch, head, row);
                let tokens = self.row_tokens(row);
                tokens.flat_map(|t| self.attend_token(batch, head, t, list.as_ref())).collect::<Vec<_>>()
            })
            .collect()
    }

    /// The output of dense attention.
    pub(crate) fn attend_all(&self) -> Vec<f64> {
        self.attend(|_, _, row| (0..self.visible(row) as u32).collect::<Vec<_>>())
    }

    fn attend_token(&self, batch: usize, head: usize, token: usize, blocks: &[u32]) -> Vec<f64> {
        let (seen, block) = (self.keys_seen(token), self.spec.block.kv as usize);
        let runs =
            || blocks.iter().map(|&b| (b as usize * block).min(seen)..((b as usize + 1) * block).min(seen));
        let mut logits = Vec::with_capacity(blocks.len() * block);
        runs().for_each(|keys| logits.extend(self.logits(batch, head, token, keys)));
        let log_sum = log_sum_exp(&logits);
        let mut output = vec![0.0; self.v.dim];
        for (key, logit) in runs().flatten().zip(&logits) {
            let weight = (logit - log_sum).exp();
            for (o, v) in output.iter_mut().zip(self.v.row(self.kv_head(batch, head), key)) {
                *o += weight * v;
            }
        }
        output
    }

    fn logits(&self, batch: usize, head: usize, token: usize, keys: core::ops::Range<usize>) -> Vec<f64> {
        let q = self.q.row(batch * self.heads + head, token);
        let kv_head = self.kv_head(batch, head);
        keys.map(|key| self.scale * dot(q, self.k.row(kv_head, key))).collect()
    }

    fn kv_head(&self, batch: usize, head: usize) -> usize {
        batch * self.kv_heads + head / (self.heads / self.kv_heads)
    }
}

/// Eight running sums, so that the loop vectorises without reassociating anything.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
}

fn log_sum_exp(logits: &[f64]) -> f64 {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    max + logits.iter().map(|logit| (logit - max).exp()).sum::<f64>().ln()
}
