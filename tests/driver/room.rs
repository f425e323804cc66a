//! Device memory that there is not, and what is looked at before any is asked for.

use crate::child::{DIM, Sparse};
use crate::{GPUS, lines, told, whole};
use half::bf16;
use proxyattn::{Device, Error, Tensor, View, ViewMut};

/// The stub refuses larger requests than this: more than the inputs have, and less than what the calls below want.
const BYTES: u64 = 1 << 20;

/// The child's part: calls that all end in an error.
pub(crate) fn run() {
    let device = Device::cuda(0).expect("the stub's device");
    let Device::Cuda(cuda) = &device else { panic!("the stub's device") };
    let attention = Sparse::load(&device).expect("it loads").with_dense_below(0);
    let one = cuda.stream().clone_htod(&vec![bf16::ONE; 704 * DIM]).expect("a head of 88 KiB");
    // The one head as many, and its first token as a long context.
    let heads = |heads| View::cuda(&one, 0, [1, heads, 704, DIM], [0, 0, DIM, 1]).expect("within the head");
    let context = View::cuda(&one, 0, [1, 2, 1 << 20, DIM], [0, 0, 0, 1]).expect("within the head");
    let queries = View::cuda(&one, 0, [1, 4, 64, DIM], [0, 0, DIM, 1]).expect("within the head");
    let told = |step: &str, error: Error| {
        let kind = match &error {
            Error::Memory { .. } => "memory",
            Error::Layout { .. } => "layout",
            _ => "other",
        };
        println!("step {step}\ntold {kind} {error}");
    };

    let large = Tensor::<bf16>::zeros([1, 64, 704, DIM]).expect("5.5 MiB");
    told("copy", large.to(&device).expect_err("more than there is"));
    let (q, kv) = (heads(64), heads(2));
    told("output", attention.prefill(&q, &kv, &kv).expect_err("more than there is"));
    told("traced", attention.prefill_traced(&q, &kv, &kv, &()).map(drop).expect_err("more than there is"));
    let mut out = cuda.stream().clone_htod(&vec![bf16::ONE; 4 * 64 * DIM]).expect("32 KiB");
    let mut into = |k: &View<'_, bf16>, v: &View<'_, bf16>| {
        let view = ViewMut::cuda(&mut out, 0, [1, 4, 64, DIM], [4 * 64 * DIM, 64 * DIM, DIM, 1]);
        attention.prefill_into(&queries, k, v, view.expect("as long as the shape says"))
    };
    told("workspace", into(&context, &context).expect_err("more than there is"));

    // What is wrong otherwise is found first.
    let host = vec![bf16::ONE; DIM];
    let elsewhere = View::strided(&host, [1, 2, 1 << 20, DIM], [0, 0, 0, 1]).expect("within the token");
    let crooked = View::cuda(&one, 1, [1, 2, 1 << 20, DIM], [0, 0, 0, 1]).expect("within the head");
    told("elsewhere", into(&context, &elsewhere).expect_err("v in host memory"));
    told("crooked", into(&crooked, &context).expect_err("k between two words"));
    let short = View::strided(&host, [1, 2, 704, DIM], [0, 0, 0, 1]).expect("within the token");
    told("first", attention.prefill(&q, &kv, &short).expect_err("v in host memory"));
    println!("done");
}

#[test]
fn memory_that_a_gpu_lacks_is_an_error_of_its_own() {
    for gpu in GPUS {
        let limit = BYTES.to_string();
        let text = told("room", whole(), &[("STUB_CAPABILITY", gpu), ("STUB_MEMORY", &limit)]);
        assert!(text.contains("\ndone\n"), "{gpu}: {text}");
        for (step, what) in
            [("copy", "tensor"), ("output", "output"), ("traced", "output"), ("workspace", "workspace")]
        {
            let told = lines(&text, step, "told ");
            let expected = format!("memory `{what}`: cannot allocate ");
            assert!(told.len() == 1 && told[0].starts_with(&expected), "{gpu} {step}: {told:?}");
            let bytes = told[0][expected.len()..]
                .split_once(" bytes of device memory")
                .map(|(bytes, _)| bytes.parse::<u64>());
            assert!(
                bytes.is_some_and(|bytes| bytes.is_ok_and(|bytes| bytes > BYTES)),
                "{gpu} {step}: {told:?}"
            );
        }
        for (step, arg) in [("elsewhere", "v"), ("crooked", "k"), ("first", "v")] {
            let told = lines(&text, step, "told ");
            assert!(told[0].starts_with(&format!("layout `{arg}`: ")), "{gpu} {step}: {told:?}");
        }
        let live = text.lines().rfind(|line| line.starts_with("live "));
        assert_eq!(live, Some("live 0"), "{gpu}: {text}");
    }
}
