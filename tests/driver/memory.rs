//! Memory for launches by address: the stub's device memory is host memory.

use crate::child::DIM;
use half::bf16;
use proxyattn::{Attention, Plan, Problem, RawArgs, RawTensor};

/// Room for a plan's largest tensor and for its workspace. Kernels of the stub do nothing, so that all may be the same memory.
pub(crate) struct Memory {
    words: Vec<u64>,
    problem: Problem,
    workspace_bytes: u64,
}

impl Memory {
    pub(crate) fn new(attention: &Attention<bf16>, plan: &Plan) -> Self {
        let (problem, workspace_bytes) = (*plan.problem(), attention.workspace_bytes(plan));
        let bytes = (2 * problem.heads * problem.kv_len * DIM).max(workspace_bytes as usize);
        Self { words: vec![0; bytes / 8 + 64], problem, workspace_bytes }
    }

    pub(crate) fn args(&self) -> RawArgs {
        let address = (self.words.as_ptr() as u64).next_multiple_of(256);
        let tensor = |heads: usize| RawTensor {
            address,
            strides: [heads * self.problem.kv_len * DIM, self.problem.kv_len * DIM, DIM]
                .map(|stride| stride as i64),
        };
        RawArgs {
            q: tensor(self.problem.heads),
            k: tensor(self.problem.kv_heads),
            v: tensor(self.problem.kv_heads),
            out: tensor(self.problem.heads),
            workspace: address,
            workspace_bytes: self.workspace_bytes,
        }
    }
}
