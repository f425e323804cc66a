//! Reading a context once, and asking everything about it.

use super::{Context, Question};
use crate::{Method, Observer, Result, Runner, Times};
use std::time::Instant;

/// When to stop; never, if there is none.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Option<Instant>);

impl Deadline {
    /// Whether it is over.
    pub fn passed(&self) -> bool {
        self.0.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// What was answered about a context.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// Share of the items that were right, question by question; fewer than there are questions if time was over.
    pub scores: Vec<f64>,
    /// What reading the context took.
    pub prefill: Times,
}

/// Reads a context by `method`, which `observer` looks at, and asks each question at its end: rows of the question attend
/// by `method`, rows of the answer fully. The answer is given token by token (teacher forcing), and an item of it is right
/// if every token of it was the most likely one where it stands.
///
/// # Errors
/// As [`Runner::step`].
pub fn ask(
    runner: &mut dyn Runner,
    context: &Context,
    method: &Method,
    deadline: Deadline,
    observer: &mut dyn Observer,
) -> Result<Asked> {
    runner.truncate(0)?;
    let prefill = runner.step(&context.tokens, method, 0..0, observer)?.times;
    let mut scores = Vec::new();
    for question in &context.questions {
        if deadline.passed() {
            break;
        }
        let predicted = predicted(runner, question, method)?;
        scores.push(score(question, &predicted));
        runner.truncate(context.tokens.len())?;
    }
    Ok(Asked { scores, prefill })
}

/// The most likely token in the place of each token of the answer.
fn predicted(runner: &mut dyn Runner, question: &Question, method: &Method) -> Result<Vec<u32>> {
    let asked = question.question.len();
    let mut predicted = runner.step(&question.question, method, asked - 1..asked, &mut ())?.next;
    if let [given @ .., _] = &question.answer[..]
        && !given.is_empty()
    {
        let full = Method::full(runner.config());
        predicted.extend(runner.step(given, &full, 0..given.len(), &mut ())?.next);
    }
    Ok(predicted)
}

/// The share of items of which every token is right.
fn score(question: &Question, predicted: &[u32]) -> f64 {
    let items = question.items.iter().flatten().max().map_or(0, |last| last + 1);
    let mut right = vec![true; items];
    for ((item, answer), predicted) in question.items.iter().zip(&question.answer).zip(predicted) {
        if let Some(item) = item {
            right[*item] &= answer == predicted;
        }
    }
    right.iter().filter(|&&right| right).count() as f64 / items as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_right_if_all_of_it_is() {
        let question = Question {
            question: vec![1],
            answer: vec![5, 6, 7, 8, 9],
            items: vec![Some(0), Some(0), None, Some(1), Some(1)],
        };
        assert_eq!(score(&question, &[5, 6, 7, 8, 9]), 1.0);
        assert_eq!(score(&question, &[5, 6, 0, 8, 9]), 1.0, "a separator does not count");
        assert_eq!(score(&question, &[5, 0, 7, 8, 9]), 0.5);
        assert_eq!(score(&question, &[0, 6, 7, 8, 0]), 0.0);
    }
}
