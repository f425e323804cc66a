//! Running other programs.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

/// The result of a task; the message says what failed and what to do.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Where tasks install what they need.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A command in the root of the workspace.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    command
}

/// The cargo that runs this task.
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

/// A task that runs in the background, in a process of its own. Its output is shown when it ends.
pub(crate) struct Background {
    line: String,
    child: Child,
    log: PathBuf,
    begun: Instant,
}

impl Background {
    pub(crate) fn start(task: &[&str]) -> Outcome<Self> {
        let line = format!("cargo xtask {}", task.join(" "));
        let failed = |error: std::io::Error| format!("`{line}` did not start: {error}");
        fs::create_dir_all(target()).map_err(failed)?;
        let log = target().join(format!("xtask-{}.log", task[0]));
        let file = File::create(&log).map_err(failed)?;
        let mut command = command(std::env::current_exe().map_err(failed)?, task);
        command.stdin(Stdio::null()).stdout(file.try_clone().map_err(failed)?).stderr(file);
        let child = command.spawn().map_err(failed)?;
        println!("\n─── {line}, in the background ({})", log.display());
        Ok(Self { line, child, log, begun: Instant::now() })
    }

    /// Waits for it to end.
    pub(crate) fn finish(mut self) -> Outcome {
        println!("\n─── {}", self.line);
        let status = self.child.wait().map_err(|error| format!("`{}`: {error}", self.line))?;
        print!("{}", fs::read_to_string(&self.log).unwrap_or_default());
        if !status.success() {
            return Err(format!("`{}` failed ({status})", self.line));
        }
        println!("─── at most {:.1} s, in parallel with the above", self.begun.elapsed().as_secs_f64());
        Ok(())
    }
}

/// Waits for the task even if another step failed, so that no process outlives the caller.
impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.wait();
    }
}

/// Whether a command can be run at all.
pub(crate) fn exists(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Maps `items` in parallel on all cores, and returns the results in order.
pub(crate) fn side_by_side<T: Sync, R: Send + Sync>(things: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let results: Vec<_> = things.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from).min(things.len()) {
            scope.spawn(|| {
                while let Some(index) = Some(next.fetch_add(1, Relaxed)).filter(|&index| index < things.len())
                {
                    let _ = results[index].set(work(&things[index]));
                }
            });
        }
    });
    results.into_iter().filter_map(OnceLock::into_inner).collect()
}

/// Makes a symbolic link to a directory.
pub(crate) fn link(to: &Path, at: &Path) -> Outcome {
    #[cfg(unix)]
    let made = std::os::unix::fs::symlink(to, at);
    #[cfg(not(unix))]
    let made = Err(std::io::Error::from(std::io::ErrorKind::Unsupported));
    made.map_err(|error| format!("{}: {error}", at.display()))
}

/// Makes a file executable.
#[cfg(unix)]
pub(crate) fn make_executable(program: &Path) -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755))
        .map_err(|error| format!("{}: {error}", program.display()))
}

/// Every file is executable on this platform.
#[cfg(not(unix))]
pub(crate) fn make_executable(_: &Path) -> Outcome {
    Ok(())
}

fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
