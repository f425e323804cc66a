//! What the verdict rests on.

use crate::cache::{Records, summary};
use crate::text::{bytes, count};
use proxyattn_codegen::Arch;
use proxyattn_runtime::jit::{Aot, CACHE_BYTES, CacheDir, CacheFileKind, Env, Nvrtc, Target};
use proxyattn_runtime::tune::{Record, shipped};
use proxyattn_runtime::{Device, DriverInfo, Error, GpuInfo, Result, Tune};

/// A line: its name and its text.
pub(super) struct Fact {
    pub(super) name: String,
    pub(super) text: String,
}

/// The facts in their order. Settings that have their defaults, and files, are for `verbose`.
pub(super) fn all(
    env: &Env,
    driver: Result<&DriverInfo, &Error>,
    nvrtc: &Result<Nvrtc>,
    verbose: bool,
) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |name: &str, text: String| facts.push(Fact { name: name.into(), text });
    // Why a driver cannot be used is part of the verdict.
    if let Ok(info) = driver {
        for (ordinal, gpu) in info.gpus.iter().enumerate() {
            add(&format!("gpu {ordinal}"), gpu_line(gpu, nvrtc.as_ref().ok()));
        }
        let release = info.release.as_ref().map_or(String::new(), |release| format!(", release {release}"));
        let file = if verbose { format!(", {}", info.library.display()) } else { String::new() };
        add("driver", format!("CUDA {}.{}{release}{file}", info.cuda.0, info.cuda.1));
    }
    match nvrtc {
        Ok(found) => {
            let (major, minor) = found.version();
            add("nvrtc", format!("{major}.{minor}, {}", found.library().display()));
            if verbose {
                add("", format!("build: {}", found.identity()));
                add("", format!("compiles for {}", targets(found)));
            }
        }
        Err(Error::NvrtcNotFound { .. }) if driver.is_ok() => add("nvrtc", "none".into()),
        Err(Error::NvrtcNotFound { .. }) => {
            add("nvrtc", "none; `compile` needs it: `pip install nvidia-cuda-nvrtc`".into());
        }
        Err(_) => add("nvrtc", "no usable library; --verbose says why".into()),
    }
    if env.aot_dir().is_some() || verbose {
        add("ahead", ahead(env));
    }
    add("cache", cache(env));
    if !matches!(env.may_compile(), Ok(true)) || verbose {
        add("jit", jit(env));
    }
    if let Some(text) = tuning(env, driver.ok(), verbose) {
        add("tuning", text);
    }
    let cpu = Device::cpu().to_string();
    // The name of the line is that of the device.
    add("cpu", cpu.strip_prefix("cpu (").and_then(|cpu| cpu.strip_suffix(')')).unwrap_or(&cpu).into());
    facts
}

/// A GPU, and which kernels it runs with this compiler.
fn gpu_line(gpu: &GpuInfo, nvrtc: Option<&Nvrtc>) -> String {
    let (major, minor) = gpu.capability;
    let kernels = match (gpu.arch, nvrtc) {
        (None, _) => String::new(),
        (Some(arch), Some(nvrtc)) if arch != Arch::Sm80 && !nvrtc.knows(Target::from(arch)) => {
            format!("; runs the code of {}", Arch::Sm80)
        }
        (Some(arch), _) => format!("; runs the code of {arch}"),
    };
    format!(
        "{}, capability {major}.{minor}, {} multiprocessors, {}{kernels}",
        gpu.name,
        gpu.multiprocessors,
        bytes(gpu.memory_bytes),
    )
}

/// Every target. NVRTC lists numbers only, so architecture-specific targets are added.
fn targets(nvrtc: &Nvrtc) -> String {
    let mut targets: Vec<_> = nvrtc.supported().iter().map(|number| format!("sm_{number}")).collect();
    if nvrtc.knows(Target::SM_90A) {
        let place = targets.iter().position(|target| target == "sm_90").map_or(targets.len(), |at| at + 1);
        targets.insert(place, Target::SM_90A.to_string());
    }
    targets.join(", ")
}

/// The number of cubins compiled ahead of time.
pub(super) fn ahead_cubins(env: &Env) -> usize {
    let files = env.aot_dir().and_then(|dir| Aot::open(&dir).and_then(|aot| aot.files()).ok());
    files.map_or(0, |files| files.len())
}

fn ahead(env: &Env) -> String {
    let Some(dir) = env.aot_dir() else {
        return "PROXYATTN_AOT_DIR is unset: no kernels compiled ahead of time".into();
    };
    match Aot::open(&dir).and_then(|aot| aot.files()) {
        Ok(files) => format!("{}: {}", dir.display(), summary(&files)),
        Err(error) => format!("{error}; `proxyattn compile … --out DIR` creates one"),
    }
}

/// The number of cubins in the cache.
pub(super) fn cached_cubins(env: &Env) -> usize {
    let opened = env.cache_dir().and_then(|dir| CacheDir::open(&dir).ok().flatten());
    let files = opened.and_then(|opened| opened.files().ok()).unwrap_or_default();
    files.iter().filter(|file| file.kind == CacheFileKind::Cubin).count()
}

fn cache(env: &Env) -> String {
    const ADVICE: &str = "set PROXYATTN_CACHE_DIR to a writable directory that this user owns";
    let Some(dir) = env.cache_dir() else {
        return format!(
            "none, so every process recompiles: PROXYATTN_CACHE_DIR, XDG_CACHE_HOME and HOME are unset; {ADVICE}"
        );
    };
    let limit = match env.cache_bytes() {
        Ok(limit) => bytes(limit.unwrap_or(CACHE_BYTES)),
        Err(_) => "no limit that can be read".into(), // the verdict says so
    };
    let path = dir.display();
    let rehearsed = CacheDir::rehearse(&dir);
    match (CacheDir::open(&dir).and_then(|opened| opened.map(|opened| opened.files()).transpose()), rehearsed)
    {
        (Err(error), _) | (Ok(None), Err(error)) => {
            format!("not used, so every process recompiles: {error}; {ADVICE}")
        }
        (Ok(None), Ok(_)) => format!("{path}: the first compilation creates it; limit {limit}"),
        (Ok(Some(files)), Ok(_)) => format!("{path}: {} of {limit}", summary(&files)),
        (Ok(Some(files)), Err(error)) => format!(
            "{} of {limit}, not writable, so every process recompiles what is missing: {error}; {ADVICE}",
            summary(&files)
        ),
    }
}

fn jit(env: &Env) -> String {
    match env.may_compile() {
        Ok(true) => "allowed: kernels that are not stored are compiled".into(),
        Ok(false) => "denied (PROXYATTN_JIT=deny): a kernel that is not stored is an error".into(),
        Err(_) => "PROXYATTN_JIT is not valid".into(), // the verdict says how it is written
    }
}

/// Whether kernels use measured tiles, and the number of records. Records of other machines are for `verbose`.
fn tuning(env: &Env, driver: Option<&DriverInfo>, verbose: bool) -> Option<String> {
    match Tune::from_env() {
        Ok(Tune::Off) => return Some("off (PROXYATTN_TUNE=off): kernels use their default tiles".into()),
        Err(_) => return None, // the verdict says so
        Ok(_) => {}
    }
    let found = env
        .cache_dir()
        .filter(|dir| dir.is_dir())
        .map_or_else(|| Ok(Vec::new()), |dir| Records::of(&dir).map(|r| r.found));
    let all: Vec<Record> = match found {
        Ok(found) => found.into_iter().flat_map(|(_, found)| found.records).collect(),
        Err(failure) => return Some(failure.message),
    };
    let usable = |gpu: &&GpuInfo| gpu.arch.is_some();
    let Some(gpu) = driver.and_then(|info| info.gpus.iter().find(usable)) else {
        let text =
            format!("{}; a record is valid on the GPU model that it was made on", count(all.len(), "record"));
        return (verbose || !all.is_empty()).then_some(text);
    };
    let of_gpu = |record: &&Record| {
        let machine = &record.scope.machine;
        (&gpu.name, gpu.multiprocessors) == (&machine.gpu, machine.multiprocessors)
    };
    let (own, shipped) = (all.iter().filter(of_gpu).count(), shipped().records.iter().filter(of_gpu).count());
    let others = match all.len() - own {
        0 => String::new(),
        others => format!(", {others} of other machines"),
    };
    let all = own + shipped;
    Some(match all {
        0 => format!("no record for {}{others}: `proxyattn tune` measures the fastest tiles", gpu.name),
        _ => {
            let shipped = if shipped > 0 { format!(", {shipped} of them shipped") } else { String::new() };
            format!("{} for {}{shipped}{others}", count(all, "record"), gpu.name)
        }
    })
}
