//! Records for the store's tests.

use proxyattn::Problem;
use proxyattn::codegen::cuda::UnitId;
use proxyattn::tune::{Bucket, Constant, Machine, Measurement, Outcome, Record, Scope};

pub(crate) fn scope() -> Scope {
    let machine = Machine {
        gpu: "NVIDIA H100 80GB HBM3".into(),
        multiprocessors: 132,
        driver: "13.0 (580.95.05)".into(),
        nvrtc: "nvrtc 13.0, 104 bytes of 17.25".into(),
    };
    Scope { machine, spec: "5".repeat(64), candidates: "c".repeat(64) }
}

pub(crate) fn record(tokens: u64) -> Record {
    let stages = vec![Constant { name: "STAGES".into(), value: 3 }];
    let measurement = |constants: &[Constant], ms: f32, outcome| Measurement {
        constants: constants.to_vec(),
        rounds: vec![vec![ms, ms * 1.01], vec![ms; 4]],
        outcome,
    };
    Record {
        scope: scope(),
        attribute: "budget = ratio(0.1)".into(),
        arch: "sm_90a".into(),
        unit: UnitId::Attend,
        bucket: Bucket { tokens, density: 10 },
        problem: Problem { batch: 1, heads: 32, kv_heads: 8, q_len: 4096, kv_len: tokens as usize },
        default_ms: 1.25,
        winner_ms: 1.1,
        winner: stages.clone(),
        measurements: vec![
            measurement(&[], 1.25, Outcome::Lost),
            measurement(&stages, 1.1, Outcome::Won),
            Measurement {
                constants: Vec::new(),
                rounds: Vec::new(),
                outcome: Outcome::Failed { why: "`a \"quoted\" log`\nof two lines".into() },
            },
        ],
    }
}
