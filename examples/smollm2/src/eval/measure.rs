//! Asking everything that has not been asked yet.

use super::records::Key;
use super::{Context, Deadline, EvalSet, Flags, Recall, Record, Records, ask};
use crate::{Method, Result, Runner, Visits, bar};

/// A set, and what records call it; the empty name where there is only one.
#[derive(Clone, Debug)]
pub struct Source {
    /// What records call it.
    pub name: String,
    /// Its contexts, all of one length.
    pub set: EvalSet,
}

/// What is asked, and until when.
#[derive(Clone, Copy, Debug)]
pub struct Measure<'a> {
    /// Which contexts are read.
    pub flags: &'a Flags,
    /// The sets, one after the other.
    pub sets: &'a [Source],
    /// Each set is read by all of them before the next one.
    pub methods: &'a [Method],
    /// Whether to look at the share of true attention in the visited blocks, on the first context of `multikey`.
    pub recall: bool,
    /// When to stop, between two questions.
    pub deadline: Deadline,
}

impl Measure<'_> {
    /// Runs what `records` lack. Returns what there was no time for.
    ///
    /// # Errors
    /// As [`ask`], and [`Error::File`](crate::Error::File) for results that cannot be saved.
    pub fn run(&self, runner: &mut dyn Runner, records: &mut Records) -> Result<Vec<String>> {
        let mut left_out = Vec::new();
        for source in self.sets {
            for method in self.methods {
                let name = method.to_string();
                let contexts = source.set.contexts.iter();
                for context in contexts.filter(|context| self.flags.wants(context.task, context.index)) {
                    let (length, task) = (context.tokens.len(), context.task);
                    let key = Key { method: &name, set: &source.name, length, task, context: context.index };
                    if records.has(&key) {
                        continue;
                    }
                    let of = if source.name.is_empty() { "" } else { " of " };
                    let what = format!("{name} at {length}, {task} {}{of}{}", context.index, source.name);
                    if self.deadline.passed() {
                        left_out.push(what);
                        continue;
                    }
                    let record =
                        Record { set: source.name.clone(), ..self.one(runner, context, method, &what)? };
                    if !record.is_complete() {
                        left_out.push(format!("{what} from question {}", record.scores.len()));
                    }
                    records.add(record)?;
                }
            }
        }
        Ok(left_out)
    }

    /// Reads one context and asks about it.
    fn one(&self, runner: &mut dyn Runner, context: &Context, method: &Method, what: &str) -> Result<Record> {
        let progress = bar(what);
        let layers = runner.config().layers;
        progress.set_length(layers as u64);
        let recall = self.recall && (context.task, context.index) == ("multikey", 0) && !method.is_full();
        let mut observer = Recall::new(layers, recall, || progress.inc(1));
        let asked = ask(runner, context, method, self.deadline, &mut observer)?;
        let mut visits = Visits::default();
        observer.visits.iter().for_each(|&layer| visits += layer);
        let recall = observer.recall;
        progress.finish_and_clear();
        Ok(Record {
            method: method.to_string(),
            set: String::new(),
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
}
