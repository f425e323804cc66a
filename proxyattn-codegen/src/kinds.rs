//! Every kind of every choice: the one list of them.
//!
//! A kind is a line here, and a folder or a file of its name beside each `mod.rs` that expands the list: here, in the CPU
//! backend and in the reference. A line is `name: Variant(kind) => kind`, or `name: Variant => $crate::Variant` of a kind
//! without parts: the name in the attribute and of the folders, the variant of the choice, which is the name of the kind's
//! struct as well, and how a `match` comes to that struct. What stands above a line is the variant's documentation, and a
//! row of the attribute's.
//!
//! The list goes to a macro, which makes modules, an enum or a `match` of it. So a kind that lacks its file or its contract
//! in some crate does not compile.

/// Hands every scorer to a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! scorers {
    ($($take:tt)+) => {
        $($take)+! {
            /// Token-level softmax of a group's mean query against its mean key, max-pooled over the block
            /// (ProxyAttn, arXiv 2509.24745).
            proxy: Proxy(kind) => kind;
            /// The mean query of each row of blocks against the mean key of each block, per group of heads (The Sparse Frontier,
            /// arXiv 2504.17768; MoBA's gate, arXiv 2502.13189, lifted to rows of blocks).
            mean_pool: MeanPool => $crate::MeanPool;
            /// Sums over the antidiagonals of a group's attention, in squares of `stride` by `stride` tokens (`XAttention`,
            /// arXiv 2503.16428).
            antidiagonal: Antidiagonal(kind) => kind;
            /// What the last queries' attention gives to columns of blocks and to diagonals of blocks, the larger of the two
            /// (MInference, arXiv 2407.02490; `FlexPrefill`, arXiv 2502.20766).
            vertical_slash: VerticalSlash(kind) => kind;
            /// How near a block is to the row's own one, whatever the inputs are (`StreamingLLM`, arXiv 2309.17453; `MoA`,
            /// arXiv 2406.14909).
            nearest: Nearest => $crate::Nearest;
        }
    };
}

/// Hands every budget to a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! budgets {
    ($($take:tt)+) => {
        $($take)+! {
            /// The fewest blocks that hold a share of the softmax mass of the head's own last queries, and at least some tokens.
            dynamic: Dynamic(kind) => kind;
            /// The same count everywhere.
            top_k: TopK(kind) => kind;
            /// A share of the blocks that the row can see, for each head or divided among the heads.
            ratio: Ratio(kind) => kind;
            /// The fewest blocks of each row that hold a share of what the row's blocks weigh by their scores (`XAttention`,
            /// arXiv 2503.16428).
            top_p: TopP(kind) => kind;
            /// The blocks of each row that weigh a share of what its heaviest weighs, by the scorer's scores (`FlashPrefill`).
            relative: Relative(kind) => kind;
            /// The fewest blocks that hold a share of a curve fitted to the softmax mass of the head's own last queries on a few
            /// of the blocks, and at least some tokens (Tactic, arXiv 2502.12216).
            fitted: Fitted(kind) => kind;
            /// A share of the blocks that the row can see, another one for each head of each layer (`SparseMM`, arXiv
            /// 2506.05344).
            per_head: PerHead(kind) => kind;
            /// As many tokens of every row as a span has that grows with the context, another one for each head of each layer
            /// (`MoA`, arXiv 2406.14909).
            spans: Spans(kind) => kind;
            /// Every block: dense attention.
            all: All => $crate::All;
        }
    };
}

/// The rows of a table of kinds, as a literal: `scorers!(kinds_in_a_table)` in a `#[doc = …]`.
#[doc(hidden)]
#[macro_export]
macro_rules! kinds_in_a_table {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ident$(($held:ident))? => $value:expr;)+) => {
        concat!($("| `", stringify!($name), "` |", $($doc,)+ " |\n",)+)
    };
}

/// What is said of a kind with parts.
macro_rules! held {
    ($held:ident: $($what:tt)*) => { $($what)* };
}

/// The enum of a choice, the modules of its kinds, and the places that tell kinds apart.
macro_rules! choice {
    ($(#[$of_choice:meta])* $Choice:ident of $key:expr; $($(#[$doc:meta])+ $name:ident: $Kind:ident$(($held:ident))? => $value:expr;)+) => {
        $(mod $name;)+
        $(pub use $name::*;)+

        $(#[$of_choice])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum $Choice {
            $($(#[$doc])+ $Kind$((held!($held: $Kind)))?,)+
        }

        impl $Choice {
            /// The kind itself.
            fn each<R>(&mut self, ask: impl FnOnce(&mut dyn Contract) -> R) -> R {
                match self {
                    $($Choice::$Kind$(($held))? => ask($value.as_contract()),)+
                }
            }

            /// Whether the kind satisfies its own rules in `spec`.
            pub(crate) const fn is_valid(&self, spec: &$crate::Spec) -> bool {
                match self {
                    $($Choice::$Kind$(($held))? => $value.is_valid(spec),)+
                }
            }

            /// What the kind does.
            pub(crate) fn contract<R>(mut self, ask: impl FnOnce(&dyn Contract) -> R) -> R {
                self.each(|kind| ask(kind))
            }
        }

        impl $crate::syntax::Choice for $Choice {
            const TYPE: &'static str = stringify!($Choice);
            const KEY: $crate::Key = $key;
            const KINDS: &'static [Self] = &[$($Choice::$Kind$((held!($held: $Kind::DEFAULT)))?),+];

            fn kind<R>(&mut self, ask: impl FnOnce(&mut dyn $crate::syntax::Kind) -> R) -> R {
                self.each(|kind| ask(kind))
            }
        }

        /// As the attribute spells it, with every part that has an effect.
        impl core::fmt::Display for $Choice {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                $crate::syntax::write(*self, f)
            }
        }
    };
}
