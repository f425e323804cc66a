//! The table of a kind, and what follows from it.

/// States how a kind is spelled, and its rules, each once.
///
/// ```text
/// kind! {
///     Key::Budget, TopK, "top_k", like "top_k(blocks = 64)";
///     parts {
///         blocks: Part::like("64").needed("the number of blocks"),
///     }
///     rules |top_k, spec| {
///         blocks: top_k.blocks <= MAX_COUNT, else Wrong::alone(…),
///     }
/// }
/// ```
///
/// `parts` are the fields of the struct, all of them. A rule names the part to blame, a predicate that a constant can
/// evaluate, and what is wrong where it does not hold. The predicates together are the kind's `is_valid`.
macro_rules! kind {
    (
        $key:expr, $kind:ident, $name:literal, like $example:literal;
        parts { $($part:ident: $syntax:expr,)* }
        rules |$this:ident, $spec:ident| { $($blamed:ident: $holds:expr, else $wrong:expr,)* }
    ) => {
        impl $kind {
            const SYNTAX: &'static $crate::syntax::Syntax = &$crate::syntax::Syntax {
                key: $key,
                name: $name,
                type_name: stringify!($kind),
                example: $example,
                parts: &[$($syntax.named(stringify!($part))),*],
            };

            /// Whether its parts satisfy its rules in `spec`.
            #[allow(unused_variables)] // a kind may have no rules
            pub(crate) const fn is_valid(&self, spec: &$crate::Spec) -> bool {
                let ($this, $spec) = (self, spec);
                true $(&& $holds)*
            }
        }

        impl $crate::syntax::Kind for $kind {
            fn syntax(&self) -> &'static $crate::syntax::Syntax {
                Self::SYNTAX
            }

            fn parts(&mut self) -> Vec<(&'static $crate::syntax::Part, $crate::syntax::Slot<'_>)> {
                // Names every field, so that none can lack its syntax.
                let Self { $($part),* } = self;
                Self::SYNTAX.parts.iter().zip([$($crate::syntax::Value::slot($part)),*]).collect()
            }

            #[allow(unused_variables)] // a kind may have no rules
            fn broken(&self, spec: &$crate::Spec) -> Vec<$crate::syntax::Broken> {
                let ($this, $spec) = (self, spec);
                let rules: Vec<(&str, Option<$crate::syntax::Wrong>)> =
                    vec![$((stringify!($blamed), (!$holds).then(|| $wrong))),*];
                let broken = rules.into_iter().filter_map(|(part, wrong)| {
                    Some($crate::syntax::Broken { part: Self::SYNTAX.part(part)?, wrong: wrong? })
                });
                broken.collect()
            }
        }
    };
}
