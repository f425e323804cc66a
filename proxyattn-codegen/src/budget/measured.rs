//! What a budget counts when it looks at inputs, and how those counts lie in memory.

use crate::Spec;
use crate::abi::{Buffer, Scalar, Scratch, Size};
use crate::geometry::Shape;

/// What a budget that looks at inputs has a count for: the layout of [`Scratch::Measured`].
///
/// ```
/// use proxyattn_codegen::{Budget, Measured, Place, Spec, cuda::Shape};
///
/// // A dynamic budget has one count for each head; the first of the second sequence comes after those of the first.
/// assert_eq!(Spec::DEFAULT.budget.measures(), Some(Measured::Heads));
/// let shape = Shape { batch: 2, heads: 8, kv_heads: 2, q_len: 4096, kv_len: 4096 };
/// let place = Place { batch: 1, head: 0, row: 63 };
/// assert_eq!(Measured::Heads.at(&Spec::DEFAULT, &shape, place), 8);
/// assert_eq!(Budget::All.measures(), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// Each query head, on the last row of blocks: `[batch, heads]`.
    Heads,
    /// Each row of blocks of each group: `[batch, groups, rows]`.
    Rows,
}

/// What a count is for. Heads of a group, or rows of a head, may share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The sequence.
    pub batch: u64,
    /// The query head, of a sequence.
    pub head: u64,
    /// The row of blocks.
    pub row: u64,
}

impl Measured {
    /// The dimensions of the counts.
    const fn dims(self) -> &'static [Scalar] {
        match self {
            Measured::Heads => &[Scalar::Batch, Scalar::Heads],
            Measured::Rows => &[Scalar::Batch, Scalar::Groups, Scalar::Rows],
        }
    }

    /// The buffer of the counts.
    pub(crate) fn buffer(self, holds: &'static str) -> Buffer {
        let dims = self.dims().iter().copied().map(Size::Scalar).collect();
        Buffer { scratch: Scratch::Measured, dims, holds }
    }

    /// Where the count for a head and row lies.
    pub fn at(self, spec: &Spec, shape: &Shape, place: Place) -> u64 {
        let Place { batch, head, row } = place;
        match self {
            Measured::Heads => batch * shape.heads + head,
            Measured::Rows => {
                let groups = shape.groups(spec);
                (batch * groups + head / (shape.heads / groups)) * shape.rows(spec) + row
            }
        }
    }

    /// The first head and the last row that each count is for, in the order of memory.
    pub fn places(self, spec: &Spec, shape: &Shape) -> Vec<Place> {
        let (rows, groups) = (shape.rows(spec), shape.groups(spec));
        let (heads, size, first_row) = match self {
            Measured::Heads => (shape.heads, 1, rows - 1),
            Measured::Rows => (groups, shape.heads / groups, 0),
        };
        let of_head = |batch, head| (first_row..rows).map(move |row| Place { batch, head: head * size, row });
        (0..shape.batch).flat_map(|batch| (0..heads).flat_map(move |head| of_head(batch, head))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lie_in_the_order_of_their_places() {
        let (spec, shape) =
            (Spec::DEFAULT, Shape { batch: 2, heads: 6, kv_heads: 3, q_len: 200, kv_len: 300 });
        for measured in [Measured::Heads, Measured::Rows] {
            let places = measured.places(&spec, &shape);
            let at: Vec<_> = places.iter().map(|&place| measured.at(&spec, &shape, place)).collect();
            assert_eq!(at, (0..places.len() as u64).collect::<Vec<_>>(), "{measured:?}");
            assert_eq!(measured.buffer("").bytes(&spec, &shape), 4 * places.len() as u64, "{measured:?}");
        }
        let shared = |measured: Measured, [a, b]: [(u64, u64); 2]| {
            let [a, b] = [a, b].map(|(head, row)| measured.at(&spec, &shape, Place { batch: 1, head, row }));
            a == b
        };
        assert!(shared(Measured::Heads, [(4, 0), (4, 3)]) && !shared(Measured::Heads, [(4, 0), (5, 0)]));
        assert!(shared(Measured::Rows, [(4, 2), (5, 2)]) && !shared(Measured::Rows, [(4, 2), (4, 3)]));
    }
}
