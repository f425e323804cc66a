//! The fields of a kernel's parameter struct.

use super::{Elem, Scalar, Scratch};
use core::fmt;

/// What is seen as `[batch, heads, tokens, HEAD_DIM]`, with a stride for each of the first three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tensor {
    /// Queries.
    Q,
    /// Keys.
    K,
    /// Values.
    V,
    /// The output.
    Out,
    /// Mean queries of the groups.
    ProxyQ,
    /// Mean queries of the groups in e4m3.
    ProxyQ8,
    /// Keys as the scorer sees them, a head to each group.
    Keys(Keys),
    /// Mean queries of the groups, a head to each strided part.
    StridedQ,
    /// Mean keys of the groups, a head to each strided part.
    StridedK,
    /// Keys by windows: a row has all from the first element of a window's first token to the first of the next window.
    Windows,
    /// The same of those windows that are full.
    FullWindows,
}

/// What the scorer's keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Keys {
    /// Mean keys of the groups: [`Scratch::ProxyK`].
    Pooled,
    /// The same in e4m3: [`Scratch::ProxyK8`].
    Pooled8,
    /// The keys themselves, the first of each window: a group has one KV head.
    Sampled,
}

impl Tensor {
    /// How many heads and tokens it has: the second and the third dimension.
    pub const fn extents(self) -> [Scalar; 2] {
        match self {
            Tensor::Q | Tensor::Out => [Scalar::Heads, Scalar::QLen],
            Tensor::K | Tensor::V => [Scalar::KvHeads, Scalar::KvLen],
            Tensor::ProxyQ | Tensor::ProxyQ8 => [Scalar::Groups, Scalar::QSamples],
            Tensor::Keys(_) => [Scalar::Groups, Scalar::KvSamples],
            Tensor::StridedQ => [Scalar::Parts, Scalar::QSamples],
            Tensor::StridedK => [Scalar::Parts, Scalar::KvSamples],
            Tensor::Windows => [Scalar::KvHeads, Scalar::KvSamples],
            Tensor::FullWindows => [Scalar::KvHeads, Scalar::FullWindows],
        }
    }

    /// The type of its elements.
    pub const fn elem(self) -> Elem {
        match self.scratch() {
            Some(scratch) => scratch.elem(),
            None => Elem::Dtype,
        }
    }

    /// The buffer that it lies in, if it is no tensor of the caller's.
    pub const fn scratch(self) -> Option<Scratch> {
        match self {
            Tensor::Q | Tensor::K | Tensor::V | Tensor::Out | Tensor::Keys(Keys::Sampled) => None,
            Tensor::ProxyQ => Some(Scratch::ProxyQ),
            Tensor::ProxyQ8 => Some(Scratch::ProxyQ8),
            Tensor::Keys(Keys::Pooled) => Some(Scratch::ProxyK),
            Tensor::Keys(Keys::Pooled8) => Some(Scratch::ProxyK8),
            Tensor::StridedQ => Some(Scratch::StridedQ),
            Tensor::StridedK => Some(Scratch::StridedK),
            Tensor::Windows | Tensor::FullWindows => None,
        }
    }
}

impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Tensor::Q => "q",
            Tensor::K => "k",
            Tensor::V => "v",
            Tensor::Out => "out",
            Tensor::ProxyQ | Tensor::ProxyQ8 => Scratch::ProxyQ.name(),
            Tensor::Keys(_) => "keys",
            Tensor::StridedQ => Scratch::StridedQ.name(),
            Tensor::StridedK => Scratch::StridedK.name(),
            Tensor::Windows => "windows",
            Tensor::FullWindows => "full_windows",
        })
    }
}

/// A dimension of a [`Tensor`] that has a stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Axis {
    /// From one sequence to the next.
    Batch,
    /// From one head to the next.
    Head,
    /// From one token to the next.
    Token,
}

impl Axis {
    /// Every axis, in the order of the dimensions.
    pub const ALL: [Axis; 3] = [Axis::Batch, Axis::Head, Axis::Token];
}

/// What an address points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operand {
    /// A tensor's first element.
    Tensor(Tensor),
    /// A buffer between kernels.
    Scratch(Scratch),
}

impl Operand {
    /// The buffer that is meant, if it is no tensor of the caller's.
    pub const fn scratch(self) -> Option<Scratch> {
        match self {
            Operand::Tensor(tensor) => tensor.scratch(),
            Operand::Scratch(scratch) => Some(scratch),
        }
    }

    /// The type of its elements.
    pub const fn elem(self) -> Elem {
        match self {
            Operand::Tensor(tensor) => tensor.elem(),
            Operand::Scratch(scratch) => scratch.elem(),
        }
    }
}

impl From<Tensor> for Operand {
    fn from(tensor: Tensor) -> Self {
        Operand::Tensor(tensor)
    }
}

impl From<Scratch> for Operand {
    fn from(scratch: Scratch) -> Self {
        Operand::Scratch(scratch)
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Tensor(tensor) => tensor.fmt(f),
            Operand::Scratch(scratch) => scratch.fmt(f),
        }
    }
}

/// What a kernel does with what an address points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// It reads.
    Read,
    /// It writes.
    Write,
    /// It sets one word to zero, from which a later kernel counts.
    Clear,
    /// It counts one word up, from zero.
    Count,
}

/// One field of a kernel's parameter struct. What it stands for is the same in every kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// A tensor map: boxes of [`BOX_BYTES`](Self::BOX_BYTES) of so many tokens, under the 128-byte swizzle.
    Map(Tensor, u32),
    /// A device address.
    Pointer(Operand, Access),
    /// A stride, in elements: 64 bits.
    Stride(Tensor, Axis),
    /// A number that follows from the shape: 32 bits.
    Scalar(Scalar),
}

impl Field {
    /// Bytes of a row of a tensor map's box: as many as the swizzle permutes.
    pub const BOX_BYTES: u32 = 128;
    /// The same in elements of 16 bits.
    pub const BOX_COLUMNS: u32 = Self::BOX_BYTES / 2;

    /// Bytes.
    pub const fn bytes(self) -> u32 {
        match self {
            Field::Map(..) => 128,
            Field::Pointer(..) | Field::Stride(..) => 8,
            Field::Scalar(_) => 4,
        }
    }

    /// Its place among fields of other kinds: the larger ones first, so that there is no padding.
    pub(crate) const fn rank(self) -> u32 {
        match self {
            Field::Map(..) => 0,
            Field::Pointer(..) => 1,
            Field::Stride(..) => 2,
            Field::Scalar(_) => 3,
        }
    }

    /// As the struct of the text declares it: `const Elem* q`.
    pub fn declaration(self) -> String {
        match self {
            Field::Map(..) => format!("TensorMap {self}"),
            Field::Pointer(operand, access) => {
                let constant = match access {
                    Access::Read => "const ",
                    Access::Write | Access::Clear | Access::Count => "",
                };
                format!("{constant}{}* {self}", operand.elem().c_type())
            }
            Field::Stride(..) => format!("i64 {self}"),
            Field::Scalar(_) => format!("i32 {self}"),
        }
    }
}

/// Its name in the text.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Map(tensor, _) => write!(f, "{tensor}_map"),
            Field::Pointer(operand, _) => operand.fmt(f),
            Field::Stride(tensor, axis) => {
                let (head, token) = match tensor {
                    Tensor::Q | Tensor::K | Tensor::V | Tensor::Out => ("head", "token"),
                    Tensor::ProxyQ | Tensor::ProxyQ8 | Tensor::Keys(_) => ("group", "sample"),
                    Tensor::StridedQ | Tensor::StridedK => ("part", "sample"),
                    Tensor::Windows | Tensor::FullWindows => ("head", "window"),
                };
                let axis = match axis {
                    Axis::Batch => "batch",
                    Axis::Head => head,
                    Axis::Token => token,
                };
                write!(f, "{tensor}_{axis}")
            }
            Field::Scalar(scalar) => scalar.fmt(f),
        }
    }
}
