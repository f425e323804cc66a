//! Threads that want the same kernel at once.

use crate::fake::{Fake, program};
use crate::scratch::{Scratch, options};
use proxyattn_runtime::jit::{Compiler, Cubin, Invocation, Jit, Program, Target};
use proxyattn_runtime::{Error, Result};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const THREADS: usize = 8;

/// What every thread gets, all asking at once.
fn ask(jit: &Jit) -> Vec<std::thread::Result<Result<Vec<u8>>>> {
    let barrier = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        let ask = || {
            barrier.wait();
            jit.cubin(&program(), Target::SM_80).map(|cubin| cubin.bytes().to_vec())
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join()).collect()
    })
}

#[test]
fn one_thread_compiles_and_the_others_wait() {
    let scratch = Scratch::new("flight");
    let fake = Fake { pause: Duration::from_millis(100), ..Fake::default() };
    let jit = Jit::with_compiler(options(&scratch.path("cache")), fake.clone()).unwrap();
    for got in ask(&jit) {
        assert_eq!(got.unwrap().unwrap(), fake.image(&program()));
    }
    assert_eq!((fake.calls(), jit.counters().memory_hits), (1, THREADS as u64 - 1));
}

#[test]
fn another_kernel_does_not_wait() {
    let scratch = Scratch::new("overlap");
    let fake = Fake { pause: Duration::from_millis(400), ..Fake::default() };
    let jit = Jit::with_compiler(options(&scratch.path("cache")), fake).unwrap();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for n in 0..THREADS {
            let jit = &jit;
            scope.spawn(move || jit.cubin(&Program::new("k", n.to_string()), Target::SM_80).unwrap());
        }
    });
    assert!(begun.elapsed() < Duration::from_millis(400 * 4), "{:?}", begun.elapsed());
}

/// Fails, or panics, and then works.
struct Moody {
    calls: AtomicUsize,
    panics: bool,
}

impl Compiler for Moody {
    fn invocation(&self, program: &Program, target: Target) -> Result<Invocation> {
        Fake::default().invocation(program, target)
    }

    fn compile(&self, program: &Program, target: Target) -> Result<Cubin> {
        std::thread::sleep(Duration::from_millis(50));
        if self.calls.fetch_add(1, Ordering::SeqCst) > 0 {
            return Fake::default().compile(program, target);
        }
        assert!(!self.panics, "a compiler that panics");
        Err(Error::Compile {
            program: program.name.clone(),
            target: target.to_string(),
            source_path: None,
            log: "k(1): error".into(),
        })
    }
}

#[test]
fn a_failure_is_told_to_those_who_waited_and_then_forgotten() {
    let scratch = Scratch::new("failure");
    let moody = Moody { calls: AtomicUsize::new(0), panics: false };
    let jit = Jit::with_compiler(options(&scratch.path("cache")), moody).unwrap();
    let failed = ask(&jit).into_iter().filter(|got| got.as_ref().unwrap().is_err()).count();
    assert!(failed >= 1);
    jit.cubin(&program(), Target::SM_80).unwrap();
    let counters = jit.counters();
    assert_eq!(counters.compiles, 2);
}

#[test]
fn a_panic_does_not_leave_the_others_waiting() {
    let scratch = Scratch::new("panic");
    let moody = Moody { calls: AtomicUsize::new(0), panics: true };
    let jit = Jit::with_compiler(options(&scratch.path("cache")), moody).unwrap();
    let (right, panicked): (Vec<_>, Vec<_>) = ask(&jit).into_iter().partition(|got| got.is_ok());
    assert_eq!((right.len(), panicked.len()), (THREADS - 1, 1));
    assert!(right.into_iter().all(|got| got.unwrap().is_ok()));
}

#[test]
fn patience_with_another_process_ends() {
    let scratch = Scratch::new("patience");
    let cache = scratch.path("cache");
    let jit = Jit::with_compiler(options(&cache), Fake::default()).unwrap();
    jit.cubin(&program(), Target::SM_80).unwrap();
    let entry = crate::scratch::entries(&cache).remove(0);
    let lock = std::fs::File::open(entry.with_file_name("lock")).unwrap();
    lock.lock().unwrap();
    std::fs::remove_file(&entry).unwrap();

    let mut options = options(&cache);
    options.patience = Duration::from_millis(200);
    let jit = Jit::with_compiler(options, Fake::default()).unwrap();
    let begun = Instant::now();
    jit.cubin(&program(), Target::SM_80).unwrap();
    let waited = begun.elapsed();
    assert!((Duration::from_millis(200)..Duration::from_secs(5)).contains(&waited), "{waited:?}");
    assert_eq!((jit.counters().compiles, jit.counters().io_errors), (1, 0));
    assert!(entry.exists());
}
