//! The kernels behind `score` on made-up scores, and the budget's last ones on made-up masses.

use crate::buffers::grid;
use crate::generated::Random;
use crate::harness::{Harness, Memory};
use proxyattn::AttentionKernel;
use proxyattn::codegen::cuda::{CODES_PER_LOG2, KernelId, Scratch, Shape, Tiles, UnitId, emit_tiled};
use proxyattn::codegen::{Arch, Spec};
use proxyattn_oracle::stages::Buffers;

/// The largest score of a sample in a block, from a random number, and what the i-th sample's keys sum to, both base 2.
type Scores = (fn(f64) -> f64, fn(u64) -> f32);

/// The floor of every sample, which all of [`SCORES`] lie above.
const FLOOR: f32 = -1000.0;

/// Scores made up for `select`: all equal; a few values; many that differ by little; some far beyond any sensible score;
/// ranks that are the last ones of a digit. Samples weigh the same in each row, so that scores tie across them.
const SCORES: [Scores; 5] = [
    (|_| -12.0, |i| (i % 2) as f32),
    (|x| (x * 6.0).round() - 13.0, |i| (i % 2) as f32),
    (|x| x * 0.05 - 13.0, |i| (i % 2) as f32),
    (|x| x * 120.0 - 30.0, |i| (i % 2) as f32),
    (|x| x * 0.5 - 1.5, |_| f32::EPSILON),
];

/// Made-up scores of a shape's blocks, in memory.
fn made_up(spec: &Spec, shape: &Shape, (score, sum): Scores, random: &mut Random) -> Memory {
    let mut memory = Memory::default();
    let per_row = u64::from(spec.block.q / spec.sample_window().q);
    let samples = shape.batch * shape.groups(spec) * shape.rows(spec) * per_row;
    let lse = (0..samples).flat_map(|i| sum(i).to_le_bytes()).collect();
    let floors = (0..samples).flat_map(|_| FLOOR.to_le_bytes()).collect();
    let maxima = (0..samples * shape.blocks(spec)).flat_map(|_| {
        let above = score(random.next()) - f64::from(FLOOR);
        ((above * f64::from(CODES_PER_LOG2)).round() as u16).to_le_bytes()
    });
    memory.put(Scratch::Maxima, maxima.collect());
    memory.put(Scratch::Lse, lse);
    memory.put(Scratch::Floors, floors);
    memory
}

/// The part of a module that makes lists of scores.
fn scoring<K: AttentionKernel>() -> Harness {
    let mut module = emit_tiled(&K::SPEC, Arch::Sm80, &Tiles::portable(&K::SPEC, None));
    module.units.retain(|unit| unit.id == UnitId::Scoring);
    Harness::compile(K::NAME, &K::SPEC, module)
}

/// The lists of many heads, or of one count for all, from scores that tie.
pub(crate) fn check_select<K: AttentionKernel>(shapes: &[[u64; 5]]) {
    let (spec, harness) = (K::SPEC, scoring::<K>());
    for (seed, &[batch, heads, kv_heads, q_len, kv_len]) in shapes.iter().enumerate() {
        let shape = Shape { batch, heads, kv_heads, q_len, kv_len };
        for scores in SCORES {
            let mut random = Random(seed as u64 + 1);
            let mut memory = made_up(&spec, &shape, scores, &mut random);
            if let Some(layout) = spec.budget.measures() {
                let blocks = shape.blocks(&spec) as f64;
                let count = |_| ((random.next().abs() * blocks) as u32).to_le_bytes();
                let counts = layout.places(&spec, &shape).into_iter().flat_map(count);
                memory.put(Scratch::Measured, counts.collect());
            }
            harness.run_one(KernelId::Select, &shape, &mut memory, seed as u64 + 1);
            Buffers::new(&grid(&spec, &shape), &memory).select();
        }
    }
}

/// What a budget makes of masses: even ones and steep ones, blocks without any, and heads without any, under scores that tie.
pub(crate) fn check_counts<K: AttentionKernel>(shapes: &[[u64; 5]]) {
    let (spec, harness) = (K::SPEC, scoring::<K>());
    for (seed, &[batch, heads, kv_heads, q_len, kv_len]) in shapes.iter().enumerate() {
        let shape = Shape { batch, heads, kv_heads, q_len, kv_len };
        for scores in SCORES {
            let mut random = Random(seed as u64 + 1);
            let mut memory = made_up(&spec, &shape, scores, &mut random);
            let masses = (0..batch * heads).flat_map(|head| {
                let steep = [0.0, 1.0, 4.0, 40.0][head as usize % 4];
                let parts = (0..shape.blocks(&spec)).map(|_| random.next().max(0.0).powf(steep));
                let parts: Vec<f64> = parts.map(|part| if head % 7 == 6 { 0.0 } else { part }).collect();
                let whole = parts.iter().sum::<f64>().max(f64::MIN_POSITIVE);
                parts.into_iter().map(move |part| (part / whole * (1u64 << 31) as f64) as u32)
            });
            memory.put(Scratch::Masses, masses.flat_map(u32::to_le_bytes).collect());
            for kernel in [KernelId::BudgetShares, KernelId::BudgetCounts] {
                harness.run_one(kernel, &shape, &mut memory, seed as u64 + 1);
            }
            Buffers::new(&grid(&spec, &shape), &memory).counted();
        }
    }
}
