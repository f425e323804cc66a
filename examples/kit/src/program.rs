//! How a program ends.

use std::{fmt::Display, io, io::Write, process::ExitCode};

/// Reports a failure on stderr, on one line.
pub fn end<E: Display>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// As [`end`], of a program whose result is what it prints on stdout.
pub fn print<E: Display + From<io::Error>>(result: Result<String, E>) -> ExitCode {
    end(result.and_then(|output| Ok(io::stdout().write_all(output.as_bytes())?)))
}
