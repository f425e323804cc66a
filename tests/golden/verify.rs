//! Lists of other code, and how ours are compared with them.

use crate::inputs::{DIM, TOKENS, first};
use half::bf16;
use proc_macro2::TokenStream;
use proxyattn::codegen::Spec;
use proxyattn::{AsView, Attention, Device, Trace};
use proxyattn_attribute::{Errors, read};
use proxyattn_oracle::Oracle;
use proxyattn_oracle::compare::{self, Agreement, Lists};
use serde_json::Value;
use std::path::Path;

/// What the functions of a paper's repository chose.
pub(crate) fn data(paper: &str) -> Value {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/data").join(paper).with_extension("json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Blocks of `[heads][rows]`, ascending.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Golden(pub(crate) Vec<Vec<Vec<u32>>>);

impl Golden {
    pub(crate) fn of(value: &Value) -> Self {
        Self(serde_json::from_value(value.clone()).expect("lists of heads and rows"))
    }
}

impl Lists for Golden {
    fn count(&self, _: usize, head: usize, row: usize) -> usize {
        self.0[head][row].len()
    }

    fn blocks(&self, _: usize, head: usize, row: usize) -> &[u32] {
        &self.0[head][row]
    }
}

/// The configuration that the arguments of `#[proxy_attention(…)]` spell.
pub(crate) fn spec(arguments: &str) -> Spec {
    let tokens: TokenStream = format!("head_dim = {DIM}, {arguments}").parse().expect("tokens");
    let mut errors = Errors::default();
    let spec = read(tokens, &mut errors).spec;
    assert!(
        errors.is_empty(),
        "{arguments}: {:?}",
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    );
    spec
}

/// What the CPU backend makes of the first tokens of the shared input.
pub(crate) fn trace(spec: &Spec, tokens: usize) -> Trace<bf16> {
    let [q, k] = first(tokens);
    let attention = Attention::load(spec, &Device::cpu()).expect("a valid kernel").with_dense_below(0);
    attention.prefill_traced(&q, &k, &k, &()).expect("a prefill")
}

/// The reference on the first tokens of the shared input; where no budget looks at values, keys stand for them.
pub(crate) fn oracle(spec: &Spec, tokens: usize) -> Oracle {
    let [q, k] = first(tokens);
    Oracle::new(spec, &q.as_view(), &k.as_view(), &k.as_view())
}

/// Holds the reference and the CPU backend to `golden`: each list has the same blocks, but for close calls of the reference,
/// and those are few.
pub(crate) fn same_lists(arguments: &str, golden: &Golden) {
    same_lists_of(TOKENS, arguments, golden);
}

/// The same on the first tokens.
pub(crate) fn same_lists_of(tokens: usize, arguments: &str, golden: &Golden) {
    let spec = spec(arguments);
    let oracle = oracle(&spec, tokens);
    let faultless = |of: &str, lists: &dyn Lists| -> Agreement {
        let agreement = compare::selection(&oracle, lists);
        println!("{arguments}: {of}: {agreement}");
        agreement.faultless().unwrap_or_else(|fault| panic!("{arguments}: {of}: {fault}"))
    };
    let agreement = faultless("the paper's", golden);
    let close = agreement.lists / 100;
    assert!(agreement.decided > agreement.lists / 4, "{arguments}: scores decide few lists: {agreement}");
    assert!(agreement.swapped + agreement.recounted <= close, "{arguments}: {agreement}");

    let selection = trace(&spec, tokens).selection;
    compare::structure(&oracle, &selection).expect("lists as the kernel lays them out");
    faultless("the CPU's", &selection);
    let differs = |head: usize, row: usize| {
        let mut blocks = selection.blocks(0, head, row).to_vec();
        blocks.sort_unstable();
        blocks != golden.blocks(0, head, row)
    };
    let places =
        golden.0.iter().enumerate().flat_map(|(head, rows)| (0..rows.len()).map(move |row| (head, row)));
    let different: Vec<_> = places.filter(|&(head, row)| differs(head, row)).collect();
    assert!(different.len() <= close, "{arguments}: heads and rows {different:?} differ");
}
