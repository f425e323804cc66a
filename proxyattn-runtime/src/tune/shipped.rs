//! Records that ship with the crate: measured by the tuner on the authors' machines (`proxyattn tune --export`), reviewed, and
//! copied here line by line. The same rules apply to them as to other records, except that driver and NVRTC may differ: those
//! change every few weeks and affect times little, whereas another GPU, text or set of candidates needs a new measurement. A
//! machine's own record of a bucket takes precedence over a shipped one.

use super::Found;

const FILES: &[(&str, &str)] = &[("shipped/h200.jsonl", include_str!("shipped/h200.jsonl"))];

/// Every record that ships with this version.
pub fn shipped() -> Found {
    let mut all = Found::default();
    for (name, text) in FILES {
        all.read(name, text);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Problem;
    use crate::tune::{Bucket, Constant, Machine, Record, Scope, Source};
    use proxyattn_codegen::cuda::UnitId;

    fn record(tokens: u64, value: u32) -> Record {
        let machine = Machine {
            gpu: "NVIDIA H100 80GB HBM3".into(),
            multiprocessors: 132,
            driver: "13.0 (580.95.05)".into(),
            nvrtc: "nvrtc 13.0, 1 bytes of 1.1".into(),
        };
        Record {
            scope: Scope { machine, spec: "5".repeat(64), candidates: "c".repeat(64) },
            attribute: String::new(),
            arch: "sm_90a".into(),
            unit: UnitId::Attend,
            bucket: Bucket { tokens, density: 20 },
            problem: Problem { batch: 1, heads: 32, kv_heads: 8, q_len: 4096, kv_len: 4096 },
            default_ms: 1.25,
            winner_ms: 1.0,
            winner: vec![Constant { name: "STAGES".into(), value }],
            measurements: Vec::new(),
        }
    }

    /// An exported record is used with another driver and NVRTC until that machine has its own, and nowhere else.
    #[test]
    fn an_exported_record_counts_where_nothing_was_measured() {
        let exported: String = [record(4096, 3), record(8192, 4)].iter().map(|r| r.line().unwrap()).collect();
        let mut shipped = Found::default();
        shipped.read("export", &exported);
        assert_eq!((shipped.records.len(), &shipped.refused[..]), (2, &[][..]));

        let mut here = record(0, 0).scope;
        here.machine.driver = "13.1 (590.1)".into();
        here.machine.nvrtc = "nvrtc 13.1, 2 bytes of 2.2".into();
        let mut own = Found::default();
        own.records.push(Record { scope: here.clone(), ..record(8192, 7) });
        // Own records from before a driver update are no longer valid.
        own.records.push(record(4096, 9));
        let chosen = |own: &Found, scope: &Scope| -> Vec<_> {
            let records = own.or_shipped(&shipped, scope);
            records.iter().map(|(r, source)| (r.bucket.tokens, r.winner[0].value, *source)).collect()
        };
        assert_eq!(chosen(&own, &here), [(8192, 7, Source::Measured), (4096, 3, Source::Shipped)]);
        assert_eq!(
            chosen(&Found::default(), &here),
            [(4096, 3, Source::Shipped), (8192, 4, Source::Shipped)]
        );

        let changes: [fn(&mut Scope); 4] = [
            |scope| scope.machine.gpu = "NVIDIA H100 PCIe".into(),
            |scope| scope.machine.multiprocessors = 114,
            |scope| scope.spec = "6".repeat(64),
            |scope| scope.candidates = "d".repeat(64),
        ];
        for change in changes {
            let mut elsewhere = here.clone();
            change(&mut elsewhere);
            assert_eq!(chosen(&Found::default(), &elsewhere), []);
        }
    }
}
