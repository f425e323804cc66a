//! Entries that are not what was written, and entries that are too many.

use crate::fake::{Fake, program};
use crate::scratch::{Scratch, entries, options};
use proxyattn_runtime::Error;
use proxyattn_runtime::jit::{Env, Jit, Program, Target};
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

fn jit(cache: &Path) -> (Jit, Fake) {
    let fake = Fake { padding: 1000, ..Fake::default() };
    (Jit::with_compiler(options(cache), fake.clone()).unwrap(), fake)
}

#[test]
fn a_second_process_reads_what_the_first_compiled() {
    let scratch = Scratch::new("hit");
    let (first, fake) = jit(&scratch.path("cache"));
    let compiled = first.cubin(&program(), Target::SM_80).unwrap();
    assert_eq!(compiled.bytes(), fake.image(&program()));
    let again = first.cubin(&program(), Target::SM_80).unwrap();
    assert!(std::sync::Arc::ptr_eq(&compiled, &again));
    let counters = first.counters();
    assert_eq!((counters.misses, counters.compiles, counters.memory_hits), (1, 1, 1));

    let (second, fake) = jit(&scratch.path("cache"));
    assert_eq!(*second.cubin(&program(), Target::SM_80).unwrap(), *compiled);
    let counters = second.counters();
    assert_eq!((counters.disk_hits, counters.misses, fake.calls()), (1, 0, 0));
    assert_eq!(second.trouble(), None);

    // Anything else about it is another entry.
    second.cubin(&program(), Target::SM_90A).unwrap();
    second.cubin(&program().option("-DSTAGES=3"), Target::SM_80).unwrap();
    assert_eq!((fake.calls(), entries(&scratch.path("cache")).len()), (2, 3));
}

#[test]
fn what_is_not_an_entry_is_compiled_again_and_replaced() {
    let scratch = Scratch::new("rotten");
    let cache = scratch.path("cache");
    let (other, _) = jit(&cache);
    other.cubin(&Program::new("other", "text of another"), Target::SM_80).unwrap();
    let foreign = fs::read(&entries(&cache)[0]).unwrap();
    fs::remove_file(&entries(&cache)[0]).unwrap();

    let (first, _) = jit(&cache);
    first.cubin(&program(), Target::SM_80).unwrap();
    let path = entries(&cache)[0].clone();
    let good = fs::read(&path).unwrap();
    let flip = |at: usize| {
        let mut rotten = good.clone();
        rotten[at] ^= 0x10;
        rotten
    };
    let cases = [
        ("no bytes", vec![], "shorter than its header"),
        ("half of its header", good[..40].to_vec(), "shorter than its header"),
        ("its header alone", good[..92].to_vec(), "length"),
        ("a byte less", good[..good.len() - 1].to_vec(), "length"),
        ("a byte more", [good.as_slice(), b"."].concat(), "length"),
        ("a bit of the image flipped", flip(good.len() - 100), "checksum"),
        ("a bit of the checksum flipped", flip(70), "checksum"),
        ("another magic", flip(0), "not a cache entry"),
        ("another format", flip(8), "another format"),
        ("the entry of another key", foreign, "another key"),
        ("zeros, as a crash may leave", vec![0; good.len()], "not a cache entry"),
    ];
    for (what, bytes, told) in cases {
        fs::write(&path, bytes).unwrap();
        let (jit, fake) = jit(&cache);
        let cubin = jit.cubin(&program(), Target::SM_80).unwrap();
        assert_eq!(cubin.bytes(), fake.image(&program()), "{what}");
        let counters = jit.counters();
        assert_eq!((counters.corrupt, counters.compiles, counters.disk_hits), (1, 1, 0), "{what}");
        assert_eq!(counters.io_errors, 0, "{what}");
        let trouble = jit.trouble().unwrap();
        assert!(trouble.contains(told), "{what}: {trouble}");
        assert_eq!(fs::read(&path).unwrap(), good, "{what}");
    }
}

#[test]
fn a_cubin_that_the_driver_refuses_is_made_anew() {
    let scratch = Scratch::new("discard");
    let (jit, fake) = jit(&scratch.path("cache"));
    jit.cubin(&program(), Target::SM_80).unwrap();
    jit.discard(&program(), Target::SM_80);
    assert!(entries(&scratch.path("cache")).is_empty());
    jit.cubin(&program(), Target::SM_80).unwrap();
    assert_eq!((fake.calls(), jit.counters().compiles), (2, 2));
    assert_eq!(entries(&scratch.path("cache")).len(), 1);
}

#[test]
fn the_least_recently_used_go_first() {
    let scratch = Scratch::new("evict");
    let cache = scratch.path("cache");
    let kernel = |n: usize| Program::new(format!("k{n}"), format!("text {n}"));
    // Each entry is a little over 1,100 bytes: four fit, five do not.
    let jit = || {
        let mut options = options(&cache);
        options.cache_bytes = Some(5_000);
        Jit::with_compiler(options, Fake { padding: 1_000, ..Fake::default() }).unwrap()
    };
    let mut paths = Vec::new();
    for n in 0..4 {
        jit().cubin(&kernel(n), Target::SM_80).unwrap();
        let new = entries(&cache).into_iter().find(|path| !paths.contains(path)).unwrap();
        let used = SystemTime::now() - Duration::from_secs(1_000 - n as u64);
        fs::File::options().write(true).open(&new).unwrap().set_modified(used).unwrap();
        paths.push(new);
    }
    // A user's own file in a directory that looks like a shard.
    let own = paths[0].with_file_name("notes.cubin");
    fs::write(&own, "mine").unwrap();
    // The oldest is used again; so the second oldest goes.
    let hit = jit();
    hit.cubin(&kernel(0), Target::SM_80).unwrap();
    assert_eq!(hit.counters().disk_hits, 1);
    let last = jit();
    last.cubin(&kernel(4), Target::SM_80).unwrap();
    assert_eq!(last.counters().evicted, 1);
    let left: Vec<_> = paths.iter().map(|path| path.exists()).collect();
    assert_eq!(left, [true, false, true, true]);
    assert!(own.exists());
    // The one just written stays even where it alone is too large.
    let mut options = options(&cache);
    options.cache_bytes = Some(10);
    let tiny = Jit::with_compiler(options, Fake::default()).unwrap();
    tiny.cubin(&kernel(5), Target::SM_80).unwrap();
    assert_eq!((tiny.counters().evicted, tiny.counters().io_errors), (4, 0));
    assert_eq!(entries(&cache).iter().filter(|path| **path != own).count(), 1);
}

#[test]
fn what_is_not_cached_is_not_compiled_where_that_is_forbidden() {
    let scratch = Scratch::new("deny");
    let cache = scratch.path("cache");
    let denied = || {
        let mut options = options(&cache);
        options.env = Env::of([("PROXYATTN_JIT", "deny")]);
        let fake = Fake::default();
        (Jit::with_compiler(options, fake.clone()).unwrap(), fake)
    };
    let (jit, fake) = denied();
    let error = jit.cubin(&program(), Target::SM_90A).unwrap_err();
    assert!(matches!(&error, Error::JitDenied { program, .. } if program == "k"));
    let told = error.to_string();
    for part in ["`k` for sm_90a", "PROXYATTN_JIT=deny", &cache.display().to_string()] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!((fake.calls(), jit.counters().misses), (0, 1));

    let allowed = Jit::with_compiler(options(&cache), Fake::default()).unwrap();
    allowed.cubin(&program(), Target::SM_90A).unwrap();
    let (jit, fake) = denied();
    jit.cubin(&program(), Target::SM_90A).unwrap();
    assert_eq!((fake.calls(), jit.counters().disk_hits), (0, 1));
}
