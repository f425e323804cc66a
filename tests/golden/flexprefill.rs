//! `FlexPrefill` (arXiv 2502.20766): `get_block_vertical_slash_from_qk` and the union of `get_active_blocks`.
//!
//! By design ours differ in three things. A diagonal of ours is of blocks, theirs of tokens: ours adds up what lies as many
//! *blocks* before a query's block, theirs what lies 128·i to 128·i + 127 *tokens* before the query. Columns and diagonals have one
//! count, for each row the best of both, instead of one each for the whole prompt. And there is no test by divergence: a head
//! that passes theirs has blocks of its own by means, which is `mean_pool` here. Lists are therefore those of the last row, where
//! columns decide.

use crate::inputs::{HEADS, TOKENS};
use crate::verify::{Golden, data, oracle, spec, trace};
use proxyattn_oracle::compare::Lists;

/// Their last queries, and blocks.
const BLOCK: usize = 128;
const ROWS: usize = TOKENS / BLOCK;

fn arguments(count: usize) -> String {
    format!("block = {BLOCK}, scorer = vertical_slash(last = {BLOCK}), budget = top_k(blocks = {count})")
}

fn shares(name: &str) -> Vec<Vec<f64>> {
    serde_json::from_value(data("flexprefill")[name].clone()).expect("shares of heads and blocks")
}

/// In the last row the column of a block and its diagonal are the same keys for the same queries.
#[test]
fn columns_are_those_of_flexprefill() {
    let oracle = oracle(&spec(&arguments(4)), TOKENS);
    for (head, columns) in shares("vertical").iter().enumerate() {
        for (block, expected) in columns.iter().enumerate() {
            let share = oracle.row_scores(0, head, ROWS - 1)[block].exp();
            assert!(
                (share - expected).abs() <= 1e-5 * expected,
                "head {head}, block {block}: {share}, not {expected}"
            );
        }
    }
}

/// What lies less than 128·(i + 1) tokens before a query lies at most i + 1 blocks before its block, and everything at most i
/// blocks before it does.
#[test]
fn diagonals_lie_between_those_of_flexprefill() {
    let (columns, diagonals) = (shares("vertical"), shares("slash"));
    for (head, (columns, diagonals)) in columns.iter().zip(&diagonals).enumerate() {
        // From the diagonal on: of the last queries, the diagonals of blocks are the columns, backwards.
        let mut blocks = columns.iter().rev();
        let (mut ours, mut theirs) = (0.0, 0.0);
        let mut next = *blocks.next().expect("a block");
        for (i, diagonal) in diagonals.iter().enumerate() {
            ours += next;
            theirs += diagonal;
            next = blocks.next().copied().unwrap_or(0.0);
            let between = ours - 1e-5..=ours + next + 1e-5;
            assert!(between.contains(&theirs), "head {head}, up to {i} blocks: {theirs}, not in {between:?}");
        }
        assert!((ours - 1.0).abs() < 1e-5 && (theirs - 1.0).abs() < 1e-5, "head {head}: {ours}, {theirs}");
    }
}

/// Of as many blocks as they take columns, ours are among the blocks that they visit in the last row.
#[test]
fn last_rows_are_among_those_of_flexprefill() {
    let data = data("flexprefill");
    let mut decided = 0;
    for (key, lists) in data["lists"].as_object().expect("lists by their parameters") {
        let [gamma, least, tau] = key.split(',').collect::<Vec<_>>()[..] else { panic!("{key}") };
        if tau != "0" {
            continue;
        }
        let least: usize = least.parse().expect("an integer");
        let theirs = Golden::of(lists);
        for head in 0..HEADS {
            let columns = data["counts"][gamma]["vertical"][head].as_u64().expect("an integer") as usize;
            let count = columns.max(least).max(2);
            let ours = trace(&spec(&arguments(count)), TOKENS).selection;
            let theirs = theirs.blocks(0, head, ROWS - 1);
            let ours = ours.blocks(0, head, ROWS - 1);
            assert_eq!(ours.len(), count.min(ROWS));
            assert!(
                ours.iter().all(|block| theirs.contains(block)),
                "{key}, head {head}: {ours:?}, {theirs:?}"
            );
            decided += usize::from(count > 2 && theirs.len() < ROWS);
        }
    }
    assert!(decided > HEADS, "scores decide few lists: {decided}");
}
