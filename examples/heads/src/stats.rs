//! Means and percentiles.

/// 0 of nothing.
pub(crate) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    if count > 0 { sum / count as f64 } else { 0.0 }
}

/// The smallest of the values that at least `share` of them do not exceed.
///
/// # Panics
/// If there are none.
pub(crate) fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (share * values.len() as f64).ceil() as usize;
    values[rank.clamp(1, values.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values = || (1..=20).rev().map(f64::from).collect::<Vec<_>>();
        assert_eq!(percentile(values(), 0.95), 19.0);
        assert_eq!(percentile(values(), 1.0), 20.0);
        assert_eq!(percentile(vec![3.0], 0.95), 3.0);
        assert_eq!((mean(values().into_iter()), mean(std::iter::empty())), (10.5, 0.0));
    }
}
