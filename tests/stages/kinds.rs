//! Every kind of scorer and budget, up to the lists: what the reference states as its examples.

use crate::buffers::{Tensors, grid};
use crate::generated::inputs_of;
use crate::harness::Harness;
use half::bf16;
use proxyattn::codegen::cuda::{Shape, Tiles, emit_tiled};
use proxyattn::codegen::{Arch, Block, Budget, Measured, Spec, Stage, Stride};
use proxyattn_oracle::stages::Buffers;
use proxyattn_oracle::{budgets, scorers};

/// Blocks that are small beside the contexts, of which a row has several samples.
const SMALL: Spec = Spec {
    head_dim: 64,
    groups: Some(1),
    block: Block { q: 64, kv: 32 },
    stride: Stride { q: 8, kv: 4 },
    budget: Budget::top_k(5),
    ..Spec::DEFAULT
};

/// A ragged context, the end of one, and one query.
const SHAPES: [[u64; 5]; 3] = [[2, 4, 2, 300, 300], [1, 3, 1, 130, 1003], [1, 2, 1, 1, 403]];

fn check(name: &str, arch: Arch, spec: Spec) {
    let mut module = emit_tiled(&spec, arch, &Tiles::portable(&spec, None));
    let stages: Vec<_> = module.kernels.iter().filter(|kernel| kernel.id.stage() < Stage::Attend).collect();
    let (units, kernels): (Vec<_>, Vec<_>) = stages.iter().map(|kernel| (kernel.unit, kernel.id)).unzip();
    module.units.retain(|unit| units.contains(&unit.id));
    let harness = Harness::compile(&format!("{name}_{arch}"), &spec, module);
    for (seed, [batch, heads, kv_heads, q_len, kv_len]) in (1..).zip(SHAPES) {
        println!("{name} for {arch}: {spec:?} on {:?}", [batch, heads, kv_heads, q_len, kv_len]);
        let shape = Shape { batch, heads, kv_heads, q_len, kv_len };
        let mut memory = inputs_of(&spec, &shape, seed);
        for &kernel in &kernels {
            harness.run_one(kernel, &shape, &mut memory, seed);
        }
        let oracle = Tensors { spec, shape, memory: &memory }.oracle::<bf16>();
        let grid = grid(&spec, &shape);
        let buffers = Buffers::new(&grid, &memory);
        buffers.scorer(&oracle);
        buffers.budget(&oracle);
        buffers.select();
    }
}

/// With the budgets that go by the scores of each row.
fn every_scorer(arch: Arch) {
    let in_a_kernel = |budget: &Budget| budget.measures() == Some(Measured::Rows);
    let in_select = |budget: &Budget| budget.ends_by_score();
    let by_scores = [budgets().into_iter().find(in_a_kernel), budgets().into_iter().find(in_select)];
    for (i, scorer) in scorers().into_iter().enumerate() {
        for (j, budget) in by_scores.into_iter().enumerate() {
            let budget = budget.expect("some budget goes by scores");
            check(&format!("scorer_{i}_{j}"), arch, Spec { scorer, budget, ..SMALL });
        }
    }
}

fn every_budget(arch: Arch) {
    let sparse = budgets().into_iter().filter(|&budget| budget != Budget::All);
    for (i, budget) in sparse.enumerate() {
        check(&format!("budget_{i}"), arch, Spec { budget, ..SMALL });
    }
}

#[test]
fn every_scorer_portable() {
    every_scorer(Arch::Sm80);
}

#[test]
fn every_scorer_hopper() {
    every_scorer(Arch::Sm90a);
}

#[test]
fn every_budget_portable() {
    every_budget(Arch::Sm80);
}

#[test]
fn every_budget_hopper() {
    every_budget(Arch::Sm90a);
}
