//! How many blocks of each head's list hold a share of the mass, as a curve has it that is fitted to a few of them.
//!
//! Tactic (arXiv 2502.12216): the masses of blocks in the order of the list fall as a / x + b.

use super::held::{Held, list_orders, par_made};
use super::{Contract, Seen, bounded};
use crate::cpu::last::{LastQueries, Partials};
use crate::memory::{filled, room};
use crate::{Element, Observer, Result, Stage};
use proxyattn_codegen::{Fitted, Places, Share};

impl Contract for Fitted {
    fn counts<T: Element>(&self, seen: &Seen<'_, T>, observer: &dyn Observer) -> Result<Vec<u32>> {
        let (plan, problem) = (seen.plan, seen.plan.problem());
        let orders = list_orders(seen)?;
        let share = Share::of(self.share);
        let queries = (plan.spec().block.q as usize).min(problem.q_len);
        observer.begin(Stage::Budget, problem.batch * problem.heads);
        let counts = par_made(problem.batch * problem.heads, |head| {
            let order = &orders[head / plan.heads_per_group()];
            let places = Places::of(plan.spec(), order.len() as u64);
            let (batch, of_sequence) = (head / problem.heads, head % problem.heads);
            let last =
                LastQueries::of("budgets", seen.inputs, (batch, of_sequence), queries, seen.scale.queries)?;
            let kv_head = batch * problem.kv_heads + of_sequence / problem.heads_per_kv();
            let mut blocks = room("budgets", places.count() as usize)?;
            blocks.extend(places.iter().map(|place| order[place as usize] as usize));
            let block = |i: usize| blocks[i];
            let partials =
                last.partials("budgets", plan, (seen.keys, kv_head), None, (blocks.len(), &block))?;
            observer.advance(Stage::Budget, 1);
            Ok(Held::of(masses(&partials, queries, &places, order.len())?.into_iter())?.fewest(share))
        })?;
        bounded(plan, |head, _| counts[head])
    }
}

/// `a / x + b` of ranks x = 1, 2, …
#[derive(Clone, Copy, Default)]
struct Curve {
    a: f64,
    b: f64,
}

impl Curve {
    /// Through the means of both windows, of what blocks weigh and of 1 / x. It neither rises nor falls below 0.
    fn through([near, far]: [f64; 2], [near_rank, far_rank]: [f64; 2]) -> Self {
        let a = (near - far) / (near_rank - far_rank);
        let b = near - a * near_rank;
        if a <= 0.0 {
            Self { a: 0.0, b: (near + far) / 2.0 }
        } else if b <= 0.0 {
            Self { a: near / near_rank, b: 0.0 }
        } else {
            Self { a, b }
        }
    }
}

/// Σ 1 / x over the ranks of `count` places from `begin` on.
fn harmonic(begin: usize, count: usize) -> f64 {
    (begin..begin + count).map(|place| 1.0 / (place + 1) as f64).sum()
}

/// The mass of each place of a list of `blocks`: measured of the first ones, by the curve of the others.
fn masses(partials: &Partials, queries: usize, places: &Places, blocks: usize) -> Result<Vec<f64>> {
    let Places { exact, window, near, far } = *places;
    let [exact, window, near, far] = [exact, window, near, far].map(|number| number as usize);
    let behind = harmonic(exact, blocks - exact);
    let ranks = [near, far].map(|begin| harmonic(begin, window) / window.max(1) as f64);
    let mut masses = filled("budgets", blocks, 0.0)?;
    let mut curve = Curve::default();
    for query in 0..queries {
        let of_blocks = partials.of_query(query);
        let top = of_blocks.clone().fold(f32::NEG_INFINITY, |top, (max, _)| top.max(max));
        let weights = of_blocks.map(|(max, sum)| f64::from(sum) * f64::from(max - top).exp2());
        let mut whole: f64 = weights.clone().take(exact).sum();
        let mut own = Curve::default();
        if window > 0 {
            let mean = |skip: usize| weights.clone().skip(skip).take(window).sum::<f64>() / window as f64;
            own = Curve::through([mean(exact), mean(exact + window)], ranks);
            whole += own.a * behind + own.b * (blocks - exact) as f64;
        }
        masses.iter_mut().zip(weights.take(exact)).for_each(|(mass, weight)| *mass += weight / whole);
        curve = Curve { a: curve.a + own.a / whole, b: curve.b + own.b / whole };
    }
    let others = masses.iter_mut().enumerate().skip(exact);
    others.for_each(|(place, mass)| *mass = curve.a / (place + 1) as f64 + curve.b);
    Ok(masses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{Inputs, Synthetic};
    use crate::{Attention, Device};
    use half::bf16;
    use proxyattn_codegen::{Budget, Dynamic, Order, Rows, Spec, Weigh};

    /// On attention like a model's, a few blocks ask for about as many as all of them do.
    #[test]
    fn a_few_blocks_stand_for_all() {
        let Inputs { q, k, v, .. } =
            Synthetic { tokens: 16_384, heads: 4, kv_heads: 1, ..Synthetic::DEFAULT }
                .generate::<bf16>()
                .unwrap();
        let density = |budget| {
            let attention =
                Attention::<bf16>::load(&Spec { budget, ..Spec::DEFAULT }, &Device::cpu()).unwrap();
            attention.prefill_traced(&q, &k, &v, &()).unwrap().selection.density()
        };
        let (gamma, min_tokens) = (0.7, 64);
        let (rows, order, weigh) = (Rows::Ratio, Order::List, Weigh::None);
        let all = density(Budget::Dynamic(Dynamic { gamma, min_tokens, rows, order, weigh }));
        let few = density(Budget::Fitted(Fitted { share: gamma, min_tokens }));
        assert!((0.75..1.35).contains(&(few / all)), "{few:.3} of the blocks, not {all:.3}");
    }

    #[test]
    fn a_curve_goes_through_both_windows() {
        let of = |a: f64, b: f64, rank: f64| a * rank + b;
        let curve = Curve::through([of(3.0, 0.5, 0.1), of(3.0, 0.5, 0.01)], [0.1, 0.01]);
        assert!((curve.a - 3.0).abs() < 1e-12 && (curve.b - 0.5).abs() < 1e-12);
    }

    #[test]
    fn no_curve_rises_or_is_negative() {
        let rising = Curve::through([1.0, 2.0], [0.1, 0.01]);
        assert_eq!((rising.a, rising.b), (0.0, 1.5));
        let steep = Curve::through([1.0, 0.0], [0.1, 0.01]);
        assert_eq!((steep.a, steep.b), (10.0, 0.0));
    }
}
