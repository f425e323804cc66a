//! Every stage of the portable kernels, run on the host and compared with plain loops: the emitted text, compiled by the
//! system's C++ compiler against the shim of its wrappers.

#[path = "stages/harness.rs"]
mod harness;
#[path = "shim/host.rs"]
#[allow(dead_code)] // the shim's own tests need more of it
mod host;
#[path = "stages/reference.rs"]
mod reference;

use harness::{Harness, Memory};
use proxyattn::codegen::cuda::{HopperTiles, Shape, Tiles, emit_tiled};
use proxyattn::codegen::{Arch, Block, Budget, Dtype, Keep, Rows, Spec, Stride};
use proxyattn::prelude::{bf16, f16};
use proxyattn::{Attention, AttentionKernel, Device, Geometry, Problem};
use reference::Reference;

/// A generator that is its own source: the numbers must not change with a dependency.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as f64 / (1u64 << 31) as f64 * 2.0 - 1.0
    }

    /// Elements of `[batch, tokens, heads, dim]`. Heads lean on a direction of their own for each stretch of tokens, so
    /// that blocks differ in mass; with `sharpen`, each head more than the one before, so that budgets differ.
    fn tensor(&mut self, spec: &Spec, batch: u64, tokens: u64, heads: u64, sharpen: bool) -> Vec<u8> {
        let dim = u64::from(spec.head_dim);
        let mut bytes = Vec::new();
        for i in 0..batch * tokens * heads * dim {
            let token = i / dim / heads % tokens;
            let lean = ((token / 32 * 7 + i % dim * 3) % 11) as f64 / 11.0 - 0.5;
            let sharpness = if sharpen { 0.5 + (i / dim % heads) as f64 } else { 1.0 };
            let value = (self.next() * 1.2 + lean * 1.5) * sharpness;
            let bits = match spec.dtype {
                Dtype::F16 => f16::from_f64(value).to_bits(),
                _ => bf16::from_f64(value).to_bits(),
            };
            bytes.extend(bits.to_le_bytes());
        }
        bytes
    }
}

fn inputs(spec: &Spec, shape: &Shape, seed: u64) -> Memory {
    let mut random = Random(seed);
    let mut memory = Memory::default();
    let dim = i64::from(spec.head_dim);
    for (name, [batch, head, token], heads, tokens) in [
        ("q", ["q_batch", "q_head", "q_token"], shape.heads, shape.q_len),
        ("k", ["k_batch", "k_head", "k_token"], shape.kv_heads, shape.kv_len),
        ("v", ["v_batch", "v_head", "v_token"], shape.kv_heads, shape.kv_len),
        ("out", ["out_batch", "out_head", "out_token"], shape.heads, shape.q_len),
    ] {
        let token_stride = heads as i64 * dim;
        memory.strides.extend([(batch, tokens as i64 * token_stride), (head, dim), (token, token_stride)]);
        let tensor = random.tensor(spec, shape.batch, tokens, heads, name == "q");
        if name == "out" {
            memory.bytes.insert("out_dense", vec![0xff; tensor.len()]);
            memory.bytes.insert("out", vec![0xff; tensor.len()]);
        } else {
            memory.bytes.insert(name, tensor);
        }
    }
    let pooled = spec.groups.is_some() && spec.groups != spec.kv_heads;
    let samples = shape.kv_samples(spec) as i64;
    let keys = if pooled {
        [shape.groups(spec) as i64 * samples * dim, samples * dim, dim]
    } else {
        let token = memory.strides["k_token"] * i64::from(spec.stride.kv);
        [memory.strides["k_batch"], memory.strides["k_head"], token]
    };
    memory.strides.extend(["keys_batch", "keys_group", "keys_sample"].into_iter().zip(keys));
    let samples = shape.q_samples(spec) as i64;
    let proxies = [shape.groups(spec) as i64 * samples * dim, samples * dim, dim];
    memory.strides.extend(["proxy_q_batch", "proxy_q_group", "proxy_q_sample"].into_iter().zip(proxies));
    memory
}

/// Runs a spec's stages on some shapes, `[batch, heads, kv_heads, q_len, kv_len]`, each with its own seed.
fn check<K: AttentionKernel>(arch: Arch, tiles: impl Fn(Tiles) -> Tiles, shapes: &[[u64; 5]]) {
    let spec = K::SPEC;
    let [_, heads, kv_heads, ..] = shapes[0];
    let tiles = tiles(Tiles::portable(&spec, Some((heads / kv_heads) as u32)));
    let harness = Harness::compile(K::NAME, &spec, emit_tiled(&spec, arch, &tiles));
    for (seed, &[batch, heads, kv_heads, q_len, kv_len]) in shapes.iter().enumerate() {
        let shape = Shape { batch, heads, kv_heads, q_len, kv_len };
        let mut memory = inputs(&spec, &shape, seed as u64 + 1);
        harness.run(&shape, &mut memory, seed as u64 + 1);
        let reference = Reference { spec, shape, geometry: geometry::<K>(&shape), memory: &memory };
        reference.attention("out_dense", true);
        if spec.is_dense() {
            continue;
        }
        reference.pool("proxy_q");
        if memory.bytes.contains_key("proxy_k") {
            reference.pool("proxy_k");
        }
        reference.score();
        if let Budget::Dynamic { gamma, .. } = spec.budget {
            reference.budget(gamma);
        }
        reference.select();
        reference.attention("out", false);
    }
}

fn geometry<K: AttentionKernel>(shape: &Shape) -> Geometry {
    let problem = Problem {
        batch: shape.batch as usize,
        heads: shape.heads as usize,
        kv_heads: shape.kv_heads as usize,
        q_len: shape.q_len as usize,
        kv_len: shape.kv_len as usize,
    };
    let attention = Attention::<K>::load(&Device::Cpu).expect("the spec keeps the rules");
    attention.plan(&problem).expect("the shape fits the spec").geometry()
}

/// The largest score of a sample in a block, from a random number, and what the i-th sample's keys sum to, both base 2.
type Scores = (fn(f64) -> f64, fn(u64) -> f32);

/// Scores made up for `select`: all equal; a few values; many that differ by little; some far beyond any sensible score;
/// ranks that are the last ones of a digit. Samples weigh the same in each row, so that scores tie across them.
const SCORES: [Scores; 5] = [
    (|_| -12.0, |i| (i % 2) as f32),
    (|x| (x * 6.0).round() - 13.0, |i| (i % 2) as f32),
    (|x| x * 0.05 - 13.0, |i| (i % 2) as f32),
    (|x| x * 120.0 - 30.0, |i| (i % 2) as f32),
    (|x| x * 0.5 - 1.5, |_| f32::EPSILON),
];

/// The lists of many heads, or of one count for all, from scores that tie.
fn check_select<K: AttentionKernel>(shapes: &[[u64; 5]]) {
    let spec = K::SPEC;
    let mut module = emit_tiled(&spec, Arch::Sm80, &Tiles::portable(&spec, None));
    module.units.retain(|unit| unit.name == "scoring");
    let harness = Harness::compile(K::NAME, &spec, module);
    for (seed, &[batch, heads, kv_heads, q_len, kv_len]) in shapes.iter().enumerate() {
        let shape = Shape { batch, heads, kv_heads, q_len, kv_len };
        for (score, sum) in SCORES {
            let mut random = Random(seed as u64 + 1);
            let mut memory = Memory::default();
            let per_row = u64::from(spec.block.q / spec.stride.q);
            let samples = batch * shape.groups(&spec) * shape.rows(&spec) * per_row;
            let lse = (0..samples).flat_map(|i| sum(i).to_le_bytes()).collect();
            let maxima = (0..samples * shape.blocks(&spec))
                .flat_map(|_| f16::from_f64(score(random.next())).to_bits().to_le_bytes());
            memory.bytes.extend([("lse", lse), ("maxima", maxima.collect())]);
            if matches!(spec.budget, Budget::Dynamic { .. }) {
                let blocks = shape.blocks(&spec) as f64;
                let measured =
                    (0..batch * heads).flat_map(|_| ((random.next().abs() * blocks) as u32).to_le_bytes());
                memory.bytes.insert("measured", measured.collect());
            }
            harness.run_one("select", &shape, &mut memory, seed as u64 + 1);
            Reference { spec, shape, geometry: geometry::<K>(&shape), memory: &memory }.select();
        }
    }
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

macro_rules! select {
    ($($(#[$doc:meta])* $test:ident: $spec:expr, $shapes:expr;)+) => {$(
        $(#[$doc])*
        #[test]
        fn $test() {
            kernel!($test, bf16, $spec);
            check_select::<Kernel>($shapes);
        }
    )+};
}

select! {
    /// More cuts than warps, and than lanes; few blocks.
    many_cuts: Spec { groups: Some(1), budget: SMALL, stride: Stride { q: 8, kv: 8 }, ..Spec::DEFAULT },
        &[[1, 160, 1, 100, 32_000], [2, 3, 1, 130, 3_000], [1, 256, 1, 64, 200]];
    /// One cut, within equal scores; samples by fours.
    one_cut: Spec { budget: Budget::Ratio { share: 0.3 }, stride: Stride { q: 16, kv: 4 }, ..Spec::DEFAULT },
        &[[1, 4, 2, 130, 9_000], [1, 2, 1, 64, 70]];
}

const SMALL: Budget = Budget::Dynamic { gamma: 0.8, min_tokens: 128, rows: Rows::Ratio };

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
            budget: Budget::Dynamic { gamma: 0.7, min_tokens: 64, rows: Rows::Absolute }, ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 300, 420]];
    /// The widest rows, a block of keys over several tiles, no causal rule, a ragged tail that may be left out.
    not_causal: f16, Spec {
            head_dim: 256, block: Block { q: 32, kv: 128 }, dtype: Dtype::F16, causal: false,
            budget: Budget::Ratio { share: 0.3 }, keep: Keep { sink: 0, local: 1 }, stride: Stride { q: 2, kv: 1 },
            ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 70, 700], [2, 2, 2, 100, 130]];
    /// A sample for a whole block of keys; the same count in every row; three stages.
    top_k: bf16, Spec {
            head_dim: 64, block: Block { q: 32, kv: 32 }, stride: Stride { q: 32, kv: 32 },
            budget: Budget::TopK { blocks: 4 }, ..Spec::DEFAULT
        }, |t| Tiles { stages: 3, keys: 16, warp_rows: 16, ..t }, &[[1, 4, 1, 300, 300], [1, 4, 1, 33, 310]];
    /// Two and four samples to a block.
    four_samples: bf16, Spec {
            head_dim: 64, stride: Stride { q: 16, kv: 16 }, budget: Budget::Ratio { share: 0.4 }, ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 500, 500]];
    /// Dynamic budgets without the causal rule.
    dynamic_not_causal: bf16, Spec {
            head_dim: 64, causal: false, stride: Stride { q: 1, kv: 32 }, budget: SMALL, ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 150, 500]];
    /// Tiles that a tuner may choose: four heads of 32 rows, tiles of 64 keys, a deeper ring of narrower ones.
    other_tiles: bf16, Spec { budget: SMALL, ..Spec::DEFAULT },
        |t| Tiles { heads: 4, rows: 32, keys: 64, stages: 2, ring_stages: 4, ring_keys: 64, ..t },
        &[[1, 4, 1, 150, 300]];
    /// Nothing but `dense`.
    every_block: f16, Spec { dtype: Dtype::F16, budget: Budget::All, ..Spec::DEFAULT }, |t| t,
        &[[1, 2, 1, 130, 130], [1, 2, 1, 65, 263]];
    /// A tile of half a row.
    every_block_in_halves: bf16, Spec { head_dim: 256, causal: false, block: Block { q: 128, kv: 64 }, budget: Budget::All, ..Spec::DEFAULT },
        |t| t, &[[1, 1, 1, 70, 90]];
}

stages! { Arch::Sm90a;
    /// Two heads a CTA on one list, uneven counts, offsets inside a block, rows past the end; a head that is left over.
    hopper_defaults: bf16, Spec { budget: SMALL, ..Spec::DEFAULT }, |t| t,
        &[[1, 4, 2, 512, 512], [2, 3, 1, 130, 403], [1, 3, 1, 1, 70]];
    /// Heads whose counts differ by more stages than the ring has: one warpgroup goes on alone for long.
    hopper_uneven: f16, Spec {
            head_dim: 64, dtype: Dtype::F16, block: Block { q: 64, kv: 64 }, keep: Keep { sink: 1, local: 0 },
            budget: Budget::Dynamic { gamma: 0.7, min_tokens: 64, rows: Rows::Ratio }, ..Spec::DEFAULT
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
            block: Block { q: 128, kv: 128 }, stride: Stride { q: 8, kv: 1 }, budget: Budget::Ratio { share: 0.4 }, ..Spec::DEFAULT
        }, |t| t, &[[1, 4, 2, 300, 420]];
    /// The widest rows, four blocks to a copy's stage, no causal rule, a ragged tail that may be left out.
    hopper_not_causal: f16, Spec {
            head_dim: 256, block: Block { q: 64, kv: 32 }, dtype: Dtype::F16, causal: false,
            budget: Budget::TopK { blocks: 5 }, keep: Keep { sink: 0, local: 0 }, ..Spec::DEFAULT
        }, |t| t, &[[1, 2, 1, 70, 330]];
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
        &[[1, 3, 1, 150, 500], [2, 2, 1, 30, 257]];
    /// Nothing but `dense`.
    hopper_dense: f16, Spec { dtype: Dtype::F16, budget: Budget::All, ..Spec::DEFAULT }, |t| t,
        &[[1, 4, 2, 300, 300], [2, 2, 1, 65, 263]];
}
