//! Streams beside those of callers, for a stage that need not wait for the one before it.
//!
//! A lane is a stream and two events: it begins where the caller's stream is ([`Lane::fork`]), and the caller's stream goes
//! on where it ended ([`Lane::join`]). A capture follows both, so a graph has the same two branches.
//!
//! One stream for all calls would not do. Threads launch on streams of their own at the same time, and a stream that has
//! followed a fork into a capture stays in it until the capture ends, long after the join. So a call has its lane to itself
//! while it launches, and takes none that is in a capture but one that is in the capture of its own stream
//! ([`Lanes::take`]).

use super::{driver, failed};
use crate::{Error, Result};
use core::ptr::null_mut;
use cudarc::driver::result::stream::StreamKind;
use cudarc::driver::sys::{self, CUevent, CUevent_flags, CUevent_wait_flags, CUstream, CUstreamCaptureMode};
use cudarc::driver::{CudaContext, result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Lanes at rest from which on streams share them.
const MANY: usize = 16;

/// Lanes that no call is launching on, the one that was used last at the end.
#[derive(Default)]
pub(super) struct Lanes {
    idle: Mutex<Vec<Lane>>,
}

impl Lanes {
    /// A lane for a call on `stream`, or why there is none: then all goes into the caller's stream, and nothing but time is
    /// lost. It is in no capture or in that of `stream`, and that stays so until it is given back: nobody else has it.
    ///
    /// It is one that served the same stream, or else a new one. On another stream's lane the call's work would come after
    /// that stream's, and one stream would wait for what the other has yet to do. So that is done only where there are
    /// [`MANY`], and with the one that was used longest ago.
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

    /// Leaves a lane to others. It has been joined.
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
    /// Where the other stream was when this one began.
    begun: CUevent,
    /// The end of what is on this one.
    ended: CUevent,
    /// The other stream. It may be gone: it is compared, and never used.
    served: CUstream,
}

// SAFETY: the driver's handles belong to a context, and to no thread.
unsafe impl Send for Lane {}

impl Lane {
    fn new(context: Arc<CudaContext>, served: CUstream) -> Result<Self> {
        // What was made before a failure is given back by `drop`.
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

    /// Lets the lane begin where `from` is now.
    ///
    /// # Safety
    /// The stream exists and belongs to the lane's context, which is current.
    pub(super) unsafe fn fork(&self, from: CUstream) -> Result<()> {
        // SAFETY: the events and the lane's stream exist as long as it does; the caller vouches for the other stream.
        unsafe { follow(self.stream, self.begun, from) }
    }

    /// Lets `into` wait for what is on the lane. Where that fails, it has been waited for: nothing then uses any longer
    /// what the caller has the stream's order to protect.
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
            // SAFETY: it was made here, and nobody else has it. What is on it still ends.
            context.record_err(unsafe { result::stream::destroy(self.stream) });
        }
        for event in [self.begun, self.ended].into_iter().filter(|event| !event.is_null()) {
            // SAFETY: it was made here, and nobody else has it. Who waits for it still does.
            context.record_err(unsafe { result::event::destroy(event) });
        }
    }
}

/// Lets a stream wait for what is on another one now. Which record an event is waited for is settled by the call, so that
/// the event may be used again at once.
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

/// The number of the capture that a stream is in. Each has its own in the life of a process.
///
/// # Safety
/// The stream exists.
unsafe fn capture_of(stream: CUstream) -> Result<Option<u64>> {
    let info = driver::capture_info()?;
    let (mut status, mut id, none) = (0, 0, null_mut());
    // SAFETY: the caller vouches for the stream, the first two places outlive the call, and the others may be left out.
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

/// Makes something on a thread that takes part in no capture's rules for its time. A capture may forbid all threads what it
/// counts as unsafe, and fail by it; making streams and events does it no harm.
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
