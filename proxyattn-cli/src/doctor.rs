//! `proxyattn doctor`: what this machine can do, and what to do where it cannot.

use crate::cache::{Records, summary};
use crate::failure::{DONE, MISSING, Outcome, Report};
use crate::style::{GOOD, TITLE, WARN, painted};
use crate::text::{bytes, count, fitted};
use proxyattn_runtime::jit::{Aot, CACHE_BYTES, CacheDir, Env, Nvrtc, Search};
use proxyattn_runtime::tune::{Record, shipped};
use proxyattn_runtime::{Device, DriverInfo, Tune};
use std::fs::OpenOptions;
use std::path::Path;

/// Width of the names on the left.
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
        Err(error) => line("driver", &format!("none that can be used: {error}")),
        Ok(info) => {
            let release =
                info.release.as_ref().map_or(String::new(), |release| format!(", release {release}"));
            line(
                "driver",
                &format!("{}, CUDA {}.{}{release}", info.library.display(), info.cuda.0, info.cuda.1),
            );
            for (ordinal, gpu) in info.gpus.iter().enumerate() {
                let kernels = match gpu.arch {
                    Some(arch) => format!("runs the kernels of {arch}"),
                    None => "too old: kernels exist from capability 8.0 on".into(),
                };
                let (major, minor) = gpu.capability;
                line(
                    &format!("gpu {ordinal}"),
                    &format!(
                        "{}, capability {major}.{minor}, {} multiprocessors, {}: {kernels}",
                        gpu.name,
                        gpu.multiprocessors,
                        bytes(gpu.memory_bytes)
                    ),
                );
            }
        }
    }
    match &nvrtc.found {
        Err(_) => line("nvrtc", "none that can be used"),
        Ok(found) => {
            line("nvrtc", &found.library().display().to_string());
            line("", &format!("build: {}", found.identity()));
            let archs: Vec<_> = found.supported().iter().map(|arch| format!("sm_{arch}")).collect();
            line("", &format!("compiles for {}", archs.join(", ")));
        }
    }
    for place in &nvrtc.in_vain {
        line("", &format!("tried {place}"));
    }
    line("ahead", &ahead(&env));
    line("cache", &cache(&env));
    line(
        "jit",
        match env.may_compile() {
            Ok(true) => "allowed: a kernel that is not stored is compiled",
            Ok(false) => "denied (PROXYATTN_JIT=deny): a kernel that is not stored is an error",
            Err(_) => "PROXYATTN_JIT is neither `allow` nor `deny`",
        },
    );
    line("tuning", &tuning(&env, driver.as_ref().ok()));
    line("cpu", &Device::cpu().to_string());
    let code = match not_ready(driver.as_ref().ok(), &nvrtc, &env) {
        None => {
            let which =
                if nvrtc.found.is_ok() { "kernels" } else { "kernels that were compiled ahead of time" };
            out += &format!("\n{} {which} run on {}\n", painted(GOOD, "ready:"), Device::auto());
            DONE
        }
        Some(why) => {
            out += &format!("\n{} {}\n", painted(WARN, "CPU only:"), fitted(&why, 2));
            MISSING
        }
    };
    Ok(Report { text: out, code })
}

/// Why a program would not run kernels on the GPU, with what to do.
fn not_ready(driver: Option<&DriverInfo>, nvrtc: &Search, env: &Env) -> Option<String> {
    if let Some(error) = Device::why_not_cuda() {
        return Some(error.to_string());
    }
    let capability = driver.and_then(|info| info.gpus.first()).map(|gpu| gpu.capability);
    match &nvrtc.found {
        // Kernels that were compiled ahead of time need none; which ones a program wants is its own matter.
        _ if ahead_cubins(env) > 0 => None,
        Err(error) => Some(format!("there is a GPU, and nothing to compile its kernels with: {error}")),
        Ok(found) => {
            let number = capability.map(|(major, minor)| u32::from(major) * 10 + u32::from(minor))?;
            (!found.supported().contains(&number)).then(|| {
                format!(
                    "this NVRTC cannot compile for sm_{number}; set PROXYATTN_NVRTC to a newer one \
                     (`pip install nvidia-cuda-nvrtc` brings the newest)"
                )
            })
        }
    }
}

/// How many cubins were compiled ahead of time.
fn ahead_cubins(env: &Env) -> usize {
    let files = env.aot_dir().and_then(|dir| Aot::open(&dir).and_then(|aot| aot.files()).ok());
    files.map_or(0, |files| files.len())
}

fn ahead(env: &Env) -> String {
    let Some(dir) = env.aot_dir() else {
        return "PROXYATTN_AOT_DIR is unset: no kernels that were compiled ahead of time".into();
    };
    match Aot::open(&dir).and_then(|aot| aot.files()) {
        Ok(files) => format!("{}: {}", dir.display(), summary(&files)),
        Err(error) => format!("{error}; `proxyattn compile … --out DIR` makes one"),
    }
}

fn cache(env: &Env) -> String {
    let Some(dir) = env.cache_dir() else {
        return "none: PROXYATTN_CACHE_DIR, XDG_CACHE_HOME and HOME are unset, so each process compiles anew"
            .into();
    };
    let limit = match env.cache_bytes() {
        Ok(limit) => bytes(limit.unwrap_or(CACHE_BYTES)),
        Err(error) => return error.to_string(),
    };
    let path = dir.display();
    match CacheDir::open(&dir) {
        Err(error) => format!("not used: {error}"),
        Ok(None) => format!("{path}: not there yet, the first compilation makes it; up to {limit}"),
        Ok(Some(opened)) => match (opened.files(), writable(&dir)) {
            (Err(error), _) => format!("not used: {error}"),
            (Ok(files), Ok(())) => format!("{path}: {} of {limit}, writable", summary(&files)),
            (Ok(files), Err(error)) => {
                format!(
                    "{path}: {} of {limit}, not writable ({error}): what is not there is compiled in each process",
                    summary(&files)
                )
            }
        },
    }
}

/// Whether kernels may run with tiles that were measured, and how many records there are.
fn tuning(env: &Env, driver: Option<&DriverInfo>) -> String {
    match Tune::from_env() {
        Ok(Tune::Off) => return "off (PROXYATTN_TUNE=off): kernels run with their default tiles".into(),
        Err(error) => return error.to_string(),
        Ok(_) => {}
    }
    let found = env.cache_dir().map_or_else(|| Ok(Vec::new()), |dir| Records::of(&dir).map(|r| r.found));
    let own = match found {
        Ok(found) => found.into_iter().flat_map(|(_, found)| found.records),
        Err(failure) => return failure.message,
    };
    let all: Vec<Record> = own.collect();
    let stored = count(all.len(), "record");
    let Some(gpu) = driver.and_then(|info| info.gpus.first()) else {
        return format!("{stored} stored; each counts on a GPU like the one that it was made on");
    };
    let of_gpu = |record: &&Record| {
        let machine = &record.scope.machine;
        (&gpu.name, gpu.multiprocessors) == (&machine.gpu, machine.multiprocessors)
    };
    let (own, shipped) = (all.iter().filter(of_gpu).count(), shipped().records.iter().filter(of_gpu).count());
    let told = format!("{stored} stored, {own} of them for {}, and {shipped} shipped for it", gpu.name);
    match own + shipped {
        0 => told + ": kernels run with their default tiles until `proxyattn tune` measures others",
        _ => told,
    }
}

/// Whether a file can be made, by making one.
fn writable(dir: &Path) -> std::io::Result<()> {
    let probe = dir.join(format!(".proxyattn-doctor-{}", std::process::id()));
    OpenOptions::new().create_new(true).write(true).open(&probe)?;
    std::fs::remove_file(&probe)
}
