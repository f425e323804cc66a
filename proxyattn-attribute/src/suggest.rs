//! "Did you mean": the known name that is closest to an unknown one.

use core::fmt::Display;

/// The name among `known` that `given` was probably meant to be.
pub(crate) fn closest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let given = given.to_ascii_lowercase();
    let typo = known
        .iter()
        .map(|name| (edit_distance(&given, name), *name))
        .filter(|(distance, name)| *distance < name.len() && *distance <= (name.len() / 3).max(1))
        .min_by_key(|(distance, name)| (*distance, !name.starts_with(&given)));
    // Other libraries' names hold ours as a word: `block_size`, `is_causal`, `num_kv_heads`.
    let holds = |name: &str| format!("_{given}_").contains(&format!("_{name}_"));
    let longer = || known.iter().copied().filter(|name| holds(name)).max_by_key(|name| name.len());
    typo.map(|(_, name)| name).or_else(longer)
}

/// `` `a`, `b` and `c` ``.
pub(crate) fn list<T: Display>(names: &[T]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => "none".to_owned(),
    }
}

/// Insertions, deletions and substitutions between two names (Levenshtein).
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
