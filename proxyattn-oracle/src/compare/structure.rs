//! What every selection must be.

use crate::Oracle;
use proxyattn_runtime::Selection;

/// What every selection must be, whatever the scores: nested lists of visible blocks, each once, ascending
/// between one head's count and the next, with the pinned blocks inside every head's prefix.
pub fn structure(oracle: &Oracle, selection: &Selection) -> Result<(), String> {
    let size = oracle.heads / oracle.groups;
    for batch in 0..oracle.batch {
        for (group, row) in (0..oracle.groups).flat_map(|g| (0..oracle.rows()).map(move |row| (g, row))) {
            let list = selection.list(batch, group, row);
            let fault =
                |what: &str| Err(format!("batch {batch} group {group} row {row}: {what} in {list:?}"));
            let visible = oracle.visible(row);
            let mut counts: Vec<usize> =
                (group * size..(group + 1) * size).map(|head| selection.count(batch, head, row)).collect();
            counts.sort_unstable();
            let (fewest, most) = (counts[0], counts[size - 1]);
            if list.len() != most {
                return fault(&format!("{} blocks for counts {counts:?}", list.len()));
            }
            if list.iter().any(|&block| block as usize >= visible) {
                return fault(&format!("a block beyond the {visible} visible ones"));
            }
            let mut start = 0;
            for end in counts {
                if !list[start..end].is_sorted_by(|a, b| a < b) {
                    return fault(&format!("no ascending order in {start}..{end}"));
                }
                start = end;
            }
            if (1..list.len()).any(|i| list[..i].contains(&list[i])) {
                return fault("a block that comes twice");
            }
            let dropped = (0..visible)
                .find(|&block| oracle.is_pinned(row, block) && !list[..fewest].contains(&(block as u32)));
            if let Some(block) = dropped {
                return fault(&format!("pinned block {block} outside of the first {fewest}"));
            }
        }
    }
    Ok(())
}
