//! Everything that is measured of one layer.

use crate::{Curves, Error, Options, Overlap, Regret, Result, curves, input::Input, overlap};
use kit::{
    keys::Keys,
    mass::{self, BlockMass},
    progress::Progress,
};
use proxyattn::View;
use rayon::prelude::*;

/// The measurements of one layer.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
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
    /// What each number of proxies costs, from one to one per KV head.
    pub regrets: Vec<Regret>,
    /// The fewest proxies whose regret is within the bound; one per KV head where none is.
    pub groups: usize,
    /// Whether their regret is.
    pub within: bool,
    /// Heads whose mean regret exceeds the bound even with one proxy per KV head, the largest first.
    pub specialists: Vec<Specialist>,
}

/// A head that looks elsewhere than those that it shares a list with.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
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
        let (curves, regrets) = curves::measure(&input, &keys, &mass, options.keep, progress);
        let within = |regret: &&Regret| regret.p95 <= options.regret;
        let finest = &regrets[regrets.len() - 1];
        let mut specialists: Vec<Specialist> = (0..input.heads)
            .map(|head| Specialist { head, regret: finest.heads[head] })
            .filter(|specialist| specialist.regret > options.regret)
            .collect();
        specialists.sort_by(|a, b| b.regret.total_cmp(&a.regret));
        Ok(Self {
            name: name.into(),
            heads: input.heads,
            kv_heads: input.kv_heads,
            head_dim: input.spec.head_dim as usize,
            tokens: input.k.shape()[2],
            rows: mass.rows().len(),
            overlap,
            groups: regrets.iter().find(within).unwrap_or(finest).groups,
            within: regrets.iter().any(|regret| within(&regret)),
            curves,
            regrets,
            specialists,
        })
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
