//! The JIT under everything that can go wrong: other processes, rotten files, full disks, broken libraries.
//!
//! No GPU is needed. The compiler is a fake one, a stub library in C, or the real NVRTC where
//! `target/nvrtc/13.0.88` holds it (`PROXYATTN_REQUIRE_NVRTC=1` makes its absence a failure).

#![cfg(unix)]

#[path = "jit/admin.rs"]
mod admin;
#[path = "jit/ahead.rs"]
mod ahead;
#[path = "jit/children.rs"]
mod children;
#[path = "jit/directories.rs"]
mod directories;
#[path = "jit/entries.rs"]
mod entries;
#[path = "jit/events.rs"]
mod events;
#[path = "jit/fake.rs"]
mod fake;
#[path = "jit/flights.rs"]
mod flights;
#[path = "jit/loader.rs"]
mod loader;
#[path = "jit/nvrtc.rs"]
mod nvrtc;
#[path = "jit/places.rs"]
mod places;
#[path = "jit/processes.rs"]
mod processes;
#[path = "jit/scratch.rs"]
mod scratch;
#[path = "jit/stub.rs"]
mod stub;
