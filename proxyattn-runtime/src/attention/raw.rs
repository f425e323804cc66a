//! Launches on addresses, for engines that manage streams, graphs and memory themselves.

use super::Attention;
use crate::{Element, Plan, RawArgs, Result, Stage};
use core::ops::Range;
use cudarc::driver::sys::CUstream;
use proxyattn_codegen::cuda::Scratch;

impl<T: Element> Attention<T> {
    /// Bytes of device memory that [`launch_raw`](Self::launch_raw) needs for a plan; 0 on the CPU.
    pub fn workspace_bytes(&self, plan: &Plan) -> u64 {
        self.kernels.as_ref().map_or(0, |kernels| kernels.layout(plan).bytes())
    }

    /// The buffers in a plan's workspace, each with its bytes there; none on the CPU.
    pub fn workspace_layout(&self, plan: &Plan) -> Vec<(Scratch, Range<u64>)> {
        let kernels = self.kernels.as_ref();
        kernels.map_or_else(Vec::new, |kernels| kernels.layout(plan).buffers().collect())
    }

    /// Enqueues a plan's kernels in `stream`: no allocation, no synchronisation and no transfer, so that it can be
    /// captured in a CUDA graph. With a dynamic budget, some of them run on a stream of the kernel's own, between two
    /// points of `stream`. The values in the tensors are not checked; see [`prefill`](Self::prefill).
    ///
    /// ```no_run
    /// use proxyattn::cudarc::driver::{DevicePtr, DevicePtrMut};
    /// use proxyattn::prelude::*;
    /// use proxyattn::{RawArgs, RawTensor};
    ///
    /// #[proxy_attention(head_dim = 64)]
    /// struct Layer;
    ///
    /// let Device::Cuda(device) = Device::cuda(0)? else { unreachable!("it is a GPU") };
    /// let attention = Layer::load(&Device::Cuda(device.clone()))?;
    /// let problem = Problem { batch: 1, heads: 8, kv_heads: 8, q_len: 8192, kv_len: 8192 };
    /// let plan = attention.plan(&problem)?;
    ///
    /// // An engine has memory, a stream and a workspace of its own.
    /// let stream = device.stream();
    /// let memory = |elements: usize| stream.alloc_zeros::<bf16>(elements).expect("memory");
    /// let (qkv, mut out) = (memory(8 * 8192 * 64), memory(8 * 8192 * 64));
    /// let bytes = attention.workspace_bytes(&plan);
    /// let mut workspace = stream.alloc_zeros::<u8>(bytes as usize).expect("memory");
    ///
    /// let ((input, _input), (output, _output)) = (qkv.device_ptr(stream), out.device_ptr_mut(stream));
    /// let (workspace, _workspace) = workspace.device_ptr_mut(stream);
    /// let tensor = |address| RawTensor { address, strides: [8 * 8192 * 64, 8192 * 64, 64] };
    /// let args = RawArgs {
    ///     q: tensor(input),
    ///     k: tensor(input),
    ///     v: tensor(input),
    ///     out: tensor(output),
    ///     workspace,
    ///     workspace_bytes: bytes,
    /// };
    /// // SAFETY: the buffers have the plan's sizes, belong to the stream's context and outlive the synchronisation.
    /// unsafe { attention.launch_raw(&plan, &args, stream.cu_stream()) }?;
    /// stream.synchronize().expect("the kernels run");
    /// # Ok::<(), proxyattn::Error>(())
    /// ```
    ///
    /// # Safety
    /// For the plan's problem, every tensor and the workspace must be valid device memory of the kernel's context
    /// until the stream has run the kernels, with nothing else writing to them meanwhile; the stream must belong to
    /// that context. This value, or a clone of it, must live as long: kernels and the shares of a layer are its own.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable) on the CPU; [`Error::Layout`](crate::Error::Layout) for addresses
    /// or strides that the kernels cannot read and for a workspace that is too small;
    /// [`Error::Overflow`](crate::Error::Overflow) for a problem beyond the GPU's limits;
    /// [`Error::Cuda`](crate::Error::Cuda).
    pub unsafe fn launch_raw(&self, plan: &Plan, args: &RawArgs, stream: CUstream) -> Result<()> {
        // SAFETY: all stages together write what they read.
        unsafe { self.launch_stages_raw(plan, args, stream, Stage::ALL) }
    }

    /// [`launch_raw`](Self::launch_raw) of some stages, in their usual order. The workspace has to hold what the omitted
    /// stages would have written ([`workspace_layout`](Self::workspace_layout) says where); so with
    /// [`Stage::Attend`] alone an engine brings a selection of its own. That stage reads, all u32 and packed:
    ///
    /// - `lists` `[batch, groups, rows, blocks]`: the key blocks that a row of query blocks visits, each once. Every
    ///   head of the group visits a prefix.
    /// - `counts` `[batch, heads, rows]`: the length of that prefix for each head. With a flat budget all heads of a group
    ///   have the same.
    /// - `runs` `[batch, groups, rows]`, with a dynamic budget: the smallest count among the group's heads.
    /// - `tickets`, on Hopper: one number, which must be 0 before each launch; the launch changes it.
    ///
    /// With causal attention the first `runs` entries of a list (with a flat budget: the first `counts`) end with the
    /// blocks of the row's diagonal ([`Geometry::diagonal`](crate::Geometry::diagonal)), and no entry lies beyond it:
    /// only these blocks are masked, and the kernel finds them by their place in the list. A [dense](Plan::is_dense) plan
    /// reads no lists and clears `tickets` itself. [`Plan::new`] gives the plan that selects however short the context is.
    ///
    /// # Safety
    /// As [`launch_raw`](Self::launch_raw), and the workspace holds what the omitted stages would have written, with every
    /// listed block inside the keys.
    ///
    /// # Errors
    /// As [`launch_raw`](Self::launch_raw), and [`Error::Shape`](crate::Error::Shape) for some stages of a plan that is
    /// dense because its context is [short](crate::dense_below): it would not follow the selection.
    pub unsafe fn launch_stages_raw(
        &self,
        plan: &Plan,
        args: &RawArgs,
        stream: CUstream,
        stages: &[Stage],
    ) -> Result<()> {
        let kernels = self.on_gpu("launch_raw")?;
        // SAFETY: the caller promises what `launch_raw` of the kernels asks for.
        unsafe { kernels.launch_raw(plan, args, stream, stages, self.layer()) }
    }
}
