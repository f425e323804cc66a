//! `docs/cli.md`: the output of every subcommand on a machine without a GPU.

mod machines;

use crate::kernels;
use crate::run::{Outcome, cargo, link, root, step, target};
use machines::{MACHINES, Machine};
use proxyattn_runtime::Device;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// Maximum lines shown of an output; kernels are longer.
const SHOWN: usize = 60;

/// A section: title, introduction, and commands, each with `true` if NVRTC is installed.
type Section = (&'static str, &'static str, &'static [(bool, &'static str)]);

const SECTIONS: &[Section] = &[
    (
        "doctor",
        "What this machine can run: with nothing installed, and with NVRTC; and everything that was searched.",
        &[(false, "proxyattn doctor"), (true, "proxyattn doctor"), (false, "proxyattn doctor --verbose")],
    ),
    (
        "expand",
        "The CUDA source, and errors at their position.",
        &[
            (false, "proxyattn expand 'block = 64, groups = 4' --arch sm_90a --unit attend"),
            (false, "proxyattn expand 'blok = 64, stride(q = 5)'"),
        ],
    ),
    (
        "inspect",
        "Only registers and spills need NVRTC.",
        &[
            (true, "proxyattn inspect 'block = 64, groups = 4' --tokens 32K --heads 32 --kv-heads 8"),
            (false, "proxyattn inspect 'head_dim = 64, budget = all' --arch sm_80 --tokens 8K"),
            (false, "proxyattn inspect block=64 groups=4"),
            (false, "proxyattn inspect --tokens 8K --q-tokens 32K"),
        ],
    ),
    (
        "compile",
        "NVRTC compiles for GPUs that this machine does not have.",
        &[
            (true, "proxyattn compile 'head_dim = 64, budget = all' --arch sm_90a,sm_80 --out kernels"),
            (false, "proxyattn compile 'head_dim = 96' --arch sm_80 --out kernels"),
        ],
    ),
    (
        "tune",
        "Tuning needs a GPU; without one the command fails with exit code 3.",
        &[(true, "proxyattn tune 'head_dim = 64' --tokens 8K,32K --heads 9 --kv-heads 3")],
    ),
    (
        "bench",
        "On the CPU.",
        &[
            (false, "proxyattn bench 'head_dim = 64' --tokens 8K --heads 9 --kv-heads 3"),
            (false, "proxyattn bench 'head_dim = 64' --tokens 512 --heads 9 --kv-heads 3"),
            (false, "proxyattn bench 'head_dim = 64' --tokens 8K --heads 9 --kv-heads 3 --runs 1 --json"),
            (false, "proxyattn bench --device cuda"),
        ],
    ),
    (
        "cache",
        "The cache after the commands above, and the output directory of `compile`.",
        &[
            (false, "proxyattn cache ls"),
            (false, "proxyattn cache ls --dir kernels"),
            (false, "proxyattn cache verify"),
            (false, "proxyattn cache gc --max-size 64KiB --max-age 30d"),
            (false, "proxyattn cache clear"),
            (false, "proxyattn cache clear --yes"),
        ],
    ),
    (
        "completions",
        "For bash, zsh, fish, elvish and powershell.",
        &[(false, "proxyattn completions fish | head -n 5")],
    ),
];

const OPENING: &str = "\
# The command line, command by command

`cargo install --path proxyattn-cli` installs `proxyattn`. A configuration is written as `#[proxy_attention(…)]` or as its
arguments, in quotes, and is read by the macro's own parser; without one, every key has its default. A number of tokens is
written like `131072` or `128K`.

| command | what it does |
|---|---|
| `doctor` | what this machine can run: tries the driver, the GPUs, NVRTC and the cache; says what is missing and how to fix it |
| `expand` | the CUDA source of a configuration, coloured on a terminal |
| `inspect` | kernels, grids, buffers, shared memory, registers and spills for a shape, and the candidate tiles for `tune` |
| `compile` | compiled kernels (cubins) for machines without NVRTC |
| `tune` | measures the fastest tiles, which are the constants of a kernel, on this GPU and stores them for all programs |
| `bench` | times every stage and compares with dense attention; TFLOP/s over the visited blocks, and the tiles in use |
| `cache` | `ls`, `verify`, `gc` and `clear` for compiled kernels and tuning records |
| `completions` | a completion script for a shell |

| exit code | meaning |
|---|---|
| 0 | success; `doctor`: kernels run on a GPU |
| 1 | the command failed |
| 2 | an argument, a configuration or an environment variable is invalid |
| 3 | the machine lacks a GPU, a driver, an NVRTC that fits both, a kernel that must not be compiled, or memory; `doctor`: no kernel can be run on a GPU |
| 4 | a check failed: `cache verify` found damage, or `tune --check` found tiles slower than the defaults |

Texts and tables fit the terminal. In a file or a pipe, lines are as long as they need to be, or as `COLUMNS` says. Colours
are used on terminals only, and never if `NO_COLOR` is set.

The rest of this page is the output on a machine without a GPU, 100 columns wide: two CPU cores, and NVRTC where noted.
`cargo xtask transcripts` runs the commands and writes the page. `/srv` stands for the working directory; long output is
cut where marked.
";

const ODD: &str = "
### Machines with problems

The driver, a GPU of capability 9.0 and NVRTC are stubs.
";

/// Where a command runs.
#[derive(Clone, Copy)]
enum On<'a> {
    /// With nothing installed.
    Bare,
    /// With NVRTC alone.
    Nvrtc(&'a Path),
    /// On a simulated machine.
    Machine(&'a Machine),
}

/// Runs every command, and writes the page.
pub(crate) fn write() -> Outcome {
    if Device::why_not_cuda().is_none() {
        return Err("this machine has a GPU; docs/cli.md shows machines without one".into());
    }
    step(&mut cargo(&["build", "--package", "proxyattn-cli"]))?;
    machines::build()?;
    let dir = short("cli");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let nvrtc = short("nvrtc");
    let _ = fs::remove_file(&nvrtc);
    link(&kernels::nvrtc()?, &nvrtc)?;
    let mut page = OPENING.to_owned();
    for (title, about, commands) in SECTIONS {
        page += &format!("\n## {title}\n\n{about}\n");
        for (compiler, line) in *commands {
            println!("{line}");
            let on = if *compiler { On::Nvrtc(nvrtc.as_ref()) } else { On::Bare };
            page += &transcript(line, &dir, on)?;
        }
        if *title == "doctor" {
            page += ODD;
            for machine in &MACHINES {
                println!("{}", machine.about);
                page += &format!("\n{}\n", machine.about);
                page += &transcript("proxyattn doctor", &dir, On::Machine(machine))?;
            }
        }
    }
    let _ = (fs::remove_dir_all(&dir), fs::remove_file(&nvrtc), machines::remove());
    let file = root().join("docs/cli.md");
    fs::write(&file, page).map_err(|error| format!("{}: {error}", file.display()))?;
    println!("\nwritten: {}", file.display());
    Ok(())
}

/// A command line, its output, and its exit code if that is not 0.
fn transcript(line: &str, dir: &Path, on: On<'_>) -> Outcome<String> {
    let path = env::join_paths([target().join("debug")].into_iter().chain(search_path()))
        .map_err(|error| format!("PATH: {error}"))?;
    let mut shell = Command::new("sh");
    // stderr is interleaved with stdout, as on a terminal.
    shell.args(["-c", &format!("exec 2>&1; {line}")]).current_dir(dir).stdin(Stdio::null()).env_clear();
    shell.env("PATH", path).env("HOME", dir).env("COLUMNS", "100");
    match on {
        On::Bare => {}
        On::Nvrtc(nvrtc) => drop(shell.env("PROXYATTN_NVRTC", nvrtc)),
        On::Machine(machine) => machine.set(&mut shell),
    }
    let output = shell.output().map_err(|error| format!("`sh` did not start: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).replace(&dir.display().to_string(), "/srv");
    let (prompt, text) = match on {
        On::Bare => (String::new(), text),
        On::Nvrtc(nvrtc) => (
            "PROXYATTN_NVRTC=/opt/nvrtc/lib ".to_owned(),
            text.replace(&nvrtc.display().to_string(), "/opt/nvrtc/lib"),
        ),
        On::Machine(machine) => {
            let variables = machine.variables.iter().map(|(name, value)| format!("{name}={value} "));
            (variables.collect(), machine.shown(&text))
        }
    };
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let mut shown = lines[..lines.len().min(SHOWN)].join("\n");
    if lines.len() > SHOWN {
        shown += &format!("\n[{} more lines]", lines.len() - SHOWN);
    }
    let code = match output.status.code() {
        Some(0) => String::new(),
        Some(code) => format!("\n[exit code {code}]"),
        None => return Err(format!("`{line}` was ended by a signal")),
    };
    Ok(format!("\n```text\n$ {prompt}{line}\n{shown}{code}\n```\n"))
}

/// A path about as short as the one on the page, so that lines end where they would with that.
fn short(name: &str) -> PathBuf {
    env::temp_dir().join(format!("{name}{}", std::process::id()))
}

fn search_path() -> Vec<PathBuf> {
    env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default()
}
