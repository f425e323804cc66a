//! From a plan and addresses to launches. Nothing here allocates, waits or copies; a stream beside the caller's is made once.

use super::calls::Call;
use super::workspace::Layout;
use super::{Kernels, RawArgs, RawTensor, failed, tensor_map};
use crate::{Error, Plan, Result, Stage, WhyDense};
use core::ffi::c_void;
use cudarc::driver::{result, sys::CUstream};
use proxyattn_codegen::cuda::{Axis, Field, Kernel, Keys, Operand, Param, Scratch, Shape, Tensor};
use std::sync::Arc;

impl Kernels {
    /// [`launch`](Self::launch) for addresses that have not been checked.
    ///
    /// # Safety
    /// As [`Attention::launch_stages_raw`](crate::Attention::launch_stages_raw).
    pub(crate) unsafe fn launch_raw(
        &self,
        plan: &Plan,
        args: &RawArgs,
        stream: CUstream,
        stages: &[Stage],
    ) -> Result<()> {
        check_stages(plan, stages)?;
        let calls = self.pick(plan);
        self.check(plan, &calls)?;
        let layout = self.layout(plan);
        args.check(layout.bytes(), self.maps(plan))?;
        self.device.bind()?;
        // SAFETY: the caller promises valid memory and a stream of this context, which is current now.
        unsafe { self.launch(&calls, plan, &layout, args, stream, stages) }
    }

    /// Launches those of `calls` that belong to `stages` and that the plan runs. The budget runs beside what comes before
    /// it, where both are launched and there is a [lane](super::lanes) for it; without one, a kernel runs after the other,
    /// and gives the same. Either way `stream` orders everything by the time this returns.
    ///
    /// # Safety
    /// The addresses in `args` are valid on the device for the plan's problem until the stream has run the kernels,
    /// nothing else writes to them meanwhile, and the stream belongs to the device's context, which is current. The
    /// plan has been [checked](Self::check) with these calls, and the layout is its own.
    pub(super) unsafe fn launch(
        &self,
        calls: &[Arc<Call>],
        plan: &Plan,
        layout: &Layout,
        args: &RawArgs,
        stream: CUstream,
        stages: &[Stage],
    ) -> Result<()> {
        let sources = Sources { kernels: self, shape: Shape::from(plan.problem()), layout, args };
        let planned =
            |call: &&Arc<Call>| call.runs(plan.is_dense()) && stages.contains(&call.kernel.id.stage());
        let mut params = Params { bytes: [0; Kernel::PARAM_BYTES] };
        let mut put = |on: CUstream, part: fn(Stage) -> bool| {
            let mut calls = calls.iter().filter(planned).filter(|call| part(call.kernel.id.stage()));
            // SAFETY: the caller vouches for the addresses and its stream, and a lane's stream is used between fork and
            // join alone.
            calls.try_for_each(|call| unsafe { sources.launch(call, &mut params, on) })
        };
        let runs =
            |part: fn(Stage) -> bool| calls.iter().filter(planned).any(|call| part(call.kernel.id.stage()));
        // SAFETY: the caller vouches for the stream, and the context is current.
        let lane = || unsafe { self.lanes.take(self.device.stream().context(), stream) };
        let lane = (runs(beside) && runs(ahead)).then(lane).transpose().unwrap_or_else(|error| {
            tracing::debug!("stages run one after the other: {error}");
            None
        });
        let Some(lane) = lane else { return put(stream, |_| true) };
        // SAFETY: as for `take`.
        unsafe { lane.fork(stream) }?;
        let launched = put(lane.stream(), beside).and_then(|()| put(stream, ahead));
        // What was launched is joined, also where something failed: the caller's stream has to order it.
        // SAFETY: as for `take`.
        let joined = unsafe { lane.join(stream) };
        if joined.is_ok() {
            self.lanes.give_back(lane);
        }
        launched.and(joined)?;
        put(stream, |stage| !beside(stage) && !ahead(stage))
    }
}

/// The stage that runs on a lane: it reads `q` and `k` alone, and none but `select` reads its buffers, which are no other's
/// memory. It is launched first: behind all CTAs of the others it would wait for a place.
fn beside(stage: Stage) -> bool {
    stage == Stage::Budget
}

/// What runs on the caller's stream meanwhile.
fn ahead(stage: Stage) -> bool {
    matches!(stage, Stage::Pool | Stage::Score)
}

/// Refuses some stages of a plan that has none because its context is short: whoever asks for them means to select.
fn check_stages(plan: &Plan, stages: &[Stage]) -> Result<()> {
    let Some(WhyDense::Short { below }) = plan.why_dense() else { return Ok(()) };
    if Stage::ALL.iter().all(|stage| stages.contains(stage)) {
        return Ok(());
    }
    Err(Error::Shape {
        arg: "plan",
        expected: "one that selects, for some of the stages; Plan::new or with_dense_below(0) makes it"
            .into(),
        got: format!("a dense one: the context is shorter than {below} tokens"),
    })
}

/// What the parameters of one launch are taken from.
struct Sources<'a> {
    kernels: &'a Kernels,
    shape: Shape,
    layout: &'a Layout,
    args: &'a RawArgs,
}

impl Sources<'_> {
    /// Puts one kernel into a stream; `params` is where its parameters are put together.
    ///
    /// # Safety
    /// As [`Kernels::launch`].
    unsafe fn launch(&self, call: &Call, params: &mut Params, stream: CUstream) -> Result<()> {
        for &word in &call.clears {
            // SAFETY: the workspace holds the buffer, and the caller vouches for it and for the stream.
            unsafe { result::memset_d8_async(self.scratch(word), 0, 4, stream) }
                .map_err(failed("cuMemsetD8Async"))?;
        }
        self.fill(&call.kernel, params)?;
        let (kernel, spec) = (&call.kernel, &self.kernels.spec);
        // The check saw that these fit.
        let grid = kernel.ctas(spec, &self.shape, self.kernels.device.multiprocessors()).map(|n| n as u32);
        let shared = kernel.shared_bytes(spec, &self.shape) as u32;
        let mut arguments = [core::ptr::from_mut(params).cast::<c_void>()];
        // SAFETY: the function takes one struct by value, laid out by the table that its text was made from and
        // filled above; the caller vouches for the addresses in it and for the stream.
        unsafe {
            result::launch_kernel(
                call.function.cu_function(),
                grid.into(),
                (kernel.threads, 1, 1),
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
                    params.put(at, (scalar.of(&self.kernels.spec, &self.shape) as u32).to_ne_bytes())
                }
            }
        }
        Ok(())
    }

    fn scratch(&self, scratch: Scratch) -> u64 {
        self.args.workspace + self.layout.range(scratch).start
    }

    /// A tensor of the caller's, or one that is seen through the configuration: the proxies and the keys that the
    /// scorer reads.
    fn tensor(&self, tensor: Tensor) -> RawTensor {
        let packed = |scratch| {
            let [heads, tokens] = self.extents(tensor).map(|extent| extent as i64);
            let dim = i64::from(self.kernels.spec.head_dim);
            RawTensor { address: self.scratch(scratch), strides: [heads * tokens * dim, tokens * dim, dim] }
        };
        match tensor {
            Tensor::Q => self.args.q,
            Tensor::K => self.args.k,
            Tensor::V => self.args.v,
            Tensor::Out => self.args.out,
            Tensor::ProxyQ => packed(Scratch::ProxyQ),
            Tensor::Keys(Keys::Pooled) => packed(Scratch::ProxyK),
            Tensor::Keys(Keys::Sampled) => {
                let RawTensor { address, strides: [batch, head, token] } = self.args.k;
                let stride = i64::from(self.kernels.spec.stride.kv);
                RawTensor { address, strides: [batch, head, token * stride] }
            }
        }
    }

    /// Heads and tokens of a tensor.
    fn extents(&self, tensor: Tensor) -> [u64; 2] {
        tensor.extents().map(|extent| extent.of(&self.kernels.spec, &self.shape))
    }

    fn map(&self, tensor: Tensor, rows: u32) -> Result<[u8; tensor_map::BYTES]> {
        let spec = &self.kernels.spec;
        // Whose address and strides the driver would refuse.
        let arg = match tensor {
            Tensor::Q => "q",
            Tensor::Out => "out",
            Tensor::K | Tensor::Keys(Keys::Sampled) => "k",
            Tensor::V => "v",
            Tensor::ProxyQ | Tensor::Keys(Keys::Pooled) => "workspace",
        };
        let [heads, tokens] = self.extents(tensor);
        let dims = [u64::from(spec.head_dim), tokens, heads, self.shape.batch];
        tensor_map::encode(arg, &self.tensor(tensor), dims, rows, spec.dtype)
    }
}

/// A kernel's parameter struct. Tensor maps want multiples of 64 bytes.
#[repr(C, align(64))]
struct Params {
    bytes: [u8; Kernel::PARAM_BYTES],
}

impl Params {
    fn put<const N: usize>(&mut self, at: usize, value: [u8; N]) {
        self.bytes[at..][..N].copy_from_slice(&value);
    }
}
