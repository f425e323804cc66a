//! Backends against the reference on captured attention inputs of real models.
//!
//! Every `examples/data/*.safetensors`, and those of the directory that `PROXYATTN_CAPTURES` names. A capture
//! holds bf16 `q [B, H, N, D]`, `k` and `v` `[B, Hkv, N, D]`. Long ones want `--release`.

use half::bf16;
use proxyattn::codegen::{Budget, Dynamic, Order, Precision, Proxy, Ratio, Scorer, Spec, Split, Sums, Weigh};
use proxyattn::{AsView, AttentionKernel, Device, Tensor};
use proxyattn_oracle::Oracle;
use proxyattn_oracle::compare::{self, Agreement};
use safetensors::{Dtype, SafeTensors};
use std::path::{Path, PathBuf};

struct Capture {
    name: String,
    q: Tensor<bf16>,
    k: Tensor<bf16>,
    v: Tensor<bf16>,
}

impl Capture {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let tensor = |name: &str| {
            let tensor = file.tensor(name).unwrap_or_else(|e| panic!("{}: `{name}`: {e}", path.display()));
            assert_eq!(tensor.dtype(), Dtype::BF16, "{}: `{name}`", path.display());
            let shape = tensor.shape().try_into().expect("four axes");
            let numbers = tensor.data().chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]])).collect();
            Tensor::from_bhsd(numbers, shape).expect("as many numbers as the shape says")
        };
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        Self { name, q: tensor("q"), k: tensor("k"), v: tensor("v") }
    }
}

/// The captures of a directory, in order.
fn captures(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable directory").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    paths.sort();
    paths
}

macro_rules! kernels {
    ($($(#[$doc:meta])* $name:ident = $spec:expr;)+) => {$(
        $(#[$doc])*
        struct $name;

        impl AttentionKernel for $name {
            const NAME: &'static str = stringify!($name);
            const SPEC: Spec = $spec;
            type Elem = bf16;
        }
    )+};
}

kernels! {
    Default64 = Spec { head_dim: 64, ..Spec::DEFAULT };
    Dense64 = Spec { budget: Budget::All, ..Default64::SPEC };
    /// Eight-bit scores, sums of maxima, counts in the order of the list, weighed by values.
    Eight64 = Spec {
        scorer: Scorer::Proxy(Proxy { sums: Sums::Maxima, scores: Precision::E4m3, ..Proxy::DEFAULT }),
        budget: Budget::Dynamic(Dynamic {
            gamma: 0.6,
            order: Order::List,
            weigh: Weigh::Values,
            ..Dynamic::DEFAULT
        }),
        ..Default64::SPEC
    };
    /// A total that heads divide.
    Divided64 = Spec {
        budget: Budget::Ratio(Ratio { share: 0.2, split: Split::Heads, min_tokens: 512 }),
        ..Default64::SPEC
    };
    Default128 = Spec::DEFAULT;
    Dense128 = Spec { budget: Budget::All, ..Spec::DEFAULT };
}

/// Runs one kernel, prints how it did, and adds it to `total`.
fn check<K: AttentionKernel<Elem = bf16>>(capture: &Capture, total: &mut Agreement) {
    let Capture { name, q, k, v } = capture;
    let attention = K::load(&Device::cpu()).expect("a valid kernel").with_dense_below(0);
    let trace = attention.prefill_traced(q, k, v, &()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let oracle = Oracle::new(&K::SPEC, &q.as_view(), &k.as_view(), &v.as_view());
    let dim = K::SPEC.head_dim as usize;
    let mut faults = Vec::new();
    let expected = if K::SPEC.is_dense() {
        oracle.attend_all()
    } else {
        faults.extend(compare::structure(&oracle, &trace.selection).err());
        let agreement = compare::selection(&oracle, &trace.selection);
        println!("  {}: density {:.3}; {agreement}", K::NAME, trace.selection.density());
        total.add(agreement);
        oracle.attend(&trace.selection)
    };
    let (all, worst) = compare::distance(trace.output.as_slice(), &expected, dim);
    println!("  {}: relative L2 {all:.2e}, worst token {worst:.2e}", K::NAME);
    faults.extend(compare::output(trace.output.as_slice(), &expected, dim).err());
    total.faults.extend(faults.into_iter().map(|fault| format!("{name}, {}: {fault}", K::NAME)));
}

#[test]
fn captures_match() {
    let mut paths = captures(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data"));
    assert!(!paths.is_empty(), "examples/data holds no capture");
    match std::env::var_os("PROXYATTN_CAPTURES") {
        Some(directory) => paths.extend(captures(Path::new(&directory))),
        None => println!("PROXYATTN_CAPTURES is not set: only examples/data"),
    }
    let mut total = Agreement::default();
    for path in &paths {
        let capture = Capture::read(path);
        println!("{}: q {:?}, k {:?}", capture.name, capture.q.shape(), capture.k.shape());
        match capture.q.shape()[3] {
            64 => {
                check::<Dense64>(&capture, &mut total);
                check::<Default64>(&capture, &mut total);
                check::<Eight64>(&capture, &mut total);
                check::<Divided64>(&capture, &mut total);
            }
            128 => {
                check::<Dense128>(&capture, &mut total);
                check::<Default128>(&capture, &mut total);
            }
            other => panic!("{}: head dim {other}; captures have 64 or 128", capture.name),
        }
    }
    println!("{} captures: {total}", paths.len());
    total.faults.iter().for_each(|fault| println!("  {fault}"));
    total.faultless().map(drop).unwrap_or_else(|fault| panic!("beyond tolerance: {fault}"));
}
