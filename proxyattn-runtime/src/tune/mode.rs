//! Where tiles come from.

use std::time::Duration;

/// Where the tiles of a kernel come from when it is loaded.
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
