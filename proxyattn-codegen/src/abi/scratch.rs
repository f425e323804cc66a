//! The buffers between kernels.

use super::Size;
use crate::geometry::Shape;
use crate::{Dtype, Spec};

named! {
    /// A buffer between kernels, in the order in which they are written.
    pub enum Scratch {
        /// Mean queries of the groups.
        ProxyQ = "proxy_q",
        /// Mean keys of the groups.
        ProxyK = "proxy_k",
        /// Mean queries in e4m3, where those are multiplied.
        ProxyQ8 = "proxy_q8",
        /// Mean keys less their centre in e4m3.
        ProxyK8 = "proxy_k8",
        /// What each mean query was divided by.
        QFactors = "q_factors",
        /// What each block of mean keys was divided by.
        KFactors = "k_factors",
        /// What all keys of a group have lost.
        Centres = "centres",
        /// Mean queries of the rows of blocks.
        MeanQ = "mean_q",
        /// Mean keys of the blocks.
        MeanK = "mean_k",
        /// Mean queries of the groups, one strided part after the other.
        StridedQ = "strided_q",
        /// Mean keys of the groups, one strided part after the other.
        StridedK = "strided_k",
        /// What the scores of a last query sum to in each block.
        LastLogs = "last_logs",
        /// What the scores of a last query sum to.
        LastSums = "last_sums",
        /// What share of the last queries' attention each block holds.
        Verticals = "verticals",
        /// The same of the last queries of one row.
        Slashes = "slashes",
        /// The score of each sample in each block, before it is normalised.
        Maxima = "maxima",
        /// The score of code 0 of each sample's maxima.
        Floors = "floors",
        /// What a sample's scores sum to.
        Lse = "lse",
        /// Pieces of the scorer's work that are taken.
        ScoreTickets = "units",
        /// Blocks of each group's list that a budget measures.
        Sampled = "sampled",
        /// Norms ‖v‖₂ of values.
        Norms = "norms",
        /// Scores that partial sums refer to, of each last query and block.
        PartialMax = "partial_max",
        /// Partial sums of the last queries.
        PartialSum = "partial_sum",
        /// Partial sums of the last queries, each key's part times the norm of its value.
        PartialWeighted = "partial_weighted",
        /// What share of a head's mass each block holds, in 2^-31.
        Masses = "masses",
        /// What share of a head's mass the first blocks of its list hold, in 2^-32.
        Shares = "shares",
        /// How many blocks the last queries of a head need.
        Measured = "measured",
        /// What share of a row's blocks each head of the layer visits, in millionths: it comes with the layer.
        HeadShares = "head_shares",
        /// How a head's span grows with the context: its tokens without any, signed, and those for a million keys.
        HeadSpans = "head_spans",
        /// Blocks to visit.
        Lists = "lists",
        /// How much of its group's list a head visits.
        Counts = "counts",
        /// Where the first ascending run of a list ends.
        Runs = "runs",
        /// Tiles of attention that are taken.
        AttendTickets = "tickets",
    }
}

impl Scratch {
    /// Whether it comes with the layer when a kernel is loaded, instead of lying in the workspace.
    pub const fn of_layer(self) -> bool {
        matches!(self, Scratch::HeadShares | Scratch::HeadSpans)
    }

    /// The type of its elements.
    pub const fn elem(self) -> Elem {
        match self {
            Scratch::ProxyQ | Scratch::ProxyK | Scratch::Centres => Elem::Dtype,
            Scratch::StridedQ | Scratch::StridedK => Elem::Dtype,
            Scratch::ProxyQ8 | Scratch::ProxyK8 => Elem::E4m3,
            Scratch::Maxima => Elem::U16,
            Scratch::QFactors | Scratch::KFactors | Scratch::MeanQ | Scratch::MeanK => Elem::F32,
            Scratch::LastLogs | Scratch::LastSums | Scratch::Verticals | Scratch::Slashes => Elem::F32,
            Scratch::Floors | Scratch::Lse | Scratch::Norms => Elem::F32,
            Scratch::PartialMax | Scratch::PartialSum | Scratch::PartialWeighted => Elem::F32,
            Scratch::Sampled | Scratch::Masses | Scratch::Shares | Scratch::Measured => Elem::U32,
            Scratch::HeadShares | Scratch::HeadSpans => Elem::U32,
            Scratch::Lists | Scratch::Counts | Scratch::Runs => Elem::U32,
            Scratch::ScoreTickets | Scratch::AttendTickets => Elem::U32,
        }
    }
}

/// The type of a tensor's or buffer's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Elem {
    /// The 16-bit type of the configuration.
    Dtype,
    /// Eight bits: four of exponent, three of mantissa.
    E4m3,
    /// Half a word.
    U16,
    /// IEEE binary32.
    F32,
    /// A word.
    U32,
}

impl Elem {
    /// Its name in the text.
    pub const fn c_type(self) -> &'static str {
        match self {
            Elem::Dtype => "Elem",
            Elem::E4m3 => "u8",
            Elem::U16 => "u16",
            Elem::F32 => "float",
            Elem::U32 => "u32",
        }
    }

    /// Its name for a reader, in a configuration of `dtype`.
    pub const fn name(self, dtype: Dtype) -> &'static str {
        match self {
            Elem::Dtype => dtype.as_str(),
            Elem::E4m3 => "e4m3",
            Elem::U16 => "u16",
            Elem::F32 => "f32",
            Elem::U32 => "u32",
        }
    }

    /// Bytes of one, in a configuration of `dtype`.
    pub const fn bytes(self, dtype: Dtype) -> u64 {
        match self {
            Elem::Dtype => dtype.bytes() as u64,
            Elem::E4m3 => 1,
            Elem::U16 => 2,
            Elem::F32 | Elem::U32 => 4,
        }
    }
}

/// A buffer of a configuration, allocated once for the largest shape that will run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Which one it is.
    pub scratch: Scratch,
    /// Its dimensions; none for a single word.
    pub dims: Vec<Size>,
    /// What it holds.
    pub holds: &'static str,
}

impl Buffer {
    /// What a workspace, and each buffer in it, begins on a multiple of, in bytes.
    pub const ALIGNMENT: u64 = 256;

    /// Bytes for a shape; `u64::MAX` where 64 bits do not hold them.
    pub fn bytes(&self, spec: &Spec, shape: &Shape) -> u64 {
        let elem = self.scratch.elem().bytes(spec.dtype);
        self.dims.iter().map(|dim| dim.of(spec, shape)).fold(elem, u64::saturating_mul)
    }

    /// The dimensions as a reader finds them: `[batch, heads]`.
    pub fn extents(&self) -> String {
        let dims: Vec<_> = self.dims.iter().map(Size::to_string).collect();
        format!("[{}]", dims.join(", "))
    }
}
