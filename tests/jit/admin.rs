//! A cache looked at from outside.

use crate::fake::{Fake, program};
use crate::scratch::{Scratch, entries, options};
use proxyattn_runtime::Error;
use proxyattn_runtime::jit::{CacheDir, CacheFileKind, Jit, Program, Target};
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

fn used(path: &Path, seconds: u64) {
    let time = SystemTime::now() - Duration::from_secs(seconds);
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// Three cubins, used 10, 20 and 30 minutes ago, oldest first.
fn filled(cache: &Path) -> CacheDir {
    let jit = Jit::with_compiler(options(cache), Fake { padding: 1000, ..Fake::default() }).unwrap();
    for n in 0..3 {
        jit.cubin(&Program::new(format!("k{n}"), format!("text {n}")), Target::SM_80).unwrap();
    }
    for (n, path) in (1..).zip(entries(cache)) {
        used(&path, 600 * n);
    }
    CacheDir::open(cache).unwrap().expect("it is there")
}

#[test]
fn files_are_listed_by_use_and_read_with_their_checksum() {
    let scratch = Scratch::new("admin-list");
    let cache = scratch.path("cache");
    assert!(CacheDir::open(&cache).unwrap().is_none(), "looking makes nothing");
    let dir = filled(&cache);
    // What is not the cache's own is not seen: a user's file, and the locks.
    fs::write(entries(&cache)[0].with_file_name("notes.cubin"), "mine").unwrap();
    let files = dir.files().unwrap();
    assert_eq!(files.len(), 3);
    assert!(files.iter().all(|file| file.kind == CacheFileKind::Cubin && file.bytes > 1000));
    assert!(files.windows(2).all(|pair| pair[0].used < pair[1].used));
    assert_eq!(dir.read(&files[0]).unwrap().log(), "a log");

    let mut bytes = fs::read(&files[1].path).unwrap();
    bytes[100] ^= 1;
    fs::write(&files[1].path, bytes).unwrap();
    let error = dir.read(&files[1]).unwrap_err();
    assert!(matches!(&error, Error::CubinFile { path, .. } if *path == files[1].path));
    assert!(error.to_string().ends_with("its checksum does not match"), "{error}");
    assert!(files[1].path.exists(), "looking deletes nothing");
    dir.remove(&files[1]).unwrap();
    dir.remove(&files[1]).unwrap();
    assert_eq!(dir.files().unwrap().len(), 2);
}

#[test]
fn it_shrinks_by_size_and_by_age() {
    let scratch = Scratch::new("admin-shrink");
    let dir = filled(&scratch.path("cache"));
    let age = |minutes: u64| Duration::from_secs(60 * minutes);
    let all = dir.files().unwrap();
    assert!(dir.shrink(u64::MAX, age(60)).unwrap().is_empty());
    assert_eq!(dir.shrink(u64::MAX, age(25)).unwrap(), all[..1]);
    assert_eq!(dir.shrink(all[2].bytes, Duration::MAX).unwrap(), all[1..2]);
    assert_eq!(dir.shrink(0, Duration::MAX).unwrap(), all[2..]);
    assert!(dir.files().unwrap().is_empty());
}

#[test]
fn what_a_dead_process_left_goes_and_what_a_living_one_writes_stays() {
    let scratch = Scratch::new("admin-temporary");
    let dir = filled(&scratch.path("cache"));
    let beside = |name: &str| entries(dir.path())[0].with_file_name(name);
    let (old, new) = (beside(".proxyattn-1-0-a"), beside(".proxyattn-2-0-b"));
    for path in [&old, &new] {
        fs::write(path, "half").unwrap();
    }
    used(&old, 7200);
    let temporary = dir.files().unwrap().into_iter().filter(|file| file.kind == CacheFileKind::Temporary);
    assert_eq!(temporary.count(), 2);
    assert_eq!(dir.shrink(u64::MAX, Duration::MAX).unwrap().len(), 1);
    assert!(!old.exists() && new.exists());
}

#[test]
fn a_directory_that_the_cache_refuses_is_refused() {
    let scratch = Scratch::new("admin-refused");
    fs::write(scratch.path("file"), "").unwrap();
    let told = CacheDir::open(&scratch.path("file")).unwrap_err().to_string();
    assert!(told.contains("file"), "{told}");
    let jit = Jit::with_compiler(options(&scratch.path("cache")), Fake::default()).unwrap();
    jit.cubin(&program(), Target::SM_80).unwrap();
    let open: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(scratch.path("cache"), open).unwrap();
    let told = CacheDir::open(&scratch.path("cache")).unwrap_err().to_string();
    assert!(told.contains("`chmod go-w` on it"), "{told}");
}
