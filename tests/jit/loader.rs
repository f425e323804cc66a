//! Libraries that are missing, old, broken, or something else.

use crate::fake::program;
use crate::scratch::{Scratch, options};
use crate::stub;
use proxyattn_runtime::jit::{Compiler, Env, Jit, Nvrtc, Program, Target};
use proxyattn_runtime::{Error, Result};
use std::fs;
use std::path::Path;

fn open(library: &Path) -> Result<Nvrtc> {
    Nvrtc::open(Some(library), &Env::default())
}

fn refused(library: &Path) -> Error {
    open(library).err().expect("it should not be usable")
}

fn assert_tells(error: &Error, parts: &[&str]) {
    let told = error.to_string();
    for part in parts {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
}

#[test]
fn a_stub_compiles_with_the_options_in_order() {
    let scratch = Scratch::new("stub");
    let library = stub::library(&scratch.path(""), &[]);
    let nvrtc = open(&library).unwrap();
    assert_eq!((nvrtc.version(), nvrtc.supported()), ((13, 0), &[80, 90][..]));
    assert_eq!(nvrtc.library(), library);
    let program = program().option("-DSTAGES=3").option("-DWARPS=4");
    let cubin = nvrtc.compile(&program, Target::SM_90A).unwrap();
    assert_eq!(cubin.bytes(), b"\x7fELF stub");
    let expected = [
        "--gpu-architecture=sm_90a",
        "--std=c++17",
        "--minimal",
        "--no-cache",
        "--modify-stack-limit=false",
        "--ftz=true",
        "--prec-div=false",
        "--prec-sqrt=false",
        "--ptxas-options=-v",
        "--ptxas-options=--warn-on-spills",
        "-DSTAGES=3",
        "-DWARPS=4",
    ];
    assert_eq!(cubin.log().lines().collect::<Vec<_>>(), expected);
    assert_eq!(nvrtc.invocation(&program, Target::SM_90A).unwrap().options, expected);
}

#[test]
fn another_build_is_another_compiler() {
    let scratch = Scratch::new("builds");
    let identity = |name: &str, definitions: &[&str]| {
        let nvrtc = open(&stub::library(&scratch.path(name), definitions)).unwrap();
        nvrtc.invocation(&program(), Target::SM_80).unwrap().compiler
    };
    let (one, two) = (identity("one", &[]), identity("two", &[]));
    assert!(one.starts_with("nvrtc 13.0, "), "{one}");
    assert_ne!(one, two);
    assert!(identity("new", &["MAJOR=13", "MINOR=5"]).starts_with("nvrtc 13.5, "));
}

#[test]
fn a_missing_library_lists_what_was_searched() {
    let scratch = Scratch::new("missing");
    let path = scratch.path("libnvrtc.so.13");
    let error = refused(&path);
    assert!(matches!(&error, Error::NvrtcNotFound { searched } if searched.len() == 1));
    assert_tells(&error, &[&path.display().to_string(), "no such file", "PROXYATTN_NVRTC", "pip install"]);

    fs::write(&path, "no library").unwrap();
    let error = refused(&path);
    assert!(matches!(&error, Error::NvrtcNotFound { .. }));
    assert_tells(&error, &[&path.display().to_string(), "file too short"]);

    let jit = Jit::new({
        let mut options = options(&scratch.path("cache"));
        options.env = Env::of([("PROXYATTN_NVRTC", scratch.path("nowhere"))]);
        options
    });
    let error = jit.unwrap().cubin(&program(), Target::SM_80).unwrap_err();
    assert_tells(&error, &["nowhere", "(PROXYATTN_NVRTC: no such file)"]);
}

#[test]
fn an_old_library_is_told_by_its_age() {
    let scratch = Scratch::new("old");
    for (major, minor, omitted) in [(11, 1, "OMIT_GetNumSupportedArchs"), (10, 2, "OMIT_GetCUBIN")] {
        let version = [format!("MAJOR={major}"), format!("MINOR={minor}")];
        let dir = scratch.path(&format!("{major}.{minor}"));
        let error = refused(&stub::library(&dir, &[&version[0], &version[1], omitted]));
        assert!(matches!(&error, Error::NvrtcTooOld { version, .. } if *version == (major, minor)));
        assert_tells(&error, &[&format!("NVRTC {major}.{minor}"), "11.2 or later"]);
    }
    open(&stub::library(&scratch.path("11.2"), &["MAJOR=11", "MINOR=2"])).unwrap();
}

#[test]
fn every_missing_symbol_is_named() {
    let scratch = Scratch::new("symbols");
    let symbols = [
        "Version",
        "GetErrorString",
        "GetNumSupportedArchs",
        "GetSupportedArchs",
        "CreateProgram",
        "CompileProgram",
        "GetProgramLogSize",
        "GetProgramLog",
        "GetCUBINSize",
        "GetCUBIN",
        "DestroyProgram",
    ];
    for symbol in symbols {
        let error = refused(&stub::library(&scratch.path(symbol), &[&format!("OMIT_{symbol}")]));
        let missing = format!("nvrtc{symbol}");
        assert!(matches!(&error, Error::NvrtcSymbol { symbol, .. } if *symbol == missing), "{error}");
    }
}

/// What a compilation calls.
const WORKING: [&str; 6] = [
    "nvrtcCreateProgram",
    "nvrtcCompileProgram",
    "nvrtcGetProgramLogSize",
    "nvrtcGetProgramLog",
    "nvrtcGetCUBINSize",
    "nvrtcGetCUBIN",
];

#[test]
fn every_failing_call_is_named_and_leaks_nothing() {
    let scratch = Scratch::new("calls");
    let library = |call: &str, code: i32, spared: u32| {
        let (fail, after) = (format!("FAIL=\"{call}\""), format!("AFTER={spared}"));
        let dir = scratch.path(&format!("{call}-{code}-{spared}"));
        stub::library(&dir, &[&fail, &format!("CODE={code}"), &after])
    };
    let failing = |call: &str, code: i32| library(call, code, 0);
    // A library without builtins is put to the trial first.
    let spared = |call: &str, code: i32| library(call, code, 1);
    for call in ["nvrtcVersion", "nvrtcGetNumSupportedArchs", "nvrtcGetSupportedArchs"] {
        let error = refused(&failing(call, 11));
        assert!(
            matches!(&error, Error::NvrtcCall { call: named, code: 11, .. } if *named == call),
            "{error}"
        );
        assert_tells(&error, &[call, "STUB_ERROR (11)"]);
    }
    for call in WORKING {
        let nvrtc = open(&spared(call, 99)).unwrap();
        // The second time too: the first program was destroyed.
        for _ in 0..2 {
            let error = nvrtc.compile(&program(), Target::SM_80).unwrap_err();
            assert!(matches!(&error, Error::NvrtcCall { call: named, .. } if *named == call), "{error}");
            assert_tells(&error, &["unknown error (99)"]);
        }
    }
    let refused_options = open(&spared("nvrtcCompileProgram", 5)).unwrap();
    let error = refused_options.compile(&program(), Target::SM_80).unwrap_err();
    assert_tells(&error, &["nvrtcCompileProgram", "STUB_ERROR (5)", "\n    --std=c++17"]);

    let refused_source = open(&spared("nvrtcCompileProgram", 6)).unwrap();
    let error = refused_source.compile(&program(), Target::SM_80).unwrap_err();
    assert!(matches!(&error, Error::Compile { log, .. } if log.contains("--std=c++17")), "{error}");

    let undestroyed = open(&spared("nvrtcDestroyProgram", 3)).unwrap();
    undestroyed.compile(&program(), Target::SM_80).unwrap();
}

#[test]
fn an_image_that_is_none_is_refused() {
    let scratch = Scratch::new("images");
    for (name, definition, got) in
        [("empty", "IMAGE=\"\"", "0 bytes"), ("ptx", "IMAGE=\".version\"", "8 bytes")]
    {
        let nvrtc = open(&stub::library(&scratch.path(name), &[definition, "AFTER=1"])).unwrap();
        let error = nvrtc.compile(&program(), Target::SM_90A).unwrap_err();
        assert!(matches!(&error, Error::NotACubin { .. }), "{error}");
        assert_tells(&error, &["`k`", "sm_90a", got]);
    }
    let nvrtc = open(&stub::library(&scratch.path("huge"), &["HUGE_SIZE", "AFTER=1"])).unwrap();
    let error = nvrtc.compile(&program(), Target::SM_90A).unwrap_err();
    assert_tells(&error, &["nvrtcGetCUBINSize", "it reports a size of 9223372036854775807 bytes"]);
}

#[test]
fn a_gpu_that_it_does_not_know_is_refused_with_those_it_does() {
    let scratch = Scratch::new("targets");
    let library = stub::library(&scratch.path(""), &[]);
    let error = open(&library).unwrap().compile(&program(), Target::new(10, 0).specific()).unwrap_err();
    assert!(matches!(&error, Error::NvrtcTarget { supported, .. } if supported == &[80, 90]), "{error}");
    assert_tells(&error, &["NVRTC 13.0", "sm_100a", "which needs CUDA 12.8", "it supports sm_80, sm_90"]);
    assert_tells(&error, &["set PROXYATTN_NVRTC to a version that supports it"]);
}

/// NVRTC lists 90 for `sm_90` and for `sm_90a`, which came one version later.
#[test]
fn hoppers_own_target_wants_the_version_that_brought_it() {
    let scratch = Scratch::new("specific");
    let of = |major: &str, minor: &str| {
        let definitions = [format!("MAJOR={major}"), format!("MINOR={minor}")];
        let dir = scratch.path(&format!("{major}.{minor}"));
        open(&stub::library(&dir, &definitions.each_ref().map(String::as_str))).unwrap()
    };
    let old = of("11", "8");
    assert!(old.knows(Target::new(9, 0)) && old.knows(Target::SM_80) && !old.knows(Target::SM_90A));
    old.compile(&program(), Target::new(9, 0)).unwrap();
    let error = old.compile(&program(), Target::SM_90A).unwrap_err();
    assert!(matches!(&error, Error::NvrtcTarget { since: Some((12, 0)), .. }), "{error}");
    assert_tells(
        &error,
        &[
            "is NVRTC 11.8 and cannot compile for sm_90a, which needs CUDA 12.0",
            "set PROXYATTN_NVRTC to CUDA 12.0 or later",
        ],
    );
    // Before anything is asked of the library: a cache is not searched under a key that nothing can be stored under.
    assert!(old.invocation(&program(), Target::SM_90A).is_err());
    let new = of("12", "0");
    assert!(new.knows(Target::SM_90A) && !new.knows(Target::new(10, 0)));
    new.compile(&program(), Target::SM_90A).unwrap();
}

#[test]
fn options_that_spoil_the_process_never_reach_it() {
    let scratch = Scratch::new("options");
    let nvrtc = open(&stub::library(&scratch.path(""), &[])).unwrap();
    for program in [program().option("-G"), program().option("-arch=sm_80"), Program::new("k", "a\0b")] {
        let error = nvrtc.compile(&program, Target::SM_80).unwrap_err();
        assert!(matches!(error, Error::Program { .. }), "{error}");
    }
}

#[test]
fn the_builtins_beside_it_are_open_before_it_asks() {
    let scratch = Scratch::new("builtins");
    // Names that no other test and no real library has: what is open once is found by everyone.
    let name = "libnvrtc-builtins.so.13.907";
    let definitions = ["MAJOR=13", "MINOR=907", "BUILTINS=\"libnvrtc-builtins.so.13.907\""];
    let error = refused(&stub::library(&scratch.path("without"), &definitions));
    assert!(matches!(&error, Error::NvrtcUnusable { version: (13, 907), .. }), "{error}");
    assert_tells(&error, &["nvrtcCompileProgram", "(7)", "libnvrtc-builtins.so.13.907 must be in"]);

    stub::library(&scratch.path("with"), &definitions);
    stub::builtins(&scratch.path("with"), name);
    // Also when what was named is only a link to it.
    let link = scratch.path("libnvrtc.so");
    std::os::unix::fs::symlink(scratch.path("with/libnvrtc.so.13"), &link).unwrap();
    open(&link).unwrap().compile(&program(), Target::SM_80).unwrap();
}
