//! What may be chosen: every candidate fits, and is the default's text but for the values of open constants.

use crate::records;
use proxyattn::codegen::cuda::{
    Kernel, Module, Tiles, Unit, UnitId, candidates, emit, emit_tiled, retiled, tunable,
};
use proxyattn::codegen::{Arch, Block, Budget, Spec, Stride};
use proxyattn::tune::Scope;
use proxyattn::{AttentionKernel, proxy_attention};

/// Every head dimension, block and way in which a block's samples lie in a tile, causal and not, with and without known
/// heads.
fn specs() -> Vec<Spec> {
    let mut specs = Vec::new();
    for head_dim in [64, 96, 128, 256] {
        for (q, kv) in [(32, 32), (64, 64), (128, 128), (128, 64), (64, 128)] {
            for stride in [1, 4, 16] {
                let stride = Stride { q: 4, kv: stride };
                specs.push(Spec { head_dim, block: Block { q, kv }, stride, ..Spec::DEFAULT });
            }
        }
    }
    specs.push(Spec { heads: Some(9), kv_heads: Some(3), ..Spec::DEFAULT });
    specs.push(Spec { heads: Some(8), kv_heads: Some(8), causal: false, ..Spec::DEFAULT });
    specs.push(Spec { budget: Budget::All, ..Spec::DEFAULT });
    specs
}

/// Each candidate with the module of the default tiles and its own tiles.
fn each(mut look: impl FnMut(&Spec, &Module, Arch, UnitId, &[(&'static str, u32)], Tiles)) {
    for spec in specs() {
        for &arch in Arch::ALL {
            let module = emit(&spec, arch);
            for unit in tunable(&spec, arch) {
                let all = candidates(&spec, arch, unit);
                assert!(!all.is_empty() && all.len() <= 20, "{spec:?} {arch} {unit}: {}", all.len());
                for constants in &all {
                    let tiles = module.tiles.with(constants).expect("constants of these names");
                    look(&spec, &module, arch, unit, constants, tiles);
                }
            }
        }
    }
}

fn unit(module: &Module, id: UnitId) -> &Unit {
    module.unit(id).expect("a unit of that name")
}

/// A text without the comment that opens it and without the values of its open constants.
fn open_text(unit: &Unit) -> String {
    let source = unit.source();
    let lines = source.lines().skip_while(|line| line.starts_with("//"));
    let mut open = false;
    let lines = lines.map(|line| {
        let name = line.strip_prefix("#define ").and_then(|rest| rest.split(' ').next());
        let shown = if open { format!("#define {}", name.expect("a default")) } else { line.to_owned() };
        open = line.starts_with("#ifndef ");
        shown + "\n"
    });
    lines.collect()
}

#[test]
fn a_candidate_is_the_defaults_text_with_other_constants() {
    let mut count = 0;
    each(|spec, module, arch, name, constants, tiles| {
        let (ours, theirs) = (unit(module, name), emit_tiled(spec, arch, &tiles));
        assert_eq!(open_text(ours), open_text(unit(&theirs, name)), "{spec:?} {arch} {name} {constants:?}");
        for (constant, value) in constants {
            let default =
                module.tiles.macros().into_iter().find(|(name, _)| name == constant).expect("it is one").1;
            assert_ne!(default, *value, "{constant} is no choice");
            let defined = format!("#ifndef {constant}\n#define {constant} {default}\n");
            assert!(ours.kernels.contains(&defined), "{name} has no open {constant}");
        }
        // It is launched as the module that would have been made with its tiles.
        let made: Vec<_> = theirs.kernels.into_iter().filter(|kernel| kernel.unit == name).collect();
        assert_eq!(retiled(spec, arch, name, &tiles), made);
        count += 1;
    });
    println!("{count} candidates");
}

#[test]
fn a_candidate_fits_the_gpus_of_its_family() {
    each(|spec, module, arch, name, constants, tiles| {
        let limit = u64::from(arch.facts().shared_bytes);
        let kernels = retiled(spec, arch, name, &tiles);
        assert!(!kernels.is_empty());
        for kernel in &kernels {
            assert!(
                kernel.least_shared_bytes(spec) <= limit && kernel.threads <= 1024,
                "{spec:?} {arch} {name} {constants:?}"
            );
            let default = module.kernel(kernel.id).expect("the same kernels");
            let names = |kernel: &Kernel| -> Vec<_> {
                kernel.params.iter().map(|param| (param.field.to_string(), param.offset)).collect()
            };
            assert_eq!(names(kernel), names(default), "one struct for all tiles");
        }
    });
}

#[test]
fn no_candidate_is_listed_twice() {
    for spec in specs() {
        for (arch, unit) in
            Arch::ALL.iter().flat_map(|&arch| tunable(&spec, arch).into_iter().map(move |u| (arch, u)))
        {
            let mut all = candidates(&spec, arch, unit);
            let count = all.len();
            all.sort();
            all.dedup();
            assert_eq!(all.len(), count, "{spec:?} {arch} {unit}");
        }
    }
}

#[test]
fn every_open_constant_can_be_given_by_name() {
    let tiles = Tiles::portable(&Spec::DEFAULT, None);
    for (i, (name, value)) in tiles.macros().into_iter().enumerate() {
        let other = tiles.with(&[(name, value + 1)]).expect("a constant of the text").macros();
        let changed: Vec<_> = (0..other.len()).filter(|&j| other[j] != tiles.macros()[j]).collect();
        assert_eq!(changed, [i], "{name}");
    }
    assert_eq!(tiles.with(&[("TILE_COLUMNS", 1)]), None);
}

/// A record counts for a configuration and its candidates, whoever made it: a program through the attribute, or a tool that
/// was given the configuration as a value.
#[test]
fn a_value_and_an_attribute_have_one_scope() {
    #[proxy_attention(head_dim = 64, arch(sm_90a))]
    struct OneFamily;

    let value = Spec { head_dim: 64, arch: OneFamily::SPEC.arch, ..Spec::DEFAULT };
    let scope = |spec: &Spec, arch| Scope::of(records::scope().machine, spec, arch, &emit(spec, arch));
    let ours = scope(&OneFamily::SPEC, Arch::Sm90a);
    assert_eq!(scope(&value, Arch::Sm90a), ours);
    let others = [
        scope(&Spec { budget: Budget::ratio(0.1), ..value }, Arch::Sm90a),
        scope(&Spec { scale: Some(0.5), ..value }, Arch::Sm90a),
        scope(&value, Arch::Sm80),
    ];
    for other in others {
        assert_ne!(other, ours);
    }
}

/// Tiles that were chosen among other candidates are measured again.
#[test]
fn a_scope_tells_candidates_apart() {
    let of =
        |spec: &Spec, arch| Scope::of(records::scope().machine, spec, arch, &emit(spec, arch)).candidates;
    let default = of(&Spec::DEFAULT, Arch::Sm90a);
    assert_ne!(of(&Spec::DEFAULT, Arch::Sm80), default);
    assert_ne!(of(&Spec { head_dim: 64, ..Spec::DEFAULT }, Arch::Sm90a), default);
    // What tiles do not depend on leaves the candidates as they are.
    assert_eq!(of(&Spec { scale: Some(0.5), ..Spec::DEFAULT }, Arch::Sm90a), default);

    let mine = records::scope();
    let other = Scope { candidates: "others".into(), ..mine.clone() };
    assert!(mine.differs(&other, true).is_some_and(|why| why.starts_with("made for candidates")));
}
