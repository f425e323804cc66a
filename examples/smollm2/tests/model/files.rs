//! Models from files: what GGUF and adapters hold, against values computed by hand.

use crate::gguf::File;
use crate::tiny;
use half::{bf16, f16};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use smollm2::{Error, Gguf, Tokenizer, merge};
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// A folder of a test's own, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const TOKENS: [&str; 9] = ["<|im_end|>", "H", "i", "Ġ", "1", "2", "Hi", "Ġ1", "ĠHi"];
const MERGES: [&str; 3] = ["H i", "Ġ 1", "Ġ Hi"];

/// A model of one layer with one head: 64 wide, every tensor of zeros but those that are given.
fn file() -> File {
    let mut file = File::default();
    file.text("general.architecture", "llama");
    let counts = [
        ("llama.embedding_length", 64),
        ("llama.block_count", 1),
        ("llama.feed_forward_length", 32),
        ("llama.attention.head_count", 1),
        ("llama.attention.head_count_kv", 1),
        ("llama.rope.dimension_count", 64),
        ("llama.context_length", 256),
        ("tokenizer.ggml.eos_token_id", 0),
    ];
    counts.iter().for_each(|(key, count)| file.count(key, *count));
    file.number("llama.rope.freq_base", 1e5);
    file.number("llama.attention.layer_norm_rms_epsilon", 1e-5);
    file.text("tokenizer.ggml.model", "gpt2");
    file.text("tokenizer.ggml.pre", "smollm");
    file.texts("tokenizer.ggml.tokens", &TOKENS);
    file.texts("tokenizer.ggml.merges", &MERGES);
    file.integers("tokenizer.ggml.token_type", &[3, 1, 1, 1, 1, 1, 1, 1, 1]);
    let zeros = |file: &mut File, name: &str, rows, columns| file.floats(name, rows, columns, |_, _| 0.0);
    for (name, rows, columns) in [
        ("blk.0.attn_k", 64, 64),
        ("blk.0.attn_v", 64, 64),
        ("blk.0.attn_output", 64, 64),
        ("blk.0.ffn_gate", 32, 64),
        ("blk.0.ffn_up", 32, 64),
    ] {
        zeros(&mut file, &format!("{name}.weight"), rows, columns);
    }
    for name in ["output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"] {
        file.vector(&format!("{name}.weight"), &[1.0; 64]);
    }
    // Each element tells its row.
    file.floats("blk.0.attn_q.weight", 64, 64, |row, column| (100 * row + column) as f32);
    // Q8_0: d, then 32 signed bytes. Row r holds (column mod 32 − 16) · (r + 1) / 4.
    let q8 = (0..TOKENS.len()).flat_map(|row| {
        let block = move |_| {
            let d = f16::from_f32((row + 1) as f32 / 4.0).to_le_bytes();
            d.into_iter().chain((0..32).map(|i| (i - 16) as i8 as u8))
        };
        (0..2).flat_map(block)
    });
    file.tensor("token_embd.weight", 8, &[64, TOKENS.len()], q8.collect());
    // Q4_1: d, m, then 32 halves of bytes; the low halves come first. Element i is d · q + m.
    let q4 = (0..64).flat_map(|_| {
        let head = [f16::from_f32(0.5), f16::from_f32(-3.0)].into_iter().flat_map(f16::to_le_bytes);
        head.chain((0..16).map(|i| (15 - i) << 4 | i))
    });
    file.tensor("blk.0.ffn_down.weight", 3, &[32, 64], q4.collect());
    file
}

fn open(file: &File) -> Result<Gguf<Cursor<Vec<u8>>>, Error> {
    Gguf::read(Path::new("test.gguf"), Cursor::new(file.bytes()))
}

#[test]
fn blocks_are_dequantised_and_rows_brought_into_order() {
    let mut gguf = open(&file()).unwrap();
    let mut heard = 0;
    let weights = gguf.weights(|| heard += 1).unwrap();
    assert_eq!((heard, gguf.tensors()), (11, 11));
    let c = weights.config;
    assert_eq!((c.layers, c.hidden, c.intermediate, c.vocab, c.context), (1, 64, 32, 9, 256));
    assert_eq!((c.rope_theta, c.rms_eps), (1e5, 1e-5));
    for row in 0..9 {
        let expected: Vec<f32> = (0..64).map(|i| (i % 32 - 16) as f32 * (row + 1) as f32 / 4.0).collect();
        assert_eq!(weights.embedding.row(row), expected);
    }
    let layer = &weights.layers[0];
    for row in 0..64 {
        let expected: Vec<f32> =
            (0..32).map(|i| 0.5 * (if i < 16 { i } else { 31 - i }) as f32 - 3.0).collect();
        assert_eq!(layer.down.row(row), expected);
    }
    // Pairs that turn together are neighbours in GGUF, and half a head apart here.
    for i in 0..32 {
        assert_eq!((layer.q.row(i)[0], layer.q.row(32 + i)[1]), (200.0 * i as f32, 200.0 * i as f32 + 101.0));
    }
}

#[test]
fn files_that_are_no_such_model_are_refused() {
    let message = |file: &File| match open(file).and_then(|mut gguf| gguf.weights(|| ())) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it was taken"),
    };
    let mut other = file();
    other.text("general.architecture", "mamba");
    assert_eq!(message(&other), "the model's `general.architecture`: expected llama, got mamba");
    let mut lacking = file();
    lacking.remove("blk.0.ffn_up.weight");
    assert!(message(&lacking).contains("`blk.0.ffn_up.weight`: expected a tensor"), "{}", message(&lacking));
    let mut wrong = file();
    wrong.remove("blk.0.ffn_up.weight");
    wrong.floats("blk.0.ffn_up.weight", 32, 32, |_, _| 0.0);
    assert!(message(&wrong).contains("`layer 0 up`: expected [32, 64], got [32, 32]"), "{}", message(&wrong));
    // No memory is asked for by a header alone: 2^48 bytes of a file of some kilobytes, and more than can be counted.
    for shape in [[1 << 20, 1 << 26], [1 << 40, 1 << 40]] {
        let mut boastful = file();
        boastful.remove("blk.0.ffn_up.weight");
        boastful.tensor("blk.0.ffn_up.weight", 0, &shape, Vec::new());
        let message = message(&boastful);
        assert!(
            message.contains("`blk.0.ffn_up.weight`") && message.contains("bytes of the file"),
            "{message}"
        );
    }
    let mut headless = file();
    headless.count("llama.attention.head_count", 0);
    assert!(message(&headless).contains("`heads`: expected at least 1"), "{}", message(&headless));
    let garbage = Gguf::read(Path::new("test.gguf"), Cursor::new(b"no model at all".to_vec()));
    assert!(garbage.err().unwrap().to_string().starts_with("test.gguf: "));
    assert!(Gguf::open(Path::new("nowhere.gguf")).err().unwrap().to_string().starts_with("nowhere.gguf: "));
}

#[test]
fn text_becomes_tokens_and_text_again() {
    let tokenizer = open(&file()).unwrap().tokenizer().unwrap();
    // Digits stand alone, so that `Ġ 1` is never merged; the control token is one token.
    let text = "Hi Hi 12<|im_end|>";
    let tokens = tokenizer.encode(text).unwrap();
    assert_eq!(tokens, [6, 8, 3, 4, 5, 0]);
    assert_eq!(tokenizer.decode(&tokens).unwrap(), "Hi Hi 12");
    assert_eq!(tokenizer.end(), 0);
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    assert!(Tokenizer::new(owned(&TOKENS), &[1; 8], &owned(&MERGES), 0).is_err(), "a kind is missing");
    assert!(Tokenizer::new(owned(&TOKENS), &[1; 9], &owned(&["Hi"]), 0).is_err(), "no pair");
    assert!(Tokenizer::new(owned(&TOKENS), &[1; 9], &owned(&["x y"]), 0).is_err(), "no such tokens");
}

#[test]
fn adapters_are_added() {
    let folder = Folder::new("adapters");
    let config = |layers: usize| {
        let text = format!(
            r#"{{"num_hidden_layers": {layers}, "hidden_size": 48, "num_attention_heads": 2, "rope_theta": 500000.0, "max_position_embeddings": 32768}}"#
        );
        std::fs::write(folder.0.join("config.json"), text).unwrap();
    };
    let bytes =
        |values: &[f32]| values.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect::<Vec<_>>();
    let write = |layer: usize, b: [usize; 2]| {
        let a_bytes = bytes(&(0..96).map(|i| i as f32).collect::<Vec<_>>());
        let b_bytes =
            bytes(&(0..b[0] * b[1]).map(|i| if i % 2 == 0 { 1.0 } else { -0.5 }).collect::<Vec<_>>());
        let name = |which: &str| format!("model.layers.{layer}.self_attn.v_proj.lora_{which}");
        let tensors = [
            (name("A"), TensorView::new(Dtype::BF16, vec![2, 48], &a_bytes).unwrap()),
            (name("B"), TensorView::new(Dtype::BF16, b.to_vec(), &b_bytes).unwrap()),
        ];
        serialize_to_file(tensors, None, &folder.0.join("lora-1.safetensors")).unwrap();
    };
    config(2);
    write(1, [64, 2]);
    let before = tiny::weights();
    let mut weights = before.clone();
    merge(&mut weights, &folder.0).unwrap();
    assert_eq!((weights.config.rope_theta, weights.config.context), (5e5, 32768));
    for row in 0..64 {
        for column in 0..48 {
            // 1 · A[0] − ½ · A[1], where A[r][c] = 48 r + c.
            let expected = before.layers[1].v.row(row)[column] + column as f32 - 0.5 * (48 + column) as f32;
            assert!((weights.layers[1].v.row(row)[column] - expected).abs() < 1e-4);
        }
    }
    weights.layers[1].v = before.layers[1].v.clone();
    assert_eq!(weights.layers, before.layers, "nothing else changes");

    let refused = || merge(&mut before.clone(), &folder.0).unwrap_err().to_string();
    write(7, [64, 2]);
    assert!(refused().contains("2 tensors, 0 of use"), "{}", refused());
    write(1, [32, 2]);
    assert!(refused().contains("factors of [64, 48]"), "{}", refused());
    config(3);
    assert!(refused().contains("`num_hidden_layers`: expected the base model's 2, got 3"), "{}", refused());
    std::fs::remove_file(folder.0.join("config.json")).unwrap();
    assert!(refused().contains("config.json"), "{}", refused());
}
