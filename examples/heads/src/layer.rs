//! Everything that is measured of one layer.

use crate::{Curves, Error, Options, Overlap, Regret, Result, Visited, curves, input::Input, overlap};
use kit::{
    keys::Keys,
    mass::{self, BlockMass},
    progress::Progress,
};
use proxyattn::View;
use rayon::prelude::*;

/// The measurements of one layer.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Layer {
    /// As it was given.
    pub name: String,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Key tokens of the context.
    pub tokens: usize,
    /// Rows of query blocks that were looked at.
    pub rows: usize,
    /// What heads agree on.
    pub overlap: Overlap,
    /// Attention inside lists of each length.
    pub curves: Curves,
    /// What the default budget visits with each number of proxies, from one to one per KV head.
    pub visited: Vec<Visited>,
    /// What each number of proxies loses at a flat share of the blocks, in the same order.
    pub regrets: Vec<Regret>,
    /// Under the default budget: the fewest proxies that visit at most [`growth`](Options::growth) more blocks than one per KV
    /// head.
    pub groups: usize,
    /// Under a flat budget: the fewest proxies whose regret is within the bound; `None` where none is.
    pub flat: Option<usize>,
    /// Heads whose mean regret exceeds the bound even with one proxy per KV head, the largest first.
    pub specialists: Vec<Specialist>,
}

/// A head that looks elsewhere than those that it shares a list with.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Specialist {
    /// The query head.
    pub head: usize,
    /// Its mean regret.
    pub regret: f64,
}

impl Layer {
    pub(crate) fn measure<T: Copy + Into<f32> + Sync>(
        name: &str,
        q: View<'_, T>,
        k: View<'_, T>,
        options: &Options,
        progress: &Progress,
    ) -> Result<Self> {
        let input = Input::new(name, q, k, options)?;
        let rows = rows(name, &input, options)?;
        let keys: Vec<Keys> =
            (0..input.kv_heads).into_par_iter().map(|head| Keys::mean(&input.k, 0, head..head + 1)).collect();
        let overlap = overlap::measure(&input, &keys, &rows, options);
        let scale = input.spec.softmax_scale();
        let mass = BlockMass::compute(&input.q, &input.k, &input.geometry, rows, scale, progress);
        let (curves, regrets, visited) = curves::measure(&input, &keys, &mass, options.keep, progress);
        let finest = &regrets[regrets.len() - 1];
        let mut specialists: Vec<Specialist> = (0..input.heads)
            .map(|head| Specialist { head, regret: finest.heads[head] })
            .filter(|specialist| specialist.regret > options.regret)
            .collect();
        specialists.sort_by(|a, b| b.regret.total_cmp(&a.regret));
        let mut layer = Self {
            name: name.into(),
            heads: input.heads,
            kv_heads: input.kv_heads,
            head_dim: input.spec.head_dim as usize,
            tokens: input.k.shape()[2],
            rows: mass.rows().len(),
            overlap,
            groups: finest.groups,
            flat: None,
            curves,
            visited,
            regrets,
            specialists,
        };
        layer.groups = layer.fewest(|candidate| layer.is_near(candidate, options)).unwrap_or(layer.groups);
        layer.flat = layer.fewest(|candidate| layer.is_within(candidate, options));
        Ok(layer)
    }

    /// The number of proxies of the first candidate that fits.
    pub(crate) fn fewest(&self, fits: impl Fn(usize) -> bool) -> Option<usize> {
        (0..self.visited.len())
            .find(|&candidate| fits(candidate))
            .map(|candidate| self.visited[candidate].groups)
    }

    /// Whether the default budget visits few more blocks with a candidate than with one proxy per KV head, the last.
    pub(crate) fn is_near(&self, candidate: usize, options: &Options) -> bool {
        self.visited[candidate].is_near(&self.visited[self.visited.len() - 1], options.growth)
    }

    /// Whether a candidate's regret is within the bound.
    pub(crate) fn is_within(&self, candidate: usize, options: &Options) -> bool {
        self.regrets[candidate].p95 <= options.regret
    }
}

/// Rows over the last three quarters of the context: before, a tenth of the blocks is little more than those that are
/// kept anyway. Only rows with twice as many far tokens as the overlap is of count: with fewer, any two heads agree.
fn rows<T: Copy + Into<f32>>(name: &str, input: &Input<'_, T>, options: &Options) -> Result<Vec<usize>> {
    let geometry = &input.geometry;
    let long = |row: &usize| {
        overlap::far(input, *row, options.window).len() >= 2 * options.top
            && 4 * geometry.visible(*row) >= geometry.blocks()
    };
    let Some(first) = (0..geometry.rows()).find(long) else {
        return Err(Error::Layer {
            layer: name.into(),
            arg: "k",
            expected: format!(
                "at least {} tokens (axis 2), for {} far tokens besides the first block and a window of {}",
                geometry.keys(0).len() + 2 * options.top + options.window,
                2 * options.top,
                options.window
            ),
            got: input.k.shape()[2].to_string(),
        });
    };
    Ok(mass::spread(first..geometry.rows(), options.rows))
}
