//! Low-rank adapters: a directory with `config.json` and `lora-*.safetensors`.

use crate::{Error, Matrix, Result, Weights};
use half::bf16;
use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Adds the adapters of a directory to the weights: each `W` becomes `W + lora_B · lora_A`, and the rotary base and the
/// context become those of its `config.json`. The scale is in `lora_B` already.
///
/// # Errors
/// [`Error::File`] for a directory without those files, [`Error::Model`] for adapters of another model.
pub fn merge(weights: &mut Weights, directory: &Path) -> Result<()> {
    let config = read_config(&directory.join("config.json"))?;
    let fits = |what: &str, model: usize| match config[what].as_u64() {
        Some(given) if given as usize == model => Ok(()),
        _ => Err(Error::model(what, format!("the base model's {model}"), config[what].to_string())),
    };
    fits("num_hidden_layers", weights.config.layers)?;
    fits("hidden_size", weights.config.hidden)?;
    fits("num_attention_heads", weights.config.heads)?;
    let missing = |what: &str| Error::model(what, "a number in config.json", config[what].to_string());
    let theta = config["rope_theta"].as_f64().ok_or_else(|| missing("rope_theta"))?;
    let context =
        config["max_position_embeddings"].as_u64().ok_or_else(|| missing("max_position_embeddings"))?;

    let factors = read_factors(directory)?;
    let mut used = 0;
    for (i, layer) in weights.layers.iter_mut().enumerate() {
        let linears = [
            ("self_attn.q_proj", &mut layer.q),
            ("self_attn.k_proj", &mut layer.k),
            ("self_attn.v_proj", &mut layer.v),
            ("self_attn.o_proj", &mut layer.o),
            ("mlp.gate_proj", &mut layer.gate),
            ("mlp.up_proj", &mut layer.up),
            ("mlp.down_proj", &mut layer.down),
        ];
        for (name, matrix) in linears {
            let factor = |which| factors.get(&format!("model.layers.{i}.{name}.lora_{which}"));
            if let (Some(a), Some(b)) = (factor("A"), factor("B")) {
                add_product(matrix, b, a, &format!("layer {i} {name}"))?;
                used += 2;
            }
        }
    }
    if used != factors.len() || used == 0 {
        let expected = format!("pairs of lora_A and lora_B for the model's {} layers", weights.config.layers);
        return Err(Error::model("adapters", expected, format!("{} tensors, {used} of use", factors.len())));
    }
    weights.config.rope_theta = theta;
    weights.config.context = context as usize;
    weights.check()
}

fn read_config(path: &Path) -> Result<serde_json::Value> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
    serde_json::from_str(&text).map_err(|error| Error::file(path, error))
}

fn read_factors(directory: &Path) -> Result<HashMap<String, Matrix>> {
    let entries = std::fs::read_dir(directory).map_err(|error| Error::file(directory, error))?;
    let is_adapter = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("lora-") && name.ends_with(".safetensors")
    };
    let mut factors = HashMap::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_adapter) {
        let bytes = std::fs::read(&path).map_err(|error| Error::file(&path, error))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| Error::file(&path, error))?;
        for (name, view) in file.tensors() {
            let &[rows, columns] = view.shape() else {
                return Err(Error::model(name, "two axes", format!("{:?}", view.shape())));
            };
            if view.dtype() != Dtype::BF16 {
                return Err(Error::model(name, "bf16", format!("{:?}", view.dtype())));
            }
            let element = |&bytes: &[u8; 2]| bf16::from_le_bytes(bytes).to_f32();
            let data = view.data().as_chunks().0.iter().map(element).collect();
            factors.insert(name, Matrix::new(rows, columns, data)?);
        }
    }
    Ok(factors)
}

/// `matrix += b · a`.
fn add_product(matrix: &mut Matrix, b: &Matrix, a: &Matrix, what: &str) -> Result<()> {
    if (b.rows, a.columns, b.columns) != (matrix.rows, matrix.columns, a.rows) {
        let expected = format!("factors of [{}, {}]", matrix.rows, matrix.columns);
        let got = format!("[{}, {}] · [{}, {}]", b.rows, b.columns, a.rows, a.columns);
        return Err(Error::model(what, expected, got));
    }
    matrix.data.par_chunks_mut(matrix.columns).enumerate().for_each(|(row, out)| {
        for (inner, &factor) in b.row(row).iter().enumerate() {
            out.iter_mut().zip(a.row(inner)).for_each(|(out, x)| *out += factor * x);
        }
    });
    Ok(())
}
