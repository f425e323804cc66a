//! Lists in the form that attention kernels read.

use crate::memory::{product, room};
use crate::{Result, Selection};
use proxyattn_codegen::Spec;

/// Lists as kernels read them: for each group and row a list of `width` words, for each head how much of the list it
/// visits, and for each list how long its first run is, which ends with the blocks of the diagonal.
///
/// Heads of one KV head share each tile of keys that is loaded, so a launch gives them one list, of which each visits a
/// prefix. Where they have lists of their own, each launch, a *part*, takes one query head of every KV head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Launches; each has the same number of words in every buffer.
    pub parts: usize,
    /// Groups of a launch.
    pub groups: usize,
    /// Words of a list.
    pub width: usize,
    /// Whether heads of a group visit prefixes of different lengths.
    pub nested: bool,
    /// `[part, batch, group, row, width]`.
    pub lists: Vec<u32>,
    /// `[part, batch, head of the part, row]`.
    pub counts: Vec<u32>,
    /// `[part, batch, group, row]`.
    pub runs: Vec<u32>,
}

impl Packed {
    /// Those of a selection, for kernels of `spec`.
    ///
    /// # Errors
    /// [`Error::Memory`](crate::Error::Memory).
    pub fn new(selection: &Selection, kv_heads: usize, spec: &Spec) -> Result<Self> {
        let (batch, heads, groups) = (selection.batch, selection.heads, selection.groups);
        let rows = selection.geometry.rows();
        let width = selection.starts.windows(2).map(|list| list[1] - list[0]).max().unwrap_or(0).max(1);
        let of_group = heads / groups;
        let nested = (0..batch * groups).any(|group| {
            let counts = &selection.counts[group * of_group * rows..][..of_group * rows];
            counts.iter().zip(counts.iter().cycle().skip(rows)).any(|(a, b)| a != b)
        });
        let shared = kv_heads.is_multiple_of(groups) && (!nested || spec.budget.differs_within_group());
        let (parts, groups) = if shared { (1, groups) } else { (heads / kv_heads, kv_heads) };
        let lists = product(&[parts, batch, groups, rows]);
        let mut packed = Self {
            parts,
            groups,
            width,
            nested: nested && shared,
            lists: room("lists", product(&[lists, width]))?,
            counts: room("counts", product(&[batch, heads, rows]))?,
            runs: room("lists", lists)?,
        };
        for part in 0..parts {
            for (sequence, group) in
                (0..batch).flat_map(|sequence| (0..groups).map(move |group| (sequence, group)))
            {
                for row in 0..rows {
                    let (list, run) = match shared {
                        true => {
                            let counts = (group * of_group..(group + 1) * of_group)
                                .map(|head| selection.count(sequence, head, row));
                            (selection.list(sequence, group, row), counts.min().unwrap_or(0))
                        }
                        false => {
                            let list = selection.blocks(sequence, group * parts + part, row);
                            (list, list.len())
                        }
                    };
                    packed.put(selection, row, list, run);
                }
            }
            // Either all heads, or this part's of each KV head.
            for head in (0..batch * heads).filter(|head| shared || head % parts == part) {
                packed.counts.extend_from_slice(&selection.counts[head * rows..][..rows]);
            }
        }
        Ok(packed)
    }

    /// A list with a first run of so many blocks: the diagonal's become the last of them.
    fn put(&mut self, selection: &Selection, row: usize, list: &[u32], run: usize) {
        let diagonal = selection.geometry.masked(row);
        let is_diagonal = |block: &&u32| diagonal.contains(&(**block as usize));
        let end = self.lists.len() + self.width;
        self.lists.extend(list[..run].iter().filter(|block| !is_diagonal(block)));
        self.lists.extend(diagonal.clone().map(|block| block as u32));
        self.lists.extend(&list[run..]);
        self.lists.resize(end, 0);
        self.runs.push(run as u32);
    }
}
