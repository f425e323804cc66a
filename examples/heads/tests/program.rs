//! The program `heads`, from files to files, and the JSON's schema.

use half::bf16;
use heads::Report;
use kit::chart::{LIGHT, Picture};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SHAPES: [[usize; 4]; 2] = [[1, 4, 896, 64], [1, 2, 896, 64]];

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// The topic is the dim that is not zero: the whole part of `value`, whose fraction says how large it is.
fn numbers([_, heads, tokens, dim]: [usize; 4], value: impl Fn(usize, usize) -> f32) -> Vec<bf16> {
    let vector = |head: usize, token: usize| {
        let value = value(head, token);
        let mut vector = vec![bf16::ZERO; dim];
        vector[value as usize] = bf16::from_f32(16.0 * value.fract());
        vector
    };
    let places = (0..heads).flat_map(|head| (0..tokens).map(move |token| (head, token)));
    places.flat_map(|(head, token)| vector(head, token)).collect()
}

/// Keys say the topic of their block; heads of KV head 0 look for topic 1, the others for topic 2.
fn layer() -> [Vec<bf16>; 2] {
    let [q, k] = SHAPES;
    [
        numbers(q, |head, _| if head < 2 { 1.5 } else { 2.5 }),
        numbers(k, |_, token| (token / 64 % 4) as f32 + 0.25),
    ]
}

fn write(name: &str, tensors: &[(&str, [usize; 4], &[bf16])]) -> PathBuf {
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|t| t.2.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
    let views = tensors.iter().zip(&bytes).map(|(&(name, shape, _), bytes)| {
        (name, TensorView::new(Dtype::BF16, shape.to_vec(), bytes).unwrap())
    });
    let path = scratch(name);
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    path
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_heads")).args(arguments).output().unwrap()
}

/// What a run that ends in an error says.
fn error(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = run(arguments);
    assert_eq!((status.code(), stdout.len()), (Some(1), 0));
    String::from_utf8(stderr).unwrap()
}

/// One line for each path; lists stay on theirs.
fn lines(path: &str, value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| lines(&format!("{path}.{key}"), value, out))
        }
        Value::Array(values) if values.iter().any(|value| value.is_object() || value.is_array()) => {
            values.iter().enumerate().for_each(|(i, value)| lines(&format!("{path}[{i}]"), value, out))
        }
        _ => *out += &format!("{} = {value}\n", path.trim_start_matches('.')),
    }
}

#[test]
fn layers_become_a_report_json_and_a_picture() {
    let [q, k] = layer();
    let tensors = [("q", SHAPES[0], &q[..]), ("k", SHAPES[1], &k[..])];
    let inputs = [write("first.safetensors", &tensors), write("second.safetensors", &tensors)];
    let (json, picture) = (scratch("new/heads.json"), scratch("new/heads.png"));
    let [first, second] = inputs.each_ref().map(|path| path.to_str().unwrap());
    let out = run(&[
        "--input",
        first,
        second,
        "--top",
        "16",
        "--keep",
        "0.3",
        "--growth",
        "0.2",
        "--json",
        json.to_str().unwrap(),
        "--picture",
        picture.to_str().unwrap(),
    ]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    // Eight blocks, the default budget's floor, hold enough in either order; three in ten do not.
    assert!(text.contains("\n  #[proxy_attention(head_dim = 64, groups = 1)]\n"), "{text}");
    assert!(text.contains("\n  default budget: one proxy, for at most 20% more blocks than"), "{text}");
    assert!(
        text.contains("\n  flat budgets: one proxy per KV head, for a regret (p95) within 0.05"),
        "{text}"
    );
    assert!(text.lines().filter(|line| line.contains("  1.000    0.000 ")).count() == 2, "{text}");

    let value: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(value["layers"].as_array().unwrap().len(), 2);
    let mut schema = String::new();
    lines("", &value, &mut schema);
    let of_first: String = schema
        .lines()
        .filter(|line| !line.starts_with("layers[1]"))
        .map(|line| line.to_owned() + "\n")
        .collect();
    insta::assert_snapshot!("json", of_first);

    let picture = image::open(picture).unwrap();
    let again = Report::from_json(&value.to_string()).unwrap();
    let [width, height] = again.picture().unwrap().size();
    assert_eq!([picture.width(), picture.height()], [2 * width, 2 * height]);
    let most = LIGHT.heat(1.0);
    let most = picture.to_rgb8().pixels().filter(|pixel| pixel.0 == [most.0, most.1, most.2]).count();
    // Squares of a side of 95 pixels, less the lines between KV heads, and figures outside the diagonal.
    assert!(most > 2 * 8 * 80 * 80, "the pairs that agree, eight of each layer: {most} pixels");
}

#[test]
fn a_report_is_read_back_from_its_json_and_no_other() {
    let stored = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/accuracy/heads-multikey-8192.json");
    let text = std::fs::read_to_string(stored).unwrap();
    let report = Report::from_json(&text).unwrap();
    assert_eq!(report.json().unwrap()["layers"], serde_json::from_str::<Value>(&text).unwrap()["layers"]);
    let refused = |text: &str| Report::from_json(text).unwrap_err().to_string();
    assert!(refused("{}").starts_with("expected the JSON of a report: missing field"));
    let older = text.replacen("\"schema\":2", "\"schema\":1", 1);
    assert_ne!(older, text);
    assert_eq!(refused(&older), "expected the JSON of a report: expected schema 2, got 1");
}

#[test]
fn the_bundled_capture_wants_one_proxy_per_kv_head_for_flat_budgets_alone() {
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/smollm2-layer13-4096.safetensors");
    let json = scratch("bundled.json");
    let out = run(&["--input", capture, "--json", json.to_str().unwrap()]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let value: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(value["recommendation"]["attribute"], "#[proxy_attention(head_dim = 64, groups = 1)]");
    assert_eq!(value["recommendation"]["flat"], 3);
    let far = &value["layers"][0]["overlap"]["far"];
    let [same, other] = ["same_group", "other_group"].map(|key| far[key].as_f64().unwrap());
    assert!(same > 3.0 * other && other > 0.0, "{same} {other}");
    let [one, three] = [0, 1].map(|i| value["layers"][0]["regrets"][i]["mean"].as_f64().unwrap());
    assert!(one > 4.0 * three.abs(), "{one} {three}");
}

#[test]
fn failures_are_one_line_that_names_the_argument() {
    assert!(
        error(&["--input", "nowhere.safetensors"])
            .starts_with("error: --input nowhere.safetensors: cannot be read: ")
    );
    let [q, k] = layer();
    let path = write("keyless.safetensors", &[("q", SHAPES[0], &q), ("keys", SHAPES[1], &k)]);
    let path = path.to_str().unwrap();
    assert_eq!(
        error(&["--input", path]),
        format!("error: --input {path}: has no tensor `k`: expected `q` and `k`, found `keys`, `q`\n")
    );
    assert_eq!(
        error(&["--input", path, "--keep", "1.5"]),
        "error: --keep: expected a share above 0 and up to 1, got 1.5\n"
    );
    assert_eq!(
        error(&["--input", path, "--growth=-1"]),
        "error: --growth: expected a number from 0 on, got -1\n"
    );
    let whole = write("whole.safetensors", &[("q", SHAPES[0], &q), ("k", SHAPES[1], &k)]);
    let (whole, folder) = (whole.to_str().unwrap(), env!("CARGO_TARGET_TMPDIR"));
    for flag in ["--json", "--picture"] {
        let message = error(&["--input", whole, flag, folder]);
        assert!(message.starts_with(&format!("error: {flag} {folder}: ")), "{message}");
        assert_eq!(message.lines().count(), 1);
    }
    assert_eq!(run(&[]).status.code(), Some(2), "an input is required");
}
