//! `docs/cli.md`: every subcommand as it answers on a machine without a GPU.

mod machines;

use crate::kernels;
use crate::run::{Outcome, cargo, root, step, target};
use machines::{MACHINES, Machine};
use proxyattn_runtime::Device;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// Lines of a text that are shown; kernels are longer.
const SHOWN: usize = 60;

/// A section: its title, what is said first, and the commands, each with `true` where NVRTC is installed.
type Section = (&'static str, &'static str, &'static [(bool, &'static str)]);

const SECTIONS: &[Section] = &[
    (
        "doctor",
        "What this machine can do: without anything, and with NVRTC.",
        &[(false, "proxyattn doctor"), (true, "proxyattn doctor")],
    ),
    (
        "expand",
        "The CUDA text, and mistakes at their place.",
        &[
            (false, "proxyattn expand 'block = 64, groups = 4' --arch sm_90a --unit attend"),
            (false, "proxyattn expand 'blok = 64, stride(q = 5)'"),
        ],
    ),
    (
        "inspect",
        "Registers and spills need NVRTC; everything else does not.",
        &[
            (true, "proxyattn inspect 'block = 64, groups = 4' --tokens 32768 --heads 32 --kv-heads 8"),
            (false, "proxyattn inspect 'head_dim = 64, budget = all' --arch sm_80 --tokens 8192"),
        ],
    ),
    (
        "compile",
        "NVRTC compiles for GPUs that are elsewhere.",
        &[
            (true, "proxyattn compile 'head_dim = 64, budget = all' --arch sm_90a,sm_80 --out kernels"),
            (false, "proxyattn compile 'head_dim = 96' --arch sm_80 --out kernels"),
        ],
    ),
    (
        "tune",
        "Tiles are measured on a GPU; without one there is nothing to do, and the exit code says so.",
        &[(true, "proxyattn tune 'head_dim = 64' --tokens 8192,32768 --heads 9 --kv-heads 3")],
    ),
    (
        "bench",
        "On the CPU.",
        &[
            (false, "proxyattn bench 'head_dim = 64' --tokens 8192 --heads 9 --kv-heads 3"),
            (false, "proxyattn bench 'head_dim = 64' --tokens 8192 --heads 9 --kv-heads 3 --runs 1 --json"),
            (false, "proxyattn bench --device cuda"),
        ],
    ),
    (
        "cache",
        "The cache of the commands above, and the directory that `compile` filled.",
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

What `proxyattn` prints on a machine without a GPU: two CPU cores, nothing installed but, where it says so, NVRTC. The
README has the commands in one table, and the exit codes.

`cargo xtask transcripts` runs the commands again and writes this page. `/srv` stands for the directory that they run in;
long texts are cut where it says so.
";

const ODD: &str = "
### Machines that are not as they should be

Stubs stand for the driver, for a GPU of capability 9.0 and for NVRTC.
";

/// Where a command runs.
#[derive(Clone, Copy)]
enum On<'a> {
    /// With nothing installed.
    Bare,
    /// With NVRTC alone.
    Nvrtc(&'a Path),
    /// On a machine that is made up.
    Machine(&'a Machine),
}

/// Runs every command, and writes the page.
pub(crate) fn write() -> Outcome {
    if Device::why_not_cuda().is_none() {
        return Err("this machine has a GPU, and the page is about machines without one".into());
    }
    step(&mut cargo(&["build", "--package", "proxyattn-cli"]))?;
    let nvrtc = kernels::nvrtc()?;
    machines::build()?;
    let dir = target().join("transcripts");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
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
    let file = root().join("docs/cli.md");
    fs::write(&file, page).map_err(|error| format!("{}: {error}", file.display()))?;
    println!("\nwritten: {}", file.display());
    Ok(())
}

/// A command as it is typed, what it prints, and its exit code if that is not 0.
fn transcript(line: &str, dir: &Path, on: On<'_>) -> Outcome<String> {
    let path = env::join_paths([target().join("debug")].into_iter().chain(search_path()))
        .map_err(|error| format!("PATH: {error}"))?;
    let mut shell = Command::new("sh");
    // Errors come where they came.
    shell.args(["-c", &format!("exec 2>&1; {line}")]).current_dir(dir).stdin(Stdio::null()).env_clear();
    shell.env("PATH", path).env("HOME", dir);
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

fn search_path() -> Vec<PathBuf> {
    env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default()
}
