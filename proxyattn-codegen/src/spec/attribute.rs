//! Writes a configuration as the arguments of the attribute.

use crate::{Arch, Spec};

impl Spec {
    /// The arguments of `#[proxy_attention(…)]` that give this configuration: the keys that differ from
    /// [`Spec::DEFAULT`], in the order of the documentation. Empty for the default.
    ///
    /// Messages that name a command put it there, so that the command can be run as it stands.
    pub fn attribute(&self) -> String {
        let default = Self::DEFAULT;
        let mut keys = Vec::new();
        let mut differs = |differs: bool, text: String| keys.extend(differs.then_some(text));
        let sides = |key: &str, q: u32, kv: u32| match q == kv {
            true => format!("{key} = {q}"),
            false => format!("{key}(q = {q}, kv = {kv})"),
        };
        differs(self.head_dim != default.head_dim, format!("head_dim = {}", self.head_dim));
        differs(self.block != default.block, sides("block", self.block.q, self.block.kv));
        let counts = [("groups", self.groups), ("heads", self.heads), ("kv_heads", self.kv_heads)];
        for (key, count) in counts {
            differs(count.is_some(), format!("{key} = {}", count.unwrap_or_default()));
        }
        differs(self.stride != default.stride, sides("stride", self.stride.q, self.stride.kv));
        differs(self.dtype != default.dtype, format!("dtype = {}", self.dtype));
        differs(self.causal != default.causal, format!("causal = {}", self.causal));
        differs(self.scale.is_some(), format!("scale = {}", self.scale.unwrap_or_default()));
        differs(self.scorer != default.scorer, format!("scorer = {}", self.scorer));
        differs(self.budget != default.budget, format!("budget = {}", self.budget));
        differs(
            self.keep != default.keep,
            format!("keep(sink = {}, local = {})", self.keep.sink, self.keep.local),
        );
        let archs: Vec<_> = self.arch.iter().map(Arch::as_str).collect();
        differs(self.arch != default.arch, format!("arch({})", archs.join(", ")));
        keys.join(", ")
    }
}
