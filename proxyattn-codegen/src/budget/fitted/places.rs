//! Which blocks of a list are measured.

use crate::Spec;

/// The places of a list of n blocks, from 0 on, whose blocks are measured.
///
/// The first `exact` are the blocks that are always kept, at most `sink + local + ⌈block.q / block.kv⌉ + 1`, and ⌈n/50⌉ more.
/// Two windows of ⌈n/100⌉ lie around n/10 and 6n/10, as far behind those and each other as it takes. A list that is too short
/// for this is measured as a whole.
///
/// ```
/// use proxyattn_codegen::{Places, Spec};
///
/// let places = Places::of(&Spec::DEFAULT, 2048);
/// assert_eq!((places.exact, places.window, places.near, places.far), (44, 21, 194, 1218));
/// assert_eq!(places.count(), 86);
/// assert_eq!(places.iter().nth(44), Some(194));
/// assert_eq!(Places::of(&Spec::DEFAULT, 6).count(), 6);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// How many are measured from the first on.
    pub exact: u64,
    /// How many more in each of two windows.
    pub window: u64,
    /// Where the first window begins.
    pub near: u64,
    /// Where the second window begins.
    pub far: u64,
}

impl Places {
    /// Those of a list of so many blocks.
    pub fn of(spec: &Spec, blocks: u64) -> Self {
        let exact = u64::from(most_pinned(spec)) + blocks.div_ceil(50);
        let window = blocks.div_ceil(100);
        let near = exact.max(blocks / 10 - window / 2);
        let far = (near + window).max(blocks * 6 / 10 - window / 2);
        match far + window <= blocks {
            true => Self { exact, window, near, far },
            false => Self { exact: blocks, window: 0, near: blocks, far: blocks },
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.exact + 2 * self.window
    }

    /// Each of them, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u64> + use<> {
        let Self { exact, window, near, far } = *self;
        (0..exact).chain(near..near + window).chain(far..far + window)
    }
}

/// The most blocks of a row that are kept whatever their score.
pub(super) fn most_pinned(spec: &Spec) -> u32 {
    spec.keep.sink + spec.keep.local + spec.block.q.div_ceil(spec.block.kv) + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Block, Keep};

    #[test]
    fn places_ascend_and_lie_in_the_list() {
        let wide =
            Spec { block: Block { q: 128, kv: 32 }, keep: Keep { sink: 3, local: 40 }, ..Spec::DEFAULT };
        for spec in [Spec::DEFAULT, wide] {
            for blocks in (1..700).chain([1024, 4096, 16_384, 100_000]) {
                let places = Places::of(&spec, blocks);
                let all: Vec<_> = places.iter().collect();
                assert_eq!(all.len() as u64, places.count());
                assert!(
                    all.is_sorted_by(|a, b| a < b) && all.last().is_some_and(|&last| last < blocks),
                    "{blocks}"
                );
                assert!(places.exact >= u64::from(most_pinned(&spec)).min(blocks));
            }
        }
    }

    #[test]
    fn a_long_context_is_measured_in_a_twenty_fifth() {
        for blocks in [2048, 16_384] {
            let share = Places::of(&Spec::DEFAULT, blocks).count() as f64 / blocks as f64;
            assert!((0.04..0.043).contains(&share), "{share}");
        }
    }
}
