//! SmolLM2-135M end to end on proxyattn.
//!
//! ```text
//! config ─▶ weights ─▶ runner: cpu, gpu ─▶ a program: smollm2, accuracy, heads
//!                      method, observe ──┘
//! ```
//!
//! A [`Runner`] is the model with its KV cache on a device; the programs do not depend on the device otherwise. A [`Method`]
//! selects the attention of a chunk of tokens; an [`Observer`] is called for each layer.
#![deny(missing_docs)]

mod adapters;
mod compare;
mod config;
mod cpu;
mod device;
mod error;
pub mod eval;
mod generate;
mod gguf;
pub mod gpu;
mod method;
mod observe;
mod progress;
mod runner;
mod tokenizer;
mod weights;

pub use adapters::merge;
pub use compare::{Comparison, compare};
pub use config::Config;
pub use cpu::Cpu;
pub use device::{default_model, load, runner};
pub use error::{Error, Result};
pub use generate::{Answer, generate};
pub use gguf::Gguf;
pub use method::{Method, methods};
pub use observe::{Detail, Inputs, Observer, Visits};
pub use progress::bar;
pub use runner::{Runner, Step, Times, check_step};
pub use tokenizer::Tokenizer;
pub use weights::{Layer, Matrix, Weights};
