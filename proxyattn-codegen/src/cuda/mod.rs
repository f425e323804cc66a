//! From a [`Spec`] to CUDA text and the ABI to launch it by.
//!
//! ```text
//! Spec ─▶ Features (which sections) ─┐
//!      ─▶ Tiles (open numbers)      ─┼─▶ templates expanded ─▶ Module { prelude, kernels, entries }
//!      ─▶ entries (params, grids)   ─┘
//! ```
//!
//! The text is that of one configuration: a stage, branch or helper that it does not use is not there. What only the
//! GPU can decide stays a macro with a default ([`Tiles`]).

mod abi;
mod features;
mod header;
mod shape;
mod template;
mod tiles;

pub use abi::{Entry, Param, SharedBytes, Ty};
pub use shape::{Buffer, Shape};
pub use tiles::Tiles;

use crate::{Arch, Budget, Spec};
use features::Features;

/// The CUDA text of a configuration, and how its kernels are launched.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// The opening comment, the element type and the wrappers of PTX instructions.
    pub prelude: String,
    /// The constants and the kernels.
    pub kernels: String,
    /// The kernels, in the order in which they run. `dense` takes the place of all others where nothing is dropped.
    pub entries: Vec<Entry>,
    /// The buffers between kernels.
    pub buffers: Vec<Buffer>,
    /// The tiles that the text has as defaults.
    pub tiles: Tiles,
}

impl Module {
    /// The whole text.
    pub fn source(&self) -> String {
        format!("{}\n{}", self.prelude, self.kernels)
    }

    /// The kernel of a name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }
}

/// The wrappers that the kernels use, in the order in which they build on each other.
const PRELUDE: &[&str] = &["types", "convert", "memory", "async", "mma", "warp", "sync", "elem"];

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
    let violations = spec.violations();
    assert!(violations.is_empty(), "no text for a spec that breaks a rule: {}", violations[0]);
    assert!(tiles.fit(spec), "{tiles:?} do not fit blocks of {:?}", spec.block);
    let entries = abi::entries(spec, tiles);
    let buffers = shape::buffers(spec);
    let features = Features::of(spec, tiles);
    let signature = |name: &str| {
        let entry = entries.iter().find(|entry| entry.name == name);
        entry.unwrap_or_else(|| panic!("no kernel is called `{name}`")).signature()
    };

    let mut prelude = header::comment(spec, arch, tiles, &entries, &buffers);
    prelude.push_str(&format!("\n#define ELEM_{}\n", spec.dtype.as_str().to_uppercase()));
    for name in PRELUDE {
        prelude.push('\n');
        prelude.push_str(template(&format!("prelude/{name}.cuh")));
    }
    let mut kernels = header::constants(spec, tiles);
    for name in stages(spec) {
        let path = format!("stages/{name}.cuh");
        kernels.push('\n');
        let holds = |section: &str| features.holds(section);
        kernels.push_str(&template::expand(&path, template(&path), &holds, &signature));
    }
    Module { prelude, kernels, entries, buffers, tiles: *tiles }
}

fn template(path: &str) -> &'static str {
    proxyattn_templates::file(path).unwrap_or_else(|| panic!("no template is called `{path}`"))
}

/// The files under `stages/` that a configuration needs.
fn stages(spec: &Spec) -> Vec<&'static str> {
    let mut stages = vec!["tile"];
    if !spec.is_dense() {
        stages.extend(["pool", "softmax", "score"]);
        if matches!(spec.budget, Budget::Dynamic { .. }) {
            stages.push("budget");
        }
        stages.push("select");
    }
    stages.push("flash");
    if !spec.is_dense() {
        stages.push("attend");
    }
    stages.push("dense");
    stages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_of_every_template_has_a_meaning() {
        let features = Features::of(&Spec::DEFAULT, &Tiles::portable(&Spec::DEFAULT, None));
        for &(path, text) in proxyattn_templates::FILES.iter().filter(|(path, _)| path.starts_with("stages/"))
        {
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
