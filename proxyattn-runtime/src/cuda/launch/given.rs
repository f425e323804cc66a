//! Lists from outside, on a device, and attention over them.

use super::params::{ListsAt, Params, Sources};
use super::{Launch, RawArgs, RawLists, RawTensor};
use crate::cuda::device::{CudaDevice, no_memory};
use crate::memory::room;
use crate::{Error, Packed, Problem, Result};
use cudarc::driver::sys::CUstream;
use cudarc::driver::{CudaContext, CudaSlice, DevicePtr, SyncOnDrop};
use proxyattn_codegen::cuda::Shape;
use proxyattn_codegen::{Budget, Spec};
use std::sync::Arc;

/// Lists on a device, in the form of [`Packed`].
#[derive(Clone, Debug)]
pub(crate) struct Given {
    memory: Memory,
    context: Arc<CudaContext>,
    parts: usize,
    groups: usize,
    width: usize,
    /// Words of one part's lists, counts and runs.
    words: [u64; 3],
    /// Whether heads of a group may visit prefixes of different lengths.
    nested: bool,
}

#[derive(Clone, Debug)]
enum Memory {
    /// Lists, counts and runs, one after the other.
    Own(Arc<CudaSlice<u32>>),
    /// What the caller vouches for.
    Raw(RawLists),
}

/// Whether a kernel finds the end of a list's first run in a buffer.
fn reads_runs(spec: &Spec) -> bool {
    spec.causal && spec.budget.differs_within_group()
}

impl Given {
    /// Copies lists to a device.
    pub(crate) fn upload(packed: &Packed, device: &CudaDevice) -> Result<Self> {
        let buffers = [&packed.lists, &packed.counts, &packed.runs];
        let mut words = room("lists", buffers.iter().map(|buffer| buffer.len()).sum())?;
        buffers.iter().for_each(|buffer| words.extend_from_slice(buffer));
        device.bind()?;
        let bytes = words.len() as u64 * 4;
        let memory =
            device.stream().clone_htod(&words).map_err(no_memory("copying the lists", "lists", bytes))?;
        Ok(Self {
            memory: Memory::Own(Arc::new(memory)),
            context: device.stream().context().clone(),
            parts: packed.parts,
            groups: packed.groups,
            width: packed.width,
            words: buffers.map(|buffer| (buffer.len() / packed.parts) as u64),
            nested: packed.nested,
        })
    }

    /// Lists that are on a device already, for kernels of `spec`.
    pub(crate) fn raw(raw: &RawLists, problem: &Problem, spec: &Spec, device: &CudaDevice) -> Result<Self> {
        let refuse = |arg, expected: String, got: String| Err(Error::Layout { arg, expected, got });
        if raw.groups == 0 || !problem.kv_heads.is_multiple_of(raw.groups) {
            let expected = format!("a divisor of kv_heads = {}", problem.kv_heads);
            return refuse("groups", expected, format!("{}", raw.groups));
        }
        if raw.width == 0 || u32::try_from(raw.width).is_err() {
            return refuse("width", "1 to 2^32 - 1 numbers to a list".into(), format!("{}", raw.width));
        }
        for (arg, address) in [("lists", raw.lists), ("counts", raw.counts), ("runs", raw.runs.unwrap_or(4))]
        {
            if address == 0 || !address.is_multiple_of(4) {
                return refuse(arg, "a device address on 4 bytes".into(), format!("{address:#x}"));
            }
        }
        let given = Self {
            memory: Memory::Raw(*raw),
            context: device.stream().context().clone(),
            parts: 1,
            groups: raw.groups,
            width: raw.width,
            words: [0; 3],
            nested: spec.budget.differs_within_group(),
        };
        given.check(spec).map(|()| given)
    }

    /// Whether the memory belongs to a device's context.
    pub(crate) fn is_on(&self, device: &CudaDevice) -> bool {
        self.context == *device.stream().context()
    }

    /// Refuses kernels of a configuration that cannot read these lists.
    pub(crate) fn check(&self, spec: &Spec) -> Result<()> {
        let refuse = |budget: Budget, expected: &str, got: &str| {
            Err(Error::Layout {
                arg: "lists",
                expected: format!("{expected}, for kernels of `budget = {budget}`"),
                got: got.into(),
            })
        };
        if self.nested && !spec.budget.differs_within_group() {
            let got = "lists whose heads may visit prefixes of different lengths; make them with this kernel";
            return refuse(spec.budget, "lists that all heads of a group visit to the end", got);
        }
        match self.memory {
            Memory::Raw(RawLists { runs: None, .. }) if reads_runs(spec) => {
                refuse(spec.budget, "`runs`, the smallest count of each group", "None")
            }
            _ => Ok(()),
        }
    }

    /// The addresses, and what orders other work around the launches that are made while it lives.
    pub(crate) fn borrow<'a>(&'a self, device: &'a CudaDevice) -> Borrowed<'a> {
        let (first, guard) = match &self.memory {
            Memory::Raw(RawLists { lists, counts, runs, .. }) => ([*lists, *counts, runs.unwrap_or(0)], None),
            Memory::Own(memory) => {
                let (lists, guard) = memory.device_ptr(device.stream());
                let [of_lists, of_counts, _] = self.words.map(|words| words * self.parts as u64 * 4);
                ([lists, lists + of_lists, lists + of_lists + of_counts], Some(guard))
            }
        };
        Borrowed { given: self, first, _guard: guard }
    }
}

/// Lists for the launches of a call.
pub(crate) struct Borrowed<'a> {
    given: &'a Given,
    /// The first part's lists, counts and runs.
    first: [u64; 3],
    _guard: Option<SyncOnDrop<'a>>,
}

impl Launch<'_> {
    /// Enqueues attention over lists from outside.
    ///
    /// # Safety
    /// As [`run`](Self::run), for the lists, too.
    pub(crate) unsafe fn run_over(
        &self,
        lists: &Borrowed<'_>,
        args: &RawArgs,
        stream: CUstream,
    ) -> Result<()> {
        let (loader, problem) = (self.loader, self.plan.problem());
        let Borrowed { given, first, .. } = lists;
        let spec = Spec { groups: Some(given.groups as u32), ..loader.spec };
        let mut params = Params::EMPTY;
        for part in 0..given.parts {
            let args = part_of(args, &loader.spec, part as u64, given.parts);
            let [lists, counts, runs] = core::array::from_fn(|i| first[i] + part as u64 * given.words[i] * 4);
            let sources = Sources {
                loader,
                spec: &spec,
                shape: Shape::from(&Problem { heads: problem.heads / given.parts, ..*problem }),
                layout: &self.layout,
                args: &args,
                layer: 0,
                lists: Some(ListsAt { lists, counts, runs, width: given.width as u64 }),
            };
            for kernel in self.kernels.iter().filter(|kernel| kernel.runs(false)) {
                // SAFETY: the caller vouches for the addresses and the stream; no kernel before this one clears its words.
                unsafe {
                    sources.clear(kernel.table.counts(), stream)?;
                    sources.launch(kernel, &mut params, stream)?;
                }
            }
        }
        Ok(())
    }
}

/// The tensors of a launch that takes one query head of every KV head, of `parts`.
fn part_of(args: &RawArgs, spec: &Spec, part: u64, parts: usize) -> RawArgs {
    let of_heads = |tensor: RawTensor| {
        let [batch, head, token] = tensor.strides;
        let offset = (part as i64 * head).wrapping_mul(spec.dtype.bytes() as i64);
        RawTensor {
            address: tensor.address.wrapping_add_signed(offset),
            strides: [batch, head * parts as i64, token],
        }
    };
    RawArgs { q: of_heads(args.q), out: of_heads(args.out), ..*args }
}
