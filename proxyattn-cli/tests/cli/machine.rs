//! A machine that is made up: its home, its driver, its compiler.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What the program did.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) dir: PathBuf,
}

/// A directory of its own, an empty environment, no driver and no compiler.
pub(crate) struct Machine {
    dir: PathBuf,
    drivers: PathBuf,
    nvrtc: PathBuf,
    pub(crate) variables: Vec<(String, String)>,
}

impl Machine {
    pub(crate) fn new(name: &str) -> Self {
        let dir = scratch().join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        // Names that the dynamic linker finds first, and no libraries.
        let drivers = dir.join("no-driver");
        fs::create_dir_all(&drivers).unwrap();
        for name in ["libcuda.so", "libcuda.so.1"] {
            fs::write(drivers.join(name), "no library").unwrap();
        }
        let nvrtc = dir.join("libnvrtc.so.13");
        Self { dir, drivers, nvrtc, variables: Vec::new() }
    }

    /// With the stub driver, and a GPU of that capability.
    pub(crate) fn gpu(mut self, capability: &str) -> Self {
        self.drivers = driver().to_owned();
        self.set("STUB_CAPABILITY", capability);
        self
    }

    /// With a compiler that makes an image of anything.
    pub(crate) fn nvrtc(mut self) -> Self {
        self.nvrtc = compiler().to_owned();
        self
    }

    /// A stub compiler of its own in a directory of this machine: of another version, or failing.
    pub(crate) fn library(&self, dir: &str, definitions: &[&str]) -> String {
        let definitions: Vec<_> = definitions.iter().map(|definition| format!("-D{definition}")).collect();
        let definitions: Vec<_> = definitions.iter().map(String::as_str).collect();
        build(&self.dir.join(dir), "libnvrtc.so.13", "jit/stub.c", &definitions).display().to_string()
    }

    /// The same without it.
    pub(crate) fn without_nvrtc(mut self) -> Self {
        self.nvrtc = self.dir.join("libnvrtc.so.13");
        self
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.into(), value.into()));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_proxyattn"));
        command.args(arguments).current_dir(&self.dir).stdin(std::process::Stdio::null()).env_clear();
        command.env("HOME", self.dir.join("home")).env("LD_LIBRARY_PATH", &self.drivers);
        command.env("PROXYATTN_NVRTC", &self.nvrtc);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: without_stub(&text(output.stdout)),
            stderr: text(output.stderr),
            dir: self.dir.clone(),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// What the stub driver tells of itself does not come from the program.
fn without_stub(text: &str) -> String {
    // Each is a line with an empty one before it; a launch and the counts at the end have a second line.
    const TOLD: [(&str, usize); 4] = [("\ncalls ", 3), ("\nfails ", 2), ("\nmemset ", 2), ("\nlaunch ", 3)];
    let mut out = text.to_owned();
    let first = |out: &str| TOLD.iter().filter_map(|(word, ends)| Some((out.find(word)?, *ends))).min();
    while let Some((at, ends)) = first(&out) {
        let end = out[at..].match_indices('\n').nth(ends - 1).map_or(out.len(), |(end, _)| at + end + 1);
        out.replace_range(at..end, "");
    }
    out
}

/// Compares a run with its snapshot: exit code, output, errors; without what differs from machine to machine.
pub(crate) fn snapshot(name: &str, run: &Run) {
    let told = run.stdout.clone() + &run.stderr;
    assert!(!told.contains("Device::"), "advice for programs, to the user of a command: {told}");
    let text = format!("exit code {}\n── stdout\n{}── stderr\n{}", run.code, run.stdout, run.stderr);
    let text = [&run.dir, driver(), compiler().parent().unwrap()]
        .iter()
        .zip(["[machine]", "[driver]", "[nvrtc]"])
        .fold(text, |text, (path, name)| text.replace(&path.display().to_string(), name));
    let filters = vec![
        (r"cpu \([^)]*\)", "cpu ([cpu])"),
        (r"(?m)^cpu      .*$", "cpu      [cpu]"),
        (r", release [0-9.]+", ""),
        (
            r"no module of NVIDIA's is loaded into the kernel|the kernel's module is of version [0-9.]+",
            "[module]",
        ),
        (r"nvrtc (\d+\.\d+)(, \d+ bytes of [0-9.]+)+", "nvrtc $1, [build]"),
        (r"[0-9a-f]{2}/[0-9a-f]{64}\.cubin", "[key].cubin"),
        (r"[0-9a-f]{32}\.jsonl", "[configuration].jsonl"),
        (r"(?m)^  [0-9a-f]{12}  ", "  [key]  "),
    ];
    insta::with_settings!({ filters => filters, omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, text);
    });
}

fn scratch() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli")
}

/// The directory of the stub driver.
fn driver() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let library = build(&stub("driver"), "libcuda.so", "driver/stub.c", &["-DLACKS_nothing"]);
        let dir = library.parent().unwrap().to_owned();
        fs::copy(&library, dir.join("libcuda.so.1")).unwrap();
        dir
    })
}

/// The stub compiler.
fn compiler() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| build(&stub("nvrtc"), "libnvrtc.so.13", "jit/stub.c", &[]))
}

/// A directory of this process.
fn stub(name: &str) -> PathBuf {
    scratch().join(format!("stub-{name}-{}", std::process::id()))
}

/// A library from a source of the workspace's tests.
fn build(dir: &Path, name: &str, source: &str, definitions: &[&str]) -> PathBuf {
    fs::create_dir_all(dir).unwrap();
    let library = dir.join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests").join(source);
    let mut compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    compiler.args(["-shared", "-fPIC", "-w"]).args(definitions).arg("-o").arg(&library).arg(source);
    assert!(compiler.status().is_ok_and(|status| status.success()), "a C compiler is needed for the stubs");
    library
}
