//! What other processes do: these run only as children of the tests in [`processes`](crate::processes).

use crate::fake::{Fake, program};
use crate::scratch::{options, temporaries};
use proxyattn_runtime::Error;
use proxyattn_runtime::jit::{Compiler, Env, Jit, Nvrtc, Target};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

const DIR: &str = "JIT_TEST_DIR";

/// This binary, to run one of the tests below in a process of its own.
pub(crate) fn command(role: &str, dir: &std::path::Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments(role)).env(DIR, dir).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The same through a shell that prepares something first.
pub(crate) fn shell(prepare: &str, role: &str, dir: &std::path::Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{prepare} && exec \"$0\" \"$@\"")]).arg(std::env::current_exe().unwrap());
    command.args(arguments(role)).env(DIR, dir).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn arguments(role: &str) -> [String; 4] {
    [format!("children::{role}"), "--exact".into(), "--ignored".into(), "--nocapture".into()]
}

fn dir() -> Option<PathBuf> {
    std::env::var_os(DIR).map(PathBuf::from)
}

/// Waits for the start, asks for the kernel, writes down what it got.
#[test]
#[ignore = "a child of processes::*"]
fn racer() {
    let Some(dir) = dir() else { return };
    let fake = Fake {
        pause: Duration::from_millis(300),
        counted_in: Some(dir.join("counts")),
        suffix: if dir.join("each-its-own").exists() {
            std::process::id().to_string()
        } else {
            String::new()
        },
        ..Fake::default()
    };
    let jit = Jit::with_compiler(options(&dir.join("cache")), fake).unwrap();
    fs::write(dir.join(format!("ready/{}", std::process::id())), "").unwrap();
    while !dir.join("start").exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let cubin = jit.cubin(&program(), Target::SM_80).unwrap();
    fs::write(dir.join(format!("results/{}", std::process::id())), cubin.bytes()).unwrap();
}

/// Writes an entry that takes a while.
#[test]
#[ignore = "a child of processes::*"]
fn slow_writer() {
    let Some(dir) = dir() else { return };
    let fake = Fake { padding: 96 << 20, ..Fake::default() };
    let jit = Jit::with_compiler(options(&dir.join("cache")), fake).unwrap();
    jit.cubin(&program(), Target::SM_80).unwrap();
}

/// Compiles all the same where nothing can be written.
#[test]
#[ignore = "a child of processes::*"]
fn no_room() {
    let Some(dir) = dir() else { return };
    let fake = Fake { padding: 256 << 10, ..Fake::default() };
    let cache = dir.join("cache");
    let jit = Jit::with_compiler(options(&cache), fake.clone()).unwrap();
    for _ in 0..2 {
        let cubin = jit.cubin(&program(), Target::SM_80).unwrap();
        assert_eq!(cubin.bytes(), fake.image(&program()));
    }
    let counters = jit.counters();
    assert_eq!((counters.compiles, counters.memory_hits, counters.io_errors), (1, 1, 1), "{counters:?}");
    let trouble = jit.trouble().unwrap();
    assert!(trouble.starts_with("writing `"), "{trouble}");
    assert_eq!(temporaries(&cache), Vec::<PathBuf>::new());
    println!("{trouble}");
}

/// Finds a library by its name, and the builtins beside it.
#[test]
#[ignore = "a child of processes::*"]
fn linker() {
    let Some(dir) = dir() else { return };
    let nvrtc = Nvrtc::open(None, &Env::default()).unwrap();
    assert_eq!(nvrtc.library(), dir.join("libnvrtc.so.13"));
    nvrtc.compile(&program(), Target::SM_80).unwrap();
}

/// Prints what the library warns of, with the milliseconds since the start.
struct Listener(Instant);

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        struct Line(u128);
        impl Visit for Line {
            fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
                println!("\nwarning {} {value:?}", self.0);
            }
        }
        event.record(&mut Line(self.0.elapsed().as_millis()));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn listen() {
    tracing::subscriber::set_global_default(Listener(Instant::now())).unwrap();
}

/// Compiles for two GPUs with each of two compilers, in caches that cannot be made: that of the argument each time.
#[test]
#[ignore = "a child of processes::*"]
fn uncached() {
    let Some(dir) = dir() else { return };
    listen();
    for _ in 0..2 {
        let jit = Jit::with_compiler(options(&dir), Fake::default()).unwrap();
        for target in [Target::SM_80, Target::SM_90A] {
            jit.cubin(&program(), target).unwrap();
        }
    }
}

/// Asks for two kernels whose locks somebody holds.
#[test]
#[ignore = "a child of processes::*"]
fn waits() {
    let Some(dir) = dir() else { return };
    listen();
    let mut options = options(&dir);
    options.patience = Duration::from_millis(1_500);
    let jit = Jit::with_compiler(options, Fake::default()).unwrap();
    for target in [Target::SM_80, Target::SM_90A] {
        let begun = Instant::now();
        jit.cubin(&program(), target).unwrap();
        println!("\ntook {}", begun.elapsed().as_millis());
    }
}

/// Has a variable that means nothing.
#[test]
#[ignore = "a child of processes::*"]
fn nonsense() {
    if dir().is_none() {
        return;
    }
    for _ in 0..2 {
        let error = Jit::global().err().unwrap();
        assert!(matches!(&error, Error::Environment { variable: "PROXYATTN_JIT", .. }), "{error}");
    }
}
