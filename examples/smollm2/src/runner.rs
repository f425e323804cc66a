//! A model with its KV cache on some device.

use crate::{Config, Error, Method, Observer, Result};
use core::ops::Range;
use core::time::Duration;

/// The model as the programs see it: tokens in, the most likely next tokens out.
///
/// ```text
/// step(context, sparse, …) ─▶ step(question, sparse, …) ─▶ step(answer, full, …)
///                          ◀── truncate(context.len()) ◀──
/// ```
pub trait Runner {
    /// The shape of the model.
    fn config(&self) -> &Config;

    /// Where it runs, for people.
    fn device(&self) -> String;

    /// Tokens that the KV cache has room for.
    fn capacity(&self) -> usize;

    /// Tokens in the KV cache.
    fn cached(&self) -> usize;

    /// Makes the first step with any of `methods` as fast as later ones: on a GPU their kernels are compiled and loaded, as
    /// many at a time as there are cores.
    ///
    /// # Errors
    /// [`Error::Attention`] for a method that the device cannot run.
    fn prepare(&mut self, methods: &[Method]) -> Result<()>;

    /// Drops all but the first `tokens` from the KV cache. What they left behind is as it was when they were the last.
    ///
    /// # Errors
    /// [`Error::Argument`] if fewer are cached.
    fn truncate(&mut self, tokens: usize) -> Result<()>;

    /// Appends `tokens` to the KV cache; they attend by `method` to it and to each other, causally. For each of `asked`,
    /// a range of `tokens`, the result has the token that the model holds most likely to follow (of equals, the lowest).
    ///
    /// Returns when the result is there. The order of all sums is that of the device: two devices may differ where two
    /// tokens are nearly as likely.
    ///
    /// # Errors
    /// What [`check_step`] refuses, before anything runs; [`Error::Attention`] and [`Error::Device`], after which the
    /// cache is as long as before.
    fn step(
        &mut self,
        tokens: &[u32],
        method: &Method,
        asked: Range<usize>,
        observer: &mut dyn Observer,
    ) -> Result<Step>;

    /// Peak bytes of device memory (on the CPU: of this process) so far, if the device reports it.
    fn peak_memory(&self) -> Option<u64>;
}

/// What a step returns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The most likely next token after each of the tokens that were asked for.
    pub next: Vec<u32>,
    /// Where the time went.
    pub times: Times,
}

/// Time of a step. On a GPU by events in its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// In attention kernels, selection included, of all layers.
    pub attention: Duration,
    /// In everything else, from the tokens to the result.
    pub rest: Duration,
}

impl Times {
    /// Both together.
    pub fn total(&self) -> Duration {
        self.attention + self.rest
    }
}

impl core::ops::AddAssign for Times {
    fn add_assign(&mut self, other: Self) {
        self.attention += other.attention;
        self.rest += other.rest;
    }
}

/// Refuses a step that no runner can make.
///
/// # Errors
/// [`Error::Argument`] for no tokens, a token outside the vocabulary, a range outside of `tokens`, more tokens than there
/// is room for, or a method that the model cannot have.
pub fn check_step(runner: &dyn Runner, tokens: &[u32], method: &Method, asked: &Range<usize>) -> Result<()> {
    let config = runner.config();
    if tokens.is_empty() {
        return Err(Error::argument("tokens", "at least one token", "none"));
    }
    if let Some(token) = tokens.iter().find(|&&token| token as usize >= config.vocab) {
        let expected = format!("tokens below the vocabulary's {}", config.vocab);
        return Err(Error::argument("tokens", expected, token.to_string()));
    }
    if asked.start > asked.end || asked.end > tokens.len() {
        let expected = format!("a range of the {} tokens", tokens.len());
        return Err(Error::argument("asked", expected, format!("{asked:?}")));
    }
    let room = runner.capacity() - runner.cached();
    if tokens.len() > room {
        let expected = format!(
            "at most {room} tokens: the cache holds {} and has room for {}",
            runner.cached(),
            runner.capacity()
        );
        return Err(Error::argument("tokens", expected, tokens.len().to_string()));
    }
    method.check(config)
}
