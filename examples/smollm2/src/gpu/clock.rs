//! Where the time of a step goes, by events in the stream.

use super::failed;
use crate::Times;
use core::time::Duration;
use proxyattn::Result;
use proxyattn::cudarc::driver::{CudaEvent, CudaStream, sys::CUevent_flags};
use std::sync::Arc;

/// What a lap of the stream's time is spent on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    /// Attention, selection included.
    Attention,
    /// The rest of the forward pass.
    Rest,
    /// What an observer asks for. It is no part of the forward pass.
    Watching,
}

/// Laps of one step: each begins with an event, and ends where the next begins.
pub(super) struct Clock {
    stream: Arc<CudaStream>,
    laps: Vec<(Part, CudaEvent)>,
}

impl Clock {
    /// A clock whose first lap begins now.
    pub(super) fn start(stream: &Arc<CudaStream>, part: Part) -> Result<Self> {
        let mut clock = Self { stream: stream.clone(), laps: Vec::new() };
        clock.lap(part)?;
        Ok(clock)
    }

    /// What is put into the stream from here on is spent on `part`.
    pub(super) fn lap(&mut self, part: Part) -> Result<()> {
        self.laps.push((part, self.event()?));
        Ok(())
    }

    /// Ends the last lap, and waits until the stream is there.
    pub(super) fn stop(self) -> Result<Times> {
        let end = self.event()?;
        let ends = self.laps.iter().skip(1).map(|(_, event)| event).chain([&end]);
        let mut times = Times::default();
        for ((part, from), to) in self.laps.iter().zip(ends) {
            let ms = from.elapsed_ms(to).map_err(failed("cuEventElapsedTime"))?;
            let time = Duration::from_secs_f32(ms.max(0.0) / 1e3);
            match part {
                Part::Attention => times.attention += time,
                Part::Rest => times.rest += time,
                Part::Watching => {}
            }
        }
        Ok(times)
    }

    fn event(&self) -> Result<CudaEvent> {
        // The default event tells the time; cudarc's own does not.
        self.stream.record_event(Some(CUevent_flags::CU_EVENT_DEFAULT)).map_err(failed("cuEventRecord"))
    }
}
