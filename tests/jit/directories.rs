//! Directories that cannot be used, or must not be.

use crate::fake::{Fake, program};
use crate::scratch::{Scratch, entries, files, not_run, options};
use proxyattn_runtime::jit::{Env, Jit, JitOptions, Target};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

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
        assert!(trouble.contains(&format!("got mode {mode:04o}; `chmod go-w` it")), "{trouble}");
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
    assert!(trouble.contains(&format!("got one of user {other}")), "{trouble}");
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
    assert!(trouble.contains("HOME"), "{trouble}");
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
