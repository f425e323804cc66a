//! What is in a cubin, as the disassembler tells it.

use crate::run::{Outcome, command, target};
use proxyattn_runtime::jit::Cubin;
use std::{collections::HashMap, fs, path::Path};

/// The code of one kernel.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Function {
    /// Bytes of instructions: 16 each.
    pub(super) bytes: usize,
    /// Tensor-core instructions of the portable family.
    pub(super) hmma: usize,
    /// Products of a warpgroup.
    pub(super) hgmma: usize,
    /// Tensor copies.
    pub(super) utmaldg: usize,
}

/// The kernels of a cubin, by symbol.
pub(super) fn functions(nvdisasm: &Path, cubin: &Cubin) -> Outcome<HashMap<String, Function>> {
    let file = target().join("kernels.cubin");
    fs::write(&file, cubin.bytes()).map_err(|error| format!("{}: {error}", file.display()))?;
    let output = command(nvdisasm, &["-c"])
        .arg(&file)
        .output()
        .map_err(|error| format!("{}: {error}", nvdisasm.display()))?;
    if !output.status.success() {
        return Err(format!("nvdisasm failed: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let mut functions = HashMap::new();
    let mut current = None;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let Some(section) = line.trim_start().strip_prefix(".section\t.text.") {
            let symbol = section.split(',').next().unwrap_or(section);
            current = Some(functions.entry(symbol.to_owned()).or_insert(Function::default()));
        } else if let Some(function) = &mut current
            && line.trim_start().starts_with("/*")
        {
            function.bytes += 16;
            function.hmma += usize::from(line.contains("HMMA."));
            function.hgmma += usize::from(line.contains("HGMMA."));
            function.utmaldg += usize::from(line.contains("UTMALDG."));
        }
    }
    Ok(functions)
}
