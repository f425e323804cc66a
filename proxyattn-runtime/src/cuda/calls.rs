//! The kernels of a module, ready to be launched: what each parameter is taken from is looked up by name once.

use super::launch::PARAM_BYTES;
use crate::Stage;
use cudarc::driver::CudaFunction;
use proxyattn_codegen::Spec;
use proxyattn_codegen::cuda::{Buffer, Entry, Param, Shape, Ty};

/// A kernel with its parameters' sources.
pub(super) struct Call {
    pub(super) entry: Entry,
    pub(super) function: CudaFunction,
    pub(super) stage: Stage,
    /// Whether it takes the place of all others where nothing is dropped.
    pub(super) dense: bool,
    /// Where each parameter lies in the struct, and what goes there.
    pub(super) params: Vec<(usize, Source)>,
    /// The buffer of one word that has to be zero before it, where no earlier kernel sees to that.
    pub(super) clears: Option<usize>,
}

/// What a parameter is taken from. Buffers are numbered in the order of the module's table.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// The map of a tensor, in boxes of so many tokens.
    Map(Tensor, u32),
    /// A tensor's address.
    Address(Tensor),
    /// The address of a buffer of the workspace.
    Buffer(usize),
    /// A tensor's stride along batch, heads or tokens.
    Stride(Tensor, usize),
    /// A number that follows from the shape.
    Number(fn(&Shape, &Spec) -> u64),
}

/// A tensor that kernels read or write.
#[derive(Clone, Copy)]
pub(super) enum Tensor {
    Q,
    K,
    V,
    Out,
    /// Mean queries of the groups, in a buffer.
    ProxyQ(usize),
    /// Mean keys of the groups, in a buffer.
    ProxyK(usize),
    /// The keys themselves, one of each window.
    SampledK,
}

impl Call {
    pub(super) fn new(entry: &Entry, buffers: &[Buffer], function: CudaFunction) -> Self {
        assert!(entry.param_bytes() as usize <= PARAM_BYTES, "`{}` takes too many parameters", entry.name);
        let stage = match entry.stage {
            "pool" => Stage::Pool,
            "score" => Stage::Score,
            "budget" => Stage::Budget,
            "select" => Stage::Select,
            _ => Stage::Attend,
        };
        let dense = entry.name == "dense";
        let taken = |name: &str| entry.params.iter().any(|param| param.name == name);
        let clears = (dense && taken("tickets")).then(|| position(buffers, "tickets"));
        let params = entry.params.iter().map(|param| (param.offset as usize, source(param, buffers)));
        Self { entry: entry.clone(), function, stage, dense, params: params.collect(), clears }
    }
}

/// The number of a buffer.
pub(super) fn position(buffers: &[Buffer], name: &str) -> usize {
    let found = buffers.iter().position(|buffer| buffer.name == name);
    found.unwrap_or_else(|| unreachable!("no buffer is called `{name}`"))
}

fn tensor(name: &str, buffers: &[Buffer]) -> Option<Tensor> {
    Some(match name {
        "q" => Tensor::Q,
        "k" => Tensor::K,
        "v" => Tensor::V,
        "out" => Tensor::Out,
        "proxy_q" => Tensor::ProxyQ(position(buffers, "proxy_q")),
        "keys" => match buffers.iter().position(|buffer| buffer.name == "proxy_k") {
            Some(buffer) => Tensor::ProxyK(buffer),
            None => Tensor::SampledK,
        },
        _ => return None,
    })
}

fn source(&Param { name, ty, .. }: &Param, buffers: &[Buffer]) -> Source {
    let known =
        |name: &str| tensor(name, buffers).unwrap_or_else(|| unreachable!("no tensor is called `{name}`"));
    match ty {
        Ty::TensorMap { rows } => Source::Map(known(name.trim_end_matches("_map")), rows),
        Ty::Pointer(_) => match tensor(name, buffers) {
            Some(tensor) => Source::Address(tensor),
            None => Source::Buffer(position(buffers, name)),
        },
        Ty::I64 => {
            let (of, axis) = name.split_once('_').unwrap_or((name, ""));
            let axis = match axis {
                "batch" => 0,
                "head" | "group" => 1,
                _ => 2,
            };
            Source::Stride(known(of), axis)
        }
        Ty::I32 => {
            let value = Shape::value(name);
            Source::Number(value.unwrap_or_else(|| unreachable!("no number is called `{name}`")))
        }
    }
}
