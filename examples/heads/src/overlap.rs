//! Which tokens and blocks the heads of a layer agree on, query by query.

use crate::{input::Input, stats::mean};
use kit::keys::{Keys, QUERIES, set_query};
use rayon::prelude::*;
use std::ops::Range;

/// Overlap of heads, averaged over pairs.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Agreement {
    /// Pairs of heads that share a KV head; `None` where there are none.
    pub same_group: Option<f64>,
    /// Pairs of heads that do not; `None` where there is one KV head.
    pub other_group: Option<f64>,
    /// Each pair, `[head][head]`, symmetric; 1 on the diagonal.
    pub pairs: Vec<Vec<f64>>,
}

/// What the heads of a layer agree on. An overlap of two heads is `|A ∩ B| / k` for the sets `A` and `B` of their
/// `k` largest, averaged over queries: the last one of each row that is looked at.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Overlap {
    /// Of the [`top`](crate::Options::top) tokens of largest attention, among those that are far: neither in the first
    /// block, nor one of the query's last [`window`](crate::Options::window).
    pub far: Agreement,
    /// Of the `top` tokens of largest attention among all that the query sees.
    pub all: Agreement,
    /// Of the blocks of largest attention, as many as a flat budget of [`keep`](crate::Options::keep) visits.
    pub blocks: Agreement,
    /// Share of its attention that each head spends on far tokens, averaged over the same queries.
    pub far_mass: Vec<f64>,
}

/// What one query's heads attend to most: ascending indices for each head.
struct Tops {
    far: Vec<Vec<u32>>,
    all: Vec<Vec<u32>>,
    blocks: Vec<Vec<u32>>,
    far_mass: Vec<f64>,
}

/// The keys that are far from the last query of a row.
pub(crate) fn far<T: Copy + Into<f32>>(input: &Input<'_, T>, row: usize, window: usize) -> Range<usize> {
    let first = input.geometry.keys(0).end;
    first..(input.position(row) + 1).saturating_sub(window).max(first)
}

pub(crate) fn measure<T: Copy + Into<f32> + Sync>(
    input: &Input<'_, T>,
    keys: &[Keys],
    rows: &[usize],
    options: &crate::Options,
) -> Overlap {
    let tops: Vec<Tops> = rows.par_iter().map(|&row| tops(input, keys, row, options)).collect();
    let agreement = |lists: fn(&Tops) -> &[Vec<u32>]| {
        let pair =
            |a: usize, b: usize| mean(tops.iter().map(|tops| shared(&lists(tops)[a], &lists(tops)[b])));
        let heads = 0..input.heads;
        let pairs = heads.clone().map(|a| heads.clone().map(|b| pair(a, b)).collect()).collect();
        Agreement::new(pairs, input.heads_per_kv())
    };
    Overlap {
        far: agreement(|tops| &tops.far),
        all: agreement(|tops| &tops.all),
        blocks: agreement(|tops| &tops.blocks),
        far_mass: (0..input.heads).map(|head| mean(tops.iter().map(|tops| tops.far_mass[head]))).collect(),
    }
}

impl Agreement {
    fn new(pairs: Vec<Vec<f64>>, heads_per_kv: usize) -> Self {
        let group = |same: bool| {
            let of_kind = |&(a, b): &(usize, usize)| (a / heads_per_kv == b / heads_per_kv) == same;
            let below = (0..pairs.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
            let kind: Vec<f64> = below.filter(of_kind).map(|(a, b)| pairs[a][b]).collect();
            (!kind.is_empty()).then(|| mean(kind.into_iter()))
        };
        Self { same_group: group(true), other_group: group(false), pairs }
    }
}

fn tops<T: Copy + Into<f32>>(
    input: &Input<'_, T>,
    keys: &[Keys],
    row: usize,
    options: &crate::Options,
) -> Tops {
    let geometry = &input.geometry;
    let (position, far) = (input.position(row), far(input, row, options.window));
    let count = geometry.count(&input.spec.budget, 0, row);
    let mut tops = Tops { far: vec![], all: vec![], blocks: vec![], far_mass: vec![] };
    for head in 0..input.heads {
        let mut queries = vec![[0.0; QUERIES]; input.q.shape()[3]];
        let token = geometry.tokens(row).end - 1;
        set_query(&mut queries, 0, &input.q, (0, head..head + 1, token), input.scale());
        let [logits, _] = keys[head / input.heads_per_kv()].logits(&queries, position + 1);
        let max = logits.iter().fold(f32::MIN, |max, &x| max.max(x));
        let mass = |keys: Range<usize>| logits[keys].iter().map(|x| f64::from(x - max).exp()).sum::<f64>();
        let block = |block| geometry.keys(block).start..geometry.keys(block).end.min(position + 1);
        let blocks: Vec<f32> = (0..geometry.visible(row)).map(|b| mass(block(b)) as f32).collect();
        tops.far_mass.push(mass(far.clone()) / mass(0..position + 1));
        tops.far.push(largest(&logits[far.clone()], options.top));
        tops.all.push(largest(&logits, options.top));
        tops.blocks.push(largest(&blocks, count));
    }
    tops
}

/// Ascending indices of the `count` largest values, the lower index where they tie.
fn largest(values: &[f32], count: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    if count < order.len() {
        let by_value = |&a: &u32, &b: &u32| values[b as usize].total_cmp(&values[a as usize]).then(a.cmp(&b));
        order.select_nth_unstable_by(count, by_value);
        order.truncate(count);
    }
    order.sort_unstable();
    order
}

/// The share of two ascending lists of one length that they have in common.
fn shared(a: &[u32], b: &[u32]) -> f64 {
    a.iter().filter(|index| b.binary_search(index).is_ok()).count() as f64 / a.len() as f64
}
