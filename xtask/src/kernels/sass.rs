//! The contents of a cubin, according to the disassembler.

use crate::run::{Outcome, command, target};
use proxyattn_runtime::jit::Cubin;
use std::{collections::HashMap, fs, path::Path};

/// The code of one kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Function {
    /// Bytes of instructions: 16 each.
    pub(super) bytes: usize,
    /// Tensor-core instructions of the portable family.
    pub(super) hmma: usize,
    /// Products of a warpgroup, of 16 bits or of eight.
    pub(super) gmma: usize,
    /// Tensor copies.
    pub(super) utmaldg: usize,
}

/// The kernels of a cubin, by symbol. The result is cached next to the cubin under `name`, until it changes.
pub(super) fn functions(nvdisasm: &Path, cubin: &Cubin, name: &str) -> Outcome<HashMap<String, Function>> {
    let file = target().join("nvdisasm").join(format!("{name}.cubin"));
    let counts = file.with_extension("counts");
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    if fs::read(&file).is_ok_and(|known| known == cubin.bytes())
        && let Some(known) = fs::read_to_string(&counts).ok().as_deref().and_then(parse)
    {
        return Ok(known);
    }
    let _ = fs::remove_file(&counts); // those of another cubin
    fs::write(&file, cubin.bytes()).map_err(failed)?;
    // Where branches lead is not asked for.
    let output = command(nvdisasm, &["-c", "-ndf"])
        .arg(&file)
        .output()
        .map_err(|error| format!("{}: {error}", nvdisasm.display()))?;
    if !output.status.success() {
        return Err(format!("nvdisasm failed: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let functions = count(&String::from_utf8_lossy(&output.stdout));
    fs::write(&counts, lines(&functions)).map_err(failed)?;
    Ok(functions)
}

fn count(text: &str) -> HashMap<String, Function> {
    let mut functions = HashMap::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(section) = line.trim_start().strip_prefix(".section\t.text.") {
            let symbol = section.split(',').next().unwrap_or(section);
            current = Some(functions.entry(symbol.to_owned()).or_insert(Function::default()));
        } else if let Some(function) = &mut current
            && line.trim_start().starts_with("/*")
        {
            function.bytes += 16;
            function.hmma += usize::from(line.contains(" HMMA."));
            function.gmma += usize::from(line.contains("GMMA."));
            function.utmaldg += usize::from(line.contains("UTMALDG."));
        }
    }
    functions
}

/// A line for each function; the last one says that the text is whole.
fn lines(functions: &HashMap<String, Function>) -> String {
    let line = |(symbol, Function { bytes, hmma, gmma, utmaldg }): (&String, &Function)| {
        format!("{symbol} {bytes} {hmma} {gmma} {utmaldg}\n")
    };
    functions.iter().map(line).chain(["whole\n".to_owned()]).collect()
}

/// What [`lines`] wrote.
fn parse(text: &str) -> Option<HashMap<String, Function>> {
    let line = |line: &str| {
        let (symbol, numbers) = line.split_once(' ')?;
        let numbers: Vec<_> = numbers.split(' ').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let [bytes, hmma, gmma, utmaldg] = numbers[..] else { return None };
        Some((symbol.to_owned(), Function { bytes, hmma, gmma, utmaldg }))
    };
    text.strip_suffix("whole\n")?.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_back() {
        let text = "\t.section\t.text.attend,\"ax\"\n /*0000*/ HGMMA.64x8 R0 ;\n /*0008*/ QGMMA.64x8 R0 ;\n /*0010*/ UTMALDG.4D [UR8] ;\n\
                    \t.section\t.text.pool,\"ax\"\n /*0000*/ EXIT ;\n";
        let functions = count(text);
        assert_eq!(functions["attend"], Function { bytes: 48, hmma: 0, gmma: 2, utmaldg: 1 });
        assert_eq!(functions["pool"], Function { bytes: 16, ..Function::default() });
        let written = lines(&functions);
        assert_eq!(parse(&written), Some(functions));
        for length in 0..written.len() {
            assert_eq!(parse(&written[..length]), None, "half a file is none: {length}");
        }
    }
}
