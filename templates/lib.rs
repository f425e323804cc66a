//! CUDA templates.
