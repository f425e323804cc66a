//! The parts of scorers and budgets beyond the paper's: sums of maxima, eight-bit scores, counts in the order of the list,
//! weights, and totals that heads divide.

use crate::backends::Backends;
use crate::inputs::{Case, Inputs};
use crate::kernels::*;
use crate::numerics::same_bits;
use crate::verify;
use half::bf16;
use proxyattn::{AttentionKernel, Device, Element};
use proxyattn_oracle::compare::Agreement;

/// Lengths around the blocks' boundaries, behind contexts that leave something to drop.
const LENGTHS: [(usize, usize); 7] =
    [(300, 300), (257, 421), (128, 640), (33, 500), (1, 333), (90, 1000), (700, 700)];

fn lengths(heads: [usize; 2]) -> [Case; 7] {
    LENGTHS.map(|(q_len, kv_len)| Case::new(heads, q_len, kv_len).batch(2))
}

fn agree<K: AttentionKernel>(backends: &Backends, inputs: &Inputs<K::Elem>, what: &str) -> Agreement {
    verify::inputs::<K>(backends, inputs).unwrap_or_else(|fault| panic!("{}, {what}: {fault}", K::NAME))
}

pub(crate) fn counts_in_list_order_match(backends: &Backends) {
    verify::cases::<ListValues>(backends, lengths([6, 2]));
    verify::cases::<ListValuesOfOne>(backends, lengths([6, 2]));
    verify::cases::<OwnValues>(backends, lengths([4, 4]));
    verify::cases::<ListPlain>(backends, lengths([3, 1]));
    verify::cases::<ListOfEvery>(backends, [Case::new([2, 1], 300, 300), Case::new([4, 2], 64, 400)]);
}

pub(crate) fn sums_of_maxima_match(backends: &Backends) {
    verify::cases::<MaximaStrided>(backends, lengths([2, 1]));
    verify::cases::<MaximaEveryKey>(backends, lengths([4, 2]));
}

pub(crate) fn eight_bit_scores_match(backends: &Backends) {
    verify::cases::<Eight>(backends, lengths([6, 2]));
    // More blocks than the centre looks at, which do not divide them.
    verify::cases::<Eight>(backends, [Case::new([6, 2], 300, 3000), Case::new([2, 1], 130, 4200)]);
    verify::cases::<EightExact>(backends, lengths([12, 4]));
    verify::cases::<EightOfOne>(backends, lengths([3, 3]));
    verify::cases::<EightWide>(backends, lengths([7, 1]));
}

pub(crate) fn divided_totals_match(backends: &Backends) {
    verify::cases::<Divided>(backends, lengths([8, 2]));
    verify::cases::<DividedOfOne>(backends, lengths([5, 1]));
    verify::cases::<Divided>(backends, [Case::new([4, 4], 1300, 1300)]);
}

/// What heads have in the last row adds up to their total, of which a floor or what is pinned may want more.
pub(crate) fn divided_totals_are_kept(device: &Device) {
    let inputs = Inputs::<bf16>::generate(&Case::new([8, 2], 1600, 1600), 64);
    let selection = verify::trace::<Divided>(device, &inputs).selection;
    let counts: Vec<usize> = (0..8).map(|head| selection.count(0, head, 49)).collect();
    // 0.3 of 50 blocks for each of eight heads.
    let sum: usize = counts.iter().sum();
    assert!((100..=120).contains(&sum), "{counts:?}");
    assert!(counts.iter().any(|&count| count > 18) && counts.iter().any(|&count| count < 12), "{counts:?}");
}

/// A channel of the keys.
fn fill_channel<T: Element>(data: &mut [T], dim: usize, channel: usize, value: f32) {
    data.chunks_exact_mut(dim).for_each(|row| row[channel] = T::from_f32(value));
}

/// A channel that is large and equal in every key decides nothing, and costs the others no digit.
pub(crate) fn what_all_keys_share_is_harmless(backends: &Backends) {
    fn check<K: AttentionKernel<Elem = bf16>>(backends: &Backends, heads: [usize; 2]) {
        let dim = K::SPEC.head_dim as usize;
        let mut inputs = Inputs::<bf16>::generate(&Case::new(heads, 500, 500), K::SPEC.head_dim);
        fill_channel(&mut inputs.q, dim, 17, 0.0);
        fill_channel(&mut inputs.k, dim, 17, 0.0);
        let found = agree::<K>(backends, &inputs, "without the channel");
        assert!(found.decided > 10, "{found}");
        let mut shared = inputs.clone();
        fill_channel(&mut shared.k, dim, 17, 1.5e7);
        agree::<K>(backends, &shared, "with the channel");
        backends.each(|device| {
            let [without, with] = [&inputs, &shared].map(|inputs| verify::trace::<K>(device, inputs));
            assert_eq!(without.selection, with.selection, "{}", K::NAME);
        });
    }
    check::<Eight>(backends, [6, 2]);
    check::<EightOfOne>(backends, [4, 4]);
}

/// Samples and blocks of any magnitude have a power of two of their own.
pub(crate) fn magnitudes_of_eight_bits_match(backends: &Backends) {
    let scale = |data: &mut [bf16], by: f32| {
        data.iter_mut().for_each(|x| *x = bf16::from_f32(x.to_f32() * by));
    };
    for (q, k) in [(1e-30, 1e30), (1e36, 1e-36), (3.0, 0.25)] {
        let mut inputs = Inputs::<bf16>::generate(&Case::new([6, 2], 300, 450), 64);
        scale(&mut inputs.q, q);
        scale(&mut inputs.k, k);
        let found = agree::<Eight>(backends, &inputs, &format!("q · {q:e}, k · {k:e}"));
        assert!(found.decided > 10, "{found}");
    }
    // One key of each block is so large that the others lose digits beside it, where no query looks.
    let mut inputs = Inputs::<bf16>::generate(&Case::new([6, 2], 300, 450), 64);
    fill_channel(&mut inputs.q, 64, 17, 0.0);
    inputs.k.chunks_exact_mut(64).skip(5).step_by(32).for_each(|key| key[17] = bf16::from_f32(2e5));
    agree::<Eight>(backends, &inputs, "a large key in each block");
    // Keys whose distance from what they share may leave f32.
    let mut inputs = Inputs::<bf16>::generate(&Case::new([4, 4], 352, 352), 64);
    scale(&mut inputs.q, 1e-38);
    inputs.k.iter_mut().for_each(|x| *x = bf16::from_f32(bf16::MAX.to_f32().copysign(x.to_f32())));
    agree::<EightOfOne>(backends, &inputs, "the largest keys");
}

/// Norms of values that f32 holds, whose squares it does not; and none at all.
pub(crate) fn weights_of_any_magnitude_match(backends: &Backends) {
    fn check<K: AttentionKernel<Elem = bf16>>(backends: &Backends) {
        for by in [1e33f32, 1e-34] {
            let mut inputs = Inputs::<bf16>::generate(&Case::new([6, 2], 400, 500), 64);
            inputs.v.iter_mut().for_each(|x| *x = bf16::from_f32(x.to_f32() * by));
            agree::<K>(backends, &inputs, &format!("v · {by:e}"));
        }
        // The first KV head's values weigh nothing: its query heads have what is pinned, or the floor.
        let mut inputs = Inputs::<bf16>::generate(&Case::new([6, 2], 400, 500), 64);
        let of_head = inputs.v.len() / 2;
        inputs.v[..of_head].fill(bf16::ZERO);
        let (_, selections) = verify::over_own_lists::<K>(backends, &inputs)
            .unwrap_or_else(|fault| panic!("{}: {fault}", K::NAME));
        for selection in selections {
            let last = selection.geometry().rows() - 1;
            assert_eq!([0, 1, 2].map(|head| selection.count(0, head, last)), [2; 3], "{}", K::NAME);
            assert!((3..6).any(|head| selection.count(0, head, last) > 2), "{}", K::NAME);
        }
    }
    check::<ListValues>(backends);
    check::<OwnValues>(backends);
    check::<Divided>(backends);
}

/// A sink that holds the mass and whose values are near zero weighs little: other blocks are counted.
pub(crate) fn weights_look_past_a_sink(device: &Device) {
    let mut inputs = Inputs::<bf16>::generate(&Case::new([2, 1], 640, 640), 64);
    // Every query looks at key 0.
    let sink: Vec<bf16> = inputs.k[..64].to_vec();
    for q in inputs.q.chunks_exact_mut(64) {
        q.iter_mut().zip(&sink).for_each(|(q, k)| *q = bf16::from_f32(q.to_f32() + k.to_f32()));
    }
    let counts = |inputs: &Inputs<bf16>| {
        let selection = verify::trace::<ListValues>(device, inputs).selection;
        [0, 1].map(|head| selection.count(0, head, 19))
    };
    let before = counts(&inputs);
    inputs.v[..64].fill(bf16::ZERO);
    let after = counts(&inputs);
    assert!(before.iter().zip(after).all(|(&before, after)| before < after), "{before:?} and {after:?}");
    let plain = |inputs: &Inputs<bf16>| verify::trace::<ListPlainSmall>(device, inputs).selection;
    let mut other = inputs.clone();
    other.v.iter_mut().for_each(|x| *x = bf16::from_f32(1.0 + x.to_f32()));
    assert_eq!(plain(&inputs), plain(&other), "without weights values decide nothing");
    assert!(!same_bits(&inputs.v, &other.v));
}
