//! From a prompt to an answer.

use crate::{Method, Observer, Result, Runner, Times};

/// An answer, and what it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Its tokens, without the one that ends it.
    pub tokens: Vec<u32>,
    /// The prompt, up to the first token: the time to first token.
    pub prefill: Times,
    /// Every other token.
    pub decode: Times,
}

/// Reads `prompt` by `method` and goes on with the most likely token, densely, until `end` or `limit` tokens. `observer`
/// looks at the prompt; `heard` hears of each token as it comes. The KV cache goes on from where it is.
///
/// # Errors
/// As [`Runner::step`].
pub fn generate(
    runner: &mut dyn Runner,
    prompt: &[u32],
    method: &Method,
    (limit, end): (usize, u32),
    observer: &mut dyn Observer,
    heard: &mut dyn FnMut(u32),
) -> Result<Answer> {
    let full = Method::full(runner.config());
    let mut step = runner.step(prompt, method, prompt.len().saturating_sub(1)..prompt.len(), observer)?;
    let mut answer = Answer { prefill: step.times, ..Answer::default() };
    while let Some(&token) = step.next.first()
        && token != end
        && answer.tokens.len() < limit
    {
        answer.tokens.push(token);
        heard(token);
        if answer.tokens.len() == limit {
            break;
        }
        step = runner.step(&[token], &full, 0..1, &mut ())?;
        answer.decode += step.times;
    }
    Ok(answer)
}
