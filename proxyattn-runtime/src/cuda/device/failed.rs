//! Failed driver calls as errors.

use crate::Error;
use cudarc::driver::{DriverError, sys::CUresult};

/// A failed driver call.
pub(crate) fn failed(call: &'static str) -> impl Fn(DriverError) -> Error {
    move |error| Error::Cuda { call, code: error.0 as i32, why: name(error) }
}

/// A failed call that asked for so many bytes of device memory.
pub(crate) fn no_memory(call: &'static str, what: &'static str, bytes: u64) -> impl Fn(DriverError) -> Error {
    move |error| match error.0 {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => Error::Memory { what, of: "device", bytes },
        _ => failed(call)(error),
    }
}

/// The code's name, and the driver's text for it where it has one.
pub(super) fn name(error: DriverError) -> String {
    match error.error_string() {
        Ok(text) => format!("{:?}, {}", error.0, text.to_string_lossy()),
        Err(_) => format!("{:?}", error.0),
    }
}
