//! The names of the attribute's keys, as values that a violation can carry.

use crate::syntax::{Part, Syntax};
use core::fmt;

/// A place in `#[proxy_attention(…)]` that holds a value.
///
/// A [`Violation`](crate::Violation) names the key whose value has to change; the macro maps it to the span
/// that the user wrote, and falls back to the enclosing key when only that one was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // each variant is the key of the same name
pub enum Key {
    HeadDim,
    Block,
    BlockQ,
    BlockKv,
    Groups,
    Heads,
    KvHeads,
    Stride,
    StrideQ,
    StrideKv,
    Dtype,
    Causal,
    Scale,
    Scorer,
    Budget,
    /// A part of a kind of a choice: `dynamic(gamma)`.
    Part(&'static Syntax, &'static Part),
    Keep,
    KeepSink,
    KeepLocal,
    Arch,
    Preset,
    Crate,
}

impl Key {
    /// The top-level keys, in the order in which the documentation lists them.
    pub const TOP_LEVEL: &'static [Key] = &[
        Key::HeadDim,
        Key::Block,
        Key::Groups,
        Key::Heads,
        Key::KvHeads,
        Key::Stride,
        Key::Dtype,
        Key::Causal,
        Key::Scale,
        Key::Scorer,
        Key::Budget,
        Key::Keep,
        Key::Arch,
        Key::Preset,
        Key::Crate,
    ];

    /// The key as the user writes it: `head_dim`, or `stride(q)` for a part of a key. A part of a kind is its own name, which
    /// `Display` writes behind the kind's.
    pub const fn as_str(self) -> &'static str {
        match self {
            Key::HeadDim => "head_dim",
            Key::Block => "block",
            Key::BlockQ => "block(q)",
            Key::BlockKv => "block(kv)",
            Key::Groups => "groups",
            Key::Heads => "heads",
            Key::KvHeads => "kv_heads",
            Key::Stride => "stride",
            Key::StrideQ => "stride(q)",
            Key::StrideKv => "stride(kv)",
            Key::Dtype => "dtype",
            Key::Causal => "causal",
            Key::Scale => "scale",
            Key::Scorer => "scorer",
            Key::Budget => "budget",
            Key::Part(_, part) => part.name,
            Key::Keep => "keep",
            Key::KeepSink => "keep(sink)",
            Key::KeepLocal => "keep(local)",
            Key::Arch => "arch",
            Key::Preset => "preset",
            Key::Crate => "crate",
        }
    }

    /// The key that encloses this one, for a value that was not written on its own
    /// (`block = 64` sets both [`Key::BlockQ`] and [`Key::BlockKv`]).
    pub const fn parent(self) -> Option<Key> {
        match self {
            Key::BlockQ | Key::BlockKv => Some(Key::Block),
            Key::StrideQ | Key::StrideKv => Some(Key::Stride),
            Key::Part(kind, _) => Some(kind.key),
            Key::KeepSink | Key::KeepLocal => Some(Key::Keep),
            _ => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Part(kind, part) if part.unnamed => f.write_str(kind.name),
            Key::Part(kind, part) => write!(f, "{}({})", kind.name, part.name),
            key => f.write_str(key.as_str()),
        }
    }
}
