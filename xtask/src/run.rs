//! Running other programs.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

/// What a chore ends with: a message says what failed and what to do.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Where chores install what they need.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A command in the root of the workspace.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    command
}

/// The cargo that runs this chore.
pub(crate) fn cargo(args: &[&str]) -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), args)
}

/// Runs a step, announced by its command line, and reports how long it took.
pub(crate) fn step(command: &mut Command) -> Outcome {
    let line = line(command);
    println!("\n─── {line}");
    let begun = Instant::now();
    let status = command.status().map_err(|error| format!("`{line}` did not start: {error}"))?;
    if !status.success() {
        return Err(format!("`{line}` failed ({status})"));
    }
    println!("─── {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// Whether a command can be run at all.
pub(crate) fn exists(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Lets a file be run as a program.
#[cfg(unix)]
pub(crate) fn make_executable(program: &Path) -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755))
        .map_err(|error| format!("{}: {error}", program.display()))
}

/// Every file may be, here.
#[cfg(not(unix))]
pub(crate) fn make_executable(_: &Path) -> Outcome {
    Ok(())
}

fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
