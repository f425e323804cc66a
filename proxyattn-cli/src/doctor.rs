//! `proxyattn doctor`: what this machine can run, and how to fix what it cannot.

use crate::cache::{Records, summary};
use crate::failure::{DONE, MISSING, Outcome, Report, USAGE};
use crate::style::{ERROR, GOOD, TITLE, WARN, painted};
use crate::text::{bytes, count, fitted};
use proxyattn_codegen::Arch;
use proxyattn_runtime::jit::{
    Aot, CACHE_BYTES, CacheDir, CacheFileKind, Env, Jit, JitOptions, Nvrtc, Search, Target,
};
use proxyattn_runtime::tune::{Record, shipped};
use proxyattn_runtime::{Device, DriverInfo, GpuInfo, Tune};

/// Width of the left column.
const NAME: usize = 9;

pub(crate) fn run() -> Outcome {
    let env = Env::process();
    let driver = DriverInfo::read();
    let nvrtc = Nvrtc::search(None, &env);
    let mut out = String::new();
    let mut line = |name: &str, text: &str| {
        let name = painted(TITLE, format!("{name:<NAME$}"));
        out += &format!("{name}{}\n", fitted(text, NAME));
    };
    match &driver {
        Err(error) => line("driver", &format!("no usable driver: {error}")),
        Ok(info) => {
            let release =
                info.release.as_ref().map_or(String::new(), |release| format!(", release {release}"));
            line(
                "driver",
                &format!("{}, CUDA {}.{}{release}", info.library.display(), info.cuda.0, info.cuda.1),
            );
            for (ordinal, gpu) in info.gpus.iter().enumerate() {
                let (major, minor) = gpu.capability;
                line(
                    &format!("gpu {ordinal}"),
                    &format!(
                        "{}, capability {major}.{minor}, {} multiprocessors, {}: {}",
                        gpu.name,
                        gpu.multiprocessors,
                        bytes(gpu.memory_bytes),
                        kernels_of(gpu, nvrtc.found.as_ref().ok())
                    ),
                );
            }
        }
    }
    match &nvrtc.found {
        Err(_) => line("nvrtc", "no usable library"),
        Ok(found) => {
            line("nvrtc", &found.library().display().to_string());
            line("", &format!("build: {}", found.identity()));
            line("", &format!("compiles for {}", targets(found)));
        }
    }
    for place in &nvrtc.rejected {
        line("", &format!("tried {place}"));
    }
    line("ahead", &ahead(&env));
    line("cache", &cache(&env));
    let jit = match env.may_compile() {
        Ok(true) => "allowed: kernels that are not stored are compiled".into(),
        Ok(false) => "denied (PROXYATTN_JIT=deny): a kernel that is not stored is an error".into(),
        Err(error) => error.to_string(),
    };
    line("jit", &jit);
    line("tuning", &tuning(&env, driver.as_ref().ok()));
    line("cpu", &Device::cpu().to_string());
    for name in Env::unknown() {
        line("ignored", &format!("{name}: not a variable of proxyattn"));
    }
    let (verdict, code) = match verdict(&env, &nvrtc) {
        Verdict::Ready(what) => (format!("{} {}", painted(GOOD, "ready:"), fitted(&what, 2)), DONE),
        Verdict::CpuOnly(why) => (format!("{} {}", painted(WARN, "CPU only:"), fitted(&why, 2)), MISSING),
        Verdict::NotReady(why) => (format!("{} {}", painted(WARN, "not ready:"), fitted(&why, 2)), MISSING),
        Verdict::Invalid(why) => (format!("{} {}", painted(ERROR, "error:"), fitted(&why, 2)), USAGE),
    };
    Ok(Report { text: format!("{out}\n{verdict}\n"), code })
}

/// Which kernels a GPU runs with this compiler.
fn kernels_of(gpu: &GpuInfo, nvrtc: Option<&Nvrtc>) -> String {
    let Some(arch) = gpu.arch else { return "too old: kernels need capability 8.0 or later".into() };
    match nvrtc {
        Some(nvrtc) if arch != Arch::Sm80 && !nvrtc.knows(Target::from(arch)) => {
            let (major, minor) = nvrtc.version();
            let since = Target::from(arch).since().map(|(major, minor)| format!("CUDA {major}.{minor}"));
            format!(
                "runs the portable kernels ({}): {arch} needs {}, and this NVRTC is {major}.{minor}",
                Arch::Sm80,
                since.unwrap_or_else(|| "a later CUDA".into())
            )
        }
        _ => format!("runs the kernels of {arch}"),
    }
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

/// What happens in a program that uses [`Device::auto`] and loads a kernel.
enum Verdict {
    /// It runs on a GPU.
    Ready(String),
    /// It runs on the CPU because no GPU is usable.
    CpuOnly(String),
    /// There is a GPU, and loading a kernel is an error.
    NotReady(String),
    /// Loading a kernel is an error on every device, because an environment variable is invalid.
    Invalid(String),
}

fn verdict(env: &Env, nvrtc: &Search) -> Verdict {
    if let Err(error) = env.check() {
        return Verdict::Invalid(error.to_string());
    }
    if let Some(error) = Device::why_not_cuda() {
        return Verdict::CpuOnly(error.to_string());
    }
    let device = match (Device::from_env(), Jit::new(JitOptions::default())) {
        (Ok(device), Ok(_)) => device,
        (Err(error), _) => return Verdict::CpuOnly(error.to_string()),
        (_, Err(error)) => return Verdict::Invalid(error.to_string()),
    };
    let Device::Cuda(gpu) = &device else { return Verdict::CpuOnly("no GPU is usable".into()) };
    // Kernels compiled ahead of time need no compiler. Which kernels a program needs is not known here.
    let ahead = ahead_cubins(env) > 0;
    if !ahead && matches!(env.may_compile(), Ok(false)) && cached_cubins(env) == 0 {
        return Verdict::NotReady(
            "no kernel is stored, and compiling is not allowed (PROXYATTN_JIT=deny); run `proxyattn compile` on a machine \
             with NVRTC, and set PROXYATTN_AOT_DIR to its output directory"
                .into(),
        );
    }
    let rehearsed = match &nvrtc.found {
        Ok(found) => gpu.rehearse(found).map(|arch| (arch, found)).map_err(|error| error.to_string()),
        Err(error) => Err(format!("there is a GPU, but no compiler for its kernels: {error}")),
    };
    match rehearsed {
        Ok((Arch::Sm80, found)) if gpu.capability() == (9, 0) => {
            let (major, minor) = found.version();
            Verdict::Ready(format!(
                "the portable kernels run on {device}; the faster Hopper kernels need NVRTC of CUDA 12.0 or later, and \
                 this one is {major}.{minor}: install one (`pip install nvidia-cuda-nvrtc`) and set PROXYATTN_NVRTC to it"
            ))
        }
        Ok(_) => Verdict::Ready(format!("kernels run on {device}")),
        Err(_) if ahead => Verdict::Ready(format!("kernels compiled ahead of time run on {device}")),
        Err(why) => Verdict::NotReady(why),
    }
}

/// The number of cubins compiled ahead of time.
fn ahead_cubins(env: &Env) -> usize {
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
fn cached_cubins(env: &Env) -> usize {
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
        Err(error) => return error.to_string(),
    };
    let path = dir.display();
    let rehearsed = CacheDir::rehearse(&dir);
    match (CacheDir::open(&dir).and_then(|opened| opened.map(|opened| opened.files()).transpose()), rehearsed)
    {
        (Err(error), _) | (Ok(None), Err(error)) => {
            format!("not used, so every process recompiles: {error}; {ADVICE}")
        }
        (Ok(None), Ok(_)) => {
            format!("{path}: does not exist yet, the first compilation creates it; limit {limit}")
        }
        (Ok(Some(files)), Ok(_)) => format!("{path}: {} of {limit}, writable", summary(&files)),
        (Ok(Some(files)), Err(error)) => format!(
            "{} of {limit}, not writable, so every process recompiles what is missing: {error}; {ADVICE}",
            summary(&files)
        ),
    }
}

/// Whether kernels use measured tiles, and the number of records.
fn tuning(env: &Env, driver: Option<&DriverInfo>) -> String {
    match Tune::from_env() {
        Ok(Tune::Off) => return "off (PROXYATTN_TUNE=off): kernels use their default tiles".into(),
        Err(error) => return error.to_string(),
        Ok(_) => {}
    }
    let found = env
        .cache_dir()
        .filter(|dir| dir.is_dir())
        .map_or_else(|| Ok(Vec::new()), |dir| Records::of(&dir).map(|r| r.found));
    let own = match found {
        Ok(found) => found.into_iter().flat_map(|(_, found)| found.records),
        Err(failure) => return failure.message,
    };
    let all: Vec<Record> = own.collect();
    let stored = count(all.len(), "record");
    let Some(gpu) = driver.and_then(|info| info.gpus.first()) else {
        return format!("{stored} stored; a record is valid only on the GPU model that it was made on");
    };
    let of_gpu = |record: &&Record| {
        let machine = &record.scope.machine;
        (&gpu.name, gpu.multiprocessors) == (&machine.gpu, machine.multiprocessors)
    };
    let (own, shipped) = (all.iter().filter(of_gpu).count(), shipped().records.iter().filter(of_gpu).count());
    let counts = format!("{stored} stored, {own} of them for {}, and {shipped} shipped for it", gpu.name);
    match own + shipped {
        0 => counts + ": kernels use their default tiles until `proxyattn tune` measures others",
        _ => counts,
    }
}
