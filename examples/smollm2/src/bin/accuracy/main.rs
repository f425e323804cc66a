//! Accuracy on retrieval tasks over long contexts, for full attention and any configuration.
//!
//! ```text
//! cargo xtask model
//! cargo run --release -p smollm2 --bin accuracy -- --data DIR --lengths 4096 --configuration "full;default;budget = ratio(0.1)"
//! ```

mod args;
mod picture;
mod records;
mod table;

use args::Args;
use clap::Parser;
use kit::{
    TokenCount,
    chart::{LIGHT, save},
};
use records::Record;
use smollm2::eval::{Context, Deadline, EvalSet, Recall, TASKS, ask};
use smollm2::{Error, Method, Result, Runner, Visits, bar, load, methods, runner};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use table::Summary;

fn main() -> ExitCode {
    kit::program::end(run(&Args::parse()))
}

fn run(args: &Args) -> Result<()> {
    let mut records = args.json.as_deref().map(records::read).transpose()?.unwrap_or_default();
    let left_out = match args.show {
        true => Vec::new(),
        false => measure(args, &mut records)?,
    };
    let summaries = Summary::all(&records);
    print!("{}", table::tables(&summaries));
    if let Some(path) = &args.picture {
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
fn measure(args: &Args, records: &mut Vec<Record>) -> Result<Vec<String>> {
    let deadline = Deadline(args.limit.map(|limit| Instant::now() + Duration::from_secs(limit)));
    if let Some(unknown) = args.tasks.iter().find(|task| !TASKS.contains(&task.as_str())) {
        return Err(Error::argument("--tasks", TASKS.join(", "), unknown.clone()));
    }
    let read = |length: &TokenCount| Ok((length.get(), EvalSet::read(&args.data, length.get())?));
    let sets = args.lengths.iter().map(read).collect::<Result<Vec<_>>>()?;
    let adapters = args.adapters.as_ref().unwrap_or(&args.data);
    let (weights, _) = load(args.model.as_deref(), Some(adapters), &mut |_| ())?;
    let methods = methods(&args.configuration, &weights.config)?;
    let longest = sets.iter().map(|(length, set)| length + set.longest_question()).max().unwrap_or(0);
    let mut runner = runner(&args.device, Arc::new(weights), longest)?;

    let mut left_out = Vec::new();
    for (length, set) in &sets {
        for method in &methods {
            for context in set.contexts.iter().filter(|context| wanted(args, context)) {
                let name = method.to_string();
                let same = |record: &Record| record.same(&name, *length, context.task, context.index);
                if records.iter().any(|record| same(record) && record.is_complete()) {
                    continue;
                }
                let what = format!("{name} at {length}, {} {}", context.task, context.index);
                if deadline.passed() {
                    left_out.push(what);
                    continue;
                }
                let record = one(args, &mut *runner, context, method, deadline, &what)?;
                if !record.is_complete() {
                    left_out.push(format!("{what} from question {}", record.scores.len()));
                }
                records.retain(|record| !same(record));
                records.push(record);
                if let Some(path) = &args.json {
                    records::write(path, records)?;
                }
            }
        }
    }
    Ok(left_out)
}

fn wanted(args: &Args, context: &Context) -> bool {
    let task = args.tasks.is_empty() || args.tasks.iter().any(|task| task == context.task);
    task && args.contexts.is_none_or(|most| context.index < most.get())
}

/// Reads one context and asks about it.
fn one(
    args: &Args,
    runner: &mut dyn Runner,
    context: &Context,
    method: &Method,
    deadline: Deadline,
    what: &str,
) -> Result<Record> {
    let progress = bar(what);
    let layers = runner.config().layers;
    progress.set_length(layers as u64);
    let recall = args.recall && (context.task, context.index) == ("multikey", 0) && !method.is_full();
    let mut observer = Recall::new(layers, recall, || progress.inc(1));
    let asked = ask(runner, context, method, deadline, &mut observer)?;
    let mut visits = Visits::default();
    observer.visits.iter().for_each(|&layer| visits += layer);
    let recall = observer.recall;
    progress.finish_and_clear();
    Ok(Record {
        method: method.to_string(),
        length: context.tokens.len(),
        task: context.task.to_owned(),
        context: context.index,
        questions: context.questions.len(),
        scores: asked.scores,
        visited: visits.visited,
        visible: visits.visible,
        recall,
        attention: asked.prefill.attention.as_secs_f64(),
        rest: asked.prefill.rest.as_secs_f64(),
        device: runner.device(),
    })
}
