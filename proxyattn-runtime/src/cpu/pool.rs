//! Proxy heads: the mean of a group's queries and of its keys, on strided tokens.

use super::pack::Keys;
use super::simd::{CHUNK, PANEL, Row};
use crate::{Element, Plan, attention::Inputs};
use rayon::prelude::*;

/// The proxy heads of a prefill.
///
/// Sample `s` of the queries is token `s · stride.q`; sample `s` of the keys is token `s · stride.kv`.
pub(super) struct Proxies<'a> {
    /// `[batch · group][query sample / 32][dim][32]`, times `scale · log₂e`.
    queries: Vec<Row>,
    keys: KeySamples<'a>,
    pub(super) query_samples: usize,
    pub(super) key_samples: usize,
    dim: usize,
}

enum KeySamples<'a> {
    /// One KV head a group and no stride: the proxy's keys are the keys.
    Same(&'a Keys),
    Pooled(Keys),
}

impl<'a> Proxies<'a> {
    pub(super) fn pool<T: Element>(plan: &Plan, inputs: &Inputs<'_, T>, keys: &'a Keys, scale: f32) -> Self {
        let (spec, problem) = (plan.spec(), plan.problem());
        let (dim, groups) = (spec.head_dim as usize, plan.groups());
        let stride_q = spec.stride.q as usize;
        let stride_kv = spec.stride.kv as usize;

        let query_samples = problem.q_len.div_ceil(stride_q);
        let panels = query_samples.div_ceil(PANEL);
        let heads = plan.heads_per_group();
        let mut queries = vec![[0.0; PANEL]; problem.batch * groups * panels * dim];
        queries.par_chunks_mut(dim).enumerate().for_each(|(i, panel)| {
            let (sequence, first) = (i / panels, i % panels * PANEL);
            let (batch, group) = (sequence / groups, sequence % groups);
            for (lane, sample) in (first..query_samples.min(first + PANEL)).enumerate() {
                for head in group * heads..(group + 1) * heads {
                    let token = inputs.q.row(batch, head, sample * stride_q);
                    panel.iter_mut().zip(token).for_each(|(row, x)| row[lane] += x.to_f32());
                }
            }
            let factor = scale / heads as f32;
            panel.iter_mut().flatten().for_each(|x| *x *= factor);
        });

        let key_samples = problem.kv_len.div_ceil(stride_kv);
        let kv_heads = problem.kv_heads / groups;
        let keys = if kv_heads == 1 && stride_kv == 1 {
            KeySamples::Same(keys)
        } else {
            // Whole blocks of samples, and a block of samples may be smaller than a chunk.
            let align = (spec.block.kv / spec.stride.kv) as usize;
            KeySamples::Pooled(Keys::new(problem.batch * groups, key_samples, align, dim, |sequence, first, chunk| {
                let (batch, group) = (sequence / groups, sequence % groups);
                for (lane, sample) in (first..key_samples.min(first + CHUNK)).enumerate() {
                    for head in group * kv_heads..(group + 1) * kv_heads {
                        let token = inputs.k.row(batch, head, sample * stride_kv);
                        chunk.iter_mut().zip(token).for_each(|(col, x)| col[lane] += x.to_f32());
                    }
                }
                let factor = 1.0 / kv_heads as f32;
                chunk.iter_mut().flatten().for_each(|x| *x *= factor);
            }))
        };
        Self { queries, keys, query_samples, key_samples, dim }
    }

    /// A panel of 32 query samples of a sequence and group.
    #[inline(always)]
    pub(super) fn queries(&self, sequence: usize, panel: usize) -> &[Row] {
        let panels = self.query_samples.div_ceil(PANEL);
        &self.queries[(sequence * panels + panel) * self.dim..][..self.dim]
    }

    /// The keys, as heads `batch · groups + group`.
    #[inline(always)]
    pub(super) fn keys(&self) -> &Keys {
        match &self.keys {
            KeySamples::Same(keys) => keys,
            KeySamples::Pooled(keys) => keys,
        }
    }
}
