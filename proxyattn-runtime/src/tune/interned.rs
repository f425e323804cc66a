//! Candidates of configurations known only at run time, in the form that the macro's expansion uses.

use proxyattn_codegen::Spec;
use proxyattn_codegen::cuda::{Candidates, Constants, Table, tables};
use std::sync::{Mutex, PoisonError};

/// The tuner's candidates for a configuration, identical to those in the expansion of `#[proxy_attention]`, so that records
/// made with one are valid for the other.
///
/// Tables live as long as the process, and equal tables are stored once. They depend only on what tiles depend on (head
/// dimension, block, stride, fixed head counts, `arch` and the kind of budget), so they take a few KiB per combination.
pub fn candidates_of(spec: &Spec) -> &'static [Candidates] {
    static KNOWN: Mutex<Vec<&'static [Candidates]>> = Mutex::new(Vec::new());
    let tables = tables(spec);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(same) = known.iter().find(|known| same(known, &tables)) {
        return same;
    }
    let kept: &'static [Candidates] = tables.into_iter().map(keep).collect::<Vec<_>>().leak();
    known.push(kept);
    kept
}

fn same(kept: &[Candidates], tables: &[Table]) -> bool {
    let equal = |(kept, table): (&Candidates, &Table)| {
        let choices = kept.choices.iter().zip(&table.choices).all(|(kept, choice)| *kept == &choice[..]);
        (kept.arch, kept.unit, kept.choices.len()) == (table.arch, table.unit, table.choices.len()) && choices
    };
    kept.len() == tables.len() && kept.iter().zip(tables).all(equal)
}

fn keep(Table { arch, unit, choices }: Table) -> Candidates {
    let choice = |constants: Vec<(&'static str, u32)>| -> &'static Constants { constants.leak() };
    Candidates { arch, unit, choices: choices.into_iter().map(choice).collect::<Vec<_>>().leak() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxyattn_codegen::{Budget, Keep};

    #[test]
    fn what_tiles_do_not_depend_on_keeps_no_second_table() {
        let dynamic = |gamma| Spec {
            budget: Budget::Dynamic { gamma, min_tokens: 512, rows: proxyattn_codegen::Rows::Ratio },
            ..Spec::DEFAULT
        };
        let first = candidates_of(&dynamic(0.9));
        for spec in [
            dynamic(0.8),
            Spec { keep: Keep { sink: 3, local: 2 }, ..Spec::DEFAULT },
            Spec { scale: Some(0.1), ..Spec::DEFAULT },
        ] {
            assert!(std::ptr::eq(first, candidates_of(&spec)), "{spec:?}");
        }
        assert!(!std::ptr::eq(first, candidates_of(&Spec { head_dim: 64, ..Spec::DEFAULT })));
    }

    #[test]
    fn a_table_holds_what_codegen_gives() {
        let spec = Spec { head_dim: 64, ..Spec::DEFAULT };
        let kept = candidates_of(&spec);
        assert!(!kept.is_empty());
        for (kept, table) in kept.iter().zip(tables(&spec)) {
            assert_eq!((kept.arch, kept.unit), (table.arch, table.unit));
            assert!(kept.choices.iter().map(|choice| choice.to_vec()).eq(table.choices));
        }
    }
}
