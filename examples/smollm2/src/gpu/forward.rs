//! The forward pass, part by part. Row `r` of a step is the token at position `cached + r`.

use super::clock::{Clock, Part};
use super::cublas::To;
use super::memory::LOGIT_ROWS;
use super::watch::{self, Tensor};
use super::{Gpu, failed};
use crate::{Detail, Error, Observer, Result};
use core::ops::Range;
use half::bf16;
use proxyattn::{Attention, Problem, ViewMut};

/// `rows` in pieces of at most `most`.
fn pieces(rows: Range<usize>, most: usize) -> impl Iterator<Item = Range<usize>> {
    let end = rows.end;
    rows.step_by(most).map(move |start| start..(start + most).min(end))
}

/// The elements of rows that are `width` wide.
fn wide(rows: &Range<usize>, width: usize) -> Range<usize> {
    rows.start * width..rows.end * width
}

impl Gpu {
    /// The residual stream of the tokens, which have been checked.
    pub(super) fn embed(&mut self, tokens: &[u32]) -> Result<()> {
        let buffers = &mut self.buffers;
        let rows = 0..tokens.len();
        self.stream
            .memcpy_htod(tokens, &mut buffers.tokens.slice_mut(rows.clone()))
            .map_err(failed("cuMemcpyHtoDAsync"))?;
        let x = &mut buffers.x.slice_mut(wide(&rows, self.config.hidden));
        self.kernels.embed(&buffers.tokens.slice(rows), &self.weights.embedding.data, x)?;
        Ok(())
    }

    /// From the residual stream to queries, and to keys and values in the cache.
    pub(super) fn project(&mut self, layer: usize, tokens: usize) -> Result<()> {
        let (weights, cache) = (&self.weights.layers[layer], &mut self.caches[layer]);
        let (buffers, hidden) = (&mut self.buffers, self.config.hidden);
        for rows in pieces(0..tokens, self.rows) {
            let piece = wide(&(0..rows.len()), hidden);
            let x = buffers.x.slice(wide(&rows, hidden));
            self.kernels.rms_norm(
                &x,
                &weights.attention_norm,
                &mut buffers.normed.slice_mut(piece.clone()),
            )?;
            let qkv = &mut buffers.qkv.slice_mut(wide(&rows, weights.qkv.rows));
            self.cublas.multiply(&weights.qkv, &buffers.normed.slice(piece), qkv, To::Store)?;
            let first = self.cached + rows.start;
            self.kernels.rotate(qkv, &buffers.turns, (&mut cache.k, &mut cache.v), first)?;
        }
        Ok(())
    }

    /// Attention of the queries over the cache.
    pub(super) fn attend(
        &mut self,
        layer: usize,
        tokens: usize,
        attention: &Attention<bf16>,
        clock: &mut Clock,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let (config, cache) = (&self.config, &self.caches[layer]);
        let (heads, kv_heads, dim) = (config.heads, config.kv_heads, config.head_dim);
        let problem = Problem { batch: 1, heads, kv_heads, q_len: tokens, kv_len: self.cached + tokens };

        let (shape, width) = ([1, heads, tokens, dim], config.q_width() + 2 * config.kv_width());
        let q = Tensor { data: &self.buffers.qkv, shape, strides: [tokens * width, dim, width, 1] };
        let (shape, head) = ([1, kv_heads, problem.kv_len, dim], self.capacity * dim);
        let strides = [kv_heads * head, head, dim, 1];
        let [k, v] = [&cache.k, &cache.v].map(|data| Tensor { data, shape, strides });
        let (shape, width) = ([1, heads, tokens, dim], config.q_width());
        let strides = [tokens * width, dim, width, 1];
        let out = ViewMut::cuda(&mut self.buffers.attended, 0, shape, strides)?;

        clock.lap(Part::Attention)?;
        attention.prefill_into(&q.view()?, &k.view()?, &v.view()?, out)?;
        if observer.detail(layer) != Detail::Nothing {
            clock.lap(Part::Watching)?;
            watch::layer(layer, attention, &problem, [q, k, v], observer)?;
        }
        clock.lap(Part::Rest)?;
        Ok(())
    }

    /// From attention's output, through the MLP, back to the residual stream, of some rows.
    pub(super) fn transform(&mut self, layer: usize, rows: Range<usize>) -> Result<()> {
        let weights = &self.weights.layers[layer];
        let (buffers, hidden) = (&mut self.buffers, self.config.hidden);
        for rows in pieces(rows, self.rows) {
            let piece = |width| wide(&(0..rows.len()), width);
            let x = &mut buffers.x.slice_mut(wide(&rows, hidden));
            let attended = buffers.attended.slice(wide(&rows, weights.o.columns));
            self.cublas.multiply(&weights.o, &attended, x, To::Add)?;

            let normed = &mut buffers.normed.slice_mut(piece(hidden));
            self.kernels.rms_norm(&x.as_view(), &weights.mlp_norm, normed)?;
            let gate_up = &mut buffers.gate_up.slice_mut(piece(weights.gate_up.rows));
            self.cublas.multiply(&weights.gate_up, &normed.as_view(), gate_up, To::Store)?;
            let gated = &mut buffers.gated.slice_mut(piece(weights.down.columns));
            self.kernels.silu_mul(&gate_up.as_view(), gated)?;
            self.cublas.multiply(&weights.down, &gated.as_view(), x, To::Add)?;
        }
        Ok(())
    }

    /// The most likely next token after each of the rows.
    pub(super) fn most_likely(&mut self, asked: Range<usize>) -> Result<Vec<u32>> {
        let mut likely = Vec::with_capacity(asked.len());
        for rows in pieces(asked, LOGIT_ROWS) {
            self.logits(&rows)?;
            let buffers = &mut self.buffers;
            let logits = buffers.logits.slice(wide(&(0..rows.len()), self.config.vocab));
            let next = &mut buffers.next.slice_mut(0..rows.len());
            self.kernels.argmax(&logits, next)?;
            let next = self.stream.clone_dtoh(next).map_err(failed("cuMemcpyDtoHAsync"))?;
            self.stream.synchronize().map_err(failed("cuStreamSynchronize"))?;
            likely.extend(next);
        }
        if likely.iter().any(|&token| token as usize >= self.config.vocab) {
            return Err(Error::Device(
                "the logits of a token are not numbers: the model's weights, or what runs on the GPU, are broken".into(),
            ));
        }
        Ok(likely)
    }

    /// The logits of at most [`LOGIT_ROWS`] rows, into the buffer.
    fn logits(&mut self, rows: &Range<usize>) -> Result<()> {
        let (buffers, hidden) = (&mut self.buffers, self.config.hidden);
        let normed = &mut buffers.normed.slice_mut(wide(&(0..rows.len()), hidden));
        self.kernels.rms_norm(&buffers.x.slice(wide(rows, hidden)), &self.weights.norm, normed)?;
        let logits = &mut buffers.logits.slice_mut(wide(&(0..rows.len()), self.config.vocab));
        self.cublas.multiply(&self.weights.embedding, &normed.as_view(), logits, To::Store)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_every_row_once() {
        let all = |rows, most| pieces(rows, most).collect::<Vec<_>>();
        assert_eq!(all(0..5, 2), [0..2, 2..4, 4..5]);
        assert_eq!(all(3..8, 4), [3..7, 7..8]);
        assert!(all(3..3, 4).is_empty());
        assert_eq!(wide(&(3..7), 10), 30..70);
    }
}
