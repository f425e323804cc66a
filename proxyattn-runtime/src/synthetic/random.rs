//! Random numbers that depend on the seed and on what they are for, and not on the order in which threads ask.

/// What a number is for.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    Segments,
    Needles,
    NeedleContent,
    Topic,
    Head,
    Salience,
    Query,
    Key,
    Value,
    TopicValue,
}

/// The generator `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64, stream: Stream, index: [usize; 2]) -> Self {
        let mut random = Self(seed ^ (stream as u64).wrapping_mul(0xA24B_AED4_963E_E407));
        for i in index {
            random.0 = random.next() ^ (i as u64).wrapping_mul(0x9FB2_1C65_1E98_DF25);
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In (0, 1).
    pub(super) fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        ((self.uniform() * n as f64) as usize).min(n - 1)
    }

    /// Of mean 0 and variance 1, by the Box–Muller transform.
    pub(super) fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (core::f64::consts::TAU * self.uniform()).cos()
    }

    /// Of length 1, in any direction.
    pub(super) fn direction(&mut self, dims: usize) -> Vec<f64> {
        let normal: Vec<f64> = (0..dims).map(|_| self.normal()).collect();
        let length = normal.iter().map(|x| x * x).sum::<f64>().sqrt();
        normal.into_iter().map(|x| x / length).collect()
    }
}
