//! Matrix products on tensor cores: bf16 in, sums in f32.
//!
//! ```text
//! places ──▶ dlopen ──▶ version ≥ 12? ──▶ handle on a stream ──▶ multiply
//! search.rs             table.rs
//! ```

mod search;
mod table;

use core::ffi::{c_int, c_void};
use core::ptr;
use half::bf16;
use proxyattn::cudarc::driver::{CudaSlice, CudaStream, CudaView, CudaViewMut, DevicePtr, DevicePtrMut};
use proxyattn::{Error, Result};
use std::sync::Arc;
use table::{Handle, Table};

/// `CUBLAS_OP_N`, `CUBLAS_OP_T`.
const PLAIN: c_int = 0;
const TRANSPOSED: c_int = 1;
/// `CUDA_R_16BF`, `CUDA_R_32F`.
const BF16: c_int = 14;
const F32: c_int = 0;
/// `CUBLAS_COMPUTE_32F`.
const SUMS_IN_F32: c_int = 68;
/// `CUBLAS_GEMM_DEFAULT`.
const ANY_ALGORITHM: c_int = -1;

/// What a product can be written as.
pub(super) trait Output {
    /// Its number in cuBLAS.
    const TYPE: c_int;
}

impl Output for bf16 {
    const TYPE: c_int = BF16;
}

impl Output for f32 {
    const TYPE: c_int = F32;
}

/// A linear map in device memory: `rows` outputs of `columns` inputs, bf16, row-major.
pub(super) struct Matrix {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) data: CudaSlice<bf16>,
}

/// Whether a product replaces what is there, or is added to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum To {
    /// It replaces.
    Store,
    /// It is added.
    Add,
}

/// cuBLAS on a stream.
pub(super) struct Cublas {
    table: Table,
    handle: Handle,
    stream: Arc<CudaStream>,
}

impl Cublas {
    /// The first usable library, made ready on a stream whose context is current.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where there is none, [`Error::Cuda`] if it refuses the GPU.
    pub(super) fn new(stream: &Arc<CudaStream>) -> Result<Self> {
        let table = Table::open()?;
        let mut handle = ptr::null_mut();
        // SAFETY: writes a handle, in the context that is current.
        table.check("cublasCreate", unsafe { (table.create)(&mut handle) })?;
        let cublas = Self { table, handle, stream: stream.clone() };
        // SAFETY: the handle is live, and the stream is of the context that it was made in.
        let code = unsafe { (cublas.table.set_stream)(cublas.handle, stream.cu_stream()) };
        cublas.table.check("cublasSetStream", code)?;
        Ok(cublas)
    }

    /// The library and its version, for people.
    pub(super) fn description(&self) -> String {
        let (major, minor) = self.table.version;
        format!("cuBLAS {major}.{minor} ({})", self.table.library.display())
    }

    /// `out [tokens, rows]` = or += `input [tokens, columns] · weightᵀ`.
    pub(super) fn multiply<T: Output>(
        &self,
        weight: &Matrix,
        input: &CudaView<'_, bf16>,
        out: &mut CudaViewMut<'_, T>,
        to: To,
    ) -> Result<()> {
        let shape = Gemm::new(weight, input.len(), out.len())?;
        let factor = |number: &f32| ptr::from_ref(number).cast::<c_void>();
        let (alpha, beta) = (1.0, if to == To::Add { 1.0 } else { 0.0 });
        let (a, _weight) = weight.data.device_ptr(&self.stream);
        let (b, _input) = input.device_ptr(&self.stream);
        let (c, _out) = out.device_ptr_mut(&self.stream);
        // SAFETY: the handle is live and its stream is the one that the buffers are used on. In the columns-first order of
        // the library, A is the weight, `columns` by `rows`; B the input, `columns` by `tokens`; C the output, `rows` by
        // `tokens`; each packed, and `Gemm::new` has seen that its buffer is of that size. The factors are read before
        // the call returns.
        let code = unsafe {
            (self.table.gemm_ex)(
                self.handle,
                TRANSPOSED,
                PLAIN,
                shape.rows,
                shape.tokens,
                shape.columns,
                factor(&alpha),
                a as *const c_void,
                BF16,
                shape.columns,
                b as *const c_void,
                BF16,
                shape.columns,
                factor(&beta),
                c as *mut c_void,
                T::TYPE,
                shape.rows,
                SUMS_IN_F32,
                ANY_ALGORITHM,
            )
        };
        self.table.check("cublasGemmEx", code)
    }
}

impl Drop for Cublas {
    fn drop(&mut self) {
        // SAFETY: the handle is live and not used again; an error cannot be reported from here.
        unsafe { (self.table.destroy)(self.handle) };
    }
}

/// The sizes of a product.
#[derive(Debug, PartialEq)]
struct Gemm {
    rows: c_int,
    columns: c_int,
    tokens: c_int,
}

impl Gemm {
    fn new(weight: &Matrix, input: usize, out: usize) -> Result<Self> {
        Self::of(weight.rows, weight.columns, weight.data.len(), input, out)
    }

    /// The sizes, where every buffer has the elements that they need.
    fn of(rows: usize, columns: usize, weight: usize, input: usize, out: usize) -> Result<Self> {
        let tokens = input / columns.max(1);
        for (arg, got, needed) in [
            ("weight", weight, rows * columns),
            ("input", input, tokens * columns),
            ("out", out, tokens * rows),
        ] {
            if got != needed || needed == 0 {
                let expected =
                    format!("{needed} elements, for {tokens} tokens and a weight of [{rows}, {columns}]");
                return Err(Error::Shape { arg, expected, got: got.to_string() });
            }
        }
        let number = |arg, number: usize| {
            c_int::try_from(number).map_err(|_| Error::Overflow {
                arg,
                what: "a dimension of a matrix product",
                limit: c_int::MAX as u64,
                got: number.to_string(),
            })
        };
        Ok(Self {
            rows: number("weight", rows)?,
            columns: number("weight", columns)?,
            tokens: number("input", tokens)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxyattn::jit::library::Place;

    #[test]
    fn sizes_follow_from_the_buffers() {
        let sizes = Gemm::of(960, 576, 960 * 576, 7 * 576, 7 * 960).unwrap();
        assert_eq!(sizes, Gemm { rows: 960, columns: 576, tokens: 7 });
        let refused = |weight, input, out| Gemm::of(960, 576, weight, input, out).unwrap_err().to_string();
        assert!(refused(960 * 576, 7 * 576 + 1, 7 * 960).starts_with("`input`: expected 4032 elements"));
        assert!(refused(960 * 576, 7 * 576, 7 * 961).starts_with("`out`: expected 6720 elements"));
        assert!(refused(960, 7 * 576, 7 * 960).starts_with("`weight`: expected 552960 elements"));
        assert!(refused(960 * 576, 0, 0).starts_with("`input`: expected 0 elements"));
        assert!(Gemm::of(1 << 31, 1, 1 << 31, 1, 1 << 31).is_err());
    }

    #[test]
    fn a_library_that_is_missing_or_no_cublas_is_told_with_what_to_do() {
        let here = std::env::current_exe().unwrap();
        let places = vec![
            Place::Empty("CUDA_HOME (unset)".into()),
            Place::Name("libcublas-that-is-not-there.so"),
            Place::File(here.clone()),
        ];
        let error = Table::first_of(places).err().unwrap().to_string();
        assert!(error.starts_with("cuBLAS is not available: expected libcublas.so of CUDA 12"), "{error}");
        assert!(error.contains("CUDA_HOME (unset), `libcublas-that-is-not-there.so` ("), "{error}");
        assert!(error.contains(&here.display().to_string()), "{error}");
        assert!(error.contains("pip install nvidia-cublas"), "{error}");
    }
}
