//! Right answers against the time of attention, for a family of methods at several densities.
//!
//! ```text
//! cargo xtask model
//! cargo run --release -p smollm2 --bin frontier
//! ```

mod args;
mod family;
mod runs;

use args::Args;
use clap::Parser;
use family::members;
use kit::TokenCount;
use kit::chart::{LIGHT, save};
use smollm2::eval::{EvalSet, Measure, Records, Source, Summary, needles};
use smollm2::{Config, Error, Method, Result, Tokenizer};
use std::path::Path;
use std::process::ExitCode;

/// The seed of generated sets.
const SEED: u64 = 11;

fn main() -> ExitCode {
    kit::program::end(run(&Args::parse()))
}

fn run(args: &Args) -> Result<()> {
    let flags = &args.flags;
    let deadline = flags.deadline();
    flags.check()?;
    let (weights, tokenizer) = flags.load(args.data.first().map(|directory| &**directory))?;
    let members = members(&args.methods, &weights.config)?;
    let mut records = Records::open(flags.json.as_deref())?;
    let mut left_out = Vec::new();
    if !flags.show {
        let sets = sets(args, &tokenizer)?;
        warn(&sets, &weights.config);
        let full = Method::full(&weights.config);
        let methods: Vec<_> = [full].into_iter().chain(members.iter().map(|member| member.method)).collect();
        let mut runner = flags.runner(weights, &sets, &methods)?;
        let measure = Measure { flags, sets: &sets, methods: &methods, recall: false, deadline };
        left_out = measure.run(&mut *runner, &mut records)?;
    }
    let asked = if args.data.is_empty() { "numbers hidden in generated text" } else { "retrieval tasks" };
    let subject = format!("SmolLM2-135M, {asked}, mean of the tasks");
    let frontier = runs::frontier(&Summary::all(records.all()), &members, subject);
    print!("{}", runs::tables(&frontier));
    if let Some(path) = &args.summary {
        let text = serde_json::to_string_pretty(&frontier).map_err(|error| Error::file(path, error))?;
        std::fs::write(path, text + "\n").map_err(|error| Error::file(path, error).of("--summary"))?;
    }
    if let Some(path) = &flags.picture {
        let picture = frontier
            .picture()
            .ok_or_else(|| Error::argument("--picture", "a sparse method among the results", "none"))?;
        save(&picture, &LIGHT, path).map_err(|error| Error::file(path, error).of("--picture"))?;
    }
    if !left_out.is_empty() {
        println!("\nOut of time; left out: {}", left_out.join(", "));
    }
    Ok(())
}

/// The sets of every length: those of the directories, or one that is generated.
fn sets(args: &Args, tokenizer: &Tokenizer) -> Result<Vec<Source>> {
    let names: Vec<String> = args.data.iter().map(|directory| name(directory)).collect();
    if let Some(twice) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
        return Err(Error::argument(
            "--data",
            "directories of different names",
            format!("two `{}`", twice.1),
        ));
    }
    let mut sets = Vec::new();
    for length in args.flags.lengths.iter().map(|length| TokenCount::get(*length)) {
        if args.data.is_empty() {
            sets.push(Source { name: String::new(), set: needles(tokenizer, length, SEED)? });
        }
        for (directory, name) in args.data.iter().zip(&names) {
            sets.push(Source { name: name.clone(), set: EvalSet::read(directory, length)? });
        }
    }
    Ok(sets)
}

/// What records call the set of a directory.
fn name(directory: &Path) -> String {
    directory.file_name().unwrap_or(directory.as_os_str()).to_string_lossy().into_owned()
}

/// Says where the model reads more than it was made for.
fn warn(sets: &[Source], config: &Config) {
    let longest = sets.iter().map(|source| source.set.longest()).max().unwrap_or(0);
    if longest > config.context {
        eprintln!(
            "The model was made to read {} tokens, and the longest question ends at {longest}: expect nonsense beyond.",
            config.context
        );
    }
}
