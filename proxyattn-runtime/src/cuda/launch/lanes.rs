//! Streams beside those of callers, for a stage that need not wait for the one before it.
//!
//! A lane is a stream and two events: work on it starts after the work that is in the caller's stream at the fork
//! ([`Lane::fork`]), and the caller's stream waits for it at the join ([`Lane::join`]). A capture follows both events, so a
//! graph has the same two branches.
//!
//! One stream for all calls is not enough. Threads launch on several streams at the same time, and a stream that a fork
//! brings into a capture stays in the capture until it ends, long after the join. So a call has its lane to itself while it
//! launches, and never takes a lane that is in the capture of another stream ([`Lanes::take`]).

use crate::cuda::device::{capture_info, failed};
use crate::{Error, Result};
use core::ptr::null_mut;
use cudarc::driver::result::stream::StreamKind;
use cudarc::driver::sys::{self, CUevent, CUevent_flags, CUevent_wait_flags, CUstream, CUstreamCaptureMode};
use cudarc::driver::{CudaContext, result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// With this many idle lanes, streams start to share them.
const MANY: usize = 16;

/// Idle lanes, the most recently used one last.
#[derive(Default)]
pub(crate) struct Lanes {
    idle: Mutex<Vec<Lane>>,
}

impl Lanes {
    /// A lane for a call on `stream`, or the reason why there is none: then all work goes into the caller's stream, which is
    /// slower and otherwise the same. The lane is in no capture or in that of `stream`, and no other call has it until it is
    /// given back.
    ///
    /// It is one that served the same stream, or else a new one. On a lane that served another stream the call's work would
    /// wait for that stream's. So lanes change streams only where there are [`MANY`], the least recently used one first.
    ///
    /// # Safety
    /// The stream exists and belongs to the context, which is current.
    pub(super) unsafe fn take(&self, context: &Arc<CudaContext>, stream: CUstream) -> Result<Lane> {
        // SAFETY: the caller vouches for the stream.
        let capture = unsafe { capture_of(stream) }?;
        let mut idle = self.idle();
        // SAFETY: a lane's stream exists as long as the lane.
        let fits = |lane: &Lane| match unsafe { capture_of(lane.stream) } {
            Ok(None) => true, // a fork brings it into the call's capture
            Ok(of) => of == capture,
            Err(_) => false,
        };
        let own = idle.iter().rposition(|lane| lane.served == stream && fits(lane));
        let any = || if idle.len() < MANY { None } else { idle.iter().position(fits) };
        if let Some(at) = own.or_else(any) {
            let mut lane = idle.remove(at);
            lane.served = stream;
            return Ok(lane);
        }
        drop(idle);
        Lane::new(context.clone(), stream)
    }

    /// Returns a lane, which has been joined, for other calls to use.
    pub(super) fn give_back(&self, lane: Lane) {
        self.idle().push(lane);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Lane>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream beside another, and the events between the two.
pub(super) struct Lane {
    context: Arc<CudaContext>,
    stream: CUstream,
    /// The fork.
    begun: CUevent,
    /// The join.
    ended: CUevent,
    /// The stream of the last call. It may be gone: it is compared, and never used.
    served: CUstream,
}

// SAFETY: the driver's handles belong to a context, and to no thread.
unsafe impl Send for Lane {}

impl Lane {
    fn new(context: Arc<CudaContext>, served: CUstream) -> Result<Self> {
        // If a step fails, `drop` destroys what was made before it.
        let mut lane = Self { context, stream: null_mut(), begun: null_mut(), ended: null_mut(), served };
        relaxed(|| {
            let event = || result::event::create(CUevent_flags::CU_EVENT_DISABLE_TIMING);
            lane.begun = event().map_err(failed("cuEventCreate"))?;
            lane.ended = event().map_err(failed("cuEventCreate"))?;
            lane.stream =
                result::stream::create(StreamKind::NonBlocking).map_err(failed("cuStreamCreate"))?;
            Ok(())
        })?;
        Ok(lane)
    }

    /// The lane's own stream.
    pub(super) fn stream(&self) -> CUstream {
        self.stream
    }

    /// Makes later work on the lane wait for the work that is in `from` now.
    ///
    /// # Safety
    /// The stream exists and belongs to the lane's context, which is current.
    pub(super) unsafe fn fork(&self, from: CUstream) -> Result<()> {
        // SAFETY: the events and the lane's stream exist as long as it does; the caller vouches for the other stream.
        unsafe { follow(self.stream, self.begun, from) }
    }

    /// Makes later work in `into` wait for the lane's. If that fails, this blocks until the lane's work is done, so that
    /// nothing still uses memory that only the order of `into` protects.
    ///
    /// # Safety
    /// As [`fork`](Self::fork).
    pub(super) unsafe fn join(&self, into: CUstream) -> Result<()> {
        // SAFETY: as in `fork`.
        let joined = unsafe { follow(into, self.ended, self.stream) };
        if joined.is_err() {
            // SAFETY: the lane's stream exists. In a capture this is refused: there is no graph then, and nothing runs.
            let _ = unsafe { result::stream::synchronize(self.stream) };
        }
        joined
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let context = &self.context;
        context.record_err(context.bind_to_thread());
        if !self.stream.is_null() {
            // SAFETY: it was made here and is not shared. Work on the stream still completes.
            context.record_err(unsafe { result::stream::destroy(self.stream) });
        }
        for event in [self.begun, self.ended].into_iter().filter(|event| !event.is_null()) {
            // SAFETY: it was made here and is not shared. Pending waits on the event still complete.
            context.record_err(unsafe { result::event::destroy(event) });
        }
    }
}

/// Makes a stream wait for the work that is in another one now. The wait refers to this record of the event, so the event
/// may be recorded again at once.
///
/// # Safety
/// The streams and the event exist and belong to the context that is current.
unsafe fn follow(stream: CUstream, event: CUevent, other: CUstream) -> Result<()> {
    // SAFETY: the caller vouches for all three.
    unsafe { result::event::record(event, other) }.map_err(failed("cuEventRecord"))?;
    let flags = CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
    // SAFETY: the same.
    unsafe { result::stream::wait_event(stream, event, flags) }.map_err(failed("cuStreamWaitEvent"))
}

/// The number of the capture that a stream is in, unique within the process.
///
/// # Safety
/// The stream exists.
unsafe fn capture_of(stream: CUstream) -> Result<Option<u64>> {
    let info = capture_info()?;
    let (mut status, mut id, none) = (0, 0, null_mut());
    // SAFETY: the caller vouches for the stream, the first two pointers outlive the call, and the others may be null.
    let code = unsafe { info(stream, &mut status, &mut id, none, none, null_mut()) };
    code.result().map_err(failed("cuStreamGetCaptureInfo"))?;
    match status {
        0 => Ok(None),
        1 => Ok(Some(id)),
        _ => Err(Error::Unavailable {
            what: "a stream".into(),
            why: "it is in a capture that has failed".into(),
            help: "end the capture".into(),
        }),
    }
}

/// Runs `make` with this thread exempt from the rules of captures. A capture may forbid calls that it counts as unsafe to
/// all threads, and fails if one is made; making streams and events is harmless.
fn relaxed(make: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
    let mut exchange = || {
        // SAFETY: the mode outlives the call, which leaves the thread's last one there.
        let code = unsafe { sys::cuThreadExchangeStreamCaptureMode(&mut mode) };
        code.result().map_err(failed("cuThreadExchangeStreamCaptureMode"))
    };
    exchange()?;
    let made = make();
    let restored = exchange();
    made.and(restored)
}
