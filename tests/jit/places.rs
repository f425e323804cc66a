//! Places where NVRTC cannot be used: the next one is.

use crate::fake::program;
use crate::scratch::Scratch;
use crate::stub;
use proxyattn_runtime::Error;
use proxyattn_runtime::jit::{Compiler, Env, Nvrtc, Search, Target};
use std::fs;
use std::path::PathBuf;

/// A toolkit's directory, and that of a wheel behind it.
fn places(scratch: &Scratch) -> (PathBuf, PathBuf, Env) {
    let wheel = scratch.path("venv/lib/python3.12/site-packages/nvidia/cuda_nvrtc/lib");
    let env = Env::of([("CUDA_PATH", scratch.path("cuda")), ("VIRTUAL_ENV", scratch.path("venv"))]);
    (scratch.path("cuda/lib64"), wheel, env)
}

/// The library that is found, which compiled an empty kernel; and the rejected locations.
fn found(Search { found, rejected }: Search) -> (PathBuf, Vec<String>) {
    let nvrtc = found.unwrap();
    nvrtc.compile(&program(), Target::SM_80).unwrap();
    (nvrtc.library().to_owned(), rejected)
}

#[test]
fn a_usable_library_is_found_behind_an_old_one() {
    let scratch = Scratch::new("behind");
    let (toolkit, wheel, env) = places(&scratch);
    stub::library(&toolkit, &["MAJOR=10", "MINOR=2"]);
    let library = stub::library(&wheel, &["MAJOR=12", "MINOR=8"]);
    let nvrtc = Nvrtc::open(None, &env).unwrap();
    assert_eq!((nvrtc.library(), nvrtc.version()), (library.as_path(), (12, 8)));
    let options = nvrtc.invocation(&program(), Target::SM_80).unwrap().options;
    assert!(!options.contains(&"--no-cache".to_owned()), "12.8 refuses it");
}

/// Whatever a compilation fails with: builtins that are not there, and everything else.
#[test]
fn a_library_that_cannot_compile_is_passed_over() {
    let name = "libnvrtc-builtins.so.13.911";
    let builtins = ["MAJOR=13", "MINOR=911", &format!("BUILTINS=\"{name}\"")].map(str::to_owned);
    let failing = |call: &str, code: &str| [format!("FAIL=\"{call}\""), format!("CODE={code}"), "X=0".into()];
    let no_image = ["IMAGE=\"\"".to_owned(), "X=0".into(), "X=0".into()];
    let cases = [
        (builtins, format!("nvrtcCompileProgram failed: STUB_ERROR (7); {name} must be in")),
        (failing("nvrtcCompileProgram", "6"), "it rejects an empty kernel: --gpu-architecture=sm_80".into()),
        (failing("nvrtcCreateProgram", "1"), "nvrtcCreateProgram failed: STUB_ERROR (1)".into()),
        (failing("nvrtcGetCUBIN", "99"), "nvrtcGetCUBIN failed: unknown error (99)".into()),
        (no_image, "for an empty kernel it returns 0 bytes that are not ELF".into()),
    ];
    for (number, (definitions, why)) in cases.into_iter().enumerate() {
        let scratch = Scratch::new(&format!("half-{number}"));
        let (toolkit, wheel, env) = places(&scratch);
        let half = stub::library(&toolkit, &definitions.each_ref().map(String::as_str));
        // Alone it is the error, and not that nothing was found.
        let error = Nvrtc::open(Some(&half), &env).err().unwrap();
        assert!(matches!(&error, Error::NvrtcUnusable { .. }), "{error}");
        assert!(error.to_string().contains(&why), "{why} is not in: {error}");
        let whole = stub::library(&wheel, &[]);
        let (library, rejected) = found(Nvrtc::search(None, &env));
        assert_eq!(library, whole);
        let told = rejected.iter().find(|told| told.contains(&half.display().to_string()));
        assert!(told.is_some_and(|told| told.contains(&why)), "{rejected:?}");
    }
}

/// Builtins that are there and cannot be opened are as good as none.
#[test]
fn broken_builtins_are_none() {
    let scratch = Scratch::new("broken");
    let (toolkit, wheel, env) = places(&scratch);
    let name = "libnvrtc-builtins.so.13.912";
    stub::library(&toolkit, &["MAJOR=13", "MINOR=912", &format!("BUILTINS=\"{name}\"")]);
    fs::write(toolkit.join(name), "half a file").unwrap();
    let whole = stub::library(&wheel, &[]);
    assert_eq!(found(Nvrtc::search(None, &env)).0, whole);
}

/// Several versions in one directory are several places; several names of one library are one.
#[test]
fn every_library_of_a_directory_is_tried() {
    let scratch = Scratch::new("several");
    let (toolkit, _, env) = places(&scratch);
    let half = stub::library(&toolkit, &["FAIL=\"nvrtcCompileProgram\"", "CODE=7"]);
    let other = stub::library(&scratch.path("other"), &["MAJOR=12", "MINOR=6"]);
    fs::rename(other, toolkit.join("libnvrtc.so.12")).unwrap();
    std::os::unix::fs::symlink("libnvrtc.so.13", toolkit.join("libnvrtc.so")).unwrap();
    for search in [Nvrtc::search(None, &env), Nvrtc::search(Some(&toolkit), &env)] {
        let (library, rejected) = found(search);
        assert_eq!(library, toolkit.join("libnvrtc.so.12"));
        let told = rejected.iter().filter(|told| told.contains(&half.display().to_string()));
        assert_eq!(told.count(), 1, "{rejected:?}");
    }
    fs::remove_file(toolkit.join("libnvrtc.so.12")).unwrap();
    let rejected = Nvrtc::search(Some(&toolkit), &env).rejected;
    assert_eq!(rejected.len(), 1, "a link to what was tried is no other library: {rejected:?}");
}
