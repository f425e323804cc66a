//! The proxies that kernels leave.

use super::{Proxies, Samples};
use crate::stages::Buffers;
use crate::{Heads, Oracle};
use proxyattn_codegen::cuda::{Keys, Scratch, Tensor};
use proxyattn_codegen::{Dtype, Proxy};

/// The proxies that `score` reads, where they are near the reference's: means but for the rounding of the element type; those
/// in e4m3 to the bit.
pub(super) fn proxies(proxy: &Proxy, left: &Buffers<'_>, oracle: &Oracle) -> Proxies {
    let (got, want) = (read(proxy, left, oracle), oracle.proxies(proxy));
    let epsilon = if left.spec().dtype == Dtype::F16 { 1e-3 } else { 8e-3 };
    let close = |name: &str, got: &Heads, want: &Heads| {
        assert_eq!(got.numbers().len(), want.numbers().len(), "numbers of {name}");
        for (got, want) in got.numbers().iter().zip(want.numbers()) {
            assert!((got - want).abs() <= epsilon * want.abs() + 1e-6, "{name}: {got}, not {want}");
        }
    };
    let (Some(centre), Some(wanted)) = (&got.centre, &want.centre) else {
        close("queries", &got.q.numbers, &want.q.numbers);
        close("keys", &got.k.numbers, &want.k.numbers);
        return got;
    };
    // Keys of both signs may all but cancel.
    let largest = oracle.k.numbers().iter().fold(0.0, |max: f64, x| max.max(x.abs()));
    for (got, want) in centre.numbers().iter().zip(wanted.numbers()) {
        let tolerance = epsilon * want.abs() + 1e-6 * largest;
        assert!((got - want).abs() <= tolerance, "a centre is {got}, not {want}");
    }
    let want = oracle.rounded_proxies(Some(centre.clone()));
    for (name, got, want) in [("queries", &got.q, want.q), ("keys", &got.k, want.k)] {
        assert_eq!(got.exponents, want.exponents, "exponents of {name}");
        assert_eq!(got.numbers.numbers(), want.numbers.numbers(), "{name}");
    }
    got
}

/// The proxies: the keys may be those of the inputs.
fn read(proxy: &Proxy, left: &Buffers<'_>, oracle: &Oracle) -> Proxies {
    if left.has(Scratch::Centres) {
        return rounded(left);
    }
    let q = Samples::plain(left.heads(Tensor::ProxyQ));
    let k = match left.has(Scratch::ProxyK) {
        true => Samples::plain(left.heads(Tensor::Keys(Keys::Pooled))),
        false => oracle.proxies(proxy).k,
    };
    Proxies { q, k, centre: None }
}

/// Those in e4m3, which lie in bytes or in elements.
fn rounded(left: &Buffers<'_>) -> Proxies {
    let (q, k) = match left.has(Scratch::ProxyQ8) {
        true => (left.heads(Tensor::ProxyQ8), left.heads(Tensor::Keys(Keys::Pooled8))),
        false => (left.heads(Tensor::ProxyQ), left.heads(Tensor::Keys(Keys::Pooled))),
    };
    let exponents = |scratch| -> Vec<i32> {
        left.floats(scratch).into_iter().map(|factor| factor.log2() as i32).collect()
    };
    Proxies {
        q: Samples { numbers: q, exponents: exponents(Scratch::QFactors), run: 1 },
        k: Samples { numbers: k, exponents: exponents(Scratch::KFactors), run: left.per_block() },
        centre: Some(Heads::new(left.numbers(Scratch::Centres), 1, left.spec().head_dim as usize)),
    }
}
