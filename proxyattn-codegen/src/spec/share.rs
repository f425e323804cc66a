//! Shares: of a row's blocks, of the softmax mass. One exact rule for every backend, in integers.

/// A share in millionths.
///
/// A configuration writes shares as decimals, most of which no binary float holds: 0.07 of 100 blocks, multiplied as
/// floats and rounded up, are 8. So a share is rounded to the nearest millionth once, and what follows is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share {
    millionths: u32,
}

impl Share {
    /// How many parts make the whole.
    pub const WHOLE: u32 = 1_000_000;

    /// The nearest millionth. What lies outside of `[0, 1]` counts as the end that it lies beyond, NaN as 0: rules refuse
    /// both.
    pub const fn of(share: f64) -> Self {
        let nearest = (share * Self::WHOLE as f64 + 0.5) as u32; // a cast saturates
        Self { millionths: if nearest > Self::WHOLE { Self::WHOLE } else { nearest } }
    }

    /// The share in millionths.
    pub const fn millionths(self) -> u32 {
        self.millionths
    }

    /// The share of so many things, rounded up: the fewest of them that reach it.
    pub const fn of_count(self, count: u64) -> u64 {
        // At most `count`, so that the cast loses nothing.
        (count as u128 * self.millionths as u128).div_ceil(Self::WHOLE as u128) as u64
    }

    /// Whether a written share is valid: in (0, 1], and not so small that it rounds to 0 millionths.
    pub(crate) const fn is_valid(share: f64) -> bool {
        share <= 1.0 && Self::of(share).millionths > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_results_stay_whole() {
        // Of 100 things as many as the share has hundredths: floats would round some of them up twice.
        let twice = (1..=100u32).filter(|&n| {
            assert_eq!(Share::of(f64::from(n) / 100.0).of_count(100), u64::from(n));
            (f64::from(n) / 100.0 * 100.0).ceil() > f64::from(n)
        });
        assert!(twice.count() > 0, "then floats would do");
        for parts in 1..=1000u64 {
            for count in [1, 7, 64, 999, 1000, 1 << 25, u64::MAX] {
                let expected = (u128::from(count) * u128::from(parts)).div_ceil(1000);
                let share = Share::of(parts as f64 / 1000.0);
                assert_eq!(u128::from(share.of_count(count)), expected, "{parts} thousandths of {count}");
            }
        }
    }

    #[test]
    fn what_lies_between_goes_to_the_nearest() {
        assert_eq!(Share::of(1.0 / 3.0).millionths(), 333_333);
        assert_eq!(Share::of(2.0 / 3.0).millionths(), 666_667);
        assert_eq!(Share::of(0.999_999_9).millionths(), Share::WHOLE);
        assert_eq!([f64::NAN, -1.0, 4e-7].map(|share| Share::of(share).millionths()), [0; 3]);
        assert_eq!([f64::INFINITY, 2.0].map(|share| Share::of(share).millionths()), [Share::WHOLE; 2]);
        assert!([1e-6, 6e-7, 0.5, 1.0].into_iter().all(Share::is_valid));
        assert!(![0.0, 4e-7, -0.5, 1.000_000_1, f64::NAN, f64::INFINITY].into_iter().any(Share::is_valid));
    }
}
