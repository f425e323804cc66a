//! The CUDA text and the launch ABI of each configuration, as they can be read and diffed.

use proxyattn::codegen::cuda::{
    Access, Expr, Field, KernelId, Macro, Module, Param, Scalar, Scratch, Shape, Size, Tiles, emit,
    emit_tiled,
};
use proxyattn::codegen::syntax::{Choice, Syntax};
use proxyattn::codegen::{
    Arch, Block, Budget, Dtype, Dynamic, Keep, Order, Precision, Proxy, Ratio, Rows, Scorer, Spec, Split,
    Stride, Sums, Weigh,
};
use std::collections::BTreeSet;
use std::fmt::Write;

const D: Spec = Spec::DEFAULT;

/// Every value of every key, each at least once.
fn configurations() -> Vec<(&'static str, Spec)> {
    let absolute =
        Budget::Dynamic(Dynamic { gamma: 0.85, min_tokens: 1024, rows: Rows::Absolute, ..Dynamic::DEFAULT });
    vec![
        ("defaults", D),
        ("paper", Spec { groups: Some(1), ..Spec::PAPER }),
        (
            "every_key",
            Spec {
                head_dim: 96,
                block: Block { q: 128, kv: 64 },
                groups: Some(2),
                heads: Some(32),
                kv_heads: Some(8),
                stride: Stride { q: 8, kv: 2 },
                dtype: Dtype::F16,
                causal: false,
                scale: Some(0.125),
                budget: absolute,
                keep: Keep { sink: 2, local: 1 },
                ..D
            },
        ),
        (
            "top_k",
            Spec {
                head_dim: 64,
                block: Block { q: 32, kv: 32 },
                stride: Stride { q: 32, kv: 32 },
                budget: Budget::top_k(64),
                ..D
            },
        ),
        (
            "ratio",
            Spec {
                block: Block { q: 64, kv: 128 },
                stride: Stride { q: 1, kv: 1 },
                budget: Budget::ratio(0.1),
                keep: Keep { sink: 0, local: 0 },
                ..D
            },
        ),
        (
            "list",
            Spec {
                budget: Budget::Dynamic(Dynamic {
                    order: Order::List,
                    weigh: Weigh::Values,
                    ..Dynamic::DEFAULT
                }),
                ..D
            },
        ),
        ("divided", Spec { budget: Budget::Ratio(Ratio { split: Split::Heads, ..Ratio::DEFAULT }), ..D }),
        ("all", Spec { head_dim: 256, budget: Budget::All, ..D }),
    ]
}

/// The defaults with each kind of a choice that no configuration above has, by its name.
fn kinds() -> Vec<(&'static str, Spec)> {
    let above = configurations();
    let scorers = Scorer::KINDS.iter().map(|&scorer| (scorer.syntax(), Spec { scorer, ..D }));
    let budgets = Budget::KINDS.iter().map(|&budget| (budget.syntax(), Spec { budget, ..D }));
    let is_above = |syntax: &Syntax| {
        above.iter().any(|(_, spec)| spec.scorer.syntax() == syntax || spec.budget.syntax() == syntax)
    };
    let kinds = scorers.chain(budgets).filter(|(syntax, _)| !is_above(syntax));
    kinds.map(|(syntax, spec)| (syntax.name, spec)).collect()
}

/// Every configuration.
fn all() -> Vec<(&'static str, Spec)> {
    [configurations(), kinds()].concat()
}

fn abi(module: &Module) -> String {
    let mut out = String::new();
    for kernel in &module.kernels {
        let [x, y, z] = &kernel.grid;
        let _ = writeln!(
            out,
            "{} ({}, for {}), {} threads, {} bytes shared, {} bytes of parameters, grid ({x}, {y}, {z})",
            kernel.id.symbol(),
            kernel.id.stage(),
            kernel.arch,
            kernel.threads,
            kernel.shared,
            kernel.param_bytes(),
        );
        for Param { field, offset } in &kernel.params {
            let note = match field {
                Field::Map(_, rows) => format!(", boxes of {rows} tokens"),
                Field::Pointer(_, Access::Clear) => ", set to zero".into(),
                Field::Pointer(_, Access::Count) => ", counted from zero".into(),
                Field::Pointer(..) | Field::Stride(..) | Field::Scalar(_) => String::new(),
            };
            let _ = writeln!(out, "  {offset:>3} {}{note}", field.declaration());
        }
    }
    out
}

#[test]
fn kernels_read_as_the_snapshots() {
    for (name, spec) in configurations() {
        let mut texts = Vec::new();
        for &arch in Arch::ALL {
            let module = emit(&spec, arch);
            for unit in &module.units {
                // The wrappers are files of their own; the opening comment is this configuration's. Where the families
                // share a kernel, its text is the same.
                if texts.contains(&unit.kernels) {
                    continue;
                }
                texts.push(unit.kernels.clone());
                let comment: String = unit
                    .prelude
                    .lines()
                    .take_while(|line| line.starts_with("//"))
                    .map(|line| format!("{line}\n"))
                    .collect();
                insta::with_settings!({ omit_expression => true }, {
                    insta::assert_snapshot!(
                        format!("{name}_{arch}_{}", unit.id),
                        format!("{comment}\n{}", unit.kernels)
                    );
                });
            }
            insta::with_settings!({ omit_expression => true }, {
                insta::assert_snapshot!(format!("{name}_{arch}_abi"), abi(&module));
            });
        }
    }
}

/// Of the other kinds: what they add to the texts above, and the ABI, in a file each.
#[test]
fn kinds_read_as_the_snapshots() {
    let modules = |spec: &Spec| Arch::ALL.iter().map(|&arch| emit(spec, arch)).collect::<Vec<_>>();
    let above = configurations().iter().flat_map(|(_, spec)| modules(spec)).collect::<Vec<_>>();
    let mut texts: BTreeSet<&str> =
        above.iter().flat_map(|module| &module.units).map(|unit| &unit.kernels[..]).collect();
    let kinds: Vec<_> = kinds().into_iter().map(|(name, spec)| (name, modules(&spec))).collect();
    for (name, modules) in &kinds {
        let mut out = String::new();
        for (arch, module) in Arch::ALL.iter().zip(modules) {
            let _ = writeln!(out, "// {arch}\n\n{}", abi(module));
            for unit in module.units.iter().filter(|unit| texts.insert(&unit.kernels)) {
                let _ = writeln!(out, "// {arch}, unit `{}`\n{}", unit.id, unit.kernels);
            }
        }
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(*name, out); });
    }
}

#[test]
fn two_runs_give_the_same_text() {
    for (name, spec) in all() {
        for &arch in Arch::ALL {
            assert_eq!(emit(&spec, arch), emit(&spec, arch), "{name}");
        }
    }
}

#[test]
fn text_needs_nothing_else() {
    for (name, spec) in all() {
        for unit in Arch::ALL.iter().flat_map(|&arch| emit(&spec, arch).units) {
            assert!(!unit.source().contains("#include"), "{name}");
            assert!(!unit.kernels.contains("asm"), "{name}: PTX outside the prelude");
            assert!(!unit.source().contains("//@"), "{name}: a directive is left");
        }
    }
}

/// Kernels of one unit share what their files declare, so a file may lean on another that only some kinds bring.
#[test]
fn each_scorer_with_each_budget_declares_its_shared_memory() {
    let pairs = Scorer::KINDS
        .iter()
        .flat_map(|&scorer| Budget::KINDS.iter().map(move |&budget| Spec { scorer, budget, ..D }));
    for spec in pairs.filter(Spec::is_valid) {
        for unit in Arch::ALL.iter().flat_map(|&arch| emit(&spec, arch).units) {
            let (used, declared) =
                ["smem_u32(smem)", "extern __shared__"].map(|text| unit.kernels.find(text)).into();
            assert!(used.is_none() || declared.is_some_and(|at| Some(at) < used), "{spec:?}: {:?}", unit.id);
        }
    }
}

#[test]
fn what_is_not_used_is_not_there() {
    let text =
        |spec: Spec| emit(&spec, Arch::Sm80).units.into_iter().map(|unit| unit.kernels).collect::<String>();
    let (defaults, dense) = (text(D), text(Spec { budget: Budget::All, ..D }));
    for absent in
        ["proxyattn_score", "proxyattn_attend", "GAMMA_MILLIONTHS", "BLOCK_KV", "RING_KEYS", "lists"]
    {
        assert!(defaults.contains(absent) && !dense.contains(absent), "{absent}");
    }
    let scored = |sums, scores| Spec { scorer: Scorer::Proxy(Proxy { sums, scores, ..Proxy::DEFAULT }), ..D };
    let native = scored(Sums::Maxima, Precision::Native);
    let [maxima, exact] = [Sums::Maxima, Sums::Exact].map(|sums| text(scored(sums, Precision::Native)));
    for absent in ["pool_keys", "round_e4m3", "q_factors", "centres"] {
        assert!(defaults.contains(absent) && !maxima.contains(absent), "{absent}");
    }
    assert!(
        exact.contains("running_add(running, s, max)") && !maxima.contains("running_add(running, s, max)")
    );
    assert!(text(Spec { groups: Some(2), ..native }).contains("pool_keys"));
    let pinned = Spec { groups: Some(8), heads: Some(32), kv_heads: Some(8), ..native };
    assert!(!text(pinned).contains("pool_keys"), "a group of one KV head has that head's keys");
    let ratio = text(Spec { budget: Budget::ratio(0.1), ..D });
    assert!(
        !ratio.contains("budget")
            && !ratio.contains("measured")
            && ratio.contains("#define RATIO_MILLIONTHS 100000\n")
    );
    let counted = |order, weigh| {
        let budget = Budget::Dynamic(Dynamic { order, weigh, ..Dynamic::DEFAULT });
        text(Spec { budget, ..D })
    };
    let (own, list) = (counted(Order::Own, Weigh::None), counted(Order::List, Weigh::Values));
    for absent in ["norms", "weighted", "ListOrder", "sort_blocks", "ld_shared_u16"] {
        assert!(list.contains(absent) && !own.contains(absent), "{absent}");
    }
    assert!(own.contains("sort_keys") && !list.contains("sort_keys") && !list.contains("shares"));
    assert!(defaults.contains("diagonal_key") && !text(Spec { causal: false, ..D }).contains("diagonal_key"));
}

#[test]
fn sizes_follow_from_the_shape() {
    let module = emit(&D, Arch::Sm80);
    let shape = Shape { batch: 2, heads: 32, kv_heads: 8, q_len: 1000, kv_len: 4096 };
    let bytes = |scratch| module.buffer(scratch).expect("a buffer").bytes(&D, &shape);
    assert_eq!(bytes(Scratch::ProxyQ), 2 * 8 * 250 * 128 * 2);
    assert_eq!(bytes(Scratch::Maxima), 2 * 8 * 16 * 64 * 16 * 2);
    assert_eq!(bytes(Scratch::Measured), 2 * 32 * 4);
    let ctas = |id| module.kernel(id).expect("a kernel").ctas(&D, &shape, 132);
    assert_eq!(ctas(KernelId::Attend), [16 * 2, 8, 2], "two heads share a CTA");
    assert_eq!(ctas(KernelId::Select), [16, 8, 2]);
    assert_eq!(Scalar::HeadsPerKv.of(&D, &shape), 4);
    let pass = |spec: &Spec, shape: &Shape, multiprocessors| {
        let module = emit(spec, Arch::Sm90a);
        module.kernel(KernelId::BudgetPartials).expect("a kernel").ctas(spec, shape, multiprocessors)
    };
    let tall = Spec { block: Block { q: 128, kv: 64 }, ..D };
    assert_eq!(pass(&D, &shape, 132), [132, 1, 1], "four heads share a CTA");
    assert_eq!(pass(&tall, &shape, 132), [66, 2, 1], "two packs of two heads");
    assert_eq!(pass(&tall, &shape, 1), [1, 2, 1], "a CTA to each pack, however few multiprocessors");
    let few = Shape { batch: 1, kv_heads: 1, kv_len: 1025, ..shape };
    assert_eq!(pass(&D, &few, 132), [9, 8, 1], "a stage each");
}

/// A grid in the opening comment is evaluated for the launch: the constants that it speaks of are those of the text.
#[test]
fn the_constants_of_a_grid_are_those_of_the_text() {
    fn macros(expr: &Expr, found: &mut Vec<(Macro, u32)>) {
        match expr {
            Expr::Size(Size::Macro(name, value)) => found.push((*name, *value)),
            Expr::Size(Size::Number(_) | Size::Scalar(_)) | Expr::Multiprocessors => {}
            Expr::Product(parts) => parts.iter().for_each(|part| macros(part, found)),
            Expr::Sum(parts) | Expr::Quotient(parts) | Expr::CeilDiv(parts) | Expr::Min(parts) => {
                parts.iter().for_each(|part| macros(part, found));
            }
            Expr::Named(_, expr) => macros(expr, found),
        }
    }
    for (name, spec) in all() {
        for module in Arch::ALL.iter().map(|&arch| emit(&spec, arch)) {
            for kernel in &module.kernels {
                let text = &module.unit(kernel.unit).expect("a unit").kernels;
                let mut found = Vec::new();
                kernel.grid.iter().for_each(|axis| macros(axis, &mut found));
                for (constant, value) in found {
                    // This one is counted out from others.
                    let derived = constant == Macro::PackHeads && text.contains("#define PACK_HEADS (");
                    let defined = text.contains(&format!("#define {constant} {value}\n"));
                    assert!(derived || defined, "{name} {}: {constant} = {value}", kernel.id);
                }
            }
        }
    }
}

#[test]
fn default_tiles_fit_every_gpu_of_the_family() {
    for (name, spec) in all() {
        for head_dim in [64, 96, 128, 256] {
            let spec = Spec { head_dim, ..spec };
            for kernel in emit(&spec, Arch::Sm80).kernels {
                let bytes = kernel.least_shared_bytes(&spec);
                assert!(bytes <= 99 * 1024, "{name} {head_dim}: {} {bytes}", kernel.id);
            }
        }
    }
}

#[test]
#[should_panic(expected = "do not fit")]
fn tiles_that_do_not_fit_are_refused() {
    emit_tiled(&D, Arch::Sm80, &Tiles { keys: 48, ..Tiles::portable(&D, None) });
}
