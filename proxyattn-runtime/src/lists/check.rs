//! Lists are checked once, before anything is made of them.

use super::ListView;
use crate::memory::{filled, product, reserve, room};
use crate::{Error, Geometry, Plan, Result, Selection};

/// The selection that lists describe, if every row of it can be attended to.
pub(crate) fn selection(plan: &Plan, view: &ListView<'_>) -> Result<Selection> {
    let (problem, geometry) = (plan.problem(), plan.geometry());
    let [batch, list_heads, rows, _] = view.shape;
    let (heads, kv_heads) = (problem.heads, problem.kv_heads);
    if batch != problem.batch || rows != geometry.rows() || ![1, kv_heads, heads].contains(&list_heads) {
        return Err(Error::Shape {
            arg: "lists",
            expected: format!(
                "{} sequences, 1, {kv_heads} (KV heads) or {heads} (query heads) list heads, and {} rows of {} queries",
                problem.batch,
                geometry.rows(),
                plan.spec().block.q
            ),
            got: format!("{batch} sequences, {list_heads} list heads, {rows} rows"),
        });
    }
    let block = plan.spec().block.kv as usize;
    let tokens = view.granularity.unwrap_or(block);
    if tokens == 0 || !tokens.is_multiple_of(block) {
        return Err(Error::Shape {
            arg: "granularity",
            expected: format!("a multiple of the {block} tokens of the kernel's blocks (`block.kv`)"),
            got: format!("{tokens}"),
        });
    }

    let mut reader =
        Reader { geometry, per_id: tokens / block, last: filled("lists", geometry.blocks(), 0)?, lists: 0 };
    let lists = product(&[batch, list_heads, rows]);
    let mut starts = room("lists", lists.saturating_add(1))?;
    let mut blocks = room("lists", product(&[view.listed(), reader.per_id.min(geometry.blocks())]))?;
    starts.push(0);
    for list in 0..lists {
        let at = [list / rows / list_heads, list / rows % list_heads, list % rows];
        reader.read(view.list(at), at, &mut blocks)?;
        starts.push(blocks.len());
    }
    let mut counts = Vec::new();
    reserve("counts", &mut counts, product(&[batch, heads, rows]))?;
    let of_head = heads / list_heads;
    counts.extend((0..batch * heads * rows).map(|i| {
        let list = i / rows / of_head * rows + i % rows;
        (starts[list + 1] - starts[list]) as u32
    }));
    Ok(Selection { geometry, batch, heads, groups: list_heads, starts, blocks, counts })
}

/// Reads one list after the other.
struct Reader {
    geometry: Geometry,
    /// Blocks of the kernel to a number.
    per_id: usize,
    /// The list that a block was last seen in, counted from 1.
    last: Vec<usize>,
    lists: usize,
}

impl Reader {
    fn read(&mut self, ids: &[i32], at: [usize; 3], blocks: &mut Vec<u32>) -> Result<()> {
        let (start, row) = (blocks.len(), at[2]);
        let visible = self.geometry.visible(row);
        let refuse = |expected: String, got: String| Err(Error::Lists { expected, got, at });
        self.lists += 1;
        for &id in ids.iter().filter(|&&id| id != ListView::NONE) {
            let first = usize::try_from(id).ok().and_then(|id| id.checked_mul(self.per_id));
            let Some(first) = first.filter(|&first| first < visible) else {
                let last = visible.div_ceil(self.per_id) - 1;
                return refuse(
                    format!("blocks of 0 to {last}, the last that the row sees, or -1 for none"),
                    format!("{id}"),
                );
            };
            // The end of a number's blocks may lie beyond what the row sees.
            for block in first..visible.min(first + self.per_id) {
                if self.last[block] == self.lists {
                    return refuse("each block once".into(), format!("{id} twice"));
                }
                self.last[block] = self.lists;
                blocks.push(block as u32);
            }
        }
        let missing = self.geometry.masked(row).find(|&block| self.last[block] != self.lists);
        if let Some(block) = missing {
            let id = block / self.per_id;
            return refuse(
                format!("block {id}, which holds keys at the positions of the row's own queries"),
                "a list without it".into(),
            );
        }
        if blocks.len() == start {
            return refuse("at least one block".into(), "none".into());
        }
        Ok(())
    }
}
