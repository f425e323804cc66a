//! From a [`Spec`] to CUDA text and the ABI to launch it by.
//!
//! ```text
//! Spec, Tiles ─▶ Pipeline (kernels, buffers, sections, constants) ─▶ templates expanded ─▶ Module { units, kernels, buffers }
//! ```
//!
//! The text is that of one configuration: a stage, branch or helper that it does not use is not there. What only the
//! GPU can decide stays a macro with a default ([`Tiles`]).

pub use crate::abi::{
    Access, Axis, Buffer, Elem, Expr, Field, Kernel, KernelId, Keys, Macro, Operand, Param, Scalar, Scratch,
    Size, Tensor, UnitId,
};
pub use crate::arch::{HopperTiles, Tiles};
pub use crate::candidates::{Constants, candidates, retiled, tunable};
pub use crate::geometry::Shape;
pub use crate::scorer::CODES_PER_LOG2;
pub use crate::select::MAX_GROUP_HEADS;

use crate::pipeline::{Cx, Native, Pipeline};
use crate::{Arch, Spec};
use crate::{template, text};

/// The CUDA text of a configuration, and how its kernels are launched.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// The translation units. They are compiled one by one, so that compilations can run side by side.
    pub units: Vec<Unit>,
    /// The kernels, in the order in which they run. `dense` takes the place of all others where nothing is dropped.
    pub kernels: Vec<Kernel>,
    /// The buffers between kernels.
    pub buffers: Vec<Buffer>,
    /// The kernels of the budget that need nothing of what the scorer's write: they may run beside those.
    pub beside_score: Vec<KernelId>,
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
    let pipeline = Pipeline::of(&Cx { spec, tiles, native: Native::of(spec, arch, tiles) });
    let signature = |name: &str| {
        let kernel = pipeline.kernels().iter().find(|kernel| kernel.id.name() == name);
        kernel.unwrap_or_else(|| panic!("no kernel is called `{name}`")).signature()
    };
    let unit = |(id, files): (UnitId, Vec<&'static str>)| {
        let mut body = String::new();
        for path in files {
            body.push('\n');
            let holds = |section: &str| pipeline.holds(section);
            body.push_str(&template::expand(path, template::read(path), &holds, &signature));
        }
        let mut prelude = text::comment(&pipeline, spec, arch, id);
        prelude.push_str(&format!("\n#define ELEM_{}\n", spec.dtype.as_str().to_uppercase()));
        let family = pipeline.of_unit(id).map(|kernel| kernel.arch).max().unwrap_or(Arch::Sm80);
        for file in family.prelude() {
            prelude.push('\n');
            prelude.push_str(template::read(file));
        }
        let constants = text::constants(&pipeline, spec, tiles, &body);
        let shared_memory = pipeline.memory(id).map(str::to_owned).collect();
        Unit { id, prelude, kernels: constants + &body, shared_memory }
    };
    let units = pipeline.units().into_iter().map(unit).collect();
    let (kernels, buffers) = (pipeline.kernels().to_vec(), pipeline.buffers().to_vec());
    Module { units, kernels, buffers, beside_score: pipeline.beside_score(), tiles: *tiles }
}

/// # Panics
/// If `spec` breaks a rule, or the tiles do not fit it.
pub(crate) fn check(spec: &Spec, tiles: &Tiles) {
    let violations = spec.violations();
    assert!(violations.is_empty(), "no text for a spec that breaks a rule: {}", violations[0]);
    assert!(tiles.fit(spec), "{tiles:?} do not fit blocks of {:?}", spec.block);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::every_word;
    use crate::{Budget, Scorer};
    use std::collections::BTreeSet;

    /// A configuration for each value of each choice.
    fn pipelines() -> Vec<Pipeline> {
        let mut pipelines = Vec::new();
        for scorer in every_word::<Scorer>() {
            for budget in every_word::<Budget>() {
                for &arch in Arch::ALL {
                    let spec = Spec { scorer, budget, ..Spec::DEFAULT };
                    let tiles = Tiles::portable(&spec, None);
                    let native = Native::of(&spec, arch, &tiles);
                    pipelines.push(Pipeline::of(&Cx { spec: &spec, tiles: &tiles, native }));
                }
            }
        }
        pipelines
    }

    #[test]
    fn every_section_of_every_template_has_a_meaning() {
        let mut taken = BTreeSet::new();
        for pipeline in pipelines() {
            for (_, path) in pipeline
                .units()
                .into_iter()
                .flat_map(|(unit, files)| files.into_iter().map(move |file| (unit, file)))
            {
                taken.insert(path);
                // With both answers to every name, each section is entered, whatever encloses it.
                for answer in [false, true] {
                    let asked = |name: &str| {
                        pipeline.holds(name);
                        answer
                    };
                    template::expand(path, template::read(path), &asked, &|name| name.to_owned());
                }
            }
        }
        let stages = proxyattn_templates::FILES.iter().map(|(path, _)| *path);
        for path in stages.filter(|path| !path.starts_with("prelude/")) {
            assert!(taken.contains(path), "{path} is in no unit");
        }
    }

    #[test]
    fn no_two_parts_speak_of_one_name() {
        for pipeline in pipelines() {
            let constants =
                pipeline.defines().iter().chain(pipeline.tables().flat_map(|(_, defines)| defines));
            let mut names = BTreeSet::new();
            for name in
                constants.map(|(name, _)| *name).chain(pipeline.sections().iter().map(|(name, _)| *name))
            {
                assert!(names.insert(name), "{name} is there twice");
            }
        }
    }

    #[test]
    fn no_template_defines_what_the_header_does() {
        for pipeline in pipelines() {
            for (name, _) in pipeline.tables().flat_map(|(_, defines)| defines) {
                for (path, text) in proxyattn_templates::FILES {
                    assert!(!text.contains(&format!("#define {name} ")), "{path} defines {name}, too");
                }
            }
        }
    }
}
