//! The tuning records, which are stored next to the cubins.

use super::{failed, said};
use crate::failure::Outcome;
use crate::style::{ERROR, painted};
use crate::table::Table;
use crate::text::count;
use crate::width::Width;
use proxyattn_runtime::tune::{Found, Store};
use std::path::Path;

/// Every configuration's records.
pub(crate) struct Records {
    store: Store,
    pub(crate) found: Vec<(String, Found)>,
}

impl Records {
    /// The records in a cache directory; empty if nothing was tuned.
    pub(crate) fn of(dir: &Path) -> Outcome<Self> {
        let store = Store::new(dir);
        let specs = store.specs().map_err(failed("tuning records"))?;
        let mut found: Vec<_> = specs.into_iter().map(|spec| (spec.clone(), store.read(&spec))).collect();
        found.sort_by_key(|(_, found)| found.records.first().map(|record| record.attribute.clone()));
        Ok(Self { store, found })
    }

    /// The number of records.
    pub(crate) fn count(&self) -> usize {
        self.found.iter().map(|(_, found)| found.records.len()).sum()
    }

    /// `, 3 tuning records`, or nothing.
    pub(super) fn summary(&self) -> String {
        match self.count() {
            0 => String::new(),
            n => format!(", {}", count(n, "tuning record")),
        }
    }

    /// One row per configuration and machine.
    pub(super) fn list(&self) -> String {
        let mut table = Table::new(&["records", "configuration", "gpu", "driver", "count"], &[1, 2, 3]);
        let mut damaged = String::new();
        for (spec, found) in &self.found {
            let mut rows: Vec<([String; 3], usize)> = Vec::new();
            for record in &found.records {
                let machine = &record.scope.machine;
                let attribute = match record.attribute.as_str() {
                    "" => "the default",
                    keys => keys,
                };
                let row = [attribute.to_owned(), machine.gpu.clone(), machine.driver.clone()];
                match rows.iter_mut().find(|(known, _)| *known == row) {
                    Some((_, count)) => *count += 1,
                    None => rows.push((row, 1)),
                }
            }
            for ([attribute, gpu, driver], count) in rows {
                table.row([spec.chars().take(12).collect(), attribute, gpu, driver, count.to_string()]);
            }
            if !found.refused.is_empty() {
                let lines = count(found.refused.len(), "damaged line");
                let file = self.store.path(spec);
                let text =
                    format!("  {}: {lines}: run `proxyattn cache verify` for details\n", file.display());
                damaged += &said(text);
            }
        }
        let rows = if self.count() > 0 { table.print(Width::stdout().columns()) } else { String::new() };
        if rows.is_empty() && damaged.is_empty() { String::new() } else { rows + &damaged + "\n" }
    }

    /// A report of the damaged lines, and their number; `remove` deletes them.
    pub(super) fn verify(&self, remove: bool) -> Outcome<(String, usize)> {
        let (mut out, mut damaged) = (String::new(), 0);
        for (spec, found) in &self.found {
            damaged += found.refused.len();
            for why in &found.refused {
                out += &format!("{} {why}\n", painted(ERROR, "damaged:"));
            }
            if remove {
                self.store.tidy(spec, false).map_err(failed("tuning records"))?;
            }
        }
        Ok((out, damaged))
    }

    /// Deletes the records that newer ones have replaced, and returns their number.
    pub(super) fn tidy(&self) -> Outcome<usize> {
        let gone = self.found.iter().map(|(spec, _)| self.store.tidy(spec, true));
        gone.sum::<std::io::Result<usize>>().map_err(failed("tuning records"))
    }

    /// Deletes all records, and returns their number.
    pub(super) fn clear(&self) -> Outcome<usize> {
        for (spec, _) in &self.found {
            self.store.remove(spec).map_err(failed("tuning records"))?;
        }
        Ok(self.count())
    }
}
