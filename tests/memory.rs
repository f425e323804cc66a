//! Memory runs out at any time: an allocator that refuses one large request after the other. Every one of them has to come
//! back as an error, with the output as it was; one that nobody expected to fail would end the process.

#[path = "conformance/kernels.rs"]
#[allow(dead_code)]
mod kernels;

use inputs::{Case, Inputs};
use kernels::{Dense64, Divided, Eight, OneGroup, TopFour, TwoGroups};
use proxyattn::prelude::bf16;
use proxyattn::{AttentionKernel, Device, Error, Result, View, ViewMut};
use proxyattn_oracle::inputs;
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeSet;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// More than any request whose size does not grow with the problem.
const LARGE: usize = 6 << 10;

/// Large requests until the one that is refused; 0 for none that is.
static LEFT: AtomicUsize = AtomicUsize::new(0);

struct Refusing;

fn refuses(bytes: usize) -> bool {
    bytes >= LARGE && LEFT.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)) == Ok(1)
}

// SAFETY: the system's allocator, or no memory, which every caller has to expect.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        if refuses(layout.size()) { null_mut() } else { unsafe { System.alloc(layout) } }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        if refuses(layout.size()) { null_mut() } else { unsafe { System.alloc_zeroed(layout) } }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        if refuses(bytes) { null_mut() } else { unsafe { System.realloc(memory, layout, bytes) } }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Refusing = Refusing;

/// What memory was refused for until a run had all of it: the first large request is refused, then the second, and so on.
fn refusals<R>(context: &str, mut run: impl FnMut() -> Result<R>) -> (R, BTreeSet<&'static str>) {
    let mut named = BTreeSet::new();
    for nth in 1..1000 {
        LEFT.store(nth, SeqCst);
        let result = run();
        LEFT.store(0, SeqCst);
        match result {
            Ok(result) => return (result, named),
            Err(Error::Memory { what, of: "host", bytes }) => {
                assert!(bytes >= LARGE as u64, "{context}: {what}, {bytes} bytes");
                named.insert(what);
            }
            Err(other) => panic!("{context}, request {nth}: {other}"),
        }
    }
    panic!("{context}: no end of large requests")
}

/// Runs until nothing is refused any more; gives what was.
fn check<K: AttentionKernel<Elem = bf16>>(case: Case) -> BTreeSet<&'static str> {
    let inputs = Inputs::<bf16>::generate(&case, K::SPEC.head_dim);
    let (q, k, v): (View<'_, _>, _, _) = (inputs.q(), inputs.k(), inputs.v());
    let attention = K::load(&Device::cpu()).expect("a valid kernel").with_dense_below(0);
    let expected = attention.prefill(&q, &k, &v).expect("there is memory");

    let (output, mut named) = refusals(K::NAME, || attention.prefill(&q, &k, &v));
    assert!(output.as_slice() == expected.as_slice(), "{}", K::NAME);
    let (trace, more) = refusals(K::NAME, || attention.prefill_traced(&q, &k, &v, &()));
    assert!(trace.output.as_slice() == expected.as_slice(), "{}", K::NAME);
    named.extend(more);

    let poison = bf16::from_f32(-12_288.0);
    let mut out = vec![poison; expected.as_slice().len()];
    let ((), more) = refusals(K::NAME, || {
        let view = ViewMut::bhsd(&mut out, inputs.q_shape).expect("as long as the shape says");
        let result = attention.prefill_into(&q, &k, &v, view);
        assert!(result.is_ok() || out.iter().all(|&x| x == poison), "{}: the output was touched", K::NAME);
        result
    });
    assert!(out == expected.as_slice(), "{}", K::NAME);
    named.extend(more);
    named
}

/// One test, since all share the allocator.
#[test]
fn every_refusal_is_an_error() {
    // Few queries and many keys, then many rows of blocks.
    let long = Case::new([4, 2], 32, 50_000);
    let mut named = check::<TwoGroups>(long);
    named.extend(check::<Dense64>(long));
    named.extend(check::<Eight>(long));
    named.extend(check::<OneGroup>(Case::new([8, 2], 1600, 1600)));
    named.extend(check::<Divided>(Case::new([64, 2], 100, 1600)));
    named.extend(check::<TopFour>(Case::new([64, 2], 1600, 1600)));
    let expected = [
        "budgets",
        "counts",
        "keys",
        "lists",
        "norms of values",
        "output",
        "proxy keys",
        "proxy queries",
        "scores",
        "units of attend",
        "values",
    ];
    assert_eq!(named.into_iter().collect::<Vec<_>>(), expected);
}
