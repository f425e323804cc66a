//! GPU families: what each has, in one table, and the shapes of tiles that its kernels take.

pub(crate) mod hopper;
pub(crate) mod portable;
mod tiles;

pub use hopper::HopperTiles;
pub use tiles::Tiles;

use core::fmt;

named! {
    /// GPU families that CUDA source is generated for.
    pub enum Arch {
        /// `mma.sync` and `cp.async`: Ampere and everything after it.
        Sm80 = "sm_80",
        /// TMA, `wgmma` and warp specialisation: Hopper only.
        Sm90a = "sm_90a",
    }
}

/// What is known of a family without a GPU at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchFacts {
    /// The compute capability that its text is compiled for.
    pub capability: (u8, u8),
    /// Whether the text runs on that capability alone, and not on later ones.
    pub specific: bool,
    /// Shared memory that a CTA may have at most, in bytes. A device may have less: the runtime asks it.
    pub shared_bytes: u32,
    /// Multiprocessors of a GPU that is typical of the family, for examples.
    pub multiprocessors: u64,
    /// Key tokens below which dense attention is faster, whatever the budget is.
    pub dense_below: usize,
}

impl Arch {
    /// The name in the attribute and for the compiler: `sm_80` or `sm_90a`.
    pub const fn as_str(self) -> &'static str {
        self.name()
    }

    /// What is known of the family.
    pub const fn facts(self) -> &'static ArchFacts {
        match self {
            Arch::Sm80 => &portable::FACTS,
            Arch::Sm90a => &hopper::FACTS,
        }
    }

    /// The wrappers of PTX instructions that the family's kernels use, in the order in which they build on each other.
    pub(crate) fn prelude(self) -> impl Iterator<Item = &'static str> {
        let more: &[&str] = match self {
            Arch::Sm80 => &[],
            Arch::Sm90a => &hopper::PRELUDE,
        };
        portable::PRELUDE.iter().chain(more).copied()
    }
}

/// A set of [`Arch`]s.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ArchSet {
    /// A bit for each, in the order of [`Arch::ALL`].
    bits: u8,
}

impl ArchSet {
    /// No architecture: only the CPU backend.
    pub const NONE: ArchSet = ArchSet { bits: 0 };

    /// Every architecture.
    pub const ALL: ArchSet = ArchSet::of(Arch::ALL);

    /// The set of some architectures.
    pub const fn of(archs: &[Arch]) -> Self {
        let mut set = Self::NONE;
        let mut i = 0;
        while i < archs.len() {
            set = set.with(archs[i]);
            i += 1;
        }
        set
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// Whether `arch` is in the set.
    pub const fn contains(self, arch: Arch) -> bool {
        self.bits >> arch as u8 & 1 == 1
    }

    /// The set with `arch` added.
    #[must_use]
    pub const fn with(self, arch: Arch) -> Self {
        ArchSet { bits: self.bits | 1 << arch as u8 }
    }

    /// Its members, oldest first.
    pub fn iter(self) -> impl Iterator<Item = Arch> {
        Arch::ALL.iter().copied().filter(move |&arch| self.contains(arch))
    }
}

impl fmt::Debug for ArchSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for ArchSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Arch::as_str).collect();
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        for &arch in Arch::ALL {
            let alone = ArchSet::of(&[arch]);
            assert!(!alone.is_empty() && ArchSet::ALL.contains(arch));
            assert_eq!(alone.iter().collect::<Vec<_>>(), [arch]);
            assert_eq!((alone.with(arch), alone.to_string()), (alone, arch.to_string()));
        }
        assert!(ArchSet::NONE.is_empty() && ArchSet::NONE.iter().next().is_none());
        assert_eq!(ArchSet::ALL.iter().collect::<Vec<_>>(), Arch::ALL);
    }
}
