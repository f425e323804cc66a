//! How much attention a head's list holds when the list is its own, and when it is shared.

use crate::{
    input::Input,
    proxy::{Proxy, ranked},
    stats::{mean, percentile},
    visited::Visited,
};
use kit::{keys::Keys, mass::BlockMass, progress::Progress};
use proxyattn::codegen::Budget;
use rayon::prelude::*;

/// Kept shares of the curves, in hundredths.
const SHARES: [u32; 20] = [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 20, 25, 30, 35, 40, 45, 50, 75, 100];

/// Attention mass of each head inside the first blocks of an order, averaged over rows: `[head][share]`.
///
/// Every order begins with the blocks that a kernel keeps anyway (sink and diagonal). A row of `n` visible blocks keeps
/// `⌈share · n⌉` of them.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Curves {
    /// The kept shares.
    pub shares: Vec<f64>,
    /// In the order of the head's true mass: the most that any list of this length holds.
    pub best: Vec<Vec<f64>>,
    /// In the order of the head's own scores, by the scorer of the kernels without any pooling of heads.
    pub own: Vec<Vec<f64>>,
    /// In the order of the proxy of its KV head.
    pub kv_head: Vec<Vec<f64>>,
    /// In the order of one proxy for all heads.
    pub shared: Vec<Vec<f64>>,
}

/// What sharing lists loses at a flat share of the blocks: mass in the order of the head's own scores, less mass in the order of its proxy, at
/// [`keep`](crate::Options::keep). Negative where the proxy does better.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Regret {
    /// Proxies: a divisor of the KV heads.
    pub groups: usize,
    /// Over rows and heads.
    pub mean: f64,
    /// 95th percentile over rows and heads.
    pub p95: f64,
    /// Mean over rows, for each head.
    pub heads: Vec<f64>,
}

/// Lists of blocks by falling rank: `[list][row]`. The heads share them evenly, in order.
type Orders = Vec<Vec<Vec<u32>>>;

/// Mass of a head's first blocks in each row: `[head][row][share]`, where the last share is `keep`.
type Masses = Vec<Vec<Vec<f64>>>;

pub(crate) fn measure<T: Copy + Into<f32> + Sync>(
    input: &Input<'_, T>,
    keys: &[Keys],
    mass: &BlockMass,
    keep: f64,
    progress: &Progress,
) -> (Curves, Vec<Regret>, Vec<Visited>) {
    let rows = mass.rows();
    let best = (0..input.heads)
        .map(|head| (0..rows.len()).map(|i| ranked(&input.geometry, rows[i], mass.row(head, i))).collect());
    let best = tally(input, mass, keep, &best.collect());
    let own = (0..input.heads)
        .map(|head| Proxy { heads: head..head + 1, keys: &keys[head / input.heads_per_kv()] });
    let own = tally(input, mass, keep, &orders(input, rows, &own.collect::<Vec<_>>(), progress));

    let candidates = (1..=input.kv_heads).filter(|&groups| input.kv_heads.is_multiple_of(groups));
    let (visited, proxies): (Vec<Visited>, Vec<Masses>) = candidates
        .map(|groups| {
            let (heads, kv_heads) = (input.heads / groups, input.kv_heads / groups);
            let keys: Vec<Keys> = (0..groups)
                .into_par_iter()
                .map(|group| Keys::mean(&input.k, 0, group * kv_heads..(group + 1) * kv_heads))
                .collect();
            let proxies = keys.iter().enumerate();
            let proxies: Vec<_> = proxies
                .map(|(group, keys)| Proxy { heads: group * heads..(group + 1) * heads, keys })
                .collect();
            let orders = orders(input, rows, &proxies, progress);
            (Visited::measure(input, mass, &orders), tally(input, mass, keep, &orders))
        })
        .unzip();
    let curves = Curves {
        shares: SHARES.map(|share| f64::from(share) / 100.0).to_vec(),
        best: curve(&best),
        own: curve(&own),
        kv_head: curve(&proxies[proxies.len() - 1]),
        shared: curve(&proxies[0]),
    };
    let regrets = visited.iter().zip(&proxies).map(|(visited, proxy)| regret(visited.groups, &own, proxy));
    (curves, regrets.collect(), visited)
}

fn orders<T: Copy + Into<f32> + Sync>(
    input: &Input<'_, T>,
    rows: &[usize],
    proxies: &[Proxy<'_>],
    progress: &Progress,
) -> Orders {
    progress.begin("scores", proxies.len() * rows.len());
    let of_proxy = |proxy: &Proxy<'_>| {
        let of_row = |&row: &usize| {
            progress.advance(1);
            proxy.order(input, row)
        };
        rows.par_iter().map(of_row).collect()
    };
    proxies.iter().map(of_proxy).collect()
}

fn tally<T: Copy + Into<f32>>(input: &Input<'_, T>, mass: &BlockMass, keep: f64, orders: &Orders) -> Masses {
    let shares: Vec<f64> = SHARES.into_iter().map(|share| f64::from(share) / 100.0).chain([keep]).collect();
    let of_row = |head: usize, i: usize| -> Vec<f64> {
        let (row, order) = (mass.rows()[i], &orders[head * orders.len() / input.heads][i]);
        let inside = |&share: &f64| {
            let count = input.geometry.count(&Budget::ratio(share), 0, row);
            order[..count].iter().map(|&block| f64::from(mass.row(head, i)[block as usize])).sum()
        };
        shares.iter().map(inside).collect()
    };
    (0..input.heads).map(|head| (0..mass.rows().len()).map(|i| of_row(head, i)).collect()).collect()
}

/// The mean over rows, without `keep`.
fn curve(masses: &Masses) -> Vec<Vec<f64>> {
    let of_head = |rows: &Vec<Vec<f64>>| {
        (0..SHARES.len()).map(|share| mean(rows.iter().map(|row| row[share]))).collect()
    };
    masses.iter().map(of_head).collect()
}

fn regret(groups: usize, own: &Masses, proxy: &Masses) -> Regret {
    let of_row = |(own, proxy): (&Vec<f64>, &Vec<f64>)| own[SHARES.len()] - proxy[SHARES.len()];
    let of_head = |(own, proxy): (&Vec<Vec<f64>>, &Vec<Vec<f64>>)| -> Vec<f64> {
        own.iter().zip(proxy).map(of_row).collect()
    };
    let heads: Vec<Vec<f64>> = own.iter().zip(proxy).map(of_head).collect();
    let all: Vec<f64> = heads.iter().flatten().copied().collect();
    Regret {
        groups,
        mean: mean(all.iter().copied()),
        heads: heads.into_iter().map(|rows| mean(rows.into_iter())).collect(),
        p95: percentile(all, 0.95),
    }
}
