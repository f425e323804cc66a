//! The options of a call.

use core::fmt;
use proxyattn::{Selection, StageTimes};
use std::sync::Arc;

type Listener = dyn Fn(&Selection, &StageTimes) + Send + Sync;

/// Options that are neither in the kernel's configuration nor in the tensors. Cheap to clone.
///
/// ```
/// use proxyattn_candle::Options;
///
/// let options = Options::default().on_trace(|selection, times| {
///     println!("{:.0}% of the blocks, {times}", 100.0 * selection.density());
/// });
/// # drop(options);
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Options {
    pub(crate) listener: Option<Arc<Listener>>,
}

impl Options {
    /// Calls `listener` after every call with the blocks that each head visited and the time of each stage. On a GPU this
    /// waits for each stage and copies the lists to the host, so it is for reports and not for serving.
    pub fn on_trace(self, listener: impl Fn(&Selection, &StageTimes) + Send + Sync + 'static) -> Self {
        Self { listener: Some(Arc::new(listener)) }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("on_trace", &self.listener.is_some()).finish()
    }
}
