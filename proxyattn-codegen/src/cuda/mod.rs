//! From a [`Spec`] to CUDA text and the ABI to launch it by.
//!
//! ```text
//! Spec ─▶ Features (which sections) ─┐
//!      ─▶ Tiles (open numbers)      ─┼─▶ templates expanded ─▶ Module { units, entries, buffers }
//!      ─▶ entries (params, grids)   ─┘
//! ```
//!
//! The text is that of one configuration: a stage, branch or helper that it does not use is not there. What only the
//! GPU can decide stays a macro with a default ([`Tiles`]).

mod abi;
mod candidates;
mod features;
mod header;
mod hopper;
mod kernels;
mod shape;
mod sources;
mod template;
mod tiles;

pub use abi::{Entry, Param, SharedBytes, Ty};
pub use candidates::{Candidates, Constants, Table, candidates, retiled, tables, tunable};
pub use hopper::HopperTiles;
pub use shape::{Buffer, CODES_PER_LOG2, Shape};
pub use tiles::Tiles;

use crate::{Arch, Spec};
use features::Features;
use sources::Family;

/// The CUDA text of a configuration, and how its kernels are launched.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// The translation units. They are compiled one by one, so that compilations can run side by side.
    pub units: Vec<Unit>,
    /// The kernels, in the order in which they run. `dense` takes the place of all others where nothing is dropped.
    pub entries: Vec<Entry>,
    /// The buffers between kernels.
    pub buffers: Vec<Buffer>,
    /// The tiles that the text has as defaults.
    pub tiles: Tiles,
}

/// A translation unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// `scoring`, `score`, `budget`, `attend` or `dense`; [`Entry::unit`] names it.
    pub name: &'static str,
    /// The opening comment, the element type and the wrappers of PTX instructions.
    pub prelude: String,
    /// The constants and the kernels.
    pub kernels: String,
    /// What lies where in a CTA's shared memory, as the opening comment says it.
    pub shared_memory: Vec<String>,
}

impl Unit {
    /// The whole text.
    pub fn source(&self) -> String {
        format!("{}\n{}", self.prelude, self.kernels)
    }
}

impl Module {
    /// The texts of all units, one after the other.
    pub fn source(&self) -> String {
        let units: Vec<_> = self.units.iter().map(Unit::source).collect();
        units.join("\n\n")
    }

    /// The kernel of a name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }
}

/// The module of a configuration, with the tiles that run on every GPU of the family.
///
/// # Panics
/// If `spec` breaks a rule.
pub fn emit(spec: &Spec, arch: Arch) -> Module {
    emit_tiled(spec, arch, &Tiles::portable(spec, None))
}

/// The module of a configuration with tiles of the caller's choice.
///
/// # Panics
/// If `spec` breaks a rule, or the tiles do not fit it.
pub fn emit_tiled(spec: &Spec, arch: Arch, tiles: &Tiles) -> Module {
    check(spec, tiles);
    let family = Family::of(spec, arch, tiles);
    let entries = kernels::entries(spec, tiles, family);
    let buffers = shape::buffers(spec, family);
    let features = Features::of(spec, tiles, family);
    let signature = |name: &str| {
        let entry = entries.iter().find(|entry| entry.name == name);
        entry.unwrap_or_else(|| panic!("no kernel is called `{name}`")).signature()
    };
    let unit = |(name, files): (&'static str, Vec<&'static str>)| {
        let mut body = String::new();
        for path in files {
            body.push('\n');
            let holds = |section: &str| features.holds(section);
            body.push_str(&template::expand(path, template(path), &holds, &signature));
        }
        let own: Vec<_> = entries.iter().filter(|entry| entry.unit == name).collect();
        let mut prelude = header::comment(spec, arch, tiles, &own, &buffers);
        prelude.push_str(&format!("\n#define ELEM_{}\n", spec.dtype.as_str().to_uppercase()));
        for file in sources::prelude(own.iter().any(|entry| entry.hopper)) {
            prelude.push('\n');
            prelude.push_str(template(file));
        }
        let shared_memory =
            header::shared_memory(spec, tiles, &own).iter().map(|line| line.trim().into()).collect();
        Unit { name, prelude, kernels: header::constants(spec, tiles, &body) + &body, shared_memory }
    };
    let units = sources::units(spec, family).into_iter().map(unit).collect();
    Module { units, entries, buffers, tiles: *tiles }
}

fn check(spec: &Spec, tiles: &Tiles) {
    let violations = spec.violations();
    assert!(violations.is_empty(), "no text for a spec that breaks a rule: {}", violations[0]);
    assert!(tiles.fit(spec), "{tiles:?} do not fit blocks of {:?}", spec.block);
}

fn template(path: &str) -> &'static str {
    proxyattn_templates::file(path).unwrap_or_else(|| panic!("no template is called `{path}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_of_every_template_has_a_meaning() {
        let tiles = Tiles::portable(&Spec::DEFAULT, None);
        let features = Features::of(&Spec::DEFAULT, &tiles, Family::of(&Spec::DEFAULT, Arch::Sm90a, &tiles));
        let stages = proxyattn_templates::FILES.iter().filter(|(path, _)| !path.starts_with("prelude/"));
        for &(path, text) in stages {
            // With both answers to every name, each section is entered, whatever encloses it.
            for answer in [false, true] {
                let asked = |name: &str| {
                    features.holds(name);
                    answer
                };
                template::expand(path, text, &asked, &|name| name.to_owned());
            }
        }
    }
}
