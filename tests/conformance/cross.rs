//! Without a causal mask the lengths have nothing to do with each other: cross-attention.

use crate::backends::Backends;
use crate::inputs::{Case, Inputs};
use crate::kernels::{Both, CrossTop, DenseBoth, SevenHundredthsOfMass};
use crate::{numerics, verify};
use proxyattn::{AttentionKernel, Device};

/// Query lengths above, far above and just above key lengths, on both sides of block boundaries; two that are not above.
const LENGTHS: [(usize, usize); 10] = [
    (65, 64),
    (2, 1),
    (257, 1),
    (300, 40),
    (500, 333),
    (130, 129),
    (1000, 290),
    (330, 329),
    (300, 300),
    (90, 400),
];

pub(crate) fn more_queries_than_keys_match(backends: &Backends) {
    let cases = || LENGTHS.map(|(q_len, kv_len)| Case::new([4, 2], q_len, kv_len).batch(2));
    verify::cases::<Both>(backends, cases());
    verify::cases::<CrossTop>(backends, cases());
    verify::cases::<SevenHundredthsOfMass>(backends, cases());
    numerics::dense::<DenseBoth>(backends, cases());
}

/// No query stands at a key then, so that nothing but sinks is pinned; with as many queries as keys a row has its diagonal.
pub(crate) fn fewer_queries_keep_their_diagonal(device: &Device) {
    fn pinned<K: AttentionKernel>(device: &Device, q_len: usize, kv_len: usize, row: usize) -> Vec<usize> {
        let inputs = Inputs::<K::Elem>::generate(&Case::new([2, 1], q_len, kv_len), 64);
        let selection = verify::trace::<K>(device, &inputs).selection;
        let geometry = *selection.geometry();
        (0..geometry.blocks()).filter(|&block| geometry.is_pinned(row, block)).collect()
    }
    assert_eq!(pinned::<CrossTop>(device, 321, 320, 5), [0usize; 0]);
    assert_eq!(pinned::<CrossTop>(device, 320, 320, 5), [3, 4, 5]);
    assert_eq!(pinned::<CrossTop>(device, 64, 320, 1), [7, 8, 9]);
    assert_eq!(pinned::<Both>(device, 321, 320, 5), [0]);
    assert_eq!(pinned::<Both>(device, 320, 320, 5), [0, 4, 5]);
}
