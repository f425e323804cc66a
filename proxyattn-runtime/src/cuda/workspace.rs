//! The buffers between kernels: where each lies, and the memory that a device's own calls keep for them.

use super::{failed, no_memory};
use crate::Result;
use core::ops::Range;
use cudarc::driver::{CudaEvent, CudaSlice, CudaStream, DevicePtr};
use proxyattn_codegen::cuda::{Buffer, Scratch};
use std::sync::Arc;

/// Buffers of the longest pipeline.
pub(super) const BUFFERS: usize = Scratch::ALL.len();

/// Where a plan's buffers lie in the workspace, in bytes; a buffer that it does not use is empty.
pub(crate) struct Layout {
    ranges: [Range<u64>; BUFFERS],
    bytes: u64,
}

impl Layout {
    /// Buffers of so many bytes, one after the other.
    pub(super) fn new(bytes_of: impl Fn(Scratch) -> u64) -> Self {
        let mut end = 0u64;
        let ranges = core::array::from_fn(|i| match bytes_of(Scratch::ALL[i]) {
            0 => 0..0,
            bytes => {
                let start = end.next_multiple_of(Buffer::ALIGNMENT);
                end = start + bytes;
                start..end
            }
        });
        Self { ranges, bytes: end.next_multiple_of(Buffer::ALIGNMENT) }
    }

    /// Where a buffer lies.
    pub(super) fn range(&self, buffer: Scratch) -> Range<u64> {
        self.ranges[buffer as usize].clone()
    }

    /// The buffers that there are, each with where it lies.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = (Scratch, Range<u64>)> {
        let all = Scratch::ALL.iter().map(|&buffer| (buffer, self.range(buffer)));
        all.filter(|(_, range)| !range.is_empty())
    }

    /// The size of the workspace.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// The handle of CUDA's per-thread default stream: one for as many streams as there are threads.
const PER_THREAD: usize = 2;

/// Memory on a device, grown to the largest problem so far.
#[derive(Default)]
pub(super) struct Workspace {
    memory: Option<Memory>,
    /// The end of the last use, where the stream's own order does not tell.
    used: Option<CudaEvent>,
}

pub(super) struct Memory {
    slice: CudaSlice<u8>,
    address: u64,
}

impl Workspace {
    /// The address of at least so many bytes; 0 for none. Every use must be on `stream`, the same one each time: then
    /// the order of the stream keeps uses apart. Where threads have streams of their own behind one handle, an event has
    /// to, so that [`used`](Self::used) must be called after each use.
    pub(super) fn reserve(&mut self, stream: &Arc<CudaStream>, bytes: u64) -> Result<u64> {
        if let Some(used) = &self.used {
            stream.wait(used).map_err(failed("cuStreamWaitEvent"))?;
        }
        let held = self.memory.as_ref().map_or(0, |memory| memory.slice.len() as u64);
        if held < bytes {
            self.memory = None; // freed, in stream order, before the larger one is asked for
            let len = usize::try_from(bytes).unwrap_or(usize::MAX);
            // SAFETY: kernels write every byte that they read.
            let slice = unsafe { stream.alloc::<u8>(len) }.map_err(no_memory(
                "allocating the workspace",
                "workspace",
                bytes,
            ))?;
            let (address, guard) = slice.device_ptr(stream);
            drop(guard);
            self.memory = Some(Memory { slice, address });
            self.used(stream)?; // memory is there when the stream has come to its allocation
        }
        Ok(self.memory.as_ref().map_or(0, |memory| memory.address))
    }

    /// Tells that everything that uses the workspace is in `stream`.
    pub(super) fn used(&mut self, stream: &CudaStream) -> Result<()> {
        if stream.cu_stream() as usize == PER_THREAD {
            self.used = Some(stream.record_event(None).map_err(failed("cuEventRecord"))?);
        }
        Ok(())
    }

    /// What was reserved last, or before.
    pub(super) fn slice(&self) -> Option<&CudaSlice<u8>> {
        self.memory.as_ref().map(|memory| &memory.slice)
    }
}
