//! What a call may be told besides its tensors.

use core::fmt;
use proxyattn::{Selection, StageTimes};
use std::sync::Arc;

type Listener = dyn Fn(&Selection, &StageTimes) + Send + Sync;

/// What is not in the kernel's configuration and not in the tensors. Cheap to clone.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Options {
    pub(crate) listener: Option<Arc<Listener>>,
}

impl Options {
    /// Tells `listener` after every call which blocks each head visited, and how long the stages took. A GPU then waits
    /// for each stage, and copies the lists to the host: for reports, not for serving.
    pub fn on_trace(self, listener: impl Fn(&Selection, &StageTimes) + Send + Sync + 'static) -> Self {
        Self { listener: Some(Arc::new(listener)) }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("on_trace", &self.listener.is_some()).finish()
    }
}
