//! The host shim that kernel bodies run on without a GPU: its own tests, and the rules that keep it a twin of the
//! device prelude.

#[path = "shim/host.rs"]
mod host;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Wrappers, detectors, and two kernels with planted bugs, every one of which must be caught.
fn selftest(elem: &str) {
    let program = host::compile(
        &host::folder().join("selftest.cpp"),
        &format!("shim_selftest_{elem}"),
        &[&format!("-DELEM_{elem}")],
        &[host::shim()],
    );
    let report = host::run(&program, &[]);
    let caught =
        report.lines().filter(|line| line.starts_with("mutant") && line.contains("caught in")).count();
    assert_eq!(caught, 14 + 9, "every planted bug reports how it was caught:\n{report}");
    assert!(report.ends_with("0 failures\n"), "{report}");
}

#[test]
fn selftest_bf16() {
    selftest("BF16");
}

#[test]
fn selftest_f16() {
    selftest("F16");
}

/// Fibers without the hand-written switch, as on processors other than x86-64.
#[test]
fn selftest_on_portable_fibers() {
    let shim = host::object(&host::folder().join("shim.cpp"), "shim_ucontext.o", &["-DSHIM_UCONTEXT", "-O1"]);
    let program = host::compile(
        &host::folder().join("selftest.cpp"),
        "shim_selftest_ucontext",
        &["-DELEM_BF16", "-O1"],
        &[&shim],
    );
    assert!(host::run(&program, &["6"]).ends_with("0 failures\n"));
}

/// Which tile comes when: long contexts alone take the first part of it, and no stage that is run here has one.
#[test]
fn every_tile_comes_once() {
    let program =
        host::compile(&host::folder().join("order.cpp"), "tile_order", &["-DELEM_BF16"], &[host::shim()]);
    assert_eq!(host::run(&program, &[]), "0 failures\n");
}

/// A program is made again where its source or its flags are others, and only there.
#[test]
fn programs_are_kept_until_they_would_be_others() {
    let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kept.cpp");
    let made = |number: u32, flags: &[&str]| {
        let text = format!("#include <cstdio>\nint main() {{ std::printf(\"%d %d\", {number}, TIMES); }}\n");
        fs::write(&source, text).expect("the target folder can be written");
        let program = host::compile(&source, "kept", flags, &[]);
        let time = fs::metadata(&program).and_then(|known| known.modified()).expect("a time");
        (host::run(&program, &[]), time)
    };
    made(0, &["-DTIMES=0"]); // whatever an earlier run has left
    let (first, then) = made(1, &["-DTIMES=1"]);
    assert_eq!((first.as_str(), made(1, &["-DTIMES=1"])), ("1 1", (first.clone(), then)));
    assert_eq!(made(2, &["-DTIMES=1"]).0, "2 1");
    assert_eq!(made(2, &["-DTIMES=3"]).0, "2 3");
}

fn templates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("templates")
}

/// Every `.cuh` below `folder`, by path and with its comments removed.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "cuh") {
            let text = fs::read_to_string(&path).expect("a readable template");
            let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
            found.push((path, code.collect::<Vec<_>>().join("\n")));
        }
    }
    assert!(!found.is_empty(), "no templates in {}", folder.display());
    found
}

/// The identifiers of a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// What stands before the parameter list of each device function that `text` defines.
fn wrappers(text: &str) -> BTreeSet<&str> {
    text.split("__forceinline__ ")
        .skip(1)
        .map(|rest| rest.split('(').next().and_then(|head| words(head).last()).expect("a function name"))
        .collect()
}

/// A wrapper that the self-tests never call could differ between device and host without notice.
#[test]
fn every_wrapper_is_called_by_a_self_test() {
    let kernels = sources(&host::folder().join("kernels"));
    let called: BTreeSet<&str> = kernels.iter().flat_map(|(_, text)| words(text)).collect();
    for (path, text) in sources(&templates().join("prelude")) {
        for wrapper in wrappers(&text) {
            assert!(
                called.contains(wrapper),
                "{wrapper} of {} is called by no kernel in tests/shim/kernels",
                path.display()
            );
        }
    }
}

/// What the shim asks of kernel text, and the design of all of it.
#[test]
fn only_the_prelude_speaks_ptx() {
    for (path, text) in sources(&templates()) {
        let path = path.strip_prefix(templates()).expect("below the templates");
        assert!(!text.contains("#include"), "{}: kernels are header-free", path.display());
        for (number, line) in text.lines().enumerate() {
            assert!(
                !line.contains("__shared__") || line.trim_start().starts_with("extern __shared__"),
                "{}:{}: shared memory is dynamic only",
                path.display(),
                number + 1
            );
        }
        if !path.starts_with("prelude") {
            let raw =
                words(&text).find(|word| *word == "asm" || word.ends_with("_sync") && word.starts_with("__"));
            assert_eq!(raw, None, "{}: PTX belongs behind a wrapper in prelude/", path.display());
        }
    }
}
