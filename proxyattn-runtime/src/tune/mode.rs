//! Where tiles come from.

use std::time::Duration;

/// Where the tiles of a kernel come from when it is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tune {
    /// The default tiles, whatever was measured.
    Off,
    /// This machine's record, else the shipped one, else the default tiles. Nothing is measured.
    #[default]
    Cached,
    /// As [`Cached`](Self::Cached); what the given problems have no record for is measured first, for at most this long.
    Now(Duration),
}
