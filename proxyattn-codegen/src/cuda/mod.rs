//! From a [`Spec`] to CUDA text and the ABI to launch it by.
//!
//! ```text
//! Spec ─▶ Features (which sections) ─┐
//!      ─▶ Tiles (open numbers)      ─┼─▶ templates expanded ─▶ Module { units, kernels, buffers }
//!      ─▶ kernels (fields, grids)   ─┘
//! ```
//!
//! The text is that of one configuration: a stage, branch or helper that it does not use is not there. What only the
//! GPU can decide stays a macro with a default ([`Tiles`]).

mod buffers;
mod candidates;
mod constants;
mod features;
mod header;
mod hopper;
mod kernels;
mod sources;
mod template;
mod tiles;

pub use crate::abi::{
    Access, Axis, Buffer, Elem, Expr, Field, Kernel, KernelId, Keys, Macro, Operand, Param, Scalar, Scratch,
    Size, Tensor, UnitId,
};
pub use crate::shape::Shape;
pub use candidates::{Constants, candidates, retiled, tunable};
pub use constants::{CODES_PER_LOG2, MAX_GROUP_HEADS};
pub use hopper::HopperTiles;
pub use tiles::Tiles;

use crate::{Arch, Spec};
use features::Features;
use kernels::Cx;
use sources::Native;

/// The CUDA text of a configuration, and how its kernels are launched.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// The translation units. They are compiled one by one, so that compilations can run side by side.
    pub units: Vec<Unit>,
    /// The kernels, in the order in which they run. `dense` takes the place of all others where nothing is dropped.
    pub kernels: Vec<Kernel>,
    /// The buffers between kernels.
    pub buffers: Vec<Buffer>,
    /// The tiles that the text has as defaults.
    pub tiles: Tiles,
}

/// A translation unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Which one it is; [`Kernel::unit`] names it.
    pub id: UnitId,
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

    /// A kernel, if the configuration has it.
    pub fn kernel(&self, id: KernelId) -> Option<&Kernel> {
        self.kernels.iter().find(|kernel| kernel.id == id)
    }

    /// A translation unit, if the configuration has it.
    pub fn unit(&self, id: UnitId) -> Option<&Unit> {
        self.units.iter().find(|unit| unit.id == id)
    }

    /// A buffer, if the configuration has it.
    pub fn buffer(&self, scratch: Scratch) -> Option<&Buffer> {
        self.buffers.iter().find(|buffer| buffer.scratch == scratch)
    }

    /// The words that a launcher has to set to zero before a kernel: those that it counts up, and that no earlier kernel
    /// of a plan that runs it sets to zero.
    pub fn clears_before(&self, id: KernelId) -> Vec<Scratch> {
        let earlier = |kernel: &&Kernel| kernel.id < id && kernel.id.runs(true) == id.runs(true);
        let cleared: Vec<_> = self.kernels.iter().filter(earlier).flat_map(Kernel::clears).collect();
        let counts = self.kernel(id).into_iter().flat_map(Kernel::counts);
        counts.filter(|&word| !cleared.contains(&word)).collect()
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
    let cx = Cx { spec, tiles, native: Native::of(spec, arch, tiles) };
    let (kernels, buffers) = (kernels::kernels(&cx), buffers::buffers(&cx));
    let features = Features::of(&cx);
    let signature = |name: &str| {
        let kernel = kernels.iter().find(|kernel| kernel.id.name() == name);
        kernel.unwrap_or_else(|| panic!("no kernel is called `{name}`")).signature()
    };
    let unit = |(id, files): (UnitId, Vec<&'static str>)| {
        let mut body = String::new();
        for path in files {
            body.push('\n');
            let holds = |section: &str| features.holds(section);
            body.push_str(&template::expand(path, template(path), &holds, &signature));
        }
        let own: Vec<_> = kernels.iter().filter(|kernel| kernel.unit == id).collect();
        let mut prelude = header::comment(&cx, arch, id, &own, &buffers);
        prelude.push_str(&format!("\n#define ELEM_{}\n", spec.dtype.as_str().to_uppercase()));
        let family = own.iter().map(|kernel| kernel.arch).max().unwrap_or(Arch::Sm80);
        for file in sources::prelude(family) {
            prelude.push('\n');
            prelude.push_str(template(file));
        }
        let shared_memory = header::shared_memory(&cx, id).iter().map(|line| line.trim().into()).collect();
        Unit { id, prelude, kernels: header::constants(&cx, &body) + &body, shared_memory }
    };
    let units = sources::units(&cx).into_iter().map(unit).collect();
    Module { units, kernels, buffers, tiles: *tiles }
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
        let native = Native::of(&Spec::DEFAULT, Arch::Sm90a, &tiles);
        let features = Features::of(&Cx { spec: &Spec::DEFAULT, tiles: &tiles, native });
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
