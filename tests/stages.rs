//! Every stage of the portable kernels, run on the host and compared with the reference: the emitted text, compiled by the
//! system's C++ compiler against the shim of its wrappers.

#[path = "conformance/backends.rs"]
#[allow(dead_code)] // shared with the other suites
mod backends;
#[path = "stages/buffers.rs"]
mod buffers;
#[path = "stages/generated.rs"]
mod generated;
#[path = "stages/harness.rs"]
mod harness;
#[path = "shim/host.rs"]
#[allow(dead_code)] // the shim's own tests need more of it
mod host;
#[path = "stages/kinds.rs"]
mod kinds;
#[path = "stages/lists.rs"]
mod lists;
#[path = "conformance/logits.rs"]
#[allow(dead_code)]
mod logits;
#[path = "stages/made_up.rs"]
mod made_up;

use buffers::{Tensors, grid};
use generated::{Changes, PROXIES, change, inputs_of};
use harness::{Harness, Memory};
use logits::{Eight128, Large64, Large128, Large256, LargeLast, SIZES};
use made_up::{check_counts, check_select};
use proxyattn::codegen::cuda::{HopperTiles, Keys, Shape, Tensor, Tiles, UnitId, emit_tiled};
use proxyattn::codegen::{
    Arch, Block, Budget, Dtype, Dynamic, Fitted, Keep, Order, Ratio, Rows, Scorer, Spec, Split, Stage,
    Stride, Weigh,
};
use proxyattn::prelude::{bf16, f16};
use proxyattn::{AttentionKernel, Element};
use proxyattn_oracle::{inputs, stages::Buffers};

/// Runs a spec's stages on some shapes, `[batch, heads, kv_heads, q_len, kv_len]`, each with its own seed.
fn check<K: AttentionKernel>(arch: Arch, tiles: impl Fn(Tiles) -> Tiles, shapes: &[[u64; 5]]) {
    check_changed::<K>(arch, tiles, &[], shapes);
}

/// The same on inputs that were changed.
fn check_changed<K: AttentionKernel>(
    arch: Arch,
    tiles: impl Fn(Tiles) -> Tiles,
    changes: Changes<'_>,
    shapes: &[[u64; 5]],
) {
    run::<K::Elem>((K::NAME, K::SPEC), arch, tiles, changes, shapes);
}

/// The same of a configuration that is known only now.
fn run<T: Element>(
    (name, spec): (&str, Spec),
    arch: Arch,
    tiles: impl Fn(Tiles) -> Tiles,
    changes: Changes<'_>,
    shapes: &[[u64; 5]],
) {
    assert!(spec.is_valid(), "{:?}", spec.violations());
    let [_, heads, kv_heads, ..] = shapes[0];
    let tiles = tiles(Tiles::portable(&spec, Some((heads / kv_heads) as u32)));
    let harness = Harness::compile(name, &spec, emit_tiled(&spec, arch, &tiles));
    for (seed, &[batch, heads, kv_heads, q_len, kv_len]) in shapes.iter().enumerate() {
        let shape = Shape { batch, heads, kv_heads, q_len, kv_len };
        let mut memory = inputs_of(&spec, &shape, seed as u64 + 1);
        change(&spec, &mut memory, changes);
        harness.run(&shape, &mut memory, seed as u64 + 1);
        let tensors = Tensors { spec, shape, memory: &memory };
        let oracle = tensors.oracle::<T>();
        tensors.dense::<T>(&oracle);
        if spec.is_dense() {
            continue;
        }
        let buffers = Buffers::new(&oracle, &memory);
        buffers.scorer(&oracle);
        buffers.budget(&oracle);
        buffers.select();
        tensors.attended::<T>(&oracle, &buffers);
    }
}

/// Logits of any size: the lists of the stages up to `select` are the reference's.
fn check_large_logits<K: AttentionKernel>(name: &str, arch: Arch, spec: Spec, sizes: &[f64]) {
    let mut module = emit_tiled(&spec, arch, &Tiles::portable(&spec, None));
    module.units.retain(|unit| matches!(unit.id, UnitId::Scoring | UnitId::Score));
    let ids = module.kernels.iter().map(|kernel| kernel.id);
    let stages: Vec<_> = ids.filter(|id| id.stage() < Stage::Attend).collect();
    let harness = Harness::compile(name, &spec, module);
    let mut faults = Vec::new();
    for sample in logits::samples::<K>(sizes) {
        let ([batch, heads, q_len, dim], [_, kv_heads, kv_len, _]) =
            (sample.inputs.q_shape, sample.inputs.kv_shape);
        let [batch, heads, kv_heads, q_len, kv_len] =
            [batch, heads, kv_heads, q_len, kv_len].map(|number| number as u64);
        let shape = Shape { batch, heads, kv_heads, q_len, kv_len };
        let mut memory = Memory::default();
        let bytes = |data: &[K::Elem]| data.iter().flat_map(|x| x.to_bits().to_le_bytes()).collect();
        memory.put(Tensor::Q, bytes(&sample.inputs.q));
        memory.put(Tensor::K, bytes(&sample.inputs.k));
        let sampled = Tensor::Keys(Keys::Sampled);
        for tensor in [Tensor::Q, Tensor::K, sampled].into_iter().chain(PROXIES) {
            let (like, step) = match tensor == sampled {
                true => (Tensor::K, i64::from(spec.sample_window().kv)),
                false => (tensor, 1),
            };
            let [heads, tokens] = like.extents().map(|extent| extent.of(&spec, &shape) as i64);
            let dim = dim as i64;
            memory.strides.insert(tensor, [heads * tokens * dim, tokens * dim, step * dim]);
        }
        for &stage in &stages {
            harness.run_one(stage, &shape, &mut memory, 1);
        }
        let grid = grid(&spec, &shape);
        let lists = Buffers::new(&grid, &memory).lists();
        faults.extend(sample.judge(&sample.oracle(&spec), &lists).err());
    }
    assert!(faults.is_empty(), "{name}: {} inputs\n{}", faults.len(), faults.join("\n"));
}

macro_rules! large_logits {
    ($($(#[$doc:meta])* $test:ident: $kernel:ty, $arch:expr, $spec:expr, $sizes:expr;)+) => {$(
        $(#[$doc])*
        #[test]
        fn $test() {
            check_large_logits::<$kernel>(stringify!($test), $arch, $spec, $sizes);
        }
    )+};
}

/// What real models reach.
const FEW: &[f64] = &[20_160.0];

large_logits! {
    large_logits_64: Large64, Arch::Sm80, Large64::SPEC, &SIZES;
    large_logits_64_hopper: Large64, Arch::Sm90a, Large64::SPEC, &SIZES;
    large_logits_128: Large128, Arch::Sm80, Large128::SPEC, FEW;
    /// A block of keys fills a stage.
    large_logits_128_hopper: Large128, Arch::Sm90a, Large128::SPEC, FEW;
    /// Bytes.
    large_logits_8_bits_hopper: Eight128, Arch::Sm90a, Eight128::SPEC, FEW;
    large_logits_256: Large256, Arch::Sm80, Large256::SPEC, FEW;
    large_logits_last: LargeLast, Arch::Sm80, LargeLast::SPEC, FEW;
}

/// A kernel of a test, by the test's name.
macro_rules! kernel {
    ($test:ident, $elem:ty, $spec:expr) => {
        struct Kernel;
        impl AttentionKernel for Kernel {
            const NAME: &'static str = stringify!($test);
            const SPEC: Spec = $spec;
            type Elem = $elem;
        }
    };
}

macro_rules! scored {
    ($check:ident; $($(#[$doc:meta])* $test:ident: $spec:expr, $shapes:expr;)+) => {$(
        $(#[$doc])*
        #[test]
        fn $test() {
            kernel!($test, bf16, $spec);
            $check::<Kernel>($shapes);
        }
    )+};
}

scored! { check_counts;
    /// Orders of fewer blocks than threads, of as many as a warp's share, and of more.
    counts_by_list: Spec { budget: counted(Order::List, Weigh::None), stride: Stride { q: 8, kv: 8 }, ..Spec::DEFAULT },
        &[[1, 7, 1, 64, 1000], [2, 8, 2, 100, 70_000], [1, 3, 1, 10, 140_001], [1, 8, 1, 1, 65_536]];
    counts_by_mass: Spec { budget: counted(Order::Own, Weigh::None), stride: Stride { q: 8, kv: 8 }, ..Spec::DEFAULT },
        &[[1, 7, 1, 64, 1000], [1, 8, 2, 100, 140_001]];
    parts_of_a_total: Spec { budget: shared_out(0.3, 64), stride: Stride { q: 8, kv: 8 }, ..Spec::DEFAULT },
        &[[1, 7, 1, 64, 1000], [2, 40, 2, 100, 9_000], [1, 3, 1, 10, 140_001]];
    /// Every block of every head.
    parts_of_everything: Spec { budget: shared_out(1.0, 64), stride: Stride { q: 8, kv: 8 }, ..Spec::DEFAULT },
        &[[1, 6, 1, 64, 5_000]];
}

scored! { check_select;
    /// More cuts than warps, and than lanes; few blocks.
    many_cuts: Spec { groups: Some(1), budget: SMALL, stride: Stride { q: 8, kv: 8 }, ..Spec::DEFAULT },
        &[[1, 160, 1, 100, 32_000], [2, 3, 1, 130, 3_000], [1, 256, 1, 64, 200]];
    /// One cut, within equal scores; samples by fours.
    one_cut: Spec { budget: Budget::ratio(0.3), stride: Stride { q: 16, kv: 4 }, ..Spec::DEFAULT },
        &[[1, 4, 2, 130, 9_000], [1, 2, 1, 64, 70]];
}

const SMALL: Budget =
    Budget::Dynamic(Dynamic { gamma: 0.8, min_tokens: 128, rows: Rows::Ratio, ..Dynamic::DEFAULT });

/// Small budgets that are counted in an order, with weights.
const fn counted(order: Order, weigh: Weigh) -> Budget {
    Budget::Dynamic(Dynamic { gamma: 0.6, min_tokens: 128, rows: Rows::Ratio, order, weigh })
}

/// A share that heads divide.
const fn shared_out(share: f64, min_tokens: u32) -> Budget {
    Budget::Ratio(Ratio { share, split: Split::Heads, min_tokens })
}

macro_rules! stages {
    ($arch:expr; $($(#[$doc:meta])* $test:ident: $elem:ty, $spec:expr, $tiles:expr, $shapes:expr;)+) => {$(
        $(#[$doc])*
        #[test]
        fn $test() {
            kernel!($test, $elem, $spec);
            check::<Kernel>($arch, $tiles, $shapes);
        }
    )+};
}

stages! { Arch::Sm80;
    /// One proxy per KV head, keys as they are; two heads a CTA.
    one_proxy_per_kv_head: bf16, Spec { budget: SMALL, keep: Keep { sink: 1, local: 0 }, ..Spec::DEFAULT }, |t| t,
        &[[1, 4, 2, 512, 512], [2, 2, 1, 130, 403], [1, 2, 1, 1, 70]];
    /// Pooled keys, narrow heads held in registers, several cuts, three heads that do not fill a CTA.
    one_proxy_for_all: f16, Spec {
            head_dim: 64, dtype: Dtype::F16, groups: Some(1), stride: Stride { q: 4, kv: 4 }, budget: SMALL, ..Spec::DEFAULT
        }, |t| Tiles { heads: 2, ..t }, &[[1, 6, 2, 400, 400], [1, 3, 1, 100, 300]];
    /// Rows of 96, query blocks longer than key blocks, absolute rows.
    rows_of_96: bf16, Spec {
            head_dim: 96, block: Block { q: 128, kv: 32 }, stride: Stride { q: 8, kv: 2 },
            budget: Budget::Dynamic(Dynamic { gamma: 0.7, min_tokens: 64, rows: Rows::Absolute, ..Dynamic::DEFAULT }), ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 300, 420]];
    /// The widest rows, a block of keys over several tiles, no causal rule, a ragged tail that may be left out.
    not_causal: f16, Spec {
            head_dim: 256, block: Block { q: 32, kv: 128 }, dtype: Dtype::F16, causal: false,
            budget: Budget::ratio(0.3), keep: Keep { sink: 0, local: 1 }, stride: Stride { q: 2, kv: 1 },
            ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 70, 700], [2, 2, 2, 100, 130], [1, 2, 1, 150, 70]];
    /// A sample for a whole block of keys; the same count in every row; three stages.
    top_k: bf16, Spec {
            head_dim: 64, block: Block { q: 32, kv: 32 }, stride: Stride { q: 32, kv: 32 },
            budget: Budget::top_k(4), ..Spec::DEFAULT
        }, |t| Tiles { stages: 3, keys: 16, warp_rows: 16, ..t }, &[[1, 4, 1, 300, 300], [1, 4, 1, 33, 310]];
    /// Two and four samples to a block.
    four_samples: bf16, Spec {
            head_dim: 64, stride: Stride { q: 16, kv: 16 }, budget: Budget::ratio(0.4), ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 500, 500]];
    /// Dynamic budgets without the causal rule.
    dynamic_not_causal: bf16, Spec {
            head_dim: 64, causal: false, stride: Stride { q: 1, kv: 32 }, budget: SMALL, ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 150, 500], [1, 2, 1, 330, 100]];
    /// Tiles that a tuner may choose: four heads of 32 rows, tiles of 64 keys, a deeper ring of narrower ones.
    other_tiles: bf16, Spec { budget: SMALL, ..Spec::DEFAULT },
        |t| Tiles { heads: 4, rows: 32, keys: 64, stages: 2, ring_stages: 4, ring_keys: 64, ..t },
        &[[1, 4, 1, 150, 300]];
    /// Nothing but `dense`.
    every_block: f16, Spec { dtype: Dtype::F16, budget: Budget::All, ..Spec::DEFAULT }, |t| t,
        &[[1, 2, 1, 130, 130], [1, 2, 1, 65, 263]];
    /// A tile of half a row.
    every_block_in_halves: bf16, Spec { head_dim: 256, causal: false, block: Block { q: 128, kv: 64 }, budget: Budget::All, ..Spec::DEFAULT },
        |t| t, &[[1, 1, 1, 70, 90], [1, 1, 1, 90, 70]];
}

#[path = "stages/antidiagonal.rs"]
mod antidiagonal;
#[path = "stages/scored.rs"]
mod scored;

stages! { Arch::Sm80;
    /// Counts in the order of the list, weighed by values: a proxy per KV head, ragged lengths, fewer queries than keys.
    listed: bf16, Spec { budget: counted(Order::List, Weigh::Values), keep: Keep { sink: 1, local: 0 }, ..Spec::DEFAULT }, |t| t,
        &[[1, 4, 2, 512, 512], [2, 2, 1, 130, 1403], [1, 2, 1, 1, 70]];
    /// One proxy for all heads, whose own orders differ from the list's; narrow heads; samples by fours.
    listed_one_proxy: f16, Spec {
            head_dim: 64, dtype: Dtype::F16, groups: Some(1), stride: Stride { q: 16, kv: 4 },
            budget: counted(Order::List, Weigh::None), ..Spec::DEFAULT
        }, |t| t, &[[1, 6, 2, 400, 4400], [2, 3, 1, 100, 300]];
    /// Blocks of 128 queries and 32 keys, rows of 96, the head's own order.
    weighed: bf16, Spec {
            head_dim: 96, block: Block { q: 128, kv: 32 }, stride: Stride { q: 8, kv: 2 },
            budget: counted(Order::Own, Weigh::Values), ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 300, 423]];
    /// The widest rows, no causal rule.
    listed_not_causal: f16, Spec {
            head_dim: 256, dtype: Dtype::F16, causal: false, keep: Keep { sink: 0, local: 1 },
            budget: counted(Order::List, Weigh::Values), ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 2, 70, 701], [1, 2, 1, 150, 70]];
}

stages! { Arch::Sm80;
    /// A share that heads divide: some need more than others.
    divided: bf16, Spec { budget: shared_out(0.3, 64), keep: Keep { sink: 1, local: 0 }, ..Spec::DEFAULT }, |t| t,
        &[[2, 6, 2, 130, 1403], [1, 2, 1, 70, 70]];
    /// Floors alone exceed the total; one proxy for all heads.
    divided_floors: f16, Spec {
            head_dim: 64, dtype: Dtype::F16, groups: Some(1), stride: Stride { q: 4, kv: 4 },
            budget: shared_out(0.05, 256), ..Spec::DEFAULT
        }, |t| t, &[[1, 6, 2, 100, 1000]];
}

stages! { Arch::Sm80;
    /// Windows of several blocks, in a list that is long enough; a proxy for two KV heads, heads that do not fill a CTA.
    fitted: bf16, Spec {
            head_dim: 64, block: Block { q: 64, kv: 32 }, groups: Some(1), stride: Stride { q: 16, kv: 8 },
            budget: Budget::Fitted(Fitted { share: 0.6, min_tokens: 64 }), ..Spec::DEFAULT
        }, |t| t, &[[1, 6, 2, 100, 7200], [2, 3, 1, 50, 3300]];
}

stages! { Arch::Sm90a;
    /// More heads than warps, each with a count of its own.
    hopper_divided: f16, Spec {
            head_dim: 64, dtype: Dtype::F16, stride: Stride { q: 16, kv: 4 }, budget: shared_out(0.25, 64), ..Spec::DEFAULT
        }, |t| t, &[[1, 40, 2, 64, 1100], [2, 3, 1, 200, 2500]];
}

stages! { Arch::Sm90a;
    /// The same on Hopper: sums by segments, packs that lack heads, sequences that end amid a CTA's run.
    hopper_listed: bf16, Spec { budget: counted(Order::List, Weigh::Values), ..Spec::DEFAULT }, |t| t,
        &[[1, 4, 2, 512, 512], [2, 3, 1, 130, 1403], [1, 3, 1, 1, 70]];
    hopper_listed_one_proxy: f16, Spec {
            head_dim: 64, dtype: Dtype::F16, groups: Some(1), stride: Stride { q: 4, kv: 4 },
            budget: counted(Order::List, Weigh::Values), ..Spec::DEFAULT
        }, |t| Tiles { hopper: HopperTiles { keys: 64, ..t.hopper }, ..t }, &[[1, 6, 2, 400, 2405], [3, 14, 2, 64, 129]];
    /// A head on two warpgroups, four blocks to a stage, the head's own order.
    hopper_weighed: f16, Spec {
            dtype: Dtype::F16, block: Block { q: 128, kv: 32 }, budget: counted(Order::Own, Weigh::Values), ..Spec::DEFAULT
        }, |t| t, &[[1, 3, 1, 200, 451], [2, 3, 1, 100, 140]];
    /// A block of keys fills a stage; no causal rule; no weights.
    hopper_listed_not_causal: bf16, Spec {
            head_dim: 64, causal: false, block: Block { q: 64, kv: 128 }, budget: counted(Order::List, Weigh::None), ..Spec::DEFAULT
        }, |t| t, &[[1, 3, 1, 150, 500], [2, 2, 1, 30, 257]];
}

stages! { Arch::Sm90a;
    /// Two heads a CTA on one list, uneven counts, offsets inside a block, rows past the end; a head that is left over.
    hopper_defaults: bf16, Spec { budget: SMALL, ..Spec::DEFAULT }, |t| t,
        &[[1, 4, 2, 512, 512], [2, 3, 1, 130, 403], [1, 3, 1, 1, 70]];
    /// Heads whose counts differ by more stages than the ring has: one warpgroup goes on alone for long.
    hopper_uneven: f16, Spec {
            head_dim: 64, dtype: Dtype::F16, block: Block { q: 64, kv: 64 }, keep: Keep { sink: 1, local: 0 },
            budget: Budget::Dynamic(Dynamic { gamma: 0.7, min_tokens: 64, rows: Rows::Ratio, ..Dynamic::DEFAULT }), ..Spec::DEFAULT
        }, |t| Tiles { hopper: HopperTiles { stages: 4, ..t.hopper }, ..t },
        &[[1, 4, 1, 320, 1984], [1, 4, 1, 800, 1984], [1, 7, 1, 830, 830]];
    /// Pooled keys by fours, narrow heads, one slot of queries, no turns.
    hopper_narrow: f16, Spec {
            head_dim: 64, dtype: Dtype::F16, groups: Some(1), stride: Stride { q: 4, kv: 4 }, budget: SMALL, ..Spec::DEFAULT
        }, |t| Tiles { hopper: HopperTiles { query_slots: 1, ping_pong: 0, stages: 4, score_stages: 2, ..t.hopper }, ..t },
        &[[1, 6, 2, 400, 400], [1, 8, 2, 100, 300]];
    /// Three warpgroups, stages of 64 keys, which are half a block.
    hopper_three: bf16, Spec {
            head_dim: 64, block: Block { q: 64, kv: 128 }, budget: SMALL, ..Spec::DEFAULT
        }, |t| Tiles { hopper: HopperTiles { warpgroups: 3, ping_pong: 0, keys: 64, ..t.hopper }, ..t },
        &[[1, 7, 1, 200, 500]];
    /// Tiles that a tuner may choose: half of the keys in twice the stages and more, fewer consumers of the scoring pass.
    hopper_other_tiles: bf16, Spec { budget: SMALL, stride: Stride { q: 4, kv: 4 }, ..Spec::DEFAULT },
        |t| Tiles {
            hopper: HopperTiles { keys: 64, stages: 5, score_warpgroups: 3, score_stages: 2, ..t.hopper }, ..t
        },
        &[[1, 4, 2, 300, 450]];
    /// Blocks of two warpgroups' rows; a block of keys fills a stage of the scoring pass.
    hopper_tall: bf16, Spec {
            block: Block { q: 128, kv: 128 }, stride: Stride { q: 8, kv: 1 }, budget: Budget::ratio(0.4), ..Spec::DEFAULT
        }, |t| t, &[[1, 4, 2, 300, 420]];
    /// The widest rows, four blocks to a copy's stage, no causal rule, a ragged tail that may be left out.
    hopper_not_causal: f16, Spec {
            head_dim: 256, block: Block { q: 64, kv: 32 }, dtype: Dtype::F16, causal: false,
            budget: Budget::top_k(5), keep: Keep { sink: 0, local: 0 }, ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 70, 330], [1, 2, 1, 150, 70]];
    /// The budget's pass alone: packs that lack heads, sequences that end amid a CTA's run, fewer queries than a block, a
    /// last stage of one key, which one row sees.
    hopper_budget: bf16, Spec { head_dim: 64, budget: SMALL, ..Spec::DEFAULT }, |t| t,
        &[[1, 6, 2, 200, 500], [3, 14, 2, 64, 129], [1, 1, 1, 50, 385], [2, 16, 2, 1, 260]];
    /// A head on two warpgroups, four blocks of keys to a stage; one head more than packs of two hold.
    hopper_budget_tall: f16, Spec {
            dtype: Dtype::F16, block: Block { q: 128, kv: 32 }, budget: SMALL, ..Spec::DEFAULT
        }, |t| t, &[[1, 3, 1, 200, 450], [2, 3, 1, 100, 140], [1, 3, 1, 40, 40]];
    /// No causal rule, a block of keys fills a stage, two consumers.
    hopper_budget_not_causal: bf16, Spec {
            head_dim: 64, causal: false, block: Block { q: 64, kv: 128 }, budget: SMALL, ..Spec::DEFAULT
        }, |t| Tiles { hopper: HopperTiles { score_warpgroups: 2, score_stages: 2, ..t.hopper }, ..t },
        &[[1, 3, 1, 150, 500], [2, 2, 1, 30, 257], [1, 3, 1, 300, 150]];
    /// Nothing but `dense`.
    hopper_dense: f16, Spec { dtype: Dtype::F16, budget: Budget::All, ..Spec::DEFAULT }, |t| t,
        &[[1, 4, 2, 300, 300], [2, 2, 1, 65, 263]];
}

/// Stages on inputs of magnitudes that the scale takes back.
macro_rules! changed {
    ($($(#[$doc:meta])* $test:ident: $arch:expr, $spec:expr, $changes:expr, $shapes:expr;)+) => {$(
        $(#[$doc])*
        #[test]
        fn $test() {
            kernel!($test, bf16, $spec);
            check_changed::<Kernel>($arch, |t| t, $changes, $shapes);
        }
    )+};
}

const NARROW: Spec = Spec { head_dim: 64, budget: SMALL, ..Spec::DEFAULT };
const LEAST_SCALE: Spec = Spec { scale: Some(1e-30), ..NARROW };
const LARGE_SCALE: Spec = Spec { scale: Some(1e36), ..NARROW };

changed! {
    /// Four heads of ±9e37 whose sum leaves f32, and whose mean does not.
    means_of_large_heads: Arch::Sm80, Spec { groups: Some(1), ..NARROW },
        &[(Tensor::Q, |x| 9e37f64.copysign(x)), (Tensor::K, |x| x * 1e-38)], &[[1, 4, 1, 130, 403]];
    /// The same of a group's keys.
    means_of_large_keys: Arch::Sm80, Spec { groups: Some(1), ..NARROW },
        &[(Tensor::K, |x| 9e37f64.copysign(x)), (Tensor::Q, |x| x * 1e-38)], &[[1, 4, 4, 130, 403]];
    /// A query times the scale's factor leaves f32, and the key leads it back.
    factors_beyond_f32: Arch::Sm80, Spec { scale: Some(1.0), ..NARROW },
        &[(Tensor::Q, |x| x * 1e37), (Tensor::K, |x| x * 1.25e-38)], &[[1, 2, 1, 130, 300]];
    /// Scales under which the usual masked score would weigh as much as others ...
    the_least_scale: Arch::Sm80, LEAST_SCALE, &[(Tensor::Q, |x| x * 3.5e14), (Tensor::K, |x| x * 3.5e14)],
        &[[1, 2, 1, 130, 300], [1, 2, 1, 1, 70]];
    hopper_the_least_scale: Arch::Sm90a, LEAST_SCALE, &[(Tensor::Q, |x| x * 3.5e14), (Tensor::K, |x| x * 3.5e14)],
        &[[1, 2, 1, 130, 300]];
    /// ... or would be infinite.
    a_large_scale: Arch::Sm80, LARGE_SCALE, &[(Tensor::Q, |x| x * 3.5e-19), (Tensor::K, |x| x * 3.5e-19)],
        &[[1, 2, 1, 130, 300], [1, 2, 1, 1, 70]];
    hopper_a_large_scale: Arch::Sm90a, LARGE_SCALE, &[(Tensor::Q, |x| x * 3.5e-19), (Tensor::K, |x| x * 3.5e-19)],
        &[[1, 2, 1, 130, 300]];
    /// Values of zero: no block holds anything, and one is enough ...
    values_of_zero: Arch::Sm80, Spec { budget: counted(Order::List, Weigh::Values), ..NARROW }, &[(Tensor::V, |_| 0.0)],
        &[[1, 2, 1, 130, 300]];
    hopper_values_of_zero: Arch::Sm90a, Spec { budget: shared_out(0.3, 64), ..NARROW }, &[(Tensor::V, |_| 0.0)],
        &[[1, 2, 1, 130, 300]];
    /// ... and values whose squares leave f32 at either end, one of them among zeros.
    large_values: Arch::Sm80, Spec { budget: counted(Order::List, Weigh::Values), ..NARROW },
        &[(Tensor::V, |x| x.abs() * 2e18)], &[[1, 2, 1, 130, 300]];
    small_values: Arch::Sm90a, Spec { budget: counted(Order::Own, Weigh::Values), ..NARROW },
        &[(Tensor::V, |x| if x > 1.5 { x * 1e-30 } else { 0.0 })], &[[1, 2, 1, 130, 300]];
}
