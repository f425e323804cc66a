//! Memory is asked for when shapes and values are in order, and what cannot be had is an error.

use crate::kernels::{Dense64, Small};
use crate::verify;
use half::bf16;
use proxyattn::{AttentionKernel, Device, Error, Tensor, View, ViewMut};

/// One head's tokens, seen as many sequences, heads or tokens.
fn seen_as(data: &[bf16], shape: [usize; 4], strides: [usize; 4]) -> View<'_, bf16> {
    View::strided(data, shape, strides).expect("a broadcast reaches no further than what it repeats")
}

pub(crate) fn shapes_are_looked_at_before_memory(device: &Device) {
    // An output of 512 GiB, for keys of another batch.
    let (data, kv) = (vec![bf16::ONE; 4 * 16 * 64], Tensor::zeros([1, 2, 5, 64]).expect("10 KiB"));
    let q = seen_as(&data, [1 << 26, 4, 16, 64], [0, 1024, 64, 1]);
    let attention = verify::load::<Small>(device);
    let plain = attention.prefill(&q, &kv, &kv).expect_err("another batch");
    let traced = attention.prefill_traced(&q, &kv, &kv, &()).expect_err("another batch");
    for error in [plain, traced] {
        assert!(matches!(&error, Error::Shape { arg: "k", .. }), "{error}");
    }
}

pub(crate) fn memory_that_nobody_has_is_an_error(device: &Device) {
    huge::<Small>(device);
    huge::<Dense64>(device);
}

/// More than 47 bits of an address reach: no system lends that, however freely it does.
fn huge<K: AttentionKernel<Elem = bf16>>(device: &Device) {
    let attention = verify::load::<K>(device);
    let data = vec![bf16::ONE; 4 * 16 * 64];
    let memory = |error: Error, what: &str| match error {
        Error::Memory { what: named, of: "host", bytes } => {
            assert!(named == what && bytes >= 1 << 48, "{named}: {bytes} bytes");
        }
        other => panic!("{}, {what}: {other}", K::NAME),
    };
    // Values are looked at once for all that a stride of 0 repeats, so that NaN is found before an hour is over.
    let q = seen_as(&data, [1 << 36, 4, 16, 64], [0, 1024, 64, 1]);
    let kv = seen_as(&data, [1 << 36, 2, 16, 64], [0, 1024, 64, 1]);
    memory(attention.prefill(&q, &kv, &kv).expect_err("no such memory"), "output");
    memory(attention.prefill_traced(&q, &kv, &kv, &()).expect_err("no such memory"), "output");
    let mut spoiled = data.clone();
    spoiled[4 * 16 * 64 - 1] = bf16::NAN;
    let bad = seen_as(&spoiled, [1 << 36, 4, 16, 64], [0, 1024, 64, 1]);
    let error = attention.prefill(&bad, &kv, &kv).expect_err("NaN");
    assert!(matches!(error, Error::NotFinite { arg: "q", at: [0, 3, 15, 63], .. }), "{error}");

    // Few queries and many keys: what is between the stages.
    let heads = 1 << 10;
    let (q, kv) = (
        seen_as(&data, [1, heads, 1, 64], [0, 0, 64, 1]),
        seen_as(&data, [1, heads, 1 << 30, 64], [0, 0, 0, 1]),
    );
    let mut out = vec![bf16::NEG_ONE; heads * 64];
    fn view(out: &mut [bf16]) -> ViewMut<'_, bf16> {
        let shape = [1, out.len() / 64, 1, 64];
        ViewMut::bhsd(out, shape).expect("as long as it says")
    }
    memory(attention.prefill_into(&q, &kv, &kv, view(&mut out)).expect_err("no such memory"), "keys");
    let traced = attention.prefill_traced_into(&q, &kv, &kv, view(&mut out), &());
    memory(traced.expect_err("no such memory"), "keys");
    assert!(out.iter().all(|&x| x == bf16::NEG_ONE), "the output was touched");
}
