//! Benchmarks that need other software installed first.

use crate::run::{Outcome, cargo, command, exists, step, target};
use std::path::PathBuf;

/// Compares CPU prefill with PyTorch.
pub(crate) fn cpu(options: &[String]) -> Outcome {
    let python = pytorch()?;
    let mut bench = cargo(&["bench", "--bench", "prefill", "--", "--torch"]);
    step(bench.arg(python).args(options))
}

/// A Python under `target/` that has PyTorch; installed on first use (some gigabytes).
fn pytorch() -> Outcome<PathBuf> {
    let home = target().join("pytorch");
    let python = home.join("bin").join("python");
    if !exists(&mut command(&python, &["-c", "import torch, safetensors, numpy"])) {
        step(command("python3", &["-m", "venv"]).arg(&home))?;
        step(&mut command(&python, &["-m", "pip", "install", "--quiet", "torch", "safetensors", "numpy"]))?;
    }
    Ok(python)
}
