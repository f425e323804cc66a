//! Outputs and lists against the reference, case by case.

use crate::backends::Backends;
use crate::inputs::{Case, Inputs};
use crate::kernels::*;
use crate::verify;
use half::bf16;
use proxyattn::{AttentionKernel, Device};
use proxyattn_oracle::{Oracle, compare};

/// Query lengths on both sides of every block boundary.
const RAGGED: [usize; 13] = [1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129, 191, 257];

/// Dense output against dense attention, which needs no list to be right.
pub(crate) fn dense<K: AttentionKernel>(backends: &Backends, cases: impl IntoIterator<Item = Case>) {
    let mut worst = 0.0f64;
    for case in cases {
        let inputs = Inputs::<K::Elem>::generate(&case, K::SPEC.head_dim);
        let expected = Oracle::new(&K::SPEC, &inputs.q(), &inputs.k(), &inputs.v()).attend_all();
        for backend in backends.iter() {
            let context = || format!("{}, {}\n  {case:?}\n  {:?}", backend.name(), K::NAME, K::SPEC);
            let trace = backend.run(|device| verify::trace::<K>(device, &inputs));
            let distance = compare::output(trace.output.as_slice(), &expected, K::SPEC.head_dim as usize);
            worst = worst.max(distance.unwrap_or_else(|fault| panic!("{fault}: {}", context())));
            assert_eq!(trace.selection.density(), 1.0, "dense visits everything: {}", context());
        }
    }
    println!("{}: relative L2 at most {worst:.1e}", K::NAME);
}

pub(crate) fn dense_matches(backends: &Backends) {
    dense::<Dense64>(backends, RAGGED.map(|n| Case::new([3, 1], n, n)));
    dense::<Dense64>(
        backends,
        [[4, 4], [6, 2], [8, 2], [7, 1], [8, 1]].map(|heads| Case::new(heads, 150, 150).batch(2)),
    );
    dense::<Dense96>(
        backends,
        [(1, 1), (129, 129), (100, 356), (70, 333)].map(|(q, kv)| Case::new([2, 1], q, kv)),
    );
    dense::<Dense128>(
        backends,
        [(65, 65), (300, 300), (64, 192), (1, 500)].map(|(q, kv)| Case::new([4, 2], q, kv)),
    );
    dense::<Dense256>(backends, [(33, 33), (200, 200), (96, 161)].map(|(q, kv)| Case::new([2, 2], q, kv)));
    dense::<DenseBoth>(
        backends,
        [(1, 1), (65, 65), (200, 200), (1, 90), (90, 130)].map(|(q, kv)| Case::new([2, 1], q, kv)),
    );
}

pub(crate) fn ragged_lengths_match(backends: &Backends) {
    verify::cases::<Small>(backends, RAGGED.map(|n| Case::new([6, 2], n, n)));
    verify::cases::<SmallF16>(backends, RAGGED.map(|n| Case::new([3, 1], n + 200, n + 200)));
    verify::cases::<Absolute>(backends, RAGGED.map(|n| Case::new([4, 1], n + 300, n + 300)));
    verify::cases::<WideRows>(backends, RAGGED.map(|n| Case::new([2, 1], n + 130, n + 130)));
    verify::cases::<WideBlocks>(backends, RAGGED.map(|n| Case::new([2, 1], n + 400, n + 400)));
    verify::cases::<Both>(backends, RAGGED.map(|n| Case::new([3, 1], n + 64, n + 64)));
    verify::cases::<Wide>(backends, RAGGED.map(|n| Case::new([1, 1], n + 100, n + 100)));
}

pub(crate) fn head_ratios_match(backends: &Backends) {
    let shapes = [[4, 4], [3, 1], [6, 2], [8, 2], [16, 4], [7, 1], [14, 2], [8, 1]];
    verify::cases::<Small>(backends, shapes.map(|heads| Case::new(heads, 260, 260).batch(2)));
    verify::cases::<OneGroup>(backends, shapes.map(|heads| Case::new(heads, 260, 260).batch(2)));
    let paired = shapes.into_iter().filter(|[_, kv_heads]| kv_heads % 2 == 0);
    verify::cases::<TwoGroups>(backends, paired.map(|heads| Case::new(heads, 300, 300).batch(2)));
}

/// Chunks of a longer context, with offsets that are and are not whole blocks.
pub(crate) fn chunks_match(backends: &Backends) {
    let chunks =
        [(1, 300), (1, 321), (64, 320), (64, 321), (100, 400), (90, 333), (33, 500), (200, 201), (128, 160)];
    let cases = || chunks.map(|(q_len, kv_len)| Case::new([4, 2], q_len, kv_len));
    verify::cases::<Small>(backends, cases());
    verify::cases::<Absolute>(backends, cases());
    verify::cases::<WideRows>(backends, cases());
    verify::cases::<WideBlocks>(backends, cases());
    verify::cases::<TwoGroups>(backends, cases());
    verify::cases::<Both>(backends, cases());
    verify::cases::<Wide>(backends, cases());
}

/// The shipped defaults and the paper's, at lengths where they drop blocks.
pub(crate) fn presets_match(backends: &Backends) {
    verify::cases::<Default64>(backends, [Case::new([6, 2], 1500, 1500), Case::new([3, 1], 700, 1411)]);
    verify::cases::<Paper64>(backends, [Case::new([3, 1], 2700, 2700)]);
}

/// Dozens of blocks in a list, so that work is split along the keys as well.
pub(crate) fn long_contexts_match(backends: &Backends) {
    verify::cases::<Small>(backends, [Case::new([3, 1], 1999, 1999), Case::new([4, 2], 300, 2300)]);
    verify::cases::<Absolute>(backends, [Case::new([2, 2], 2500, 2500)]);
    verify::cases::<OneGroup>(backends, [Case::new([4, 2], 1500, 1500)]);
    verify::cases::<WideRows>(backends, [Case::new([2, 1], 1400, 1411)]);
    verify::cases::<Both>(backends, [Case::new([2, 1], 1300, 1300)]);
}

/// Where nothing is dropped, sparse attention is dense attention, bit for bit.
pub(crate) fn all_kept_is_dense(device: &Device) {
    for (q_len, kv_len) in [(1, 1), (64, 64), (250, 250), (77, 200)] {
        let case = Case::new([6, 2], q_len, kv_len).batch(2);
        let mut inputs = Inputs::<bf16>::generate(&case, 64);
        // Flat scores: every block holds a share of the mass that f32 cannot lose.
        inputs.q.iter_mut().for_each(|x| *x = bf16::from_f32(x.to_f32() / 8.0));
        let dense = verify::trace::<Dense64>(device, &inputs);
        for (name, all) in [
            ("ratio", verify::trace::<EveryShare>(device, &inputs)),
            ("top_k", verify::trace::<EveryTop>(device, &inputs)),
            ("dynamic, ratio", verify::trace::<EveryMass>(device, &inputs)),
            ("dynamic, absolute", verify::trace::<EveryMassAbsolute>(device, &inputs)),
        ] {
            assert_eq!(all.selection, dense.selection, "{name}: every block, {case:?}");
            assert!(same_bits(all.output.as_slice(), dense.output.as_slice()), "{name}: output, {case:?}");
        }
    }
}

/// Queries of zero score every block alike: the lower index wins, and the output is a mean of V.
pub(crate) fn ties_go_to_the_lower_block(backends: &Backends) {
    let mut inputs = Inputs::<bf16>::generate(&Case::new([2, 1], 512, 512), 64);
    inputs.q.fill(bf16::ZERO);
    verify::inputs::<TopFour>(backends, &inputs).unwrap_or_else(|fault| panic!("{fault}"));
    backends.each(|device| {
        let selection = verify::trace::<TopFour>(device, &inputs).selection;
        for row in 4..16 {
            assert_eq!(selection.blocks(0, 0, row), [0, 1, 2, row as u32], "row {row}");
        }
    });
}

/// Copies of one block of keys score alike wherever they stand, here above everything else.
pub(crate) fn equal_blocks_go_to_the_lower_one(backends: &Backends) {
    let mut inputs = Inputs::<bf16>::generate(&Case::new([2, 1], 512, 512), 64);
    let block = 32 * 64;
    for copy in [9, 5, 12, 7] {
        inputs.k.copy_within(3 * block..4 * block, copy * block);
    }
    let key = inputs.k[3 * block..3 * block + 64].to_vec();
    inputs.q.chunks_exact_mut(64).for_each(|q| q.copy_from_slice(&key));
    verify::inputs::<TopFour>(backends, &inputs).unwrap_or_else(|fault| panic!("{fault}"));
    backends.each(|device| {
        let selection = verify::trace::<TopFour>(device, &inputs).selection;
        for row in 6..16 {
            assert_eq!(selection.blocks(0, 0, row), [0, 3, 5, row as u32], "row {row}");
        }
    });
}

/// Scores of some hundreds: the softmax is nearly one-hot and must neither overflow nor lose its place. Which
/// of two blocks to take that both hold all of some query's mass is not for f32 to say, so the choice is free.
pub(crate) fn sharp_scores_match(backends: &Backends) {
    for seed in 0..4 {
        let case = Case::new([4, 2], 300, 300).seed(seed);
        let mut inputs = Inputs::<bf16>::generate(&case, 64);
        inputs.q.iter_mut().for_each(|x| *x = bf16::from_f32(x.to_f32() * 32.0));
        let outcome = verify::over_own_lists::<Small>(backends, &inputs);
        outcome.map(drop).unwrap_or_else(|fault| panic!("{fault}\n  {case:?}"));
    }
}

pub(crate) fn same_bits<T: proxyattn::Element>(a: &[T], b: &[T]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}
