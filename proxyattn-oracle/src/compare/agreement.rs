//! How far a selection is from the reference's.

use core::fmt;

/// How far a selection is from the reference's.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    /// (batch, head, row) lists that were compared.
    pub lists: usize,
    /// Those in which scores decide: more blocks than the pinned ones, and fewer than all.
    pub decided: usize,
    /// Lists whose blocks differ from the reference's.
    pub swapped: usize,
    /// Heads whose measured budget differs.
    pub recounted: usize,
    /// Over the differing lists, the smallest and the largest distance of the swapped blocks' log-scores,
    /// as a share.
    pub gaps: Option<(f64, f64)>,
    /// What no tolerance excuses.
    pub faults: Vec<String>,
}

impl Agreement {
    /// The agreement, or the first of its faults.
    pub fn faultless(self) -> Result<Self, String> {
        match self.faults.first() {
            Some(first) => Err(format!("{first} ({} such faults)", self.faults.len())),
            None => Ok(self),
        }
    }

    /// Takes another one's lists in.
    pub fn add(&mut self, other: Self) {
        self.lists += other.lists;
        self.decided += other.decided;
        self.swapped += other.swapped;
        self.recounted += other.recounted;
        other.gaps.into_iter().for_each(|(low, high)| self.widen(low, high));
        self.faults.extend(other.faults);
    }

    pub(super) fn widen(&mut self, low: f64, high: f64) {
        let (l, h) = self.gaps.unwrap_or((low, high));
        self.gaps = Some((l.min(low), h.max(high)));
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lists, decided, swapped, recounted, faults, .. } = self;
        write!(f, "{lists} lists ({decided} by score), {swapped} with swapped blocks")?;
        write!(f, ", {recounted} heads with another count")?;
        if let Some((low, high)) = self.gaps {
            write!(f, ", relative gaps {low:.1e} to {high:.1e}")?;
        }
        write!(f, ", {} beyond tolerance", faults.len())
    }
}
