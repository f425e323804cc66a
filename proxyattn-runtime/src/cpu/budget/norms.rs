//! What keys are weighed by: the norms of their values.

use crate::memory::{filled, product};
use crate::{Element, Result, View};
use rayon::prelude::*;

/// ‖v‖₂ of each key as a share of the largest of its head: shares of masses are the same, and no sum leaves f32.
pub(super) struct Norms {
    /// `[batch · kv_head][key]`, padded with zeros to whole blocks.
    data: Vec<f32>,
    /// Padded keys of a head.
    len: usize,
}

impl Norms {
    pub(super) fn of<T: Element>(v: &View<'_, T>, block: usize) -> Result<Self> {
        let [batch, heads, tokens, _] = v.shape();
        let len = tokens.next_multiple_of(block);
        let mut data = filled("norms of values", product(&[batch, heads, len]), 0.0f32)?;
        data.par_chunks_mut(len).enumerate().for_each(|(i, norms)| {
            let (batch, head) = (i / heads, i % heads);
            let norms = &mut norms[..tokens];
            for (token, norm) in norms.iter_mut().enumerate() {
                *norm = norm_of(v.row(batch, head, token));
            }
            let largest = norms.iter().fold(0.0f32, |max, &norm| max.max(norm));
            if largest > 0.0 {
                norms.iter_mut().for_each(|norm| *norm /= largest);
            }
        });
        Ok(Self { data, len })
    }

    /// Those of a head, `batch · kv_heads + kv_head`.
    pub(super) fn of_head(&self, head: usize) -> &[f32] {
        &self.data[head * self.len..][..self.len]
    }
}

/// The squares of what f32 holds are within f64, which adds them in eight sums side by side. A norm beyond f32 is the
/// largest that f32 holds.
fn norm_of<T: Element>(row: &[T]) -> f32 {
    let mut sums = [0.0f64; 8];
    for chunk in row.chunks_exact(8) {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(x.to_f32()).powi(2);
        }
    }
    (sums.iter().sum::<f64>().sqrt() as f32).min(f32::MAX)
}
