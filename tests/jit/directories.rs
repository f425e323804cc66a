//! Directories that cannot be used, or must not be.

use crate::fake::{Fake, program};
use crate::scratch::{Scratch, entries, files, not_run, options};
use proxyattn_runtime::Error;
use proxyattn_runtime::jit::{CacheDir, Env, Jit, JitOptions, Target};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Compiles twice in one process, uncached, and tells why.
fn assert_soft(options: JitOptions, io_errors: u64) -> String {
    let fake = Fake::default();
    let jit = Jit::with_compiler(options, fake.clone()).unwrap();
    for _ in 0..2 {
        assert_eq!(jit.cubin(&program(), Target::SM_80).unwrap().bytes(), fake.image(&program()));
    }
    let counters = jit.counters();
    assert_eq!((counters.compiles, counters.memory_hits, counters.disk_hits), (1, 1, 0));
    assert_eq!(counters.io_errors, io_errors, "{:?}", jit.trouble());
    jit.trouble().unwrap()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_directory_and_everything_in_it_are_the_users_alone() {
    let scratch = Scratch::new("private");
    let cache = scratch.path("parent/cache");
    let jit = Jit::with_compiler(options(&cache), Fake::default()).unwrap();
    assert!(!cache.exists(), "nothing is made before it is needed");
    jit.cubin(&program(), Target::SM_80).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    let entry = entries(&cache)[0].clone();
    for dir in [&scratch.path("parent"), &cache, entry.parent().unwrap()] {
        assert_eq!(mode(dir), 0o700, "{}", dir.display());
    }
    for file in files(&cache) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    assert_eq!(jit.cache_dir(), Some(cache.as_path()));
}

#[test]
fn a_directory_that_others_may_write_to_is_refused() {
    let scratch = Scratch::new("mode");
    let cache = scratch.path("cache");
    fs::create_dir(&cache).unwrap();
    for mode in [0o777, 0o770, 0o702] {
        set_mode(&cache, mode);
        let trouble = assert_soft(options(&cache), 1);
        assert!(trouble.contains(&format!("got mode {mode:04o}; run `chmod go-w` on it")), "{trouble}");
        assert_eq!(files(&cache).len(), 0);
    }
    // Others may look.
    set_mode(&cache, 0o755);
    let jit = Jit::with_compiler(options(&cache), Fake::default()).unwrap();
    jit.cubin(&program(), Target::SM_80).unwrap();
    assert_eq!((entries(&cache).len(), jit.counters().io_errors), (1, 0));
}

#[test]
fn a_directory_of_another_user_is_refused() {
    let scratch = Scratch::new("owner");
    let cache = scratch.path("cache");
    fs::create_dir(&cache).unwrap();
    set_mode(&cache, 0o700);
    let other = fs::metadata(&cache).unwrap().uid() ^ 0x7ff0;
    if chown(&cache, Some(other), None).is_err() {
        not_run("a_directory_of_another_user_is_refused", "only root can give a directory away");
        return;
    }
    let trouble = assert_soft(options(&cache), 1);
    assert!(trouble.contains(&format!("got one owned by user {other}")), "{trouble}");
    assert_eq!(files(&cache).len(), 0);
}

#[test]
fn a_directory_that_cannot_be_made_costs_the_cache_only() {
    let scratch = Scratch::new("unmade");
    fs::write(scratch.path("file"), "").unwrap();
    // Not even root makes a directory in a file.
    assert_soft(options(&scratch.path("file/cache")), 1);
    let trouble = assert_soft(options(&scratch.path("file")), 1);
    assert!(trouble.contains("`"), "{trouble}");
}

#[test]
fn a_shard_that_cannot_be_made_costs_the_cache_only() {
    let scratch = Scratch::new("shards");
    let cache = scratch.path("cache");
    let jit = Jit::with_compiler(options(&cache), Fake::default()).unwrap();
    jit.cubin(&program(), Target::SM_80).unwrap();
    let shard = entries(&cache)[0].parent().unwrap().to_owned();
    fs::remove_dir_all(&shard).unwrap();
    fs::write(&shard, "").unwrap();
    // Reading, locking, reading again, writing.
    let trouble = assert_soft(options(&cache), 4);
    assert!(trouble.starts_with("reading `"), "{trouble}");
}

#[test]
fn a_directory_that_may_only_be_read_still_gives_hits() {
    let scratch = Scratch::new("read-only");
    let cache = scratch.path("cache");
    let jit = Jit::with_compiler(options(&cache), Fake::default()).unwrap();
    jit.cubin(&program(), Target::SM_80).unwrap();
    let shard = entries(&cache)[0].parent().unwrap().to_owned();
    for dir in [&shard, &cache] {
        set_mode(dir, 0o500);
    }
    let may_write = fs::write(cache.join("probe"), "").is_ok();
    let fake = Fake::default();
    let jit = Jit::with_compiler(options(&cache), fake.clone()).unwrap();
    jit.cubin(&program(), Target::SM_80).unwrap();
    jit.cubin(&program(), Target::SM_90A).unwrap();
    let counters = jit.counters();
    for dir in [&cache, &shard] {
        set_mode(dir, 0o700);
    }
    assert_eq!((counters.disk_hits, counters.compiles, fake.calls()), (1, 1, 1));
    // Root writes where it likes.
    assert_eq!(counters.io_errors > 0, !may_write, "{:?}", jit.trouble());
}

#[test]
fn without_a_home_there_is_no_cache_and_no_fallback() {
    let mut options = JitOptions::default();
    options.env = Env::default();
    let trouble = assert_soft(options, 0);
    assert!(trouble.contains("HOME are unset; set PROXYATTN_CACHE_DIR to "), "{trouble}");
}

/// Places where not even root makes a directory: in a device, in a file, in a file system that has no room for others, and
/// behind a link that leads nowhere.
pub(crate) fn hopeless(scratch: &Scratch) -> Vec<PathBuf> {
    fs::write(scratch.path("file"), "").unwrap();
    std::os::unix::fs::symlink(scratch.path("nowhere/else"), scratch.path("link")).unwrap();
    let places = ["/dev/null/x".into(), scratch.path("file/x"), scratch.path("file"), "/proc/x/y".into()];
    places.into_iter().chain([scratch.path("link")]).collect()
}

/// What a rehearsal says is what happens: no directory is used of which it does not say so, and the other way round.
#[test]
fn a_rehearsal_says_what_is_wrong_and_leaves_nothing() {
    let scratch = Scratch::new("rehearsal");
    for dir in hopeless(&scratch) {
        let error = CacheDir::rehearse(&dir).unwrap_err();
        let told = error.to_string();
        assert!(matches!(&error, Error::CubinFile { path, .. } if *path == dir), "{told}");
        assert!(told.len() > format!("`{}`: ", dir.display()).len() + 5, "{told}");
        let trouble = assert_soft(options(&dir), 1);
        assert!(trouble.contains("every process recompiles"), "{trouble}");
        assert!(trouble.contains(&dir.display().to_string()), "{trouble}");
        assert!(trouble.ends_with("set PROXYATTN_CACHE_DIR to a writable directory that this user owns"));
    }
    let shared = scratch.path("shared");
    fs::create_dir(&shared).unwrap();
    set_mode(&shared, 0o777);
    assert!(CacheDir::rehearse(&shared).unwrap_err().to_string().contains("got mode 0777"));

    let fresh = scratch.path("home/.cache/proxyattn");
    assert!(!CacheDir::rehearse(&fresh).unwrap());
    assert!(!scratch.path("home").exists(), "what was not there is gone again");
    let jit = Jit::with_compiler(options(&fresh), Fake::default()).unwrap();
    jit.cubin(&program(), Target::SM_80).unwrap();
    let before = files(&fresh);
    assert!(CacheDir::rehearse(&fresh).unwrap());
    assert_eq!(files(&fresh), before);
}

/// A path that leads through a file is not a cache in which nothing is stored yet.
#[test]
fn looking_into_a_path_that_leads_nowhere_is_an_error() {
    let scratch = Scratch::new("astray");
    fs::write(scratch.path("file"), "").unwrap();
    for dir in [PathBuf::from("/dev/null/x"), scratch.path("file/x"), scratch.path("file")] {
        let error = CacheDir::open(&dir).unwrap_err();
        assert!(error.to_string().starts_with(&format!("`{}`: ", dir.display())), "{error}");
    }
    assert!(CacheDir::open(&scratch.path("not-there")).unwrap().is_none());
}

#[test]
fn the_environment_names_the_directory() {
    let scratch = Scratch::new("environment");
    let mut options = JitOptions::default();
    options.env = Env::of([("XDG_CACHE_HOME", scratch.path("xdg"))]);
    let jit = Jit::with_compiler(options, Fake::default()).unwrap();
    jit.cubin(&program(), Target::SM_80).unwrap();
    assert_eq!(entries(&scratch.path("xdg/proxyattn")).len(), 1);
}
