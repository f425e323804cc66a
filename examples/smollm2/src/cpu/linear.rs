//! Linear maps of many tokens.

use crate::Matrix;
use gemm::Parallelism;

/// What becomes of what is in the output.
#[derive(Clone, Copy)]
pub(super) enum Output {
    /// It is replaced.
    Set,
    /// The result is added to it.
    Add,
}

/// `out = x Wᵀ`, or `out += x Wᵀ`: `x [tokens, columns]`, `out [tokens, rows]`. On the calling thread: callers divide the
/// tokens.
///
/// # Panics
/// If `x` is no whole number of tokens, or `out` not as many.
pub(super) fn apply(matrix: &Matrix, x: &[f32], out: &mut [f32], then: Output) {
    let (rows, columns) = (matrix.rows, matrix.columns);
    let tokens = x.len() / columns;
    assert_eq!(x.len(), tokens * columns, "x is [tokens, {columns}]");
    assert_eq!(out.len(), tokens * rows, "out is [tokens, {rows}]");
    assert_eq!(matrix.data.len(), rows * columns, "the matrix is [{rows}, {columns}]");
    let add = matches!(then, Output::Add);
    // SAFETY: the three operands have the extents that the asserts hold them to, and `out` is borrowed alone. As columns
    // of tokens: out [rows, tokens] = W [rows, columns] · x [columns, tokens].
    unsafe {
        gemm::gemm(
            rows,
            tokens,
            columns,
            out.as_mut_ptr(),
            rows as isize,
            1,
            add,
            matrix.data.as_ptr(),
            1,
            columns as isize,
            x.as_ptr(),
            columns as isize,
            1,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
