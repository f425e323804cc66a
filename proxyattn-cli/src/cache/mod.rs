//! `proxyattn cache`: manages cached cubins and tuning records.

mod records;

pub(crate) use records::Records;

use crate::args::{CacheArgs, CacheCommand};
use crate::failure::{FAILED, Failure, Outcome, Report, UNSOUND};
use crate::style::{ERROR, GOOD, painted};
use crate::table::Table;
use crate::text::{age, bytes, count};
use crate::width::Width;
use proxyattn_runtime::jit::{CACHE_BYTES, CacheDir, CacheFile, CacheFileKind, Env};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) fn run(args: &CacheArgs) -> Outcome {
    let path = args.dir.clone().map_or_else(of_environment, Ok)?;
    let Some(dir) = CacheDir::open(&path)? else {
        return match args.dir {
            Some(_) => Err(Failure {
                message: format!("--dir: `{}`: no such directory", path.display()),
                code: FAILED,
            }),
            None => Ok(said(format!("{}: nothing is stored yet\n", path.display())).into()),
        };
    };
    let records = Records::of(dir.path())?;
    match &args.command {
        CacheCommand::Ls => list(&dir, &records),
        CacheCommand::Verify { remove } => verify(&dir, &records, *remove),
        CacheCommand::Gc { max_size, max_age } => {
            let size = max_size
                .map_or_else(|| Env::process().cache_bytes().map(|size| size.unwrap_or(CACHE_BYTES)), Ok)?;
            let deleted = dir.shrink(size, max_age.unwrap_or(Duration::MAX))?;
            Ok(deleted_and_left(&dir, &deleted, records.tidy()?)?.into())
        }
        CacheCommand::Clear { yes } => clear(&dir, &records, *yes),
    }
}

fn of_environment() -> Outcome<PathBuf> {
    Env::process().cache_dir().ok_or_else(|| {
        Failure::usage(
            "no cache directory: PROXYATTN_CACHE_DIR, XDG_CACHE_HOME and HOME are unset; set one of them, or pass --dir",
        )
    })
}

/// Lines that fit the terminal.
fn said(text: String) -> String {
    Width::stdout().fit(&text, 2)
}

fn failed(what: &str) -> impl Fn(std::io::Error) -> Failure {
    move |error| Failure { message: format!("{what}: {error}"), code: FAILED }
}

fn cubins(files: &[CacheFile]) -> impl Iterator<Item = &CacheFile> {
    files.iter().filter(|file| file.kind == CacheFileKind::Cubin)
}

/// `12 cubins, 3.1 MiB`.
pub(crate) fn summary(files: &[CacheFile]) -> String {
    let total = files.iter().map(|file| file.bytes).sum();
    let mut parts = vec![count(cubins(files).count(), "cubin")];
    for (kind, what) in [
        (CacheFileKind::FailedSource, "source that did not compile"),
        (CacheFileKind::Temporary, "unfinished file"),
    ] {
        let n = files.iter().filter(|file| file.kind == kind).count();
        match (n, kind) {
            (0, _) => {}
            (2.., CacheFileKind::FailedSource) => parts.push(format!("{n} sources that did not compile")),
            _ => parts.push(count(n, what)),
        }
    }
    format!("{}, {}", parts.join(", "), bytes(total))
}

fn list(dir: &CacheDir, records: &Records) -> Outcome {
    let files = dir.files()?;
    let mut table = Table::new(&["key", "target", "kernels", "size", "used"], &[1, 2]);
    for file in cubins(&files) {
        let stem = file.path.file_stem().unwrap_or_default().to_string_lossy();
        let (target, kernels) = match dir.read(file) {
            Ok(cubin) => {
                let names = cubin.kernels().iter().map(|kernel| kernel.name.trim_start_matches("proxyattn_"));
                (cubin.target().unwrap_or("?").to_owned(), names.collect::<Vec<_>>().join(", "))
            }
            Err(_) => ("?".into(), "damaged: run `proxyattn cache verify` for details".into()),
        };
        let used = file.used.elapsed().map_or("now".into(), |time| format!("{} ago", age(time)));
        table.row([stem.chars().take(12).collect(), target, kernels, bytes(file.bytes), used]);
    }
    let rows = if cubins(&files).next().is_some() {
        table.print(Width::stdout().columns()) + "\n"
    } else {
        String::new()
    };
    let (tuned, count) = (records.list(), records.summary());
    let all = said(format!("{}: {}{count}\n", dir.path().display(), summary(&files)));
    Ok(format!("{rows}{tuned}{all}").into())
}

fn verify(dir: &CacheDir, records: &Records, remove: bool) -> Outcome {
    let files = dir.files()?;
    let mut out = String::new();
    let (mut intact, mut damaged) = (0, 0);
    for file in cubins(&files) {
        let Err(error) = dir.read(file) else {
            intact += 1;
            continue;
        };
        damaged += 1;
        out += &format!("{} {error}\n", painted(ERROR, "damaged:"));
        if remove {
            dir.remove(file)?;
        }
    }
    let (problems, lines) = records.verify(remove)?;
    out += &problems;
    if damaged + lines == 0 {
        out += &format!("{} {}{}\n", painted(GOOD, "intact:"), count(intact, "cubin"), records.summary());
        return Ok(said(out).into());
    }
    let each = [
        (damaged, intact, "cubin", "cubins are recompiled when needed"),
        (lines, records.count(), "tuning record", "`proxyattn tune` makes new records"),
    ];
    for (damaged, intact, what, again) in each.into_iter().filter(|(damaged, ..)| *damaged > 0) {
        let (is, was) = if damaged == 1 { ("is", "was") } else { ("are", "were") };
        let gone = match remove {
            true => format!(" and {was} deleted"),
            false => "; `proxyattn cache verify --remove` deletes damaged entries".to_owned(),
        };
        out += &format!("{damaged} of {} {is} damaged{gone}: {again}\n", count(intact + damaged, what));
    }
    Ok(Report { text: said(out), code: UNSOUND })
}

fn deleted_and_left(dir: &CacheDir, deleted: &[CacheFile], records: usize) -> Outcome<String> {
    let freed = deleted.iter().map(|file| file.bytes).sum();
    let and = if records > 0 { format!(" and {}", count(records, "tuning record")) } else { String::new() };
    let left = format!("{}{}", summary(&dir.files()?), Records::of(dir.path())?.summary());
    Ok(said(format!("deleted {} ({}){and}; left: {left}\n", count(deleted.len(), "file"), bytes(freed))))
}

fn clear(dir: &CacheDir, records: &Records, yes: bool) -> Outcome {
    let files = dir.files()?;
    let held = format!("{}{}", summary(&files), records.summary());
    let empty = files.is_empty() && records.found.is_empty();
    if !(yes || empty || confirmed(dir, &held)?) {
        return Err(Failure { message: "nothing was deleted".into(), code: FAILED });
    }
    let deleted = dir.shrink(0, Duration::MAX)?;
    Ok(deleted_and_left(dir, &deleted, records.clear()?)?.into())
}

fn confirmed(dir: &CacheDir, held: &str) -> Outcome<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "`cache clear` asks for confirmation, and stdin is not a terminal; add --yes",
        ));
    }
    let unanswered = |error: std::io::Error| Failure { message: format!("{error}; add --yes"), code: FAILED };
    let mut stderr = std::io::stderr();
    write!(stderr, "{}: delete {held}? [y/N] ", dir.path().display()).map_err(unanswered)?;
    stderr.flush().map_err(unanswered)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(unanswered)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
