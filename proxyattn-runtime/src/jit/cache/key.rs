//! The key of an entry: a hash of everything that determines its contents.

use crate::jit::nvrtc::flags;
use crate::jit::{Invocation, Program, Target};
use core::fmt;

/// BLAKE3 over the fields of [`Key::of`], each prefixed with its length, so that different fields never hash alike.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::jit) struct Key([u8; 32]);

impl Key {
    /// The first field is a version, which changes whenever the fields or the entry format do.
    ///
    /// The program's name is included because the cached log contains it.
    pub(in crate::jit) fn of(program: &Program, target: Target, invocation: &Invocation) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut field = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        field(b"proxyattn cubin 1");
        field(program.name.as_bytes());
        field(program.source.as_bytes());
        field(target.to_string().as_bytes());
        field(invocation.compiler.as_bytes());
        field(&(invocation.options.len() as u64).to_le_bytes());
        for option in &invocation.options {
            field(option.as_bytes());
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The key of a cubin compiled ahead of time, which depends neither on the compiler nor on the program's name.
    pub(in crate::jit) fn ahead(program: &Program, target: Target) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut field = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        field(b"proxyattn ahead 1");
        field(program.source.as_bytes());
        field(target.to_string().as_bytes());
        flags::fixed().for_each(|option| field(option.as_bytes()));
        field(&(program.options.len() as u64).to_le_bytes());
        program.options.iter().for_each(|option| field(option.as_bytes()));
        Self(*hasher.finalize().as_bytes())
    }

    /// Parses a file name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
        if pairs.len() != bytes.len() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16);
            *byte = (digit(0)? * 16 + digit(1)?) as u8;
        }
        Some(Self(bytes))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The directory: the first two digits.
    pub(super) fn shard(&self) -> String {
        format!("{:02x}", self.0[0])
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::jit::cache) fn key(source: &str) -> Key {
        let invocation = Invocation { compiler: "c 1".into(), options: vec!["-a".into(), "-b".into()] };
        Key::of(&Program::new("k", source), Target::SM_80, &invocation)
    }

    #[test]
    fn every_field_counts_and_none_runs_into_the_next() {
        let program = Program::new("k", "text");
        let invocation = Invocation { compiler: "c 1".into(), options: vec!["-a".into(), "-b".into()] };
        let with = |compiler: &str, options: &[&str]| Invocation {
            compiler: compiler.into(),
            options: options.iter().map(ToString::to_string).collect(),
        };
        let keys = [
            Key::of(&program, Target::SM_80, &invocation),
            Key::of(&program, Target::SM_90A, &invocation),
            Key::of(&program, Target::new(9, 0), &invocation),
            Key::of(&Program::new("kt", "ext"), Target::SM_80, &invocation),
            Key::of(&Program::new("k", "text "), Target::SM_80, &invocation),
            Key::of(&program, Target::SM_80, &with("c 1", &["-b", "-a"])),
            Key::of(&program, Target::SM_80, &with("c 1", &["-a-b"])),
            Key::of(&program, Target::SM_80, &with("c 1", &["-a", "-b", ""])),
            Key::of(&program, Target::SM_80, &with("c 2", &["-a", "-b"])),
        ];
        let distinct: std::collections::HashSet<_> = keys.iter().map(Key::to_string).collect();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(keys[0].to_string(), key("text").to_string());
        assert_eq!(keys[0].to_string()[..2], keys[0].shard());
        assert!(Key::parse(&keys[0].to_string()) == Some(keys[0]));
        assert!(["", "ab", &"g".repeat(64), &"a".repeat(63)].iter().all(|text| Key::parse(text).is_none()));
    }

    #[test]
    fn ahead_of_time_text_target_and_options_count() {
        let program = Program::new("k", "text");
        let keys = [
            Key::ahead(&program, Target::SM_80),
            Key::ahead(&program, Target::SM_90A),
            Key::ahead(&Program::new("k", "text "), Target::SM_80),
            Key::ahead(&program.clone().option("-DSTAGES=3"), Target::SM_80),
        ];
        let distinct: std::collections::HashSet<_> = keys.iter().map(Key::to_string).collect();
        assert_eq!(distinct.len(), keys.len());
        assert!(
            Key::ahead(&Program::new("other", "text"), Target::SM_80) == keys[0],
            "a name is for messages"
        );
    }
}
