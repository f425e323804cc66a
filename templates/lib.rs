//! The CUDA files that proxyattn assembles its kernels from, held in the crate so that it publishes with them.
//!
//! Every file is header-free CUDA. `prelude/` holds one named wrapper per PTX instruction; the others are the kernel bodies,
//! which call the wrappers and contain no PTX of their own. They lie in folders named as those of `proxyattn-codegen`: the
//! text of a choice stands under the name of the choice. `x.hopper.cuh` is Hopper's version of `x.cuh` beside it.

/// Every template, by the path below this crate that it is looked up by, and its text. The build script finds them.
pub const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The text of the template with this path, such as `prelude/types.cuh`.
pub fn file(path: &str) -> Option<&'static str> {
    FILES.iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
}
