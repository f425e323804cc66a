//! The rules that every [`Spec`] must satisfy, each stated once.
//!
//! A rule is a `const` predicate, a key and a message; those of a scorer or a budget lie in its folder. The macro uses
//! [`Spec::violations`] to point at the user's values; the expansion asserts [`Spec::is_valid`] in a constant, so a `Spec`
//! assembled by hand is checked by the same predicates.

use crate::syntax::{Broken, Choice, Wrong};
use crate::{Key, Spec};
use core::fmt;

/// Head widths that kernels exist for.
const HEAD_DIMS: [u32; 4] = [64, 96, 128, 256];
/// Block sizes that kernels exist for.
const BLOCKS: [u32; 3] = [32, 64, 128];
/// More blocks than any context has; keeps arithmetic on counts within 32 bits.
pub(crate) const MAX_COUNT: u32 = 1 << 20;

/// The smallest `scale`: below it, no f32 is low enough to mask a score, that is to give it no weight in the softmax.
const MIN_SCALE: f64 = 1e-30;
/// The largest: times log₂ e it just fits an f32.
const MAX_SCALE: f64 = 2.3586e38;

/// One broken rule: which key, what is wrong with its value, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule that is broken.
    pub rule: Rule,
    /// The key whose value has to change.
    pub key: Key,
    /// What was expected and what was given, in one line.
    pub message: String,
    /// What to write instead, if known.
    pub help: Option<String>,
    /// Whether the value is wrong whatever other keys say.
    pub alone: bool,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Violation {}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// A rule about a [`Spec`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Rule { $($(#[$doc])* $name),+ }

        /// Every rule, in the order in which violations are reported.
        pub const RULES: &[Rule] = &[$(Rule::$name),+];
    };
}

rules! {
    /// `head_dim` is 64, 96, 128 or 256.
    HeadDim,
    /// `block(q)` is 32, 64 or 128.
    BlockQ,
    /// `block(kv)` is 32, 64 or 128.
    BlockKv,
    /// `groups` is at least 1.
    GroupsPositive,
    /// `heads` is at least 1.
    HeadsPositive,
    /// `kv_heads` is at least 1.
    KvHeadsPositive,
    /// `kv_heads` divides `heads`.
    KvHeadsDivideHeads,
    /// `groups` divides `kv_heads`, or `heads` where only those are given.
    GroupsDivideHeads,
    /// `stride(q)` is at least 1 and divides `block(q)`.
    StrideQ,
    /// `stride(kv)` is at least 1 and divides `block(kv)`.
    StrideKv,
    /// `scale` is finite and above zero, and its product with log₂ e is an f32 that scores can be masked under.
    Scale,
    /// The scorer's own rules.
    Scorer,
    /// The budget's own rules.
    Budget,
    /// `keep(sink)` is within bounds.
    Sink,
    /// `keep(local)` is within bounds.
    Local,
    /// At least one architecture is named.
    Arch,
}

impl Rule {
    /// Whether `spec` satisfies the rule.
    pub const fn holds(self, spec: &Spec) -> bool {
        match self {
            Rule::HeadDim => contains(&HEAD_DIMS, spec.head_dim),
            Rule::BlockQ => contains(&BLOCKS, spec.block.q),
            Rule::BlockKv => contains(&BLOCKS, spec.block.kv),
            Rule::GroupsPositive => positive(spec.groups),
            Rule::HeadsPositive => positive(spec.heads),
            Rule::KvHeadsPositive => positive(spec.kv_heads),
            Rule::KvHeadsDivideHeads => divides(spec.kv_heads, spec.heads),
            Rule::GroupsDivideHeads => {
                divides(spec.groups, if spec.kv_heads.is_some() { spec.kv_heads } else { spec.heads })
            }
            Rule::StrideQ => stride_divides(spec.stride.q, spec.block.q),
            Rule::StrideKv => stride_divides(spec.stride.kv, spec.block.kv),
            Rule::Scale => match spec.scale {
                Some(scale) => scale >= MIN_SCALE && scale <= MAX_SCALE,
                None => true,
            },
            Rule::Scorer => spec.scorer.is_valid(spec),
            Rule::Budget => spec.budget.is_valid(spec),
            Rule::Sink => spec.keep.sink <= MAX_COUNT,
            Rule::Local => spec.keep.local <= MAX_COUNT,
            Rule::Arch => !spec.arch.is_empty(),
        }
    }

    /// What is wrong in a `spec` that breaks the rule: one thing, or several where it stands for those of a choice.
    fn violations(self, spec: &Spec) -> Vec<Violation> {
        let not_positive = |key: Key| (key, format!("`{key}` must be at least 1, not 0"), None);
        let (key, message, help) = match self {
            Rule::HeadDim => {
                let message = format!("`head_dim` must be 64, 96, 128 or 256, not {}", spec.head_dim);
                (Key::HeadDim, message, head_dim_help(spec))
            }
            Rule::BlockQ => bad_block(Key::BlockQ, spec.block.q),
            Rule::BlockKv => bad_block(Key::BlockKv, spec.block.kv),
            Rule::GroupsPositive => not_positive(Key::Groups),
            Rule::HeadsPositive => not_positive(Key::Heads),
            Rule::KvHeadsPositive => not_positive(Key::KvHeads),
            Rule::KvHeadsDivideHeads => {
                let (heads, kv_heads) = (spec.heads.unwrap_or(0), spec.kv_heads.unwrap_or(0));
                let message =
                    format!("`kv_heads` must divide `heads`, and {kv_heads} does not divide {heads}");
                (Key::KvHeads, message, divisors_help(heads))
            }
            Rule::GroupsDivideHeads => {
                let groups = spec.groups.unwrap_or(0);
                let (name, total) = match spec.kv_heads {
                    Some(kv_heads) => ("kv_heads", kv_heads),
                    None => ("heads", spec.heads.unwrap_or(0)),
                };
                let message = format!(
                    "`groups` must divide `{name}`, because a group is a whole number of KV heads, \
                     and {groups} does not divide {total}"
                );
                (Key::Groups, message, divisors_help(total))
            }
            Rule::StrideQ => bad_stride(Key::StrideQ, spec.stride.q, Key::BlockQ, spec.block.q),
            Rule::StrideKv => bad_stride(Key::StrideKv, spec.stride.kv, Key::BlockKv, spec.block.kv),
            Rule::Scale => {
                let scale = spec.scale.unwrap_or(f64::NAN);
                let help = format!(
                    "leave `scale` out for 1/√head_dim = {:.6}",
                    1.0 / f64::from(spec.head_dim).sqrt()
                );
                let message = if scale > 0.0 && scale.is_finite() {
                    format!(
                        "`scale` must be between {MIN_SCALE:e} and {MAX_SCALE:e}, not {scale:e}: kernels multiply it by \
                         log₂ e in f32"
                    )
                } else {
                    format!("`scale` must be finite and above 0, not {scale}")
                };
                (Key::Scale, message, Some(help))
            }
            Rule::Scorer => return self.of_choice(spec.scorer, spec),
            Rule::Budget => return self.of_choice(spec.budget, spec),
            Rule::Sink => too_many(Key::KeepSink, spec.keep.sink),
            Rule::Local => too_many(Key::KeepLocal, spec.keep.local),
            Rule::Arch => {
                let help = "leave `arch` out for arch(sm_80, sm_90a)".to_owned();
                (Key::Arch, "`arch` must name at least one architecture".to_owned(), Some(help))
            }
        };
        vec![Violation { rule: self, key, message, help, alone: self.is_about_one_key() }]
    }

    /// The rules of the choice's own kind that are broken.
    fn of_choice(self, mut choice: impl Choice, spec: &Spec) -> Vec<Violation> {
        let kind = choice.syntax();
        let broken = choice.kind(|kind| kind.broken(spec)).into_iter();
        let violation = |Broken { part, wrong: Wrong { message, help, alone } }| Violation {
            rule: self,
            key: kind.key_of(part),
            message,
            help,
            alone,
        };
        broken.map(violation).collect()
    }

    /// Whether only the rule's own key can break it.
    fn is_about_one_key(self) -> bool {
        match self {
            Rule::HeadDim
            | Rule::BlockQ
            | Rule::BlockKv
            | Rule::GroupsPositive
            | Rule::HeadsPositive
            | Rule::KvHeadsPositive
            | Rule::Scale
            | Rule::Sink
            | Rule::Local
            | Rule::Arch => true,
            Rule::KvHeadsDivideHeads | Rule::GroupsDivideHeads | Rule::StrideQ | Rule::StrideKv => false,
            // Each of a kind's own rules says that of itself.
            Rule::Scorer | Rule::Budget => false,
        }
    }
}

impl Spec {
    /// Every rule that the spec breaks, in the order of [`RULES`]; empty for a valid spec.
    pub fn violations(&self) -> Vec<Violation> {
        RULES.iter().filter(|rule| !rule.holds(self)).flat_map(|rule| rule.violations(self)).collect()
    }

    /// Whether the spec satisfies every rule. Usable in constants.
    pub const fn is_valid(&self) -> bool {
        let mut i = 0;
        while i < RULES.len() {
            if !RULES[i].holds(self) {
                return false;
            }
            i += 1;
        }
        true
    }

    /// Whether tensors of `heads` query heads and `kv_heads` KV heads fit the spec: the ratio is an integer, the groups
    /// divide the KV heads, and fixed counts match. Usable in constants.
    pub const fn accepts_heads(&self, heads: u32, kv_heads: u32) -> bool {
        heads > 0
            && kv_heads > 0
            && heads.is_multiple_of(kv_heads)
            && divides(self.groups, Some(kv_heads))
            && agrees(self.heads, heads)
            && agrees(self.kv_heads, kv_heads)
    }
}

const fn contains(values: &[u32], value: u32) -> bool {
    let mut i = 0;
    while i < values.len() {
        if values[i] == value {
            return true;
        }
        i += 1;
    }
    false
}

const fn positive(count: Option<u32>) -> bool {
    !matches!(count, Some(0))
}

/// Whether `part` divides `whole`; true if either is not given, or zero (which another rule rejects).
const fn divides(part: Option<u32>, whole: Option<u32>) -> bool {
    match (part, whole) {
        (Some(part), Some(whole)) => part == 0 || whole == 0 || whole.is_multiple_of(part),
        _ => true,
    }
}

const fn agrees(pinned: Option<u32>, given: u32) -> bool {
    match pinned {
        Some(pinned) => pinned == given,
        None => true,
    }
}

const fn stride_divides(stride: u32, block: u32) -> bool {
    stride > 0 && block.is_multiple_of(stride)
}

fn bad_block(key: Key, block: u32) -> (Key, String, Option<String>) {
    (key, format!("`{key}` must be 32, 64 or 128 tokens, not {block}"), nearest(&BLOCKS, block))
}

fn bad_stride(key: Key, stride: u32, block_key: Key, block: u32) -> (Key, String, Option<String>) {
    if stride == 0 {
        return (key, format!("`{key}` must be at least 1, not 0"), Some("1 scores every token".to_owned()));
    }
    let message = format!("`{key}` must divide `{block_key}`, and {stride} does not divide {block}");
    (key, message, divisors_help(block))
}

fn too_many(key: Key, count: u32) -> (Key, String, Option<String>) {
    (key, format!("`{key}` must be at most {MAX_COUNT} blocks, not {count}"), None)
}

/// The nearest supported widths, and how to pad to the next one.
fn head_dim_help(spec: &Spec) -> Option<String> {
    let (given, nearest) = (spec.head_dim, nearest(&HEAD_DIMS, spec.head_dim)?);
    match HEAD_DIMS.into_iter().find(|&wider| given > 0 && given < wider) {
        None => Some(nearest),
        Some(wider) => Some(format!(
            "{nearest}; padding q, k and v from {given} to {wider} with zeros gives the same scores and outputs: pad, and \
             write head_dim = {wider}, scale = {}",
            spec.softmax_scale()
        )),
    }
}

fn nearest(values: &[u32], given: u32) -> Option<String> {
    let distance = values.iter().map(|value| value.abs_diff(given)).min()?;
    let nearest: Vec<_> =
        values.iter().filter(|value| value.abs_diff(given) == distance).map(u32::to_string).collect();
    Some(match nearest.as_slice() {
        [one] => format!("the nearest is {one}"),
        many => format!("the nearest are {}", many.join(" and ")),
    })
}

fn divisors_help(whole: u32) -> Option<String> {
    if whole == 0 || whole > 4096 {
        return None;
    }
    let divisors: Vec<_> = (1..=whole).filter(|d| whole.is_multiple_of(*d)).map(|d| d.to_string()).collect();
    Some(format!("its divisors are {}", divisors.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Antidiagonal, ArchSet, Block, Budget, Dynamic, Keep, PerHead, Ratio, Scorer, Spans, Split, Stride,
        TopK, VerticalSlash,
    };

    /// Specs that break exactly `rule`. The match is exhaustive, so a new rule must come with one.
    fn breaking(rule: Rule) -> Vec<Spec> {
        let base = Spec::DEFAULT;
        vec![match rule {
            Rule::Scorer => return scorers().into_iter().map(|scorer| Spec { scorer, ..base }).collect(),
            Rule::Budget => return budgets().map(|budget| Spec { budget, ..base }).to_vec(),
            Rule::HeadDim => Spec { head_dim: 100, ..base },
            Rule::BlockQ => Spec { block: Block { q: 48, kv: 64 }, ..base },
            Rule::BlockKv => Spec { block: Block { q: 64, kv: 256 }, ..base },
            Rule::GroupsPositive => Spec { groups: Some(0), ..base },
            Rule::HeadsPositive => Spec { heads: Some(0), ..base },
            Rule::KvHeadsPositive => Spec { kv_heads: Some(0), ..base },
            Rule::KvHeadsDivideHeads => Spec { heads: Some(32), kv_heads: Some(5), ..base },
            Rule::GroupsDivideHeads => Spec { groups: Some(3), heads: Some(32), kv_heads: Some(8), ..base },
            Rule::StrideQ => Spec { stride: Stride { q: 5, kv: 1 }, ..base },
            Rule::StrideKv => Spec { stride: Stride { q: 4, kv: 0 }, ..base },
            Rule::Scale => Spec { scale: Some(f64::INFINITY), ..base },
            Rule::Sink => Spec { keep: Keep { sink: u32::MAX, local: 0 }, ..base },
            Rule::Local => Spec { keep: Keep { sink: 1, local: u32::MAX }, ..base },
            Rule::Arch => Spec { arch: ArchSet::NONE, ..base },
        }]
    }

    /// Scorers that each break one of their rules.
    fn scorers() -> Vec<Scorer> {
        let strided = [0, 2, 32].map(|stride| Scorer::Antidiagonal(Antidiagonal { stride }));
        let last = [48, 256, 32].map(|last| Scorer::VerticalSlash(VerticalSlash { last }));
        [strided, last].concat()
    }

    /// Budgets that each break one of their rules.
    fn budgets() -> [Budget; 11] {
        let ratio = Ratio { split: Split::Heads, ..Ratio::DEFAULT };
        [
            Budget::Dynamic(Dynamic { gamma: f64::NAN, ..Dynamic::DEFAULT }),
            Budget::Dynamic(Dynamic { min_tokens: 63, ..Dynamic::DEFAULT }),
            Budget::Dynamic(Dynamic { min_tokens: u32::MAX, ..Dynamic::DEFAULT }),
            Budget::top_k(1),
            Budget::TopK(TopK { blocks: MAX_COUNT + 1 }),
            Budget::ratio(10.0),
            Budget::Ratio(Ratio { share: 0.0, ..ratio }),
            Budget::Ratio(Ratio { min_tokens: 63, ..ratio }),
            Budget::PerHead(PerHead { share: 0.0, ..PerHead::DEFAULT }),
            Budget::PerHead(PerHead { min_tokens: 63, ..PerHead::DEFAULT }),
            Budget::Spans(Spans { min_tokens: 63 }),
        ]
    }

    #[test]
    fn the_defaults_and_the_preset_are_valid() {
        const { assert!(Spec::DEFAULT.is_valid() && Spec::PAPER.is_valid()) }
        assert_eq!(Spec::DEFAULT.violations(), []);
        assert_eq!(Spec::PAPER.violations(), []);
    }

    #[test]
    fn every_rule_can_be_broken_alone_and_says_so() {
        for &rule in RULES {
            for spec in breaking(rule) {
                let broken = spec.violations();
                assert_eq!(broken.iter().map(|v| v.rule).collect::<Vec<_>>(), [rule], "{spec:?}");
                assert!(!spec.is_valid());
                assert!(broken[0].message.contains('`'), "names its key: {}", broken[0]);
            }
        }
    }

    #[test]
    fn a_part_without_effect_has_no_rule() {
        let unsplit = Budget::Ratio(Ratio { min_tokens: 63, ..Ratio::DEFAULT });
        assert_eq!(Spec { budget: unsplit, ..Spec::DEFAULT }.violations(), []);
    }

    #[test]
    fn violations_of_a_budget_come_together_and_point_at_its_parts() {
        let budget = Budget::Dynamic(Dynamic { gamma: 90.0, min_tokens: 0, ..Dynamic::DEFAULT });
        let broken = Spec { budget, ..Spec::DEFAULT }.violations();
        let reported: Vec<_> = broken.iter().map(|v| (v.key.to_string(), v.alone)).collect();
        assert_eq!(reported, [("dynamic(gamma)".into(), true), ("dynamic(min_tokens)".into(), false)]);
    }

    #[test]
    fn a_scale_is_what_f32_holds_times_log2_e() {
        let holds = |scale| Rule::Scale.holds(&Spec { scale: Some(scale), ..Spec::DEFAULT });
        assert!([1e-30, 0.125, 1.0, 2.3586e38].into_iter().all(holds));
        assert!(![9.9e-31, f64::MIN_POSITIVE, 2.3587e38, 3e38, 1e39, f64::NAN].into_iter().any(holds));
        let most = Spec { scale: Some(2.3586e38), ..Spec::DEFAULT };
        assert!(most.softmax_scale_log2().is_finite() && most.softmax_scale_log2() > 3.4e38);
    }

    #[test]
    fn a_width_between_two_is_padded() {
        let help = |spec: Spec| spec.violations().remove(0).help.expect("some help");
        let of = |head_dim| help(Spec { head_dim, ..Spec::DEFAULT });
        let padded = of(80);
        assert!(padded.starts_with("the nearest are 64 and 96; ") && padded.contains("zeros"), "{padded}");
        assert!(padded.ends_with("write head_dim = 96, scale = 0.11180339887498948"), "{padded}");
        let own = help(Spec { head_dim: 192, scale: Some(0.07), ..Spec::DEFAULT });
        assert!(
            own.ends_with("write head_dim = 256, scale = 0.07"),
            "a scale that was declared stays: {own}"
        );
        assert_eq!([of(0), of(512)], ["the nearest is 64", "the nearest is 256"]);
    }

    #[test]
    fn several_violations_come_together() {
        let spec = Spec { head_dim: 1, stride: Stride { q: 0, kv: 7 }, ..Spec::DEFAULT };
        let rules: Vec<_> = spec.violations().into_iter().map(|v| v.rule).collect();
        assert_eq!(rules, [Rule::HeadDim, Rule::StrideQ, Rule::StrideKv]);
    }

    #[test]
    fn heads_are_checked_against_groups_and_pins() {
        let spec = Spec { groups: Some(4), heads: Some(32), ..Spec::DEFAULT };
        assert!(spec.accepts_heads(32, 8) && spec.accepts_heads(32, 4));
        assert!(!spec.accepts_heads(32, 2), "4 groups need 4 KV heads");
        assert!(!spec.accepts_heads(16, 8), "pinned to 32");
        assert!(!spec.accepts_heads(32, 0) && !spec.accepts_heads(0, 0));
    }
}
