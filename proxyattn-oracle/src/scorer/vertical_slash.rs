//! `vertical_slash`: what the last queries' attention gives to columns of blocks and to diagonals of blocks.

use super::Contract;
use crate::heads::log_sum_exp;
use crate::stages::{Buffers, Sampled};
use crate::{Oracle, Scores};
use core::f64::consts::LN_2;
use core::ops::Range;
use proxyattn_codegen::cuda::Scratch;
use proxyattn_codegen::{Scorer, VerticalSlash};
use rayon::prelude::*;

/// Logarithms of shares of a group's attention.
struct Shares {
    /// Of all last queries, for each block.
    verticals: Vec<f64>,
    /// Of those of each row that has some, from the first one on, beside all that lie in blocks of keys alike.
    slashes: Vec<Vec<f64>>,
}

/// The last queries of every sequence.
#[derive(Clone, Copy)]
struct Last<'a> {
    oracle: &'a Oracle,
    /// At most.
    count: usize,
}

impl Last<'_> {
    fn queries(&self) -> Range<usize> {
        self.oracle.q_len - self.oracle.q_len.min(self.count)..self.oracle.q_len
    }

    /// Rows that the last queries are of.
    fn rows(&self) -> Range<usize> {
        self.queries().start / self.oracle.spec.block.q as usize..self.oracle.rows()
    }

    /// The last queries of a row.
    fn of_row(&self, row: usize) -> Vec<usize> {
        self.queries().filter(|token| token / self.oracle.spec.block.q as usize == row).collect()
    }

    /// By how many blocks a row lies behind another one, where that is a whole number.
    fn apart(&self, row: usize, other: usize) -> Option<isize> {
        let block = self.oracle.spec.block;
        let tokens = (other as isize - row as isize) * block.q as isize;
        (tokens % block.kv as isize == 0).then(|| tokens / block.kv as isize)
    }

    /// The shares of a group, among those of all sequences.
    fn shares(&self, sequence: usize) -> Shares {
        let oracle = self.oracle;
        let size = oracle.heads / oracle.groups;
        let (batch, group) = (sequence / oracle.groups, sequence % oracle.groups);
        // The logarithm of what each query of each head gives to each block.
        let given = |token: usize| -> Vec<Vec<f64>> {
            let of_head = |head| {
                let sums = oracle.block_sums(batch, head, token);
                let all = log_sum_exp(&sums);
                sums.into_iter().map(|sum| sum - all).collect()
            };
            (group * size..(group + 1) * size).map(of_head).collect()
        };
        let of_tokens = |tokens: Vec<usize>| -> Vec<f64> {
            let all: Vec<Vec<f64>> = tokens.into_iter().flat_map(given).collect();
            let sum = |block: usize| log_sum_exp(&all.iter().map(|given| given[block]).collect::<Vec<_>>());
            (0..oracle.blocks()).map(sum).collect()
        };
        let less = |logs: Vec<f64>, queries: usize| {
            logs.into_iter().map(|log| log - ((queries * size) as f64).ln()).collect()
        };
        let alike = |row: usize| -> usize {
            let alike = self.rows().filter(|&other| self.apart(row, other).is_some());
            alike.map(|other| self.of_row(other).len()).sum()
        };
        let slashes = self.rows().map(|row| less(of_tokens(self.of_row(row)), alike(row)));
        Shares {
            verticals: less(of_tokens(self.queries().collect()), self.queries().len()),
            slashes: slashes.collect(),
        }
    }

    /// The logarithms of the weights of a row's blocks.
    fn weights(&self, shares: &Shares, row: usize) -> Vec<f64> {
        let slash = |block: usize| {
            let rows = self.rows().zip(&shares.slashes);
            let parts = rows.filter_map(|(other, slashes)| {
                let there = block as isize + self.apart(row, other)?;
                slashes.get(usize::try_from(there).ok()?).copied()
            });
            log_sum_exp(&parts.collect::<Vec<_>>())
        };
        (0..self.oracle.visible(row)).map(|block| shares.verticals[block].max(slash(block))).collect()
    }

    /// Asserts that the buffers before the shares are near.
    fn partials_near(&self, left: &Buffers<'_>) {
        let oracle = self.oracle;
        let (logs, sums) = (left.floats(Scratch::LastLogs), left.floats(Scratch::LastSums));
        let (last, blocks) = (self.count, oracle.blocks());
        for (batch, head) in left.all_heads() {
            let flat = batch * oracle.heads + head;
            for (i, token) in self.queries().enumerate() {
                let want = oracle.block_sums(batch, head, token);
                near(&format!("sum {flat}/{i}"), sums[flat * last + i], log_sum_exp(&want));
                for (block, want) in want.into_iter().enumerate() {
                    near(&format!("log {flat}/{block}/{i}"), logs[(flat * blocks + block) * last + i], want);
                }
            }
        }
    }
}

/// Whether a base-2 logarithm is that of a number whose natural one is wanted. What nothing is may be any little.
fn near(what: &str, got: f32, want: f64) {
    let (got, want) = (f64::from(got), want / LN_2);
    let close = match want == f64::NEG_INFINITY {
        true => got < -1e6,
        false => (got - want).abs() < 2e-4 * (1.0 + want.abs()),
    };
    assert!(close, "{what}: {got}, not {want}");
}

impl Contract for VerticalSlash {
    fn examples() -> Vec<Scorer> {
        [64, 128].map(|last| Scorer::VerticalSlash(VerticalSlash { last })).to_vec()
    }

    fn scores(&self, oracle: &Oracle) -> Vec<Scores> {
        let last = Last { oracle, count: self.last as usize };
        let of_group = |sequence| {
            let shares = last.shares(sequence);
            let of_row = |row| {
                let weights = last.weights(&shares, row);
                let sum = log_sum_exp(&weights);
                weights.into_iter().map(|weight| weight - sum).collect()
            };
            (0..oracle.rows()).map(of_row).collect::<Vec<_>>()
        };
        (0..oracle.batch * oracle.groups).into_par_iter().flat_map_iter(of_group).collect()
    }

    fn sampled<'a>(&self, oracle: &'a Oracle, left: &Buffers<'_>) -> Box<Sampled<'a>> {
        let last = Last { oracle, count: self.last as usize };
        last.partials_near(left);
        let (verticals, slashes) = (left.floats(Scratch::Verticals), left.floats(Scratch::Slashes));
        let (blocks, rows) = (oracle.blocks(), (self.last / oracle.spec.block.q) as usize + 1);
        let nats = |logs: &[f32]| logs.iter().map(|&log| f64::from(log) * LN_2).collect::<Vec<_>>();
        let of_group = |sequence: usize| {
            let want = last.shares(sequence);
            let vertical = &verticals[sequence * blocks..][..blocks];
            let slash = |row| &slashes[(sequence * rows + row) * blocks..][..blocks];
            let all = vertical.iter().chain((0..want.slashes.len()).flat_map(slash));
            let wanted = want.verticals.iter().chain(want.slashes.iter().flatten());
            for (i, (&got, &want)) in all.zip(wanted).enumerate() {
                near(&format!("share {sequence}/{i}"), got, want);
            }
            Shares {
                verticals: nats(vertical),
                slashes: (0..want.slashes.len()).map(|row| nats(slash(row))).collect(),
            }
        };
        let shares: Vec<Shares> = (0..oracle.batch * oracle.groups).map(of_group).collect();
        Box::new(move |group, token| {
            let weights = last.weights(&shares[group], token / oracle.spec.block.q as usize);
            (log_sum_exp(&weights), weights)
        })
    }
}
