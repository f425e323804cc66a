//! Runs a module's kernels on the host: emitted text, the shim, and a generated `main` that launches every entry.

use crate::host;
use proxyattn::codegen::cuda::{Entry, Module, Shape, Ty, Unit};
use proxyattn::codegen::{Dtype, Spec};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::ScopedJoinHandle;

/// A compiled module.
pub(crate) struct Harness {
    module: Module,
    spec: Spec,
    /// One for each unit.
    programs: BTreeMap<&'static str, PathBuf>,
}

/// Multiprocessors of the machine that is played: few, so that persistent kernels take several tiles each.
const MULTIPROCESSORS: u64 = 3;

/// One run: what goes in by name, and what came out.
#[derive(Default)]
pub(crate) struct Memory {
    /// Strides, in elements.
    pub(crate) strides: BTreeMap<&'static str, i64>,
    /// Buffers, as bytes.
    pub(crate) bytes: BTreeMap<&'static str, Vec<u8>>,
}

impl Memory {
    pub(crate) fn words(&self, name: &str) -> Vec<u32> {
        let (words, rest) = self.bytes[name].as_chunks::<4>();
        assert!(rest.is_empty(), "{name}");
        words.iter().map(|&word| u32::from_le_bytes(word)).collect()
    }

    pub(crate) fn floats(&self, name: &str) -> Vec<f32> {
        self.words(name).into_iter().map(f32::from_bits).collect()
    }

    pub(crate) fn halves(&self, name: &str) -> Vec<u16> {
        self.bytes[name].as_chunks::<2>().0.iter().map(|&half| u16::from_le_bytes(half)).collect()
    }
}

impl Harness {
    /// Compiles the module of `spec`; `name` tells the programs of several tests apart.
    pub(crate) fn compile(name: &str, spec: &Spec, module: Module) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stages");
        std::fs::create_dir_all(&dir).expect("the target folder can be written");
        let compile = |unit: &Unit| {
            let program = format!("stages/{name}_{}", unit.name);
            let source = dir.join(format!("{name}_{}.cpp", unit.name));
            std::fs::write(&source, main_text(spec, &module, unit))
                .expect("the target folder can be written");
            host::compile(&source, &program, &["-O1", "-no-pie", "-w"])
        };
        let programs = std::thread::scope(|scope| {
            let compile = &compile;
            let compilers: Vec<_> =
                module.units.iter().map(|unit| (unit.name, scope.spawn(|| compile(unit)))).collect();
            let finish = |(unit, compiler): (_, ScopedJoinHandle<'_, _>)| {
                (unit, compiler.join().unwrap_or_else(|panic| resume_unwind(panic)))
            };
            compilers.into_iter().map(finish).collect()
        });
        Self { module, spec: *spec, programs }
    }

    /// Launches the entries in order, `dense` into `out_dense`, and fills `memory` with every buffer.
    pub(crate) fn run(&self, shape: &Shape, memory: &mut Memory, seed: u64) {
        self.run_some(|_| true, shape, memory, seed);
    }

    /// One of the entries, on what `memory` has already.
    pub(crate) fn run_one(&self, name: &str, shape: &Shape, memory: &mut Memory, seed: u64) {
        self.run_some(|entry| entry.name == name, shape, memory, seed);
    }

    fn run_some(&self, takes: impl Fn(&Entry) -> bool, shape: &Shape, memory: &mut Memory, seed: u64) {
        let module = &self.module;
        for buffer in &module.buffers {
            // NaN and impossible indices: what no kernel wrote must not be read.
            let poison = || vec![0xff; buffer.bytes(&self.spec, shape) as usize];
            memory.bytes.entry(buffer.name).or_insert_with(poison);
        }
        let mut input = Vec::new();
        let mut number = |name: &str, value: i64| record(&mut input, 0, name, value, &[]);
        number("seed", seed as i64);
        for name in ["batch", "heads", "kv_heads", "groups", "q_len", "kv_len", "q_samples", "kv_samples"] {
            number(name, Shape::value(name).expect("a number")(shape, &self.spec) as i64);
        }
        for (&name, &value) in &memory.strides {
            number(name, value);
        }
        for entry in &module.entries {
            for (axis, value) in ["x", "y", "z"].iter().zip(entry.grid(shape, MULTIPROCESSORS)) {
                number(&format!("{}.{axis}", entry.name), value as i64);
            }
            number(&format!("{}.shared", entry.name), entry.shared_bytes(shape) as i64);
            for param in entry.params.iter().filter(|param| param.ty == Ty::I32) {
                number(param.name, entry.value(param.name, shape).expect("a parameter of the entry") as i64);
            }
        }
        for entry in module.entries.iter().filter(|entry| takes(entry)) {
            self.run_entry(entry, &input, memory, seed);
        }
    }

    /// One kernel: the numbers and buffers as they are now, and what it leaves of the buffers.
    fn run_entry(&self, entry: &Entry, numbers: &[u8], memory: &mut Memory, seed: u64) {
        let mut input = numbers.to_vec();
        for (&name, bytes) in &memory.bytes {
            record(&mut input, 1, name, bytes.len() as i64, bytes);
        }
        if entry.name == "dense" {
            record(&mut input, 1, "tickets", 4, &[0; 4]);
        }
        let program = &self.programs[entry.unit];
        let (from, to) =
            (program.with_extension(format!("{seed}.in")), program.with_extension(format!("{seed}.out")));
        std::fs::write(&from, input).expect("the target folder can be written");
        let output = Command::new(program)
            .args([&from, &to])
            .arg(entry.name)
            .output()
            .expect("the program can be run");
        assert!(
            output.status.success(),
            "{program:?} {}: {}",
            entry.name,
            String::from_utf8_lossy(&output.stderr)
        );
        let mut output = &std::fs::read(&to).expect("the program wrote its buffers")[..];
        if entry.name == "dense" && !memory.bytes.contains_key("tickets") {
            memory.bytes.insert("tickets", vec![0; 4]);
        }
        for bytes in memory.bytes.values_mut() {
            let (mine, rest) = output.split_at(bytes.len());
            bytes.copy_from_slice(mine);
            output = rest;
        }
        assert!(output.is_empty());
        for path in [from, to] {
            std::fs::remove_file(path).expect("the file was just there");
        }
    }
}

fn record(out: &mut Vec<u8>, kind: u8, name: &str, value: i64, bytes: &[u8]) {
    out.push(kind);
    out.push(name.len() as u8);
    out.extend(name.as_bytes());
    out.extend(value.to_le_bytes());
    out.extend(bytes);
}

fn main_text(spec: &Spec, module: &Module, unit: &Unit) -> String {
    let elem = match spec.dtype {
        Dtype::F16 => "ELEM_F16",
        _ => "ELEM_BF16",
    };
    let entries = || module.entries.iter().filter(|entry| entry.unit == unit.name);
    let mut out = format!("#define {elem}\n#include \"shim.hpp\"\n{}\n{RUNTIME}\n", unit.kernels);
    for entry in entries() {
        out.push_str(&launch_text(entry));
    }
    out.push_str("int main(int argc, char** argv) {\n    try {\n        read(argv[1]);\n");
    for entry in entries() {
        let name = entry.name;
        let _ = writeln!(out, "        if (std::string(argv[3]) == \"{name}\") launch_{name}();");
    }
    out.push_str("        write(argv[2]);\n    } catch (const shim::Error& error) {\n");
    out.push_str("        fprintf(stderr, \"%s\\n\", error.what());\n        return 1;\n    }\n}\n");
    out
}

/// The map of a tensor, from its strides and sizes.
fn map_text(name: &str, rows: u32, entry: &str) -> String {
    let tensor = name.trim_end_matches("_map");
    let buffer = if (entry, tensor) == ("dense", "out") { "out_dense" } else { tensor };
    let (axes, heads, tokens) = match tensor {
        "q" | "out" => (["token", "head", "batch"], "heads", "q_len"),
        "proxy_q" => (["sample", "group", "batch"], "groups", "q_samples"),
        "keys" => (["sample", "group", "batch"], "groups", "kv_samples"),
        _ => (["token", "head", "batch"], "kv_heads", "kv_len"),
    };
    let [a, b, c] = axes.map(|axis| format!("(u64)number(\"{tensor}_{axis}\") * 2"));
    format!(
        "    p.{name} = shim::tensor_map({{(u16*)buffer(\"{buffer}\"), {{{a}, {b}, {c}}}, {{HEAD_DIM, \
         (u32)number(\"{tokens}\"), (u32)number(\"{heads}\"), (u32)number(\"batch\")}}, {{64, {rows}, 1, 1}}, 1}});\n"
    )
}

/// Fills the struct by the names and checks that it lies as the launcher believes.
fn launch_text(entry: &Entry) -> String {
    let mut out = format!("static void launch_{}() {{\n    {} p;\n", entry.name, entry.struct_name());
    let _ = writeln!(out, "    static_assert(sizeof p == {}, \"size\");", entry.param_bytes());
    for param in &entry.params {
        let (name, offset) = (param.name, param.offset);
        let _ = writeln!(
            out,
            "    static_assert(offsetof({}, {name}) == {offset}, \"{name}\");",
            entry.struct_name()
        );
        let _ = match param.ty {
            Ty::TensorMap { rows } => {
                out.push_str(&map_text(name, rows, entry.name));
                Ok(())
            }
            Ty::Pointer(_) => {
                let buffer = if (entry.name, name) == ("dense", "out") { "out_dense" } else { name };
                writeln!(out, "    p.{name} = (decltype(p.{name}))buffer(\"{buffer}\");")
            }
            _ => writeln!(out, "    p.{name} = (decltype(p.{name}))number(\"{name}\");"),
        };
    }
    let (name, symbol, threads) = (entry.name, &entry.symbol, entry.threads);
    let axis = |axis: &str| format!("(u32)number(\"{name}.{axis}\")");
    let _ = writeln!(
        out,
        "    shim::launch(dim3({}, {}, {}), dim3({threads}), (u32)number(\"{name}.shared\"), \
         (u64)number(\"seed\"), [&] {{ {symbol}(p); }});\n}}",
        axis("x"),
        axis("y"),
        axis("z")
    );
    out
}

const RUNTIME: &str = r#"
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
static std::map<std::string, long long> numbers;
static std::map<std::string, std::pair<char*, size_t>> buffers;
static long long number(const char* name) { return numbers.at(name); }
// `keys` is a view of another buffer.
static char* buffer(const char* name) {
    if (std::string(name) == "keys") name = buffers.count("proxy_k") ? "proxy_k" : "k";
    return buffers.at(name).first;
}
static void read(const char* path) {
    FILE* file = fopen(path, "rb");
    for (int kind; (kind = fgetc(file)) != EOF;) {
        std::string name((size_t)fgetc(file), ' ');
        long long value;
        fread(&name[0], 1, name.size(), file);
        fread(&value, 8, 1, file);
        if (kind == 0) {
            numbers[name] = value;
        } else {
            char* bytes = (char*)aligned_alloc(256, ((size_t)value + 255) / 256 * 256);
            fread(bytes, 1, (size_t)value, file);
            buffers[name] = {bytes, (size_t)value};
        }
    }
    fclose(file);
}
static void write(const char* path) {
    FILE* file = fopen(path, "wb");
    for (auto& [name, bytes] : buffers) fwrite(bytes.first, 1, bytes.second, file);
    fclose(file);
}
"#;
