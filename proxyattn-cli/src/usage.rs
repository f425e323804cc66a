//! Command lines that clap answers itself: help, and arguments that it refuses.

use crate::configuration::quoted;
use crate::failure::{Failure, USAGE};
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// What is said instead of running a command.
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) code: u8,
}

/// What to say of a command line that clap does not run.
pub(crate) fn refused(error: clap::Error) -> Said {
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some(configuration) = unquoted(&error, &words) {
        let quoted = Failure::usage(format!("a configuration is one argument: quote it: '{configuration}'"));
        return Said { text: quoted.to_string(), code: quoted.code };
    }
    let text = error.render().ansi().to_string();
    Said { text, code: u8::try_from(error.exit_code()).unwrap_or(USAGE) }
}

/// The configuration that was meant where an argument is left over because of missing quotes: the words around it that can be
/// read as one.
fn unquoted(error: &clap::Error, words: &[String]) -> Option<String> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(left_over)) = error.get(ContextKind::InvalidArg) else { return None };
    let at = words.iter().position(|word| word == left_over)?;
    let is_flag = |word: &String| word.starts_with('-');
    let from = words[..at].iter().rposition(is_flag).map_or(0, |flag| flag + 1);
    let to = words[at..].iter().position(is_flag).map_or(words.len(), |flag| at + flag);
    // The first words may be the command, or a flag's value.
    (from..at).find_map(|from| quoted(&words[from..to].iter().map(String::as_str).collect::<Vec<_>>()))
}
