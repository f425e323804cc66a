//! `cache`: listing, checking, shrinking, clearing.

use crate::machine::{Machine, snapshot};
use proxyattn_runtime::Result;
use proxyattn_runtime::jit::{
    CacheDir, CacheFile, Compiler, Cubin, Invocation, Jit, JitOptions, Program, Target,
};
use std::fs;
use std::time::{Duration, SystemTime};

/// Images of 4000 bytes, with a log as the real compiler writes it.
struct Fake;

impl Compiler for Fake {
    fn invocation(&self, _: &Program, _: Target) -> Result<Invocation> {
        Ok(Invocation { compiler: "fake 1".into(), options: Vec::new() })
    }

    fn compile(&self, program: &Program, target: Target) -> Result<Cubin> {
        let log =
            format!("ptxas info    : Compiling entry function 'proxyattn_{}' for '{target}'\n", program.name);
        Ok(Cubin::new(vec![7; 4000], log))
    }
}

/// A cache with three cubins, used 1, 2 and 3 hours ago.
fn filled(name: &str) -> (Machine, Vec<CacheFile>) {
    let machine = Machine::new(name);
    let cache = machine.path("home/.cache/proxyattn");
    let mut options = JitOptions::default();
    options.cache_dir = Some(cache.clone());
    let jit = Jit::with_compiler(options, Fake).unwrap();
    let dir = || CacheDir::open(&cache).unwrap().unwrap();
    let mut known: Vec<CacheFile> = Vec::new();
    for (hours, name, target) in
        [(3, "attend", Target::SM_90A), (2, "dense", Target::SM_80), (1, "select", Target::new(12, 0))]
    {
        jit.cubin(&Program::new(name, name), target).unwrap();
        let mut files = dir().files().unwrap();
        let file =
            files.remove(files.iter().position(|file| known.iter().all(|k| k.path != file.path)).unwrap());
        let used = SystemTime::now() - Duration::from_secs(hours * 3600 + 60);
        fs::File::options().write(true).open(&file.path).unwrap().set_modified(used).unwrap();
        known.push(file);
    }
    (machine, dir().files().unwrap())
}

#[test]
fn cubins_are_listed_and_sound() {
    let (machine, _) = filled("cache-ls");
    snapshot("cache_ls", &machine.run(&["cache", "ls"]));
    snapshot("cache_verify", &machine.run(&["cache", "verify"]));
}

#[test]
fn a_damaged_cubin_is_found_and_deleted() {
    let (machine, files) = filled("cache-damaged");
    let mut bytes = fs::read(&files[1].path).unwrap();
    bytes[200] ^= 1;
    fs::write(&files[1].path, bytes).unwrap();
    snapshot("cache_damaged", &machine.run(&["cache", "verify"]));
    let listed = machine.run(&["cache", "ls"]).stdout;
    assert!(listed.contains("damaged: run `proxyattn cache verify` for details"), "{listed}");
    snapshot("cache_removed", &machine.run(&["cache", "verify", "--remove"]));
    let run = machine.run(&["cache", "verify"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "intact: 2 cubins\n"));
}

#[test]
fn it_shrinks_to_an_age_and_a_size() {
    let (machine, files) = filled("cache-gc");
    let run = machine.run(&["cache", "gc"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "deleted 0 files (0 B); left: 3 cubins, 12.2 KiB\n"));
    snapshot("cache_gc_age", &machine.run(&["cache", "gc", "--max-age", "150min"]));
    assert!(!files[0].path.exists() && files[1].path.exists(), "the one that was used longest ago went");
    snapshot("cache_gc_size", &machine.run(&["cache", "gc", "--max-size", "5KiB"]));
    assert!(!files[1].path.exists() && files[2].path.exists());
}

/// Records lie beside the cubins, and are looked after like them.
#[test]
fn records_are_listed_checked_swept_and_cleared() {
    let machine = Machine::new("cache-records").gpu("9.0").nvrtc();
    let tune = |attribute: &str| {
        let shape = ["--tokens", "704", "--heads", "4", "--kv-heads", "2", "--dense-below", "0"];
        let run = machine.run(&[&["tune", attribute][..], &shape].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
    };
    tune("head_dim = 64");
    tune("head_dim = 64");
    tune("head_dim = 64, groups = 1");
    let cubins = machine.run(&["cache", "gc", "--max-size", "0B"]);
    assert!(
        cubins.stdout.contains(" and 2 tuning records; left: 0 cubins, 0 B, 4 tuning records"),
        "{}",
        cubins.stdout
    );
    snapshot("cache_ls_records", &machine.run(&["cache", "ls"]));
    snapshot("doctor_records", &machine.run(&["doctor"]));

    let dir = machine.path("home/.cache/proxyattn/tune");
    let files = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "jsonl")).collect();
    files.sort();
    let text = fs::read_to_string(&files[0]).unwrap();
    fs::write(&files[0], text.replacen("\"unit\":\"attend\"", "\"unit\":\"dense\"", 1)).unwrap();
    let listed = machine.run(&["cache", "ls"]).stdout;
    assert!(listed.contains("1 damaged line: run `proxyattn cache verify` for details"), "{listed}");
    let run = machine.run(&["cache", "verify"]);
    assert_eq!(run.code, 4);
    assert!(run.stdout.contains("line 2: its checksum is "), "{}", run.stdout);
    assert!(
        run.stdout.contains("\n1 of 4 tuning records is damaged; `proxyattn cache verify --remove`"),
        "{}",
        run.stdout
    );
    assert_eq!(machine.run(&["cache", "verify", "--remove"]).code, 4);
    let run = machine.run(&["cache", "verify"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "intact: 0 cubins, 3 tuning records\n"));

    let run = machine.run(&["cache", "clear"]);
    assert_eq!(run.code, 2, "there is something to ask for: {}", run.stderr);
    let run = machine.run(&["cache", "clear", "--yes"]);
    assert_eq!(run.stdout, "deleted 0 files (0 B) and 3 tuning records; left: 0 cubins, 0 B\n");
    assert!(files.iter().all(|file| !file.exists()));
}

#[test]
fn clearing_asks() {
    let (machine, files) = filled("cache-clear");
    snapshot("cache_clear_asks", &machine.run(&["cache", "clear"]));
    assert!(files.iter().all(|file| file.path.exists()));
    snapshot("cache_clear", &machine.run(&["cache", "clear", "--yes"]));
    assert!(files.iter().all(|file| !file.path.exists()));
}

#[test]
fn a_cache_that_is_not_there_is_no_error() {
    let machine = Machine::new("cache-none");
    for command in [&["ls"][..], &["verify"], &["gc"], &["clear"]] {
        let run = machine.run(&[&["cache"], command].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(run.stdout.ends_with("home/.cache/proxyattn: nothing is stored yet\n"), "{}", run.stdout);
    }
    assert!(!machine.path("home").exists(), "looking makes nothing");
    // One that is named has to be there.
    let run = machine.run(&["cache", "ls", "--dir", "/typo"]);
    assert_eq!((run.code, run.stderr.as_str()), (1, "error: --dir: `/typo`: no such directory\n"));
}

#[test]
fn directories_that_cannot_be_used_are_refused() {
    let mut machine = Machine::new("cache-refused");
    fs::write(machine.path("file"), "").unwrap();
    let run = machine.run(&["cache", "ls", "--dir", "file"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.starts_with("error: `file`: "), "{}", run.stderr);
    machine.set("HOME", "");
    snapshot("cache_nowhere", &machine.run(&["cache", "ls"]));
}
