//! Contexts, questions and answers as tokens.

use crate::{Error, Result};
use safetensors::{Dtype, SafeTensors};
use std::path::Path;

/// The tasks, in the order in which tables show them.
pub const TASKS: [&str; 8] =
    ["single", "multikey", "multikey_dense", "vt", "multivalue", "multiquery", "copy", "fwe"];

/// The tasks of one context length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalSet {
    /// All contexts, task by task in the order of [`TASKS`].
    pub contexts: Vec<Context>,
}

/// A context and what is asked about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// One of [`TASKS`].
    pub task: &'static str,
    /// Which of the task's contexts, from 0.
    pub index: usize,
    /// The context.
    pub tokens: Vec<u32>,
    /// The questions.
    pub questions: Vec<Question>,
}

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is asked.
    pub question: Vec<u32>,
    /// What has to follow.
    pub answer: Vec<u32>,
    /// For each token of the answer the item that it belongs to; none for a separator.
    pub items: Vec<Option<usize>>,
}

impl EvalSet {
    /// Reads `evalset-LENGTH.safetensors` of a directory: `TASK.i.ctx` u16 `[length]`; `TASK.i.qJ` and `aJ` u16, and
    /// `TASK.i.itemsJ` i16, as long as `aJ`: the item of each token of the answer, −1 for a separator.
    ///
    /// # Errors
    /// [`Error::File`] for a file that is not there or not safetensors, [`Error::Model`] for tensors that do not fit.
    pub fn read(directory: &Path, length: usize) -> Result<Self> {
        let path = directory.join(format!("evalset-{length}.safetensors"));
        let bytes = std::fs::read(&path).map_err(|error| Error::file(&path, error))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| Error::file(&path, error))?;
        let mut contexts = Vec::new();
        for task in TASKS {
            for index in 0.. {
                let Some(tokens) = numbers(&file, &format!("{task}.{index}.ctx"), Dtype::U16)? else { break };
                if tokens.len() != length {
                    let got = tokens.len().to_string();
                    return Err(Error::model(format!("{task}.{index}.ctx"), length.to_string(), got));
                }
                let questions = (0..).map_while(|j| question(&file, task, index, j).transpose());
                let questions = questions.collect::<Result<_>>()?;
                contexts.push(Context { task, index, tokens: tokens_of(&tokens), questions });
            }
        }
        match contexts.is_empty() {
            true => Err(Error::file(path, format!("has none of the tasks {}", TASKS.join(", ")))),
            false => Ok(Self { contexts }),
        }
    }

    /// Tokens of the longest context with one of its questions and the answer.
    pub fn longest(&self) -> usize {
        let asked = |context: &Context| {
            let questions = context.questions.iter().map(|q| q.question.len() + q.answer.len());
            context.tokens.len() + questions.max().unwrap_or(0)
        };
        self.contexts.iter().map(asked).max().unwrap_or(0)
    }
}

fn question(file: &SafeTensors<'_>, task: &str, i: usize, j: usize) -> Result<Option<Question>> {
    let Some(question) = numbers(file, &format!("{task}.{i}.q{j}"), Dtype::U16)? else { return Ok(None) };
    let part = |name: String, dtype| {
        numbers(file, &name, dtype)?.ok_or_else(|| Error::model(name, "a tensor beside its question", "none"))
    };
    let answer = part(format!("{task}.{i}.a{j}"), Dtype::U16)?;
    let items = part(format!("{task}.{i}.items{j}"), Dtype::I16)?;
    if items.len() != answer.len() || question.is_empty() || items.iter().all(|&item| item < 0) {
        let what = format!("{task}.{i}.items{j}");
        let expected = format!("an item for each of the answer's {} tokens", answer.len());
        return Err(Error::model(what, expected, format!("{items:?}")));
    }
    let items = items.iter().map(|&item| usize::try_from(item).ok()).collect();
    Ok(Some(Question { question: tokens_of(&question), answer: tokens_of(&answer), items }))
}

/// The elements of a tensor of one axis; none if there is no such tensor.
fn numbers(file: &SafeTensors<'_>, name: &str, dtype: Dtype) -> Result<Option<Vec<i32>>> {
    let Ok(view) = file.tensor(name) else { return Ok(None) };
    if view.dtype() != dtype || view.shape().len() != 1 {
        let got = format!("{:?} {:?}", view.dtype(), view.shape());
        return Err(Error::model(name, format!("{dtype:?} of one axis"), got));
    }
    let number = |&bytes: &[u8; 2]| match dtype {
        Dtype::I16 => i32::from(i16::from_le_bytes(bytes)),
        _ => i32::from(u16::from_le_bytes(bytes)),
    };
    Ok(Some(view.data().as_chunks().0.iter().map(number).collect()))
}

/// u16 numbers as tokens.
fn tokens_of(numbers: &[i32]) -> Vec<u32> {
    numbers.iter().map(|&number| number as u32).collect()
}
