//! Numbers at the edge of f32 and shares at the edge of a block: the result is finite, and exact where it can be.

use crate::backends::Backends;
use crate::inputs::{Case, Inputs};
use crate::kernels::*;
use crate::verify;
use half::bf16;
use proxyattn::{AttentionKernel, Device};

/// 0.07 of 100 blocks are 7, though 0.07 · 100 is above 7 in floats: of blocks, and of blocks that hold the same mass.
pub(crate) fn shares_are_rounded_up_once(backends: &Backends) {
    let mut inputs = Inputs::<bf16>::generate(&Case::new([4, 2], 32, 3200), 64);
    verify::inputs::<SevenHundredths>(backends, &inputs).unwrap_or_else(|fault| panic!("{fault}"));
    fn seven<K: AttentionKernel<Elem = bf16>>(backends: &Backends, inputs: &Inputs<bf16>) {
        backends.each(|device| {
            let selection = verify::trace::<K>(device, inputs).selection;
            assert_eq!([0, 1, 2, 3].map(|head| selection.count(0, head, 0)), [7; 4]);
        });
    }
    seven::<SevenHundredths>(backends, &inputs);
    inputs.q.fill(bf16::ZERO);
    seven::<SevenHundredthsOfMass>(backends, &inputs);
}

/// Four heads of ±9e37 add up to more than f32 holds where their signs agree; their mean does not.
pub(crate) fn means_of_large_heads_match(backends: &Backends) {
    let large = |data: &mut [bf16], by: f32| {
        data.iter_mut().for_each(|x| *x = bf16::from_f32(by.copysign(x.to_f32())));
    };
    let small = |data: &mut [bf16]| data.iter_mut().for_each(|x| *x = bf16::from_f32(x.to_f32() * 1e-38));
    let shared = |[heads, kv_heads]: [usize; 2]| Case::new([heads, kv_heads], 352, 352);
    for by in [9e37, bf16::MAX.to_f32()] {
        // The queries of a group; then its keys.
        let mut inputs = Inputs::<bf16>::generate(&shared([4, 1]), 64);
        large(&mut inputs.q, by);
        small(&mut inputs.k);
        let found =
            verify::inputs::<OneGroup>(backends, &inputs).unwrap_or_else(|fault| panic!("q {by:e}: {fault}"));
        assert!(found.decided > 20, "{found}");
        let mut inputs = Inputs::<bf16>::generate(&shared([4, 4]), 64);
        small(&mut inputs.q);
        large(&mut inputs.k, by);
        let found =
            verify::inputs::<OneGroup>(backends, &inputs).unwrap_or_else(|fault| panic!("k {by:e}: {fault}"));
        assert!(found.decided > 20, "{found}");
    }
}

/// The factor on scores alone leads a query out of f32, and the key leads it back.
pub(crate) fn factors_beyond_f32_match(backends: &Backends) {
    fn one_token<K: AttentionKernel<Elem = bf16>>(device: &Device) {
        let mut inputs = Inputs::<bf16>::generate(&Case::new([1, 1], 1, 1), 64);
        inputs.q.fill(bf16::ZERO);
        inputs.k.fill(bf16::ZERO);
        inputs.v.fill(bf16::ONE);
        inputs.q[0] = bf16::from_f32(2.4e38);
        inputs.k[0] = bf16::from_f32(1e-38);
        let output = verify::trace::<K>(device, &inputs).output;
        assert!(output.as_slice().iter().all(|&x| x == bf16::ONE), "{}: {:?}", K::NAME, output.as_slice());
    }
    backends.each(one_token::<UnitScaleDense>);
    backends.each(one_token::<UnitScale>);

    fn scaled<K: AttentionKernel<Elem = bf16>>(backends: &Backends, q: f32, k: f32) {
        let mut inputs = Inputs::<bf16>::generate(&Case::new([4, 2], 200, 331), 64);
        let scale = |data: &mut [bf16], by: f32| {
            data.iter_mut().for_each(|x| *x = bf16::from_f32(x.to_f32() * by));
        };
        scale(&mut inputs.q, q);
        scale(&mut inputs.k, k);
        let outcome = verify::inputs::<K>(backends, &inputs);
        outcome.map(drop).unwrap_or_else(|fault| panic!("{}, q · {q:e}, k · {k:e}: {fault}", K::NAME));
    }
    // Scores as without any of the factors: 1/8 of the product of the generated ones.
    scaled::<UnitScale>(backends, 2e37, 6.25e-39);
    scaled::<UnitScale>(backends, 6.25e-39, 2e37);
    scaled::<LeastScale>(backends, 3.5e14, 3.5e14);
    scaled::<LeastScale>(backends, 1.25e29, 1.0);
    scaled::<LargeScale>(backends, 3.5e-19, 3.5e-19);
    scaled::<LargeScale>(backends, 1e30, 1.25e-67);
}
