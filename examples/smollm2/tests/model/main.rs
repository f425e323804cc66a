//! The model without downloads: from files made by hand, and on the CPU beside plain loops.

mod files;
mod gguf;
mod runner;
#[path = "../tiny/mod.rs"]
mod tiny;
