//! Several processes on one cache, and processes that die in it.

use crate::children::{command, shell};
use crate::directories::hopeless;
use crate::fake::{Fake, program};
use crate::scratch::{Scratch, entries, files, not_run, options, temporaries};
use crate::stub;
use proxyattn_runtime::jit::{Jit, Target};
use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::time::{Duration, Instant, SystemTime};

const RACERS: usize = 8;

fn success(output: Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{errors}");
    text
}

/// Runs the racers on a cold key; how often it was compiled, and what each got.
fn race(scratch: &Scratch) -> (usize, Vec<Vec<u8>>) {
    for dir in ["counts", "ready", "results"] {
        fs::create_dir(scratch.path(dir)).unwrap();
    }
    let racers: Vec<_> = (0..RACERS).map(|_| command("racer", &scratch.path("")).spawn().unwrap()).collect();
    let begun = Instant::now();
    while files(&scratch.path("ready")).len() < RACERS {
        assert!(begun.elapsed() < Duration::from_secs(30), "the racers did not start");
        std::thread::sleep(Duration::from_millis(2));
    }
    fs::write(scratch.path("start"), "").unwrap();
    for racer in racers {
        success(racer.wait_with_output().unwrap());
    }
    let results = files(&scratch.path("results")).iter().map(|path| fs::read(path).unwrap()).collect();
    (files(&scratch.path("counts")).len(), results)
}

/// The cache holds one whole entry and nothing half done.
fn assert_whole(scratch: &Scratch) -> Vec<u8> {
    let cache = scratch.path("cache");
    assert_eq!(entries(&cache).len(), 1);
    assert_eq!(temporaries(&cache), Vec::<PathBuf>::new());
    let jit = Jit::with_compiler(options(&cache), Fake::default()).unwrap();
    let cubin = jit.cubin(&program(), Target::SM_80).unwrap();
    assert_eq!((jit.counters().disk_hits, jit.counters().corrupt), (1, 0));
    cubin.bytes().to_vec()
}

#[test]
fn a_cold_key_is_compiled_once_for_all_processes() {
    let scratch = Scratch::new("race");
    let (compilations, results) = race(&scratch);
    let image = Fake::default().image(&program());
    assert_eq!(results, vec![image.clone(); RACERS]);
    assert_eq!(compilations, 1);
    assert_eq!(assert_whole(&scratch), image);
}

#[test]
fn without_the_lock_every_process_uses_what_it_compiled() {
    let scratch = Scratch::new("no-lock");
    // A directory where the lock file should be: nobody can open it.
    let cache = scratch.path("cache");
    let jit = Jit::with_compiler(options(&cache), Fake::default()).unwrap();
    jit.cubin(&program(), Target::SM_80).unwrap();
    let [entry] = &entries(&cache)[..] else { panic!() };
    fs::remove_file(entry).unwrap();
    fs::remove_file(entry.with_file_name("lock")).unwrap();
    fs::create_dir(entry.with_file_name("lock")).unwrap();

    fs::write(scratch.path("each-its-own"), "").unwrap();
    let (compilations, mut results) = race(&scratch);
    assert!((1..=RACERS).contains(&compilations));
    assert_eq!(results.len(), RACERS);
    let published = assert_whole(&scratch);
    assert!(results.contains(&published));
    results.sort();
    results.dedup();
    // Whoever compiled kept its own, whether or not its file won.
    assert_eq!(results.len(), compilations);
}

#[test]
fn a_process_killed_while_it_writes_leaves_nothing_that_matters() {
    let scratch = Scratch::new("kill");
    let cache = scratch.path("cache");
    // The write takes long enough to be caught in; a machine that is faster gets more tries.
    let caught = (0..10).any(|_| {
        let mut writer = command("slow_writer", &scratch.path("")).spawn().unwrap();
        let begun = Instant::now();
        while temporaries(&cache).is_empty() && entries(&cache).is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(20), "nothing was written");
            std::thread::sleep(Duration::from_micros(200));
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        entries(&cache).iter().for_each(|entry| fs::remove_file(entry).unwrap());
        !temporaries(&cache).is_empty()
    });
    assert!(caught, "the writer was never caught writing");

    let fake = Fake::default();
    let jit = Jit::with_compiler(options(&cache), fake.clone()).unwrap();
    assert_eq!(jit.cubin(&program(), Target::SM_80).unwrap().bytes(), fake.image(&program()));
    assert_eq!((jit.counters().compiles, jit.counters().io_errors, jit.counters().corrupt), (1, 0, 0));
    let [torn] = &temporaries(&cache)[..] else { panic!("a file so young may still be written to") };

    // An hour later nobody is writing any more.
    let old = SystemTime::now() - Duration::from_secs(3700);
    fs::File::options().write(true).open(torn).unwrap().set_modified(old).unwrap();
    jit.discard(&program(), Target::SM_80);
    let jit = Jit::with_compiler(options(&cache), fake).unwrap();
    jit.cubin(&program(), Target::SM_80).unwrap();
    assert_eq!(temporaries(&cache), Vec::<PathBuf>::new());
    assert_eq!((jit.counters().evicted, entries(&cache).len()), (1, 1));
}

#[test]
fn a_file_that_cannot_be_written_whole_is_not_written() {
    let scratch = Scratch::new("limit");
    // 8 KiB a file, and an error rather than a signal beyond.
    let output = shell("trap '' XFSZ && ulimit -f 16", "no_room", &scratch.path("")).output().unwrap();
    let told = success(output);
    assert!(told.contains("File too large"), "{told}");
    assert_eq!(entries(&scratch.path("cache")), Vec::<PathBuf>::new());
}

#[test]
fn a_full_disk_costs_the_cache_only() {
    let scratch = Scratch::new("full");
    let dir = scratch.path("");
    // A disk of 64 KiB that nobody else sees and that goes with the process.
    let mount = format!("mount -t tmpfs -o size=64k,mode=700 none '{}'", dir.display());
    let may_mount = std::process::Command::new("unshare").args(["-m", "sh", "-c", &mount]).output();
    if !may_mount.is_ok_and(|output| output.status.success()) {
        not_run("a_full_disk_costs_the_cache_only", "this user may not mount a tmpfs");
        return;
    }
    let mut unshared = std::process::Command::new("unshare");
    let inner = shell(&mount, "no_room", &dir);
    unshared.arg("-m").arg(inner.get_program()).args(inner.get_args());
    unshared.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let told = success(unshared.output().unwrap());
    assert!(told.contains("No space left on device"), "{told}");
}

#[test]
fn the_linker_finds_a_library_and_the_loader_its_builtins() {
    let scratch = Scratch::new("linker");
    let dir = scratch.path("lib");
    let builtins = "libnvrtc-builtins.so.13.908";
    stub::library(&dir, &["MAJOR=13", "MINOR=908", &format!("BUILTINS=\"{builtins}\"")]);
    stub::builtins(&dir, builtins);
    success(command("linker", &dir).env("LD_LIBRARY_PATH", &dir).output().unwrap());
}

#[test]
fn nonsense_in_the_environment_is_an_error_of_the_global_one() {
    let scratch = Scratch::new("nonsense");
    success(command("nonsense", &scratch.path("")).env("PROXYATTN_JIT", "perhaps").output().unwrap());
}

/// Every line that a child prints behind a word.
fn lines<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(word)).collect()
}

#[test]
fn a_cache_that_cannot_be_made_is_one_warning_a_process() {
    let scratch = Scratch::new("one-warning");
    for dir in hopeless(&scratch) {
        let told = success(command("uncached", &dir).output().unwrap());
        let warnings = lines(&told, "warning ");
        let [warning] = &warnings[..] else { panic!("{}: {told}", dir.display()) };
        for part in [&*dir.display().to_string(), "every process recompiles", "set PROXYATTN_CACHE_DIR to"] {
            assert!(warning.contains(part), "{part} is not in: {warning}");
        }
    }
}

/// Whoever waits says so within a second, and for whom; then it compiles beside, and does not wait for the next.
#[test]
fn waiting_for_a_lock_is_told_and_bounded() {
    let scratch = Scratch::new("waiting");
    let cache = scratch.path("cache");
    let jit = Jit::with_compiler(options(&cache), Fake::default()).unwrap();
    for target in [Target::SM_80, Target::SM_90A] {
        jit.cubin(&program(), target).unwrap();
    }
    let entries = entries(&cache);
    assert_eq!(entries.len(), 2);
    let hold = |entry: &PathBuf| {
        fs::remove_file(entry).unwrap();
        // As this crate does: those who hold a lock write their number into it.
        let path = entry.with_file_name("lock");
        fs::write(&path, std::process::id().to_string()).unwrap();
        let lock = fs::File::open(&path).unwrap();
        lock.lock().unwrap();
        lock
    };
    let locks: Vec<_> = entries.iter().map(hold).collect();
    let told = success(command("waits", &cache).output().unwrap());
    drop(locks);
    let warnings = lines(&told, "warning ");
    let first = warnings.first().unwrap_or_else(|| panic!("{told}"));
    let (ms, what) = first.split_once(' ').unwrap();
    assert!(ms.parse::<u128>().unwrap() <= 1_000, "{told}");
    assert!(what.starts_with(&format!("waiting for process {}", std::process::id())), "{told}");
    assert!(what.contains("/lock`") && what.contains("continuing without the lock"), "{told}");
    assert!(warnings[1].contains("compiling without the lock"), "{told}");
    let took: Vec<u128> = lines(&told, "took ").iter().map(|ms| ms.parse().unwrap()).collect();
    assert!((1_500..4_000).contains(&took[0]) && took[1] < 1_000, "{told}");
    assert!(entries.iter().all(|entry| entry.exists()), "both are stored all the same");
}
