//! A kernel's parameters, put together from a plan and addresses.

use super::layout::Layout;
use super::{RawArgs, RawTensor, tensor_map};
use crate::Result;
use crate::cuda::device::failed;
use crate::cuda::load::{LoadedKernel, Loader};
use core::ffi::c_void;
use cudarc::driver::{result, sys::CUstream};
use proxyattn_codegen::cuda::{Axis, Field, Kernel, Keys, Operand, Param, Scratch, Shape, Tensor};

/// What the parameters of one launch are taken from.
pub(super) struct Sources<'a> {
    pub(super) loader: &'a Loader,
    pub(super) shape: Shape,
    pub(super) layout: &'a Layout,
    pub(super) args: &'a RawArgs,
}

impl Sources<'_> {
    /// Enqueues one kernel; its parameters are put together in `params`.
    ///
    /// # Safety
    /// As [`Launch::run`](super::Launch::run).
    pub(super) unsafe fn launch(
        &self,
        kernel: &LoadedKernel,
        params: &mut Params,
        stream: CUstream,
    ) -> Result<()> {
        for &word in &kernel.clears {
            // SAFETY: the workspace holds the buffer, and the caller vouches for it and for the stream.
            unsafe { result::memset_d8_async(self.scratch(word), 0, 4, stream) }
                .map_err(failed("cuMemsetD8Async"))?;
        }
        let (table, Loader { spec, device, .. }) = (&kernel.table, self.loader);
        self.fill(table, params)?;
        // The limits have been checked: these numbers fit.
        let grid = table.ctas(spec, &self.shape, device.multiprocessors()).map(|n| n as u32);
        let shared = table.shared_bytes(spec, &self.shape) as u32;
        let mut arguments = [core::ptr::from_mut(params).cast::<c_void>()];
        // SAFETY: the function takes one struct by value, laid out by the table that its text was made from and
        // filled above; the caller vouches for the addresses in it and for the stream.
        unsafe {
            result::launch_kernel(
                kernel.function.cu_function(),
                grid.into(),
                (table.threads, 1, 1),
                shared,
                stream,
                &mut arguments,
            )
        }
        .map_err(failed("cuLaunchKernel"))
    }

    fn fill(&self, kernel: &Kernel, params: &mut Params) -> Result<()> {
        for &Param { field, offset } in &kernel.params {
            let at = offset as usize;
            match field {
                Field::Map(tensor, rows) => params.put(at, self.map(tensor, rows)?),
                Field::Pointer(Operand::Tensor(tensor), _) => {
                    params.put(at, self.tensor(tensor).address.to_ne_bytes())
                }
                Field::Pointer(Operand::Scratch(scratch), _) => {
                    params.put(at, self.scratch(scratch).to_ne_bytes())
                }
                Field::Stride(tensor, axis) => {
                    let [batch, head, token] = self.tensor(tensor).strides;
                    let stride = match axis {
                        Axis::Batch => batch,
                        Axis::Head => head,
                        Axis::Token => token,
                    };
                    params.put(at, stride.to_ne_bytes());
                }
                Field::Scalar(scalar) => {
                    params.put(at, (scalar.of(&self.loader.spec, &self.shape) as u32).to_ne_bytes())
                }
            }
        }
        Ok(())
    }

    fn scratch(&self, scratch: Scratch) -> u64 {
        self.args.workspace + self.layout.range(scratch).start
    }

    /// A tensor of the caller's, or one that follows from it: the proxies, and the keys that the scorer reads.
    fn tensor(&self, tensor: Tensor) -> RawTensor {
        let packed = |scratch| {
            let [heads, tokens] = self.extents(tensor).map(|extent| extent as i64);
            let dim = i64::from(self.loader.spec.head_dim);
            RawTensor { address: self.scratch(scratch), strides: [heads * tokens * dim, tokens * dim, dim] }
        };
        match tensor {
            Tensor::Q => self.args.q,
            Tensor::K => self.args.k,
            Tensor::V => self.args.v,
            Tensor::Out => self.args.out,
            Tensor::ProxyQ => packed(Scratch::ProxyQ),
            Tensor::ProxyQ8 => packed(Scratch::ProxyQ8),
            Tensor::Keys(Keys::Pooled) => packed(Scratch::ProxyK),
            Tensor::Keys(Keys::Pooled8) => packed(Scratch::ProxyK8),
            Tensor::StridedQ => packed(Scratch::StridedQ),
            Tensor::StridedK => packed(Scratch::StridedK),
            Tensor::Keys(Keys::Sampled) | Tensor::Windows | Tensor::FullWindows => {
                let RawTensor { address, strides: [batch, head, token] } = self.args.k;
                let stride = i64::from(self.loader.spec.sample_window().kv);
                RawTensor { address, strides: [batch, head, token * stride] }
            }
        }
    }

    /// Heads and tokens of a tensor.
    fn extents(&self, tensor: Tensor) -> [u64; 2] {
        tensor.extents().map(|extent| extent.of(&self.loader.spec, &self.shape))
    }

    fn map(&self, tensor: Tensor, rows: u32) -> Result<[u8; tensor_map::BYTES]> {
        let spec = &self.loader.spec;
        // The argument whose address and strides the driver would refuse.
        let arg = match tensor {
            Tensor::Q => "q",
            Tensor::Out => "out",
            Tensor::K | Tensor::Keys(Keys::Sampled) | Tensor::Windows | Tensor::FullWindows => "k",
            Tensor::V => "v",
            Tensor::ProxyQ | Tensor::ProxyQ8 | Tensor::Keys(Keys::Pooled | Keys::Pooled8) => "workspace",
            Tensor::StridedQ | Tensor::StridedK => "workspace",
        };
        let [heads, tokens] = self.extents(tensor);
        let raw = self.tensor(tensor);
        let columns = match tensor {
            Tensor::Windows | Tensor::FullWindows => (raw.strides[2] as u64).max(spec.head_dim.into()),
            _ => spec.head_dim.into(),
        };
        let dims = [columns, tokens, heads, self.shape.batch];
        tensor_map::encode(arg, &raw, dims, rows, tensor.elem(), spec.dtype)
    }
}

/// A kernel's parameter struct. The address of a tensor map has to be a multiple of 64 bytes.
#[repr(C, align(64))]
pub(super) struct Params {
    bytes: [u8; Kernel::PARAM_BYTES],
}

impl Params {
    pub(super) const EMPTY: Self = Self { bytes: [0; Kernel::PARAM_BYTES] };

    fn put<const N: usize>(&mut self, at: usize, value: [u8; N]) {
        self.bytes[at..][..N].copy_from_slice(&value);
    }
}
