//! Where tiles come from.

use std::time::Duration;

/// Where the tiles of a kernel come from when it is loaded.
///
/// ```
/// use proxyattn::prelude::*;
/// use proxyattn::Tune;
/// use std::time::Duration;
///
/// #[proxy_attention]
/// struct Layer;
///
/// // What has no record is measured, for 30 seconds at most; the CPU has nothing to tune.
/// let problem = Problem { batch: 1, heads: 32, kv_heads: 8, q_len: 8192, kv_len: 8192 };
/// let attention = Layer::load_tuned(&Device::cpu(), Tune::Now(Duration::from_secs(30)), &[problem])?;
/// # assert!(attention.tuned().choices.is_empty());
/// # Ok::<(), proxyattn::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tune {
    /// Always the default tiles.
    Off,
    /// This machine's record, else the shipped one, else the default tiles. Nothing is measured.
    #[default]
    Cached,
    /// Like [`Cached`](Self::Cached), but the given problems that have no record are measured first, for at most this long.
    Now(Duration),
}
