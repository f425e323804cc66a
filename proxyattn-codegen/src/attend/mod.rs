//! Attention: over the lists, or over everything.

mod hopper;
mod portable;

use crate::Arch;
use crate::abi::build::read;
use crate::abi::{Buffer, Field, Scratch, UnitId};
use crate::pipeline::{Cx, Part};

/// Attention over the lists.
pub(crate) fn attend(cx: &Cx<'_>) -> Part {
    let (kernel, memory) = match cx.native.attend {
        Arch::Sm80 => (portable::attend(cx), portable::memory(cx)),
        Arch::Sm90a => (hopper::attend(cx), hopper::memory(cx)),
    };
    let memory = memory.into_iter().map(|line| (UnitId::Attend, line)).collect();
    Part { kernels: vec![kernel], memory, ..Part::default() }
}

/// Attention over everything, which every configuration has, and what both kernels share.
pub(crate) fn dense(cx: &Cx<'_>) -> Part {
    let holds_queries = cx.spec.head_dim == 64;
    let (kernel, memory) = match cx.native.dense {
        Arch::Sm80 => (portable::dense(cx), portable::memory(cx)),
        Arch::Sm90a => (hopper::dense(cx), hopper::memory(cx)),
    };
    let tickets = Buffer {
        scratch: Scratch::AttendTickets,
        dims: vec![],
        holds: "tiles that are taken; zero at first",
    };
    let counts_tiles = [cx.native.attend, cx.native.dense].contains(&Arch::Sm90a);
    Part {
        kernels: vec![kernel],
        buffers: if counts_tiles { vec![tickets] } else { vec![] },
        sections: vec![
            ("TICKETS", cx.native.attend == Arch::Sm90a),
            ("FLASH_HOLDS_QUERIES", holds_queries),
            ("QUERIES_HELD", !cx.spec.is_dense() || holds_queries),
            ("QUERIES_IN_SHARED", !holds_queries),
        ],
        shared: hopper::constants(),
        memory: memory.into_iter().map(|line| (UnitId::Dense, line)).collect(),
        ..Part::default()
    }
}

/// The lists, as both families read them.
fn lists(cx: &Cx<'_>) -> Vec<Field> {
    let mut fields = vec![read(Scratch::Lists), read(Scratch::Counts)];
    if cx.spec.causal && cx.spec.budget.differs_within_group() {
        fields.push(read(Scratch::Runs));
    }
    fields
}

/// The template of the diagonal, where the causal rule makes it special.
fn diagonal(cx: &Cx<'_>) -> &'static [&'static str] {
    if cx.spec.causal { &["geometry/diagonal.cuh"] } else { &[] }
}
