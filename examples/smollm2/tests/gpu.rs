//! The GPU runner without a GPU: under a driver and a cuBLAS that compute on the host, it has to do as the CPU runner does,
//! and what is missing has to be told.
//!
//! Both libraries are made by the system's compiler and found by the dynamic linker, whose path a process cannot change for
//! itself, so every case runs in a child: this test again, told what to do by a variable.

#![cfg(unix)]

use proxyattn::codegen::Arch;
use proxyattn::codegen::cuda::{Field, KernelId, emit};
use smollm2::gpu::{Gpu, program};
use smollm2::{
    Comparison, Config, Cpu, Detail, Layer, Matrix, Method, Observer, Runner, Visits, Weights, compare,
};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Small, with sizes that are no powers of two and fill no warp, CTA or tile.
const CONFIG: Config = Config {
    layers: 2,
    hidden: 90,
    intermediate: 100,
    heads: 6,
    kv_heads: 2,
    head_dim: 64,
    vocab: 78,
    context: 512,
    rope_theta: 1e4,
    rms_eps: 0.03,
};

/// More than [`ROWS`], and than there are logits made at once.
const TOKENS: usize = 330;
/// Rows that go through the linear layers at once.
const ROWS: usize = 100;

/// Weights under which activations stay of the order of 1.
fn weights() -> Weights {
    let mut state = 1u64;
    let mut random = |scale: f32| {
        // Knuth's linear congruential generator.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1 << 24) as f32 - 0.5) * scale
    };
    let mut matrix = |rows: usize, columns: usize| {
        let scale = 4.0 / (columns as f32).sqrt();
        Matrix { rows, columns, data: (0..rows * columns).map(|_| random(scale)).collect() }
    };
    let c = CONFIG;
    let norm = |from: usize| (0..c.hidden).map(|i| 0.5 + ((i + from) % 5) as f32 / 4.0).collect::<Vec<_>>();
    let mut layer = |i| Layer {
        attention_norm: norm(i),
        q: matrix(c.q_width(), c.hidden),
        k: matrix(c.kv_width(), c.hidden),
        v: matrix(c.kv_width(), c.hidden),
        o: matrix(c.hidden, c.q_width()),
        mlp_norm: norm(i + 1),
        gate: matrix(c.intermediate, c.hidden),
        up: matrix(c.intermediate, c.hidden),
        down: matrix(c.hidden, c.intermediate),
    };
    let layers = (0..c.layers).map(&mut layer).collect();
    let mut embedding = matrix(c.vocab, c.hidden);
    // Every token has a twin that is as likely.
    let (lower, upper) = embedding.data.split_at_mut(c.vocab / 2 * c.hidden);
    upper.copy_from_slice(lower);
    Weights { config: c, embedding, layers, norm: norm(3) }
}

fn tokens(count: usize) -> Vec<u32> {
    (0..count).map(|i| (i * i + 3 * i) as u32 % CONFIG.vocab as u32).collect()
}

/// The child's part; nothing unless a parent asks for it.
#[test]
fn child_process() {
    match std::env::var("SMOLLM2_TEST_GPU").as_deref() {
        Ok("open") => match Gpu::new(&weights(), 16, 0) {
            Ok(gpu) => println!("told: {}", gpu.device()),
            Err(error) => println!("told: {error}"),
        },
        Ok("run") => run(),
        _ => {}
    }
}

/// Prefill, a chunk on top of it, single tokens, and all of it again after the cache was cut back.
fn run() {
    let weights = Arc::new(weights());
    let full = Method::full(&CONFIG);
    let mut gpu = Gpu::in_pieces(&weights, TOKENS + 40, 0, ROWS).expect("the stubs are all that is needed");
    let mut cpu = Cpu::new(weights.clone(), TOKENS + 40).expect("a runner on the CPU");
    let tokens = tokens(TOKENS + 40);
    let mut both = |from: usize, to: usize, method: &Method| {
        close(&compare(&mut cpu, &mut gpu, &tokens[from..to], method).expect("both run"), to - from);
        assert_eq!((cpu.cached(), gpu.cached()), (to, to));
    };
    both(0, TOKENS, &full);
    both(TOKENS, TOKENS + 37, &full);
    both(TOKENS + 37, TOKENS + 38, &full);
    // A sparse configuration whose floor covers so short a context runs the dense kernel as well.
    both(
        TOKENS + 38,
        TOKENS + 39,
        &Method::parse("budget = top_k(blocks = 64)", &CONFIG).expect("it parses"),
    );
    for runner in [&mut cpu as &mut dyn Runner, &mut gpu] {
        runner.truncate(TOKENS - 13).expect("they are cached");
    }
    close(&compare(&mut cpu, &mut gpu, &tokens[..20], &full).expect("both run"), 20);

    let some =
        |runner: &mut dyn Runner| runner.step(&tokens[50..70], &full, 7..11, &mut ()).expect("it runs").next;
    let (expected, next) = (some(&mut cpu), some(&mut gpu));
    assert_eq!(expected.len(), 4);
    assert!(next.iter().all(|&token| token < CONFIG.vocab as u32 / 2), "of twins the lower: {next:?}");
    assert!(expected.iter().zip(&next).filter(|(a, b)| a == b).count() >= 3, "{expected:?}, {next:?}");

    let step = gpu.step(&tokens[..1], &full, 0..0, &mut ()).expect("nothing is asked");
    assert!(step.next.is_empty() && step.times.attention.as_nanos() > 0 && step.times.rest.as_nanos() > 0);
    let step = gpu.step(&tokens[..1], &full, 0..1, &mut Slow).expect("it runs");
    assert!(step.times.total() < PAUSE, "an observer's time is not the step's: {:?}", step.times);
    let bytes = gpu.peak_memory().expect("the driver tells");
    assert!((1 << 20..1 << 27).contains(&bytes), "{bytes} bytes");

    let refused = |result: smollm2::Result<()>| println!("told: {}", result.expect_err("an error"));
    refused(gpu.truncate(TOKENS + 41));
    refused(gpu.step(&[78], &full, 0..1, &mut ()).map(drop));
    refused(gpu.step(&tokens[..41], &full, 0..1, &mut ()).map(drop));

    // A step that fills every buffer: nothing is written behind one.
    let (mut cpu, mut gpu) = (Cpu::new(weights.clone(), 23), Gpu::in_pieces(&weights, 23, 0, 23));
    let (cpu, gpu) = (cpu.as_mut().expect("a runner"), gpu.as_mut().expect("another"));
    close(&compare(cpu, gpu, &tokens[..23], &full).expect("both run"), 23);

    let mut broken = self::weights();
    broken.layers[1].down.data[7] = f32::NAN;
    let mut gpu = Gpu::new(&broken, 8, 0).expect("it is not looked at");
    refused(gpu.step(&tokens[..2], &full, 1..2, &mut ()).map(drop));
    assert_eq!(gpu.cached(), 0);
    println!("done");
}

const PAUSE: Duration = Duration::from_secs(1);

/// Takes its time over every layer.
struct Slow;

impl Observer for Slow {
    fn detail(&self, _: usize) -> Detail {
        Detail::Visits
    }

    fn visits(&mut self, _: usize, visits: Visits) {
        assert_eq!(visits.visited, visits.visible, "attention is full");
        std::thread::sleep(PAUSE);
    }
}

/// bf16 has eight bits, and a GPU rounds to them where the CPU does not.
fn close(comparison: &Comparison, asked: usize) {
    println!("{comparison:?}");
    assert_eq!((comparison.layers.len(), comparison.asked), (CONFIG.layers, asked));
    assert!(comparison.worst() < 0.02, "{comparison:?}");
    assert!(comparison.agreed as f64 >= 0.9 * asked as f64, "{comparison:?}");
}

fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("smollm2").join(name);
    std::fs::create_dir_all(&dir).expect("a directory for the stubs");
    dir
}

/// A file of `tests/`, here or in the workspace.
fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Makes a library by `compiler`, unless its name in the environment says another.
fn library(to: PathBuf, compiler: (&str, &str), source: &Path, options: &[String]) -> PathBuf {
    let compiler = std::env::var(compiler.0).unwrap_or_else(|_| compiler.1.into());
    let mut command = Command::new(&compiler);
    command.args(["-shared", "-fPIC", "-O2", "-w", "-o"]).arg(&to).args(options).arg(source);
    let output = command.output().unwrap_or_else(|error| panic!("`{compiler}` does not start: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    to
}

/// The directory of a driver that runs the model's kernels.
fn driver(name: &str, options: &[&str]) -> PathBuf {
    let dir = scratch(name);
    let spec = Method::full(&CONFIG).spec;
    let dense = emit(&spec, Arch::Sm80);
    let dense = dense.kernel(KernelId::Dense).expect("full attention has a kernel");
    let fields = dense.params.iter().map(|param| match param.field {
        Field::Pointer(..) => format!("u16* {};\n", param.field),
        Field::Stride(..) => format!("long long {};\n", param.field),
        Field::Scalar(_) => format!("int {};\n", param.field),
        Field::Map(..) => panic!("the stub does not know {:?}", param.field),
    });
    let header = dir.join("dense.hpp");
    std::fs::write(&header, format!("struct Dense {{\n{}}};\n", fields.collect::<String>()))
        .expect("a header");
    let mut all = program(&CONFIG).options;
    all.extend(["-std=c++17".into(), "-I".into(), source("../../tests/shim").display().to_string()]);
    all.push(format!("-DKERNELS=\"{}\"", source("src/gpu/kernels.cu").display()));
    all.push(format!("-DDENSE=\"{}\"", header.display()));
    all.extend(options.iter().map(|&option| option.to_owned()));
    let made = library(dir.join("libcuda.so"), ("CXX", "c++"), &source("tests/stub/cuda.cpp"), &all);
    std::fs::copy(&made, dir.join("libcuda.so.1")).expect("the driver's other name");
    dir
}

fn cublas(name: &str, options: &[&str]) -> PathBuf {
    let options: Vec<_> = options.iter().map(|&option| option.to_owned()).collect();
    library(scratch(name).join("libcublas.so.13"), ("CXX", "c++"), &source("tests/stub/cublas.cpp"), &options)
}

/// The stubs that have everything, made once: driver, cuBLAS, NVRTC.
fn whole() -> &'static [PathBuf; 3] {
    static STUBS: OnceLock<[PathBuf; 3]> = OnceLock::new();
    STUBS.get_or_init(|| {
        let nvrtc = scratch("nvrtc").join("libnvrtc.so.13");
        let nvrtc = library(nvrtc, ("CC", "cc"), &source("../../tests/jit/stub.c"), &[]);
        [driver("driver", &[]), cublas("cublas", &[]), nvrtc]
    })
}

/// What a child says that does `what` beside these libraries alone.
fn told(what: &str, driver: &Path, cublas: &Path) -> String {
    let child = Command::new(std::env::current_exe().expect("this test"))
        .args(["child_process", "--exact", "--nocapture"])
        .env("SMOLLM2_TEST_GPU", what)
        .env("LD_LIBRARY_PATH", driver)
        .env("PROXYATTN_CUBLAS", cublas)
        .env("PROXYATTN_NVRTC", &whole()[2])
        .env("PROXYATTN_CACHE_DIR", scratch("cache"))
        .output()
        .expect("a child");
    let text = String::from_utf8_lossy(&child.stdout).into_owned();
    let errors = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "a child that did {what} failed: {}\n{text}{errors}", child.status);
    text
}

#[test]
fn the_gpu_does_as_the_cpu_does() {
    let [driver, cublas, _] = whole();
    let text = told("run", driver, cublas);
    let refusals: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("told: ")).collect();
    let [cut, token, room, broken] = refusals.as_slice() else { panic!("{text}") };
    assert!(cut.starts_with("`tokens`: expected at most the 359 that are cached"), "{cut}");
    assert!(token.contains("tokens below the vocabulary's 78, got 78"), "{token}");
    assert!(room.contains("has room for 370, got 41"), "{room}");
    assert!(broken.contains("logits of a token are not numbers"), "{broken}");
    assert!(text.contains("\ndone\n"), "{text}");
}

#[test]
fn what_is_missing_is_told_with_what_to_do() {
    let [driver, cublas, _] = whole();
    let text = told("open", driver, Path::new("/nowhere/libcublas.so"));
    assert!(text.contains("told: cuBLAS is not available: expected libcublas.so of CUDA 12"), "{text}");
    assert!(text.contains("`/nowhere/libcublas.so` (PROXYATTN_CUBLAS: no such file); install it"), "{text}");
    let text = told("open", &scratch("empty"), cublas);
    assert!(
        text.contains("told: CUDA is not available: no driver library can be opened: tried libcuda"),
        "{text}"
    );
    let text = told("open", driver, cublas);
    assert!(text.contains("told: cuda:0 (Stub, 8.0), cuBLAS 13.0 ("), "{text}");
}

#[test]
fn a_library_that_cannot_be_used_is_passed_over() {
    let [whole, ..] = whole();
    let old = cublas("old", &["-DMAJOR=11"]);
    assert!(told("open", whole, &old).contains("libcublas.so.13` (version 11.0)"));
    let incomplete = cublas("incomplete", &["-DLACKS_cublasGetStatusString"]);
    assert!(told("open", whole, &incomplete).contains("(it lacks cublasGetStatusString)"));
    let text = told("open", &driver("incomplete-driver", &["-DLACKS=\"rotate\""]), &incomplete);
    assert!(text.contains("told: cuModuleGetFunction failed: "), "{text}");
}
