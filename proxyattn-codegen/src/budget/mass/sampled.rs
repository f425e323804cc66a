//! The last queries of each head over some blocks alone, which their group has in common.

use super::{Weigh, partial_buffers, portable_partials};
use crate::abi::build::{numbers, read, strides, write};
use crate::abi::{Kernel, Scalar, Scratch, Size, Tensor};
use crate::pipeline::{Cx, Part};

/// From queries, keys and the blocks of [`Scratch::Sampled`] to their partials. So few keys ask for no kernel of Hopper's.
pub(in crate::budget) fn part(cx: &Cx<'_>) -> Part {
    Part {
        kernels: vec![partials(cx)],
        buffers: partial_buffers(cx, Size::Scalar(Scalar::SampledBlocks)).into(),
        sections: vec![("VALUES", false), ("SAMPLED", true)],
        ..Part::default()
    }
}

fn partials(cx: &Cx<'_>) -> Kernel {
    let mut fields = vec![
        read(Tensor::Q),
        read(Tensor::K),
        read(Scratch::Sampled),
        write(Scratch::PartialMax),
        write(Scratch::PartialSum),
    ];
    fields.extend(strides(Tensor::Q).chain(strides(Tensor::K)));
    fields.extend(numbers([
        Scalar::QLen,
        Scalar::KvLen,
        Scalar::SampledBlocks,
        Scalar::Heads,
        Scalar::Groups,
        Scalar::HeadsPerKv,
        Scalar::KvHeadsPerGroup,
        Scalar::BlocksPerCta,
    ]));
    portable_partials(cx, Weigh::None, Scalar::SampledBlocks, fields)
}
