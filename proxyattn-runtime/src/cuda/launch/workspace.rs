//! Memory for the buffers between kernels.

use crate::Result;
use crate::cuda::device::{failed, no_memory};
use cudarc::driver::{CudaEvent, CudaSlice, CudaStream, DevicePtr};
use std::sync::Arc;

/// The handle of CUDA's per-thread default stream, which stands for another stream in each thread.
const PER_THREAD: usize = 2;

/// Memory on a device, grown to the largest problem so far.
#[derive(Default)]
pub(crate) struct Workspace {
    /// With its address.
    memory: Option<(CudaSlice<u8>, u64)>,
    /// The end of the last use, where the order of the stream does not keep uses apart.
    used: Option<CudaEvent>,
}

impl Workspace {
    /// The address of at least so many bytes; 0 for none. Every use must be on `stream`, the same one each time: then
    /// the order of the stream keeps uses apart. Where one handle stands for a stream of each thread, an event does that, so
    /// [`used`](Self::used) must be called after each use.
    pub(crate) fn reserve(&mut self, stream: &Arc<CudaStream>, bytes: u64) -> Result<u64> {
        if let Some(used) = &self.used {
            stream.wait(used).map_err(failed("cuStreamWaitEvent"))?;
        }
        let held = self.memory.as_ref().map_or(0, |(slice, _)| slice.len() as u64);
        if held < bytes {
            self.memory = None; // freed, in stream order, before the larger one is asked for
            let len = usize::try_from(bytes).unwrap_or(usize::MAX);
            // SAFETY: kernels write every byte that they read.
            let slice = unsafe { stream.alloc::<u8>(len) };
            let slice = slice.map_err(no_memory("allocating the workspace", "workspace", bytes))?;
            let (address, guard) = slice.device_ptr(stream);
            drop(guard);
            self.memory = Some((slice, address));
            self.used(stream)?; // the memory exists once the stream has reached its allocation
        }
        Ok(self.memory.as_ref().map_or(0, |(_, address)| *address))
    }

    /// Call after all work that uses the workspace has been enqueued in `stream`.
    pub(crate) fn used(&mut self, stream: &CudaStream) -> Result<()> {
        if stream.cu_stream() as usize == PER_THREAD {
            self.used = Some(stream.record_event(None).map_err(failed("cuEventRecord"))?);
        }
        Ok(())
    }

    /// The memory that is held now.
    pub(crate) fn slice(&self) -> Option<&CudaSlice<u8>> {
        self.memory.as_ref().map(|(slice, _)| slice)
    }
}
