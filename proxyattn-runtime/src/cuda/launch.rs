//! From a plan and addresses to launches. Nothing here allocates, waits or copies.

use super::kernels::{runs, shape};
use super::{Kernels, RawArgs, RawTensor, failed};
use crate::{Plan, Result, Stage};
use core::ffi::c_void;
use cudarc::driver::{result, sys::CUstream};
use proxyattn_codegen::cuda::{Entry, Shape, Ty};

/// The largest parameter struct, in bytes; the table of kernels stays far below it.
const PARAM_BYTES: usize = 512;

impl Kernels {
    /// [`launch`](Self::launch) of every stage, for addresses that have not been checked.
    ///
    /// # Safety
    /// As [`Attention::launch_raw`](crate::Attention::launch_raw).
    pub(crate) unsafe fn launch_raw(&self, plan: &Plan, args: &RawArgs, stream: CUstream) -> Result<()> {
        self.check(plan)?;
        args.check(self.workspace_bytes(plan))?;
        self.device.stream().context().bind_to_thread().map_err(failed("cuCtxSetCurrent"))?;
        // SAFETY: the caller promises valid memory and a stream of this context, which is current now.
        unsafe { self.launch(plan, args, stream, |_| true) }
    }

    /// Launches the kernels of `stages` that the plan runs.
    ///
    /// # Safety
    /// The addresses in `args` are valid on the device for the plan's problem until the stream has run the kernels,
    /// nothing else writes to them meanwhile, and the stream belongs to the device's context, which is current.
    pub(super) unsafe fn launch(
        &self,
        plan: &Plan,
        args: &RawArgs,
        stream: CUstream,
        stages: impl Fn(Stage) -> bool,
    ) -> Result<()> {
        let shape = shape(plan.problem());
        let launched = |entry: &Entry| runs(entry, plan) && stages(stage(entry));
        for (entry, function) in self.entries().filter(|(entry, _)| launched(entry)) {
            let mut params = Params { bytes: [0; PARAM_BYTES] };
            self.fill(entry, &shape, args, &mut params);
            let [x, y, z] = entry.grid(&shape).map(|n| n as u32); // inside the limits that `check` set
            let shared = entry.shared_bytes(&shape) as u32;
            let mut arguments = [core::ptr::from_mut(&mut params).cast::<c_void>()];
            // SAFETY: the function takes one struct by value, laid out by the table that its text was made from and
            // filled above; the caller vouches for the addresses in it and for the stream.
            unsafe {
                let grid_block = ((x, y, z), (entry.threads, 1, 1));
                result::launch_kernel(
                    function.cu_function(),
                    grid_block.0,
                    grid_block.1,
                    shared,
                    stream,
                    &mut arguments,
                )
            }
            .map_err(failed("cuLaunchKernel"))?;
        }
        Ok(())
    }

    fn fill(&self, entry: &Entry, shape: &Shape, args: &RawArgs, params: &mut Params) {
        for param in &entry.params {
            match param.ty {
                Ty::Pointer(_) => {
                    params.put(param.offset, self.address(param.name, shape, args).to_ne_bytes())
                }
                Ty::I64 => params.put(param.offset, self.stride(param.name, shape, args).to_ne_bytes()),
                Ty::I32 => {
                    let value = entry.value(param.name, shape).unwrap_or(0) as u32;
                    params.put(param.offset, value.to_ne_bytes());
                }
            }
        }
    }

    /// The address behind a pointer's name: a tensor of the caller's, or a buffer of the workspace.
    fn address(&self, name: &str, shape: &Shape, args: &RawArgs) -> u64 {
        match name {
            "q" => args.q.address,
            "k" => args.k.address,
            "v" => args.v.address,
            "out" => args.out.address,
            "keys" if !self.pools_keys() => args.k.address,
            "keys" => self.address("proxy_k", shape, args),
            buffer => {
                let found = self.layout(shape).find(|(name, _)| *name == buffer);
                args.workspace + found.map_or(0, |(_, range)| range.start)
            }
        }
    }

    /// The stride behind a name such as `q_token` or `keys_group`, in elements.
    fn stride(&self, name: &str, shape: &Shape, args: &RawArgs) -> i64 {
        let dim = i64::from(self.spec.head_dim);
        let (tensor, axis) = name.split_once('_').unwrap_or((name, ""));
        let RawTensor { strides, .. } = match tensor {
            "q" => args.q,
            "k" => args.k,
            "v" => args.v,
            "out" => args.out,
            // The scorer reads the keys themselves, one of each window.
            _ if !self.pools_keys() => {
                let [batch, head, token] = args.k.strides;
                RawTensor { strides: [batch, head, token * i64::from(self.spec.stride.kv)], ..args.k }
            }
            _ => {
                let group = shape.kv_samples(&self.spec) as i64 * dim;
                RawTensor { address: 0, strides: [shape.groups(&self.spec) as i64 * group, group, dim] }
            }
        };
        match axis {
            "batch" => strides[0],
            "head" | "group" => strides[1],
            _ => strides[2],
        }
    }

    fn pools_keys(&self) -> bool {
        self.module.entry("pool_keys").is_some()
    }
}

/// The stage of an entry.
fn stage(entry: &Entry) -> Stage {
    match entry.stage {
        "pool" => Stage::Pool,
        "score" => Stage::Score,
        "budget" => Stage::Budget,
        "select" => Stage::Select,
        _ => Stage::Attend,
    }
}

/// A kernel's parameter struct. Its widest field has eight bytes.
#[repr(C, align(8))]
struct Params {
    bytes: [u8; PARAM_BYTES],
}

impl Params {
    fn put<const N: usize>(&mut self, offset: u32, value: [u8; N]) {
        self.bytes[offset as usize..][..N].copy_from_slice(&value);
    }
}
