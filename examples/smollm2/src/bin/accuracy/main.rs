//! Accuracy on retrieval tasks over long contexts, for full attention and any configuration.
//!
//! ```text
//! cargo xtask model
//! cargo run --release -p smollm2 --bin accuracy -- --data DIR --lengths 4096 --configuration "full;default;budget = ratio(0.1)"
//! ```

mod args;
mod picture;
mod table;

use args::Args;
use clap::Parser;
use kit::chart::{LIGHT, save};
use smollm2::eval::{EvalSet, Measure, Records, Source, Summary};
use smollm2::{Error, Result, methods};
use std::process::ExitCode;

fn main() -> ExitCode {
    kit::program::end(run(&Args::parse()))
}

fn run(args: &Args) -> Result<()> {
    let mut records = Records::open(args.flags.json.as_deref())?;
    let left_out = match args.flags.show {
        true => Vec::new(),
        false => measure(args, &mut records)?,
    };
    let summaries = Summary::all(records.all());
    print!("{}", table::tables(&summaries));
    if let Some(path) = &args.flags.picture {
        let picture = picture::draw(&summaries);
        let picture = picture.ok_or_else(|| {
            Error::argument("--picture", "a sparse configuration among the results", "none")
        })?;
        save(&picture, &LIGHT, path).map_err(|error| Error::file(path, error).of("--picture"))?;
    }
    if !left_out.is_empty() {
        println!("\nOut of time; left out: {}", left_out.join(", "));
    }
    Ok(())
}

/// Runs what the results file lacks. Returns what the time limit left out.
fn measure(args: &Args, records: &mut Records) -> Result<Vec<String>> {
    let flags = &args.flags;
    let deadline = flags.deadline();
    flags.check()?;
    let read = |length: &kit::TokenCount| {
        Ok(Source { name: String::new(), set: EvalSet::read(&args.data, length.get())? })
    };
    let sets = flags.lengths.iter().map(read).collect::<Result<Vec<_>>>()?;
    let (weights, _) = flags.load(Some(&args.data))?;
    let methods = methods(&args.configuration, &weights.config)?;
    let mut runner = flags.runner(weights, &sets, &methods)?;
    let measure = Measure { flags, sets: &sets, methods: &methods, recall: args.recall, deadline };
    measure.run(&mut *runner, records)
}
