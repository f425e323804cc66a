//! The parts of the example `prefill` that its figures and its messages rest on.

#[path = "../examples/prefill/app.rs"]
mod app;
#[path = "../examples/prefill/args.rs"]
mod args;
#[path = "../examples/prefill/compare.rs"]
mod compare;
#[path = "../examples/prefill/kernels.rs"]
mod kernels;
#[path = "../examples/prefill/measure.rs"]
mod measure;
#[path = "../examples/prefill/picture/mod.rs"]
mod picture;
#[path = "../examples/prefill/report.rs"]
mod report;

use clap::Parser;
use half::bf16;
use kernels::{Budget, Kernels};
use kit::{
    chart,
    input::{self, Input, Qkv},
    mass::BlockMass,
    progress::Progress,
};
use proxyattn::synthetic::{Inputs, Needle, Synthetic};
use proxyattn::{AsView, Device, Geometry};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::Value;

const SMALL: Synthetic =
    Synthetic { tokens: 2048, heads: 4, kv_heads: 2, head_dim: 64, similarity: 0.7, seed: 1 };

fn generate(what: Synthetic) -> (Qkv<bf16>, Vec<Needle>) {
    let Inputs { q, k, v, needles } = what.generate().unwrap();
    (Qkv { q, k, v }, needles)
}

fn geometry(input: &Qkv<bf16>) -> Geometry {
    let kernel = bf16::load(input.q.shape()[3], Budget::Default, &Device::cpu()).unwrap();
    kernel.plan(&compare::problem(input)).unwrap().geometry()
}

fn mass(input: &Qkv<bf16>) -> (Geometry, BlockMass) {
    let geometry = geometry(input);
    let (q, k, rows) = (input.q.as_view(), input.k.as_view(), (0..geometry.rows()).collect());
    let mass = BlockMass::compute(&q, &k, &geometry, rows, 0.125, &Progress::hidden());
    (geometry, mass)
}

/// Runs the program on its arguments and returns the JSON that it would print.
fn json(arguments: &str) -> Value {
    let words = ["prefill", "--json", "--no-picture"].into_iter().chain(arguments.split_whitespace());
    let output = app::run(&args::Args::try_parse_from(words).unwrap()).unwrap();
    assert_eq!(output.lines().count(), 1, "one object on one line");
    serde_json::from_str(&output).unwrap()
}

#[test]
fn similar_heads_attend_to_the_same_blocks() {
    let agreement = |similarity| {
        let (input, _) = generate(Synthetic { similarity, ..SMALL });
        let (_, mass) = mass(&input);
        let cosine = |a: &[f32], b: &[f32]| {
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        };
        let mut sum = 0.0;
        for row in 8..mass.rows().len() {
            for (a, b) in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)] {
                // Neither the sink nor the neighbourhood, in which all heads agree.
                sum += cosine(&mass.row(a, row)[1..row - 2], &mass.row(b, row)[1..row - 2]);
            }
        }
        sum / (6 * (mass.rows().len() - 8)) as f32
    };
    let [low, middle, high] = [0.0, 0.5, 1.0].map(agreement);
    assert!(low + 0.03 < middle && middle + 0.03 < high, "{low} {middle} {high}");
}

/// Softmax of every query in f64, summed over blocks: slow and plain.
fn plain_mass(input: &Qkv<bf16>, geometry: &Geometry, head: usize, row: usize) -> Vec<f64> {
    let (q, k) = (input.q.as_view(), input.k.as_view());
    let kv_head = head / (input.q.shape()[1] / input.k.shape()[1]);
    let mut shares = vec![0.0; geometry.blocks()];
    let tokens = geometry.tokens(row);
    for token in tokens.clone() {
        let dot = |key| {
            let pairs = q.row(0, head, token).iter().zip(k.row(0, kv_head, key));
            pairs.map(|(x, y)| x.to_f64() * y.to_f64()).sum::<f64>() * 0.125
        };
        let logits: Vec<f64> = (0..=geometry.offset() + token).map(dot).collect();
        let max = logits.iter().fold(f64::MIN, |max, &x| max.max(x));
        let sum: f64 = logits.iter().map(|x| (x - max).exp()).sum();
        for (key, x) in logits.iter().enumerate() {
            shares[key / geometry.keys(0).len()] += (x - max).exp() / sum / tokens.len() as f64;
        }
    }
    shares
}

#[test]
fn the_mass_of_a_row_is_that_of_its_softmax() {
    let (mut input, _) = generate(Synthetic { tokens: 300, ..SMALL });
    // A chunk whose offset, 117, is no whole number of blocks, and whose last row is short.
    let chunk = |head| (117..300).flat_map(move |token| (0..64).map(move |dim| (head, token, dim)));
    let q = input.q.as_view();
    let data = (0..4).flat_map(chunk).map(|(head, token, dim)| q.row(0, head, token)[dim]).collect();
    input.q = proxyattn::Tensor::from_bhsd(data, [1, 4, 183, 64]).unwrap();
    let (geometry, mass) = mass(&input);
    assert_eq!(mass.rows(), [0, 1, 2]);
    for head in 0..4 {
        for row in 0..3 {
            let (found, wanted) = (mass.row(head, row), plain_mass(&input, &geometry, head, row));
            assert!((found.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            let close = found.iter().zip(&wanted).all(|(&x, y)| (f64::from(x) - y).abs() < 1e-5);
            assert!(close, "head {head}, row {row}: {found:?}, expected {wanted:?}");
        }
    }
}

#[test]
fn the_picture_shows_every_visited_tile() {
    let (input, needles) = generate(Synthetic { tokens: 1024, ..SMALL });
    let outcome = measure::measure(&input, &needles, Budget::Ratio, &Device::cpu()).unwrap();
    let tiles = picture::Tiles::new(&outcome);
    let picture = tiles.picture("a test");
    let pixels = chart::pixels(&picture, &chart::LIGHT).unwrap();
    let of_heads = |heads: &mut dyn Iterator<Item = usize>| -> usize {
        let rows = heads.flat_map(|head| (0..16).map(move |row| (head, row)));
        rows.map(|(head, row)| outcome.selection.count(0, head, row)).sum()
    };
    let (large, small) = (of_heads(&mut [picture.head].into_iter()), of_heads(&mut (0..4)));
    let colour = chart::LIGHT.series[1];
    let visited = pixels.pixels().filter(|pixel| pixel.0 == [colour.0, colour.1, colour.2]).count();
    // 16 × 16 tiles in 448 and in 160 pixels, and the sample of the legend in 24.
    assert_eq!(visited, large * 28 * 28 + small * 10 * 10 + 24 * 24);
}

#[test]
fn the_json_has_every_figure() {
    let report = json("--synthetic 1536 --heads 4 --head-dim 64 --similarity 0.9");
    for key in ["device", "input", "config"] {
        assert!(!report[key].is_null(), "{key}");
    }
    let figures =
        ["density", "recall", "recall_oracle", "needle_recall", "rel_l2", "ms_pool", "ms_score", "ms_budget"];
    for key in figures.into_iter().chain(["ms_select", "ms_attend", "ms_total", "ms_dense", "speedup"]) {
        assert!(report[key].as_f64().is_some_and(|figure| figure > 0.0), "{key}: {}", report[key]);
    }
    assert_eq!((&report["tokens"], &report["recall_rows"]), (&1536.into(), &24.into()));
    let figure = |key: &str| report[key].as_f64().unwrap();
    assert!(figure("density") < 1.0 && figure("rel_l2") < 0.5);
    assert!(figure("density") < figure("recall") && figure("recall") <= figure("recall_oracle"));
    assert!(figure("recall_oracle") < 1.0 + 1e-4);
}

#[test]
fn a_dense_kernel_misses_nothing() {
    let report = json("--synthetic 700 --head-dim 96 --budget all");
    assert_eq!((&report["density"], &report["rel_l2"]), (&1.0.into(), &0.0.into()));
    assert!((report["recall"].as_f64().unwrap() - 1.0).abs() < 1e-4);
}

#[test]
fn the_bundled_input_is_what_its_page_says() {
    let Input::Bf16(input) = input::read(args::BUNDLED.as_ref()).unwrap() else { panic!("expected bf16") };
    assert_eq!((input.q.shape(), input.k.shape()), ([1, 9, 4096, 64], [1, 3, 4096, 64]));
}

fn file(tensors: &[(&str, Dtype, &[usize])]) -> Vec<u8> {
    let bytes = vec![0; 1 << 16];
    let view = |&(name, dtype, shape): &(&'static str, Dtype, &[usize])| {
        let size = shape.iter().product::<usize>() * if dtype == Dtype::F32 { 4 } else { 2 };
        (name, TensorView::new(dtype, shape.to_vec(), &bytes[..size]).unwrap())
    };
    safetensors::serialize(tensors.iter().map(|t| view(&(String::leak(t.0.into()), t.1, t.2))), None).unwrap()
}

#[test]
fn bad_files_are_refused_by_name() {
    use Dtype::{BF16, F16, F32};
    let refuse = |tensors: &[(&str, Dtype, &[usize])]| input::parse(&file(tensors)).unwrap_err().to_string();
    let (q, kv): (&[usize], &[usize]) = (&[1, 4, 8, 64], &[1, 2, 8, 64]);
    let f16 = input::parse(&file(&[("q", F16, q), ("k", F16, kv), ("v", F16, kv)])).unwrap();
    assert!(matches!(f16, Input::F16(_)));
    assert_eq!(
        refuse(&[("q", BF16, q), ("keys", BF16, kv), ("v", BF16, kv)]),
        "has no tensor `k`: expected `q`, `k` and `v`, found `keys`, `q`, `v`"
    );
    assert_eq!(
        refuse(&[("q", F32, q), ("k", F32, kv), ("v", F32, kv)]),
        "`q`: expected bf16 or f16, got F32"
    );
    assert_eq!(
        refuse(&[("q", BF16, q), ("k", BF16, kv), ("v", F16, kv)]),
        "`v`: expected bf16 as q is, got F16"
    );
    let with =
        |q: &[usize], k: &[usize], v: &[usize]| refuse(&[("q", BF16, q), ("k", BF16, k), ("v", BF16, v)]);
    assert!(
        with(&[4, 8, 64], kv, kv)
            .contains("`q`: expected shape [batch, heads, tokens, head_dim], got [4, 8, 64]")
    );
    assert!(
        with(&[1, 4, 8, 80], kv, kv)
            .contains("head_dim (the last axis) of [64, 96, 128, 256], got [1, 4, 8, 80]")
    );
    assert!(
        with(q, &[1, 3, 8, 64], kv)
            .contains("`k`: expected a number of heads (axis 1) that divides the 4 of q")
    );
    assert!(with(q, &[1, 2, 7, 64], kv).contains("`k`: expected at least the 8 tokens (axis 2) of q"));
    assert!(with(q, &[2, 2, 8, 64], kv).contains("`k`: expected shape [1, kv_heads, tokens, 64]"));
    assert!(
        with(q, kv, &[1, 2, 9, 64])
            .contains("`v`: expected the shape of k, [1, 2, 8, 64], got [1, 2, 9, 64]")
    );
    assert!(with(&[1, 0, 8, 64], kv, kv).contains("no empty axis"));
    assert!(input::parse(b"not a file").unwrap_err().to_string().starts_with("is not a safetensors file"));
}

#[test]
fn bad_arguments_are_refused_in_one_line() {
    let run = |arguments: &[&str]| {
        let words = ["prefill", "--no-picture"].iter().chain(arguments);
        app::run(&args::Args::try_parse_from(words).unwrap()).unwrap_err().to_string()
    };
    assert!(
        run(&["--input", "nowhere.safetensors"]).starts_with("--input nowhere.safetensors: cannot be read: ")
    );
    assert_eq!(
        run(&["--synthetic", "64", "--heads", "8", "--kv-heads", "3"]),
        "--kv-heads: expected a divisor of --heads 8, got 3"
    );
    for clash in [["--input", "a.safetensors", "--seed", "2"].as_slice(), &["--bundled", "--tokens", "9"]] {
        assert!(args::Args::try_parse_from(["prefill"].iter().chain(clash)).is_err(), "{clash:?}");
    }
}

#[test]
fn a_picture_that_could_not_be_written_is_refused_beforehand() {
    for (name, told) in [
        ("a.jpg", "expected a file name that ends in .svg or .png"),
        ("no/such/folder/a.png", "there is no folder `no/such/folder`"),
    ] {
        let error = args::Args::try_parse_from(["prefill", "--picture", name]).unwrap_err().to_string();
        assert!(error.contains("--picture") && error.contains(told), "{error}");
    }
    assert!(args::Args::try_parse_from(["prefill", "--picture", "a.SVG"]).is_ok());
}

/// What the program says of an input, without a picture.
fn text(arguments: &str) -> String {
    let words = ["prefill", "--no-picture"].into_iter().chain(arguments.split_whitespace());
    app::run(&args::Args::try_parse_from(words).unwrap()).unwrap()
}

#[test]
fn the_report_opens_with_what_it_comes_to() {
    let report = text("--synthetic 2048 --heads 4");
    let words: Vec<_> = report.split_whitespace().collect();
    let share = |text: &str| text.trim_end_matches('%').parse::<f64>().unwrap();
    assert_eq!(
        (&words[1..5], &words[6..9]),
        (&["of", "the", "blocks", "hold"][..], &["of", "the", "attention:"][..])
    );
    assert!(share(words[0]) < 60.0 && share(words[5]) > 80.0, "{report}");
    assert!(report.contains("× as fast as dense attention") && report.contains("(relative L2)"), "{report}");
    assert!(!report.contains("run this input dense"), "{report}");
}

#[test]
fn what_is_dense_says_why() {
    let declared = text("--synthetic 700 --budget all");
    assert!(
        declared.contains("Ran dense, ") && declared.contains(" ms: `budget = all` visits every block."),
        "{declared}"
    );
    let kept = text("--synthetic 300");
    assert!(kept.contains(" ms: the context is so short that the budget keeps every block."), "{kept}");
    let short = text("--synthetic 900");
    let usual = "A program would run this input dense: the context is shorter than 1024 tokens, below which dense is faster.";
    assert!(short.contains(usual) && !short.contains("Ran dense"), "{short}");
}

/// Heads differ, few blocks hold most of the attention, and every needle is found: what the generator promises.
#[test]
fn a_generated_input_is_worth_selecting_on() {
    let report = json("--synthetic 4096");
    let list =
        |key: &str| report[key].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<_>>();
    let densities = list("head_density");
    let [least, most] =
        [f64::min as fn(f64, f64) -> f64, f64::max].map(|of| densities.iter().copied().reduce(of).unwrap());
    assert!(most > 1.3 * least, "{densities:?}");
    assert!(list("head_recall").iter().all(|&recall| recall > 0.75), "{report}");
    let figure = |key: &str| report[key].as_f64().unwrap();
    assert!(figure("density") < 0.3 && figure("recall") > 0.88 && figure("rel_l2") < 0.25, "{report}");
    assert_eq!(figure("needle_recall"), 1.0);
}
