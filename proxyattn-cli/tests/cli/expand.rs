//! `expand`: the text, and what is said of configurations that have none.

use crate::machine::{Machine, Run, snapshot};
use proxyattn_codegen::cuda::{UnitId, emit};
use proxyattn_codegen::{Arch, Budget, Spec};

#[test]
fn the_text_is_that_of_the_configuration() {
    let machine = Machine::new("expand");
    let spec = Spec { head_dim: 64, budget: Budget::ratio(0.1), ..Spec::DEFAULT };
    for &arch in Arch::ALL {
        let run = machine.run(&["expand", "head_dim = 64, budget = ratio(0.1)", "--arch", arch.as_str()]);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""));
        assert_eq!(run.stdout.trim_end(), emit(&spec, arch).source().trim_end());
    }
    let unit = machine.run(&["expand", "--unit", "attend"]);
    let module = emit(&Spec::DEFAULT, Arch::Sm90a);
    let attend = module.unit(UnitId::Attend).unwrap();
    assert_eq!(unit.stdout.trim_end(), attend.source().trim_end());
    // What follows is the kernels' own, and has snapshots of its own.
    let opening: Vec<_> = unit.stdout.lines().take_while(|line| !line.starts_with("// Pipeline")).collect();
    snapshot("expand_opening", &Run { stdout: opening.join("\n") + "\n", ..unit });
}

#[test]
fn mistakes_are_shown_at_their_place() {
    let machine = Machine::new("expand-mistakes");
    for (name, text) in [
        ("expand_value", "block = 64, stride(q = 5)"),
        ("expand_several", "blok = 64, dtype = f64,\nbudget = ratio(2)"),
        ("expand_unclosed", "block(q = 64"),
    ] {
        snapshot(name, &machine.run(&["expand", text]));
    }
    snapshot("expand_unit", &machine.run(&["expand", "--unit", "attention"]));
    snapshot("expand_arch", &machine.run(&["expand", "arch(sm_80)", "--arch", "sm_90a"]));
}
