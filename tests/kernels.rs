//! The CUDA text and the launch ABI of each configuration, as they can be read and diffed.

use proxyattn::codegen::cuda::{Module, Shape, Tiles, emit, emit_tiled};
use proxyattn::codegen::{Arch, Block, Budget, Dtype, Keep, Rows, Spec, Stride};
use std::fmt::Write;

const D: Spec = Spec::DEFAULT;

/// Every value of every key, each at least once.
fn configurations() -> Vec<(&'static str, Spec)> {
    let absolute = Budget::Dynamic { gamma: 0.85, min_tokens: 1024, rows: Rows::Absolute };
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
                budget: Budget::TopK { blocks: 64 },
                ..D
            },
        ),
        (
            "ratio",
            Spec {
                block: Block { q: 64, kv: 128 },
                stride: Stride { q: 1, kv: 1 },
                budget: Budget::Ratio { share: 0.1 },
                keep: Keep { sink: 0, local: 0 },
                ..D
            },
        ),
        ("all", Spec { head_dim: 256, budget: Budget::All, ..D }),
    ]
}

fn abi(module: &Module) -> String {
    let mut out = String::new();
    for entry in &module.entries {
        let _ = writeln!(
            out,
            "{} ({}), {} threads, {:?}, {} bytes of parameters, grid {:?}",
            entry.symbol,
            entry.stage,
            entry.threads,
            entry.shared,
            entry.param_bytes(),
            entry.grid
        );
        for param in &entry.params {
            let _ = writeln!(out, "  {:>3} {:?} {}", param.offset, param.ty, param.name);
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
                        format!("{name}_{arch}_{}", unit.name),
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

#[test]
fn two_runs_give_the_same_text() {
    for (name, spec) in configurations() {
        for &arch in Arch::ALL {
            assert_eq!(emit(&spec, arch), emit(&spec, arch), "{name}");
        }
    }
}

#[test]
fn text_needs_nothing_else() {
    for (name, spec) in configurations() {
        for unit in Arch::ALL.iter().flat_map(|&arch| emit(&spec, arch).units) {
            assert!(!unit.source().contains("#include"), "{name}");
            assert!(!unit.kernels.contains("asm"), "{name}: PTX outside the prelude");
            assert!(!unit.source().contains("//@"), "{name}: a directive is left");
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
    assert!(!defaults.contains("pool_keys") && !defaults.contains("STRIDE_KV"));
    assert!(text(Spec { groups: Some(2), ..D }).contains("pool_keys"));
    let pinned = Spec { groups: Some(8), heads: Some(32), kv_heads: Some(8), ..D };
    assert!(!text(pinned).contains("pool_keys"), "a group of one KV head has that head's keys");
    let ratio = text(Spec { budget: Budget::Ratio { share: 0.1 }, ..D });
    assert!(
        !ratio.contains("budget")
            && !ratio.contains("measured")
            && ratio.contains("#define RATIO_MILLIONTHS 100000\n")
    );
    assert!(defaults.contains("diagonal_key") && !text(Spec { causal: false, ..D }).contains("diagonal_key"));
}

#[test]
fn sizes_follow_from_the_shape() {
    let module = emit(&D, Arch::Sm80);
    let shape = Shape { batch: 2, heads: 32, kv_heads: 8, q_len: 1000, kv_len: 4096 };
    let bytes =
        |name: &str| module.buffers.iter().find(|b| b.name == name).expect("a buffer").bytes(&D, &shape);
    assert_eq!(bytes("proxy_q"), 2 * 8 * 250 * 128 * 2);
    assert_eq!(bytes("maxima"), 2 * 8 * 16 * 64 * 16 * 2);
    assert_eq!(bytes("measured"), 2 * 32 * 4);
    let entry = |name: &str| module.entry(name).expect("an entry");
    assert_eq!(entry("attend").grid(&shape, 132), [16 * 2, 8, 2], "two heads share a CTA");
    assert_eq!(entry("select").grid(&shape, 132), [16, 8, 2]);
    assert_eq!(entry("attend").value("heads_per_kv", &shape), Some(4));
    assert_eq!(entry("dense").value("heads", &shape), None);
    let pass = |spec: &Spec, shape: &Shape| {
        emit(spec, Arch::Sm90a).entry("budget_partials").expect("an entry").grid(shape, 132)
    };
    let tall = Spec { block: Block { q: 128, kv: 64 }, ..D };
    assert_eq!(pass(&D, &shape), [132, 1, 1], "four heads share a CTA");
    assert_eq!(pass(&tall, &shape), [66, 2, 1], "two packs of two heads");
    assert_eq!(pass(&D, &Shape { batch: 1, kv_heads: 1, kv_len: 1025, ..shape }), [9, 8, 1], "a stage each");
}

#[test]
fn default_tiles_fit_every_gpu_of_the_family() {
    for (name, spec) in configurations() {
        for head_dim in [64, 96, 128, 256] {
            let spec = Spec { head_dim, ..spec };
            for entry in emit(&spec, Arch::Sm80).entries {
                assert!(
                    entry.shared.fixed <= 99 * 1024,
                    "{name} {head_dim}: {} {}",
                    entry.name,
                    entry.shared.fixed
                );
            }
        }
    }
}

#[test]
#[should_panic(expected = "do not fit")]
fn tiles_that_do_not_fit_are_refused() {
    emit_tiled(&D, Arch::Sm80, &Tiles { keys: 48, ..Tiles::portable(&D, None) });
}
