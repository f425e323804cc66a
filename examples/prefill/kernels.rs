//! The kernels of this program. A kernel is a type, compiled for one configuration: choosing one at run time is
//! choosing a type.

use clap::ValueEnum;
use half::{bf16, f16};
use proxyattn::{Attention, Device, Element, Result, proxy_attention};

/// The budgets that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Budget {
    /// Per head, as many blocks as hold 60% of the attention of its last queries, weighed by the values, and at least 512 tokens
    Default,
    /// The ProxyAttn paper's: 95%, at least 2048 tokens, the same count for every row, strided keys
    Paper,
    /// A flat 10% of the blocks that a row sees
    Ratio,
    /// 16 blocks for every row
    TopK,
    /// Every block: dense attention
    All,
}

macro_rules! kernels {
    ($($module:ident: $dim:literal, $dtype:ident;)+) => {
        $(mod $module {
            use super::proxy_attention;

            #[proxy_attention(head_dim = $dim, dtype = $dtype)]
            pub(super) struct Default;

            #[proxy_attention(head_dim = $dim, dtype = $dtype, preset = paper)]
            pub(super) struct Paper;

            #[proxy_attention(head_dim = $dim, dtype = $dtype, budget = ratio(0.10))]
            pub(super) struct Ratio;

            #[proxy_attention(head_dim = $dim, dtype = $dtype, budget = top_k(blocks = 16))]
            pub(super) struct TopK;

            #[proxy_attention(head_dim = $dim, dtype = $dtype, budget = all)]
            pub(super) struct All;
        })+

        $(impl Choose<$dim> for $dtype {
            fn choose(budget: Budget, device: &Device) -> Result<Attention<$dtype>> {
                match budget {
                    Budget::Default => $module::Default::load(device),
                    Budget::Paper => $module::Paper::load(device),
                    Budget::Ratio => $module::Ratio::load(device),
                    Budget::TopK => $module::TopK::load(device),
                    Budget::All => $module::All::load(device),
                }
            }
        })+
    };
}

kernels! {
    bf16_64: 64, bf16;
    bf16_96: 96, bf16;
    bf16_128: 128, bf16;
    bf16_256: 256, bf16;
    f16_64: 64, f16;
    f16_96: 96, f16;
    f16_128: 128, f16;
    f16_256: 256, f16;
}

/// An element type that has kernels for one head width.
trait Choose<const HEAD_DIM: usize>: Element {
    fn choose(budget: Budget, device: &Device) -> Result<Attention<Self>>;
}

/// An element type that has kernels.
#[allow(private_bounds)] // `Choose` says the same, once per head width
pub(super) trait Kernels: Choose<64> + Choose<96> + Choose<128> + Choose<256> {
    /// The kernel for one of [`HEAD_DIMS`](kit::input::HEAD_DIMS) and a budget.
    fn load(head_dim: usize, budget: Budget, device: &Device) -> Result<Attention<Self>> {
        let attention = match head_dim {
            64 => <Self as Choose<64>>::choose(budget, device),
            96 => <Self as Choose<96>>::choose(budget, device),
            128 => <Self as Choose<128>>::choose(budget, device),
            _ => <Self as Choose<256>>::choose(budget, device),
        }?;
        // Short contexts too are there to show what is selected; the report says that a program would run them dense.
        Ok(attention.with_dense_below(0))
    }
}

impl Kernels for bf16 {}
impl Kernels for f16 {}
