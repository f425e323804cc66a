//! Runs a module's kernels on the host: emitted text, the shim, and a generated `main` that launches every kernel.

use crate::host;
use proxyattn::codegen::cuda::{
    Axis, Field, Kernel, KernelId, Keys, Module, Operand, Param, Scalar, Scratch, Shape, Tensor, Unit, UnitId,
};
use proxyattn::codegen::{Dtype, Spec};
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread::ScopedJoinHandle;

/// A compiled module.
pub(crate) struct Harness {
    module: Module,
    spec: Spec,
    programs: BTreeMap<UnitId, PathBuf>,
}

/// Multiprocessors of the machine that is played: few, so that persistent kernels take several tiles each.
const MULTIPROCESSORS: u64 = 3;

/// A piece of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Tensor(Tensor),
    Scratch(Scratch),
    /// What `dense` writes, so that it does not overwrite what `attend` wrote.
    OutDense,
}

impl Place {
    /// Where a kernel's operand lies.
    fn of(kernel: KernelId, operand: Operand) -> Self {
        match operand {
            Operand::Tensor(Tensor::Out) if kernel == KernelId::Dense => Place::OutDense,
            // The keys of the caller are seen as those of the scorer by their strides.
            Operand::Tensor(Tensor::Keys(Keys::Sampled) | Tensor::Windows | Tensor::FullWindows) => {
                Place::Tensor(Tensor::K)
            }
            Operand::Tensor(tensor) => tensor.scratch().map_or(Place::Tensor(tensor), Place::Scratch),
            Operand::Scratch(scratch) => Place::Scratch(scratch),
        }
    }
}

impl From<Tensor> for Place {
    fn from(tensor: Tensor) -> Self {
        Place::Tensor(tensor)
    }
}

impl From<Scratch> for Place {
    fn from(scratch: Scratch) -> Self {
        Place::Scratch(scratch)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Tensor(tensor) => tensor.fmt(f),
            Place::Scratch(scratch) => scratch.fmt(f),
            Place::OutDense => f.write_str("out_dense"),
        }
    }
}

/// One run: what goes in, and what came out.
#[derive(Default)]
pub(crate) struct Memory {
    /// Strides of batch, heads and tokens, in elements.
    pub(crate) strides: BTreeMap<Tensor, [i64; 3]>,
    /// Buffers, as bytes.
    pub(crate) bytes: BTreeMap<Place, Vec<u8>>,
}

impl Memory {
    pub(crate) fn put(&mut self, place: impl Into<Place>, bytes: Vec<u8>) {
        self.bytes.insert(place.into(), bytes);
    }

    pub(crate) fn halves(&self, place: impl Into<Place>) -> Vec<u16> {
        let bytes = &self.bytes[&place.into()];
        bytes.as_chunks::<2>().0.iter().map(|&half| u16::from_le_bytes(half)).collect()
    }
}

impl Harness {
    /// Compiles the module of `spec`; `name` tells the programs of several tests apart.
    pub(crate) fn compile(name: &str, spec: &Spec, module: Module) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stages");
        std::fs::create_dir_all(&dir).expect("the target folder can be written");
        let compile = |unit: &Unit| {
            let program = format!("stages/{name}_{}", unit.id);
            let source = dir.join(format!("{name}_{}.cpp", unit.id));
            std::fs::write(&source, main_text(spec, &module, unit))
                .expect("the target folder can be written");
            host::compile(&source, &program, &["-O0", "-no-pie", "-w"], &[host::shim(), main_object()])
        };
        let programs = std::thread::scope(|scope| {
            let compile = &compile;
            let compilers: Vec<_> =
                module.units.iter().map(|unit| (unit.id, scope.spawn(|| compile(unit)))).collect();
            let finish = |(unit, compiler): (_, ScopedJoinHandle<'_, _>)| {
                (unit, compiler.join().unwrap_or_else(|panic| resume_unwind(panic)))
            };
            compilers.into_iter().map(finish).collect()
        });
        Self { module, spec: *spec, programs }
    }

    /// Launches the kernels in order, `dense` into `out_dense`, and fills `memory` with every buffer.
    pub(crate) fn run(&self, shape: &Shape, memory: &mut Memory, seed: u64) {
        self.run_some(|_| true, shape, memory, seed);
    }

    /// One of the kernels, on what `memory` has already.
    pub(crate) fn run_one(&self, id: KernelId, shape: &Shape, memory: &mut Memory, seed: u64) {
        self.run_some(|kernel| kernel.id == id, shape, memory, seed);
    }

    fn run_some(&self, takes: impl Fn(&Kernel) -> bool, shape: &Shape, memory: &mut Memory, seed: u64) {
        let (module, spec) = (&self.module, &self.spec);
        for buffer in &module.buffers {
            // NaN and impossible indices: what no kernel wrote must not be read.
            let poison = || vec![0xff; buffer.bytes(spec, shape) as usize];
            memory.bytes.entry(buffer.scratch.into()).or_insert_with(poison);
        }
        let mut input = Vec::new();
        let mut number = |name: &str, value: i64| record(&mut input, 0, name, value, &[]);
        number("seed", seed as i64);
        for scalar in Scalar::ALL {
            number(scalar.name(), scalar.of(spec, shape) as i64);
        }
        // Pooled keys and sampled ones have one name.
        let known = |&(&tensor, _): &(&Tensor, _)| {
            module.kernels.iter().any(|kernel| kernel.operands().any(|operand| operand == tensor.into()))
        };
        for (&tensor, strides) in memory.strides.iter().filter(known) {
            for (axis, &stride) in Axis::ALL.into_iter().zip(strides) {
                number(&Field::Stride(tensor, axis).to_string(), stride);
            }
        }
        for kernel in &module.kernels {
            for (axis, value) in ["x", "y", "z"].iter().zip(kernel.ctas(spec, shape, MULTIPROCESSORS)) {
                number(&format!("{}.{axis}", kernel.id), value as i64);
            }
            number(&format!("{}.shared", kernel.id), kernel.shared_bytes(spec, shape) as i64);
        }
        for kernel in module.kernels.iter().filter(|kernel| takes(kernel)) {
            for word in module.clears_before(kernel.id) {
                memory.put(word, vec![0; 4]);
            }
            self.run_kernel(kernel, &input, memory, seed);
        }
    }

    /// One kernel: the numbers and buffers as they are now, and what it leaves of the buffers.
    fn run_kernel(&self, kernel: &Kernel, numbers: &[u8], memory: &mut Memory, seed: u64) {
        let mut input = numbers.to_vec();
        for (place, bytes) in &memory.bytes {
            record(&mut input, 1, &place.to_string(), bytes.len() as i64, bytes);
        }
        let program = &self.programs[&kernel.unit];
        let (from, to) =
            (program.with_extension(format!("{seed}.in")), program.with_extension(format!("{seed}.out")));
        std::fs::write(&from, input).expect("the target folder can be written");
        let output = Command::new(program)
            .args([&from, &to])
            .arg(kernel.id.name())
            .output()
            .expect("the program can be run");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program:?} {}: {errors}", kernel.id);
        // The program writes them in the order of their names.
        let output = std::fs::read(&to).expect("the program wrote its buffers");
        let mut output = &output[..];
        let mut buffers: Vec<_> = memory.bytes.iter_mut().collect();
        buffers.sort_by_key(|(place, _)| place.to_string());
        for (_, bytes) in buffers {
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

/// What is the same in every program beside the shim.
fn main_object() -> &'static Path {
    static OBJECT: OnceLock<PathBuf> = OnceLock::new();
    OBJECT.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stages/main.cpp");
        host::object(&source, "stages/main.o", &[])
    })
}

fn main_text(spec: &Spec, module: &Module, unit: &Unit) -> String {
    let elem = match spec.dtype {
        Dtype::F16 => "ELEM_F16",
        Dtype::Bf16 => "ELEM_BF16",
    };
    let kernels = || module.kernels.iter().filter(|kernel| kernel.unit == unit.id);
    let mut out =
        format!("#define {elem}\n#include \"shim.hpp\"\n{}\n#include \"../stages/main.hpp\"\n", unit.kernels);
    for kernel in kernels() {
        out.push_str(&launch_text(kernel, spec.dtype));
    }
    out.push_str("const Launcher launchers[] = {\n");
    for id in kernels().map(|kernel| kernel.id) {
        let _ = writeln!(out, "    {{\"{id}\", launch_{id}}},");
    }
    out.push_str("    {nullptr, nullptr},\n};\n");
    out
}

/// The map of a tensor, from its strides and sizes.
fn map_text(tensor: Tensor, rows: u32, kernel: KernelId, dtype: Dtype) -> String {
    // The shim copies pairs of bytes, whatever they mean.
    let size = tensor.elem().bytes(dtype);
    let stride = |axis| format!("(u64)number(\"{}\") * {size}", Field::Stride(tensor, axis));
    let [batch, head, token] = Axis::ALL.map(stride);
    let [heads, tokens] = tensor.extents();
    let columns = match tensor {
        Tensor::Windows | Tensor::FullWindows => format!("(u32)({token} / 2)"),
        _ => format!("HEAD_DIM * {size} / 2"),
    };
    format!(
        "shim::tensor_map({{(u16*)buffer(\"{}\"), {{{token}, {head}, {batch}}}, {{{columns}, \
         (u32)number(\"{tokens}\"), (u32)number(\"{heads}\"), (u32)number(\"batch\")}}, {{{}, {rows}, 1, 1}}, 1}})",
        Place::of(kernel, tensor.into()),
        Field::BOX_BYTES / 2
    )
}

/// Fills the struct by the fields and checks that it lies as the launcher believes.
fn launch_text(kernel: &Kernel, dtype: Dtype) -> String {
    let (id, params) = (kernel.id, kernel.id.struct_name());
    let mut out = format!("static void launch_{id}() {{\n    {params} p;\n");
    let _ = writeln!(out, "    static_assert(sizeof p == {}, \"size\");", kernel.param_bytes());
    for Param { field, offset } in &kernel.params {
        let _ = writeln!(out, "    static_assert(offsetof({params}, {field}) == {offset}, \"{field}\");");
        let value = match *field {
            Field::Map(tensor, rows) => map_text(tensor, rows, id, dtype),
            Field::Pointer(operand, _) => format!("buffer(\"{}\")", Place::of(id, operand)),
            Field::Stride(..) | Field::Scalar(_) => format!("number(\"{field}\")"),
        };
        let _ = writeln!(out, "    p.{field} = (decltype(p.{field})){value};");
    }
    let (symbol, threads) = (id.symbol(), kernel.threads);
    let axis = |axis: &str| format!("(u32)number(\"{id}.{axis}\")");
    let _ = writeln!(
        out,
        "    shim::launch(dim3({}, {}, {}), dim3({threads}), (u32)number(\"{id}.shared\"), \
         (u64)number(\"seed\"), [&] {{ {symbol}(p); }});\n}}",
        axis("x"),
        axis("y"),
        axis("z")
    );
    out
}
