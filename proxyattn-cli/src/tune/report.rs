//! The results of tuning, as a table and as JSON.

use crate::failure::{DONE, FAILED};
use crate::style::{FAINT, GOOD, WARN, painted};
use crate::table::Table;
use crate::text::count;
use crate::width::Width;
use proxyattn_codegen::Spec;
use proxyattn_codegen::cuda::UnitId;
use proxyattn_runtime::tune::{Bucket, Constant, Outcome, Record, TuneReport};
use serde_json::{Value, json};

/// The name of the default tiles in tables.
pub(crate) const DEFAULT: &str = "the default tiles";

/// Failure if nothing was measured or nothing could be stored.
pub(super) fn code(report: &TuneReport) -> u8 {
    let lost = report.store_trouble.is_some() || (report.tuned.is_empty() && !report.skipped.is_empty());
    if lost { FAILED } else { DONE }
}

/// For people.
pub(super) fn text(spec: &Spec, report: &TuneReport) -> String {
    let machine = &report.machine;
    let width = Width::stdout();
    let mut out = format!(
        "{}, {} multiprocessors, driver {}\n{}\n",
        machine.gpu,
        machine.multiprocessors,
        machine.driver,
        painted(FAINT, width.fit(&format!("{}; {}", shown(spec), machine.nvrtc), 2)),
    );
    if !report.tuned.is_empty() {
        out += &format!("\n{}", table(&report.tuned).print(width.columns()));
    }
    let failures = failures(&report.tuned);
    if !failures.is_empty() {
        out += "\nrejected candidates:\n";
    }
    for (unit, why, candidates) in &failures {
        let which = match &candidates[..] {
            [one] => constants_of(one),
            all => count(all.len(), "candidate"),
        };
        let why = why.lines().next().unwrap_or_default();
        out += &width.fit(&format!("  {unit}, {which}: {why}\n"), 2);
    }
    if !report.skipped.is_empty() {
        let skipped = listed(&report.skipped);
        let text =
            format!("\n{} {skipped}; raise --limit\n", painted(WARN, "not measured before the time limit:"));
        out += &width.fit(&text, 2);
    }
    for refused in &report.refused {
        out += &width.fit(&format!("\n{} {refused}\n", painted(WARN, "rejected record:")), 2);
    }
    out += &format!("\nmade {} in {:.0} s\n", records(report.tuned.len()), report.seconds);
    let stored = match (&report.stored_in, &report.store_trouble) {
        (Some(file), _) => {
            format!("{} {}, where programs find them\n", painted(GOOD, "stored in"), file.display())
        }
        (None, Some(why)) => format!("{} {why}\n", painted(WARN, "not stored:")),
        (None, None) => String::new(),
    };
    out + &width.fit(&stored, 2)
}

fn table(tuned: &[Record]) -> Table {
    let mut table =
        Table::new(&["unit", "tokens", "visited", "default ms", "winner ms", "gain", "constants"], &[6]);
    for record in tuned {
        table.row([
            record.unit.to_string(),
            record.bucket.tokens.to_string(),
            format!("{}%", record.bucket.density),
            format!("{:.4}", record.default_ms),
            format!("{:.4}", record.winner_ms),
            format!("{:.3}×", record.default_ms / record.winner_ms),
            constants_of(&record.winner),
        ]);
    }
    table
}

/// A unit, the reason for rejecting candidates, and those candidates.
type Failures<'a> = Vec<(UnitId, &'a str, Vec<&'a [Constant]>)>;

/// Each candidate once, even if it failed for several lengths.
fn failures(tuned: &[Record]) -> Failures<'_> {
    let mut all: Failures<'_> = Vec::new();
    for (record, measurement) in tuned
        .iter()
        .flat_map(|record| record.measurements.iter().map(move |measurement| (record, measurement)))
    {
        let (Outcome::Failed { why } | Outcome::Wrong { why }) = &measurement.outcome else { continue };
        let place = all.iter().position(|(unit, known, _)| (*unit, *known) == (record.unit, why));
        let place = place.unwrap_or_else(|| {
            all.push((record.unit, why, Vec::new()));
            all.len() - 1
        });
        let candidates = &mut all[place].2;
        if !candidates.contains(&measurement.constants.as_slice()) {
            candidates.push(&measurement.constants);
        }
    }
    all
}

fn listed(skipped: &[(UnitId, Bucket)]) -> String {
    let each: Vec<_> = skipped.iter().map(|(unit, bucket)| format!("{unit} of {bucket}")).collect();
    each.join(", ")
}

/// `STAGES=3 WARPGROUPS=2`.
pub(crate) fn constants_of(constants: &[Constant]) -> String {
    match constants {
        [] => DEFAULT.into(),
        some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    }
}

/// The configuration, as an attribute.
pub(super) fn shown(spec: &Spec) -> String {
    let keys = spec.attribute();
    if keys.is_empty() { "the default configuration".into() } else { keys }
}

/// `1 record`, `2 records`.
pub(super) fn records(n: usize) -> String {
    count(n, "record")
}

/// For programs: the whole report, with every measured time.
pub(super) fn json(spec: &Spec, report: &TuneReport) -> String {
    let mut value = json!(report);
    if let Value::Object(fields) = &mut value {
        fields.insert("configuration".into(), spec.attribute().into());
    }
    format!("{value}\n")
}
