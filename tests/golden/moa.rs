//! `MoA` (arXiv 2406.14909): the layouts of `gen_bigbird_pattern`, whose band is one block narrower than a list with its sink.
//!
//! The authors' bands are lists of the same number of blocks in every row, the first block among them: `scorer = nearest,
//! budget = top_k(…)` with the sink. Nothing differs.

use crate::inputs::{HEADS, TOKENS};
use crate::verify::{Golden, data, oracle, spec, trace};
use proxyattn_oracle::compare;

#[test]
fn lists_are_the_layouts_of_moa() {
    for (band, layout) in data("moa")["layouts"].as_object().expect("layouts by their bands") {
        let rows = serde_json::from_value(layout.clone()).expect("lists of rows");
        let golden = Golden(vec![rows; HEADS]);
        let count = band.parse::<usize>().expect("a number") + 1;
        let spec = spec(&format!("scorer = nearest, budget = top_k(blocks = {count}), keep(sink = 1)"));
        let agreement = compare::selection(&oracle(&spec, TOKENS), &golden);
        let agreement = agreement.faultless().unwrap_or_else(|fault| panic!("a band of {band}: {fault}"));
        assert_eq!((agreement.swapped, agreement.recounted), (0, 0), "a band of {band}: {agreement}");
        let selection = trace(&spec, TOKENS).selection;
        for (head, rows) in golden.0.iter().enumerate() {
            for (row, expected) in rows.iter().enumerate() {
                let mut blocks = selection.blocks(0, head, row).to_vec();
                blocks.sort_unstable();
                assert_eq!(&blocks, expected, "a band of {band}, head {head}, row {row}");
            }
        }
    }
}
