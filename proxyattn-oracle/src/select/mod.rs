//! Which blocks a head visits.

mod ranking;

/// A row's list for heads of these counts: its best blocks in their order, ascending between one count and the next.
pub fn in_order_of_cuts(ranking: &[usize], counts: &[usize]) -> Vec<u32> {
    let mut cuts = counts.to_vec();
    cuts.sort_unstable();
    let mut list: Vec<u32> = ranking.iter().map(|&block| block as u32).collect();
    let mut begin = 0;
    for cut in cuts {
        list[begin..cut].sort_unstable();
        begin = cut;
    }
    list.truncate(begin);
    list
}
