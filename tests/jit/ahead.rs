//! Cubins that were compiled ahead of time, on a machine without a compiler.

use crate::fake::{Fake, program};
use crate::scratch::{Scratch, entries, files, options};
use proxyattn_runtime::jit::{Aot, Compiler, Cubin, Env, Invocation, Jit, Program, Target};
use proxyattn_runtime::{Error, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// No compiler at all.
struct Missing;

impl Compiler for Missing {
    fn invocation(&self, _: &Program, _: Target) -> Result<Invocation> {
        Err(Error::NvrtcNotFound { searched: vec!["`/nowhere`".into()] })
    }

    fn compile(&self, program: &Program, target: Target) -> Result<Cubin> {
        unreachable!("`{}` for {target}: nobody compiles without an invocation", program.name)
    }
}

/// A program's cubin in a directory.
fn compiled(dir: &Path, target: Target) -> Cubin {
    let cubin = Fake::default().compile(&program(), target).unwrap();
    Aot::create(dir).unwrap().store(&program(), target, &cubin).unwrap();
    cubin
}

/// A machine without a compiler, where only `PROXYATTN_AOT_DIR` and some other variables are set.
fn production(scratch: &Scratch, variables: &[(&str, &str)]) -> Jit {
    let mut options = options(&scratch.path("cache"));
    let dir = scratch.path("ahead").display().to_string();
    let named = [("PROXYATTN_AOT_DIR", dir.as_str())].into_iter().chain(variables.iter().copied());
    options.env = Env::of(named);
    Jit::with_compiler(options, Missing).unwrap()
}

#[test]
fn no_compiler_is_needed() {
    let scratch = Scratch::new("ahead");
    let cubin = compiled(&scratch.path("ahead"), Target::SM_90A);
    for variables in [&[][..], &[("PROXYATTN_JIT", "deny")]] {
        let jit = production(&scratch, variables);
        assert_eq!(*jit.cubin(&program(), Target::SM_90A).unwrap(), cubin);
        // The name of a program is for messages: whoever declares the same kernel finds it.
        let renamed = Program::new("renamed", program().source);
        assert_eq!(*jit.cubin(&renamed, Target::SM_90A).unwrap(), cubin);
        assert_eq!((jit.counters().ahead_hits, jit.counters().compiles), (2, 0));
    }
    assert!(files(&scratch.path("cache")).is_empty(), "nothing is copied into the cache");
}

#[test]
fn a_later_minor_version_loads_what_was_made_for_an_earlier_one() {
    let scratch = Scratch::new("ahead-minor");
    let cubin = compiled(&scratch.path("ahead"), Target::SM_80);
    let jit = production(&scratch, &[]);
    assert_eq!(*jit.cubin(&program(), Target::new(8, 9)).unwrap(), cubin);
    for other in [Target::new(9, 0), Target::SM_90A, Target::new(12, 0)] {
        assert!(jit.cubin(&program(), other).is_err(), "{other}");
    }
}

#[test]
fn what_is_missing_is_said_with_the_command_that_makes_it() {
    let scratch = Scratch::new("ahead-denied");
    compiled(&scratch.path("ahead"), Target::SM_80);
    let dir = scratch.path("ahead").display().to_string();
    let program = program().of_attribute("block = 128, groups = 4");

    let error =
        production(&scratch, &[("PROXYATTN_JIT", "deny")]).cubin(&program, Target::SM_90A).unwrap_err();
    assert!(matches!(&error, Error::JitDenied { .. }), "{error}");
    let told = error.to_string();
    for part in [
        "`k` for sm_90a is not stored",
        "PROXYATTN_JIT=deny",
        &format!(
            "searched `{dir}`, not the cache (its keys include the version of NVRTC, which was not found); "
        ),
        &format!("`proxyattn compile 'block = 128, groups = 4' --arch sm_90a --out {dir}`"),
    ] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }

    // Where compiling is allowed, the compiler is what is missing.
    let error = production(&scratch, &[]).cubin(&program, Target::SM_90A).unwrap_err();
    let Error::NvrtcNotFound { searched } = &error else { panic!("{error}") };
    assert_eq!(searched[0], format!("`{dir}` (PROXYATTN_AOT_DIR: no `k` for sm_90a)"));
    assert!(error.to_string().contains("`proxyattn compile`"), "{error}");
}

#[test]
fn other_kernels_are_compiled_as_ever() {
    let scratch = Scratch::new("ahead-other");
    compiled(&scratch.path("ahead"), Target::SM_80);
    let mut options = options(&scratch.path("cache"));
    options.aot_dir = Some(scratch.path("ahead"));
    let fake = Fake::default();
    let jit = Jit::with_compiler(options, fake.clone()).unwrap();
    jit.cubin(&program(), Target::SM_80).unwrap();
    assert_eq!(fake.calls(), 0);
    jit.cubin(&program().option("-DSTAGES=3"), Target::SM_80).unwrap();
    assert_eq!((fake.calls(), jit.counters().ahead_hits), (1, 1));
    assert_eq!(entries(&scratch.path("ahead")).len(), 1, "the directory is only read");
}

#[test]
fn a_rotten_file_is_told_and_stays() {
    let scratch = Scratch::new("ahead-rotten");
    compiled(&scratch.path("ahead"), Target::SM_80);
    let [path] = &entries(&scratch.path("ahead"))[..] else { panic!("one cubin") };
    let mut bytes = fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path, &bytes).unwrap();

    let jit = production(&scratch, &[("PROXYATTN_JIT", "deny")]);
    let told = jit.cubin(&program(), Target::SM_80).unwrap_err().to_string();
    let expected = format!("`{}`: its checksum does not match; compile the kernel again", path.display());
    assert!(told.contains(&expected), "{told}");
    assert_eq!((jit.counters().corrupt, jit.trouble()), (1, Some(expected)));
    assert_eq!(fs::read(path).unwrap(), bytes);
}

#[test]
fn what_the_driver_refuses_is_passed_over() {
    let scratch = Scratch::new("ahead-refused");
    compiled(&scratch.path("ahead"), Target::SM_80);
    let mut options = options(&scratch.path("cache"));
    options.aot_dir = Some(scratch.path("ahead"));
    let fake = Fake { suffix: " anew".into(), ..Fake::default() };
    let jit = Jit::with_compiler(options, fake.clone()).unwrap();
    jit.cubin(&program(), Target::SM_80).unwrap();
    jit.discard(&program(), Target::SM_80);
    assert_eq!(jit.cubin(&program(), Target::SM_80).unwrap().bytes(), fake.image(&program()));
    assert_eq!(entries(&scratch.path("ahead")).len(), 1);
}

#[test]
fn directories_that_cannot_be_used_are_refused_at_once() {
    let scratch = Scratch::new("ahead-dirs");
    let told = |name: &str| {
        let mut options = options(&scratch.path("cache"));
        options.env = Env::of([("PROXYATTN_AOT_DIR", scratch.path(name))]);
        Jit::with_compiler(options, Missing).err().expect("it cannot be used").to_string()
    };
    let missing = told("nowhere");
    assert!(missing.starts_with("`PROXYATTN_AOT_DIR`: expected a directory that `proxyattn compile` made"));
    assert!(missing.contains("nowhere: No such file"), "{missing}");
    fs::write(scratch.path("file"), "").unwrap();
    assert!(told("file").contains("got a file"));

    compiled(&scratch.path("open"), Target::SM_80);
    fs::set_permissions(scratch.path("open"), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(told("open").contains("`chmod go-w` on it".replace('`', "").as_str()), "{}", told("open"));
}

#[test]
fn what_is_deployed_can_be_read_by_others() {
    let scratch = Scratch::new("ahead-modes");
    compiled(&scratch.path("ahead"), Target::SM_80);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let [path] = &entries(&scratch.path("ahead"))[..] else { panic!("one cubin") };
    // The process's umask may take from it.
    assert_eq!(mode(path) & 0o700, 0o600);
    assert_eq!(mode(path) & 0o022, 0);
    let made = scratch.path("reference");
    fs::write(&made, "").unwrap();
    assert_eq!(mode(path) & 0o044, mode(&made) & 0o044, "as any file of this user");
}
