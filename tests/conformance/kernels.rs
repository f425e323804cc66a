//! The configurations under test. Floors are low so that short contexts are sparse.

use half::{bf16, f16};
use proxyattn::codegen::{
    Block, Budget, Dynamic, Keep, Order, Precision, Proxy, Ratio, Rows, Scorer, Spec, Split, Stride, Sums,
    Weigh,
};
use proxyattn::{AttentionKernel, Element};

macro_rules! kernels {
    ($($name:ident($elem:ty) = $spec:expr;)+) => {$(
        pub(crate) struct $name;

        impl AttentionKernel for $name {
            const NAME: &'static str = stringify!($name);
            const SPEC: Spec = Spec { dtype: <$elem as Element>::DTYPE, ..$spec };
            type Elem = $elem;
        }
    )+};
}

const fn block(q: u32, kv: u32) -> Block {
    Block { q, kv }
}

const fn dynamic(gamma: f64, min_tokens: u32, rows: Rows) -> Budget {
    Budget::Dynamic(Dynamic { gamma, min_tokens, rows, ..Dynamic::DEFAULT })
}

/// The paper's scorer, and its count in a head's own order.
const PAPER: Scorer = Spec::PAPER.scorer;

const fn paper(gamma: f64, min_tokens: u32, rows: Rows) -> Budget {
    Budget::Dynamic(Dynamic { gamma, min_tokens, rows, ..Dynamic::PAPER })
}

const fn counted(order: Order, weigh: Weigh, gamma: f64, rows: Rows) -> Budget {
    Budget::Dynamic(Dynamic { gamma, min_tokens: 64, rows, order, weigh })
}

const fn divided(share: f64, min_tokens: u32) -> Budget {
    Budget::Ratio(Ratio { share, split: Split::Heads, min_tokens })
}

const fn scored(sums: Sums, scores: Precision) -> Scorer {
    Scorer::Proxy(Proxy { sums, scores, ..Proxy::DEFAULT })
}

/// Short contexts in small blocks.
pub(crate) const SMALL: Spec =
    Spec { head_dim: 64, block: block(32, 32), budget: dynamic(0.9, 64, Rows::Ratio), ..Spec::DEFAULT };
const DENSE: Spec = Spec { budget: Budget::All, ..SMALL };

kernels! {
    Dense64(bf16) = DENSE;
    Dense96(f16) = Spec { head_dim: 96, block: block(128, 64), ..DENSE };
    Dense128(bf16) = Spec { head_dim: 128, block: block(64, 128), ..DENSE };
    Dense256(f16) = Spec { head_dim: 256, block: block(64, 64), scale: Some(0.04), ..DENSE };
    DenseBoth(bf16) = Spec { causal: false, block: block(64, 32), ..DENSE };

    Small(bf16) = SMALL;
    SmallF16(f16) = SMALL;
    Absolute(bf16) = Spec {
        head_dim: 128,
        block: block(64, 64),
        stride: Stride { q: 4, kv: 4 },
        scorer: PAPER,
        budget: paper(0.7, 70, Rows::Absolute),
        ..SMALL
    };
    WideRows(f16) = Spec {
        head_dim: 96,
        block: block(128, 32),
        stride: Stride { q: 1, kv: 1 },
        keep: Keep { sink: 2, local: 2 },
        scorer: PAPER,
        budget: paper(0.8, 32, Rows::Ratio),
        ..SMALL
    };
    WideBlocks(bf16) = Spec {
        block: block(32, 128),
        stride: Stride { q: 32, kv: 32 },
        budget: Budget::top_k(3),
        ..SMALL
    };
    OneGroup(bf16) = Spec {
        groups: Some(1),
        keep: Keep { sink: 0, local: 0 },
        budget: Budget::ratio(0.3),
        ..SMALL
    };
    TwoGroups(bf16) = Spec { groups: Some(2), keep: Keep { sink: 3, local: 1 }, ..SMALL };
    Both(f16) = Spec {
        causal: false,
        stride: Stride { q: 1, kv: 4 },
        keep: Keep { sink: 1, local: 1 },
        ..SMALL
    };
    Wide(bf16) = Spec {
        head_dim: 256,
        scale: Some(0.09),
        stride: Stride { q: 8, kv: 2 },
        budget: dynamic(0.85, 100, Rows::Ratio),
        ..SMALL
    };

    Default64(bf16) = Spec { head_dim: 64, ..Spec::DEFAULT };
    Paper64(bf16) = Spec { head_dim: 64, ..Spec::PAPER };

    CrossTop(f16) = Spec {
        causal: false,
        groups: Some(1),
        stride: Stride { q: 4, kv: 4 },
        keep: Keep { sink: 0, local: 2 },
        budget: Budget::top_k(4),
        ..SMALL
    };

    TopFour(bf16) = Spec { budget: Budget::top_k(4), ..SMALL };
    EveryShare(bf16) = Spec { budget: Budget::ratio(1.0), ..SMALL };
    EveryTop(bf16) = Spec { budget: Budget::top_k(1 << 20), ..SMALL };
    EveryMass(bf16) = Spec { budget: dynamic(1.0, 32, Rows::Ratio), ..SMALL };
    EveryMassAbsolute(bf16) = Spec { budget: dynamic(1.0, 32, Rows::Absolute), ..SMALL };

    SevenHundredths(bf16) = Spec { budget: Budget::ratio(0.07), ..SMALL };
    SevenHundredthsOfMass(bf16) = Spec {
        causal: false,
        budget: counted(Order::Own, Weigh::None, 0.07, Rows::Ratio),
        ..SMALL
    };
    // Whose lists no later key decides, and no value.
    FourAlone(bf16) = Spec {
        scorer: scored(Sums::Maxima, Precision::Native),
        budget: Budget::top_k(4),
        ..SMALL
    };
    // Whose lists no value decides.
    Unweighed(bf16) = Spec { budget: counted(Order::List, Weigh::None, 0.9, Rows::Ratio), ..SMALL };
    UnitScale(bf16) = Spec { scale: Some(1.0), ..SMALL };
    UnitScaleDense(bf16) = Spec { scale: Some(1.0), ..DENSE };
    LeastScale(bf16) = Spec { scale: Some(1e-30), ..SMALL };
    LargeScale(bf16) = Spec { scale: Some(1e36), groups: Some(1), ..SMALL };

    Pinned(bf16) = Spec { heads: Some(6), kv_heads: Some(2), ..SMALL };
    HugeScale(f16) = Spec { scale: Some(1e30), ..SMALL };

    ListValues(bf16) = Spec {
        scorer: scored(Sums::Maxima, Precision::Native),
        budget: counted(Order::List, Weigh::Values, 0.6, Rows::Ratio),
        ..SMALL
    };
    ListValuesOfOne(f16) = Spec {
        groups: Some(1),
        head_dim: 128,
        block: block(64, 32),
        keep: Keep { sink: 0, local: 0 },
        budget: counted(Order::List, Weigh::Values, 0.7, Rows::Absolute),
        ..SMALL
    };
    OwnValues(bf16) = Spec {
        groups: Some(2),
        scorer: scored(Sums::Maxima, Precision::Native),
        budget: counted(Order::Own, Weigh::Values, 0.8, Rows::Ratio),
        ..SMALL
    };
    ListPlain(f16) = Spec {
        causal: false,
        block: block(32, 64),
        stride: Stride { q: 4, kv: 4 },
        budget: counted(Order::List, Weigh::None, 0.7, Rows::Ratio),
        ..SMALL
    };
    ListPlainSmall(bf16) = Spec { budget: counted(Order::List, Weigh::None, 0.6, Rows::Ratio), ..SMALL };
    ListOfEvery(bf16) = Spec { budget: counted(Order::List, Weigh::None, 1.0, Rows::Ratio), ..SMALL };
    MaximaStrided(bf16) = Spec {
        block: block(32, 128),
        stride: Stride { q: 32, kv: 32 },
        scorer: scored(Sums::Maxima, Precision::Native),
        budget: Budget::top_k(3),
        ..SMALL
    };
    MaximaEveryKey(bf16) = Spec {
        block: block(32, 32),
        stride: Stride { q: 1, kv: 32 },
        scorer: scored(Sums::Maxima, Precision::Native),
        ..SMALL
    };

    Eight(bf16) = Spec {
        scorer: scored(Sums::Maxima, Precision::E4m3),
        budget: counted(Order::List, Weigh::Values, 0.6, Rows::Ratio),
        ..SMALL
    };
    EightExact(f16) = Spec {
        groups: Some(2),
        head_dim: 128,
        block: block(64, 64),
        stride: Stride { q: 4, kv: 4 },
        scorer: scored(Sums::Exact, Precision::E4m3),
        budget: Budget::ratio(0.3),
        ..SMALL
    };
    EightOfOne(bf16) = Spec {
        groups: Some(1),
        causal: false,
        block: block(128, 32),
        stride: Stride { q: 8, kv: 16 },
        scorer: scored(Sums::Maxima, Precision::E4m3),
        budget: Budget::top_k(6),
        ..SMALL
    };
    EightWide(bf16) = Spec {
        block: block(32, 128),
        stride: Stride { q: 2, kv: 1 },
        scorer: scored(Sums::Maxima, Precision::E4m3),
        budget: Budget::top_k(3),
        ..SMALL
    };

    Divided(bf16) = Spec { budget: divided(0.3, 64), ..SMALL };
    DividedOfOne(f16) = Spec {
        groups: Some(1),
        causal: false,
        block: block(64, 32),
        scorer: scored(Sums::Maxima, Precision::Native),
        budget: divided(0.2, 32),
        ..SMALL
    };
}
