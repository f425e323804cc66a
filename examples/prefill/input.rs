//! What attention runs on: `q`, `k` and `v` from a safetensors file, or from the generator.

use half::{bf16, f16};
use proxyattn::{Device, Element, Result, Tensor};
use safetensors::{Dtype, SafeTensorError, SafeTensors, tensor::TensorView};
use std::{fmt, io, path::Path};

/// Widths of heads that there are kernels for.
pub(super) const HEAD_DIMS: [usize; 4] = [64, 96, 128, 256];

/// The three inputs, in one of the two element types.
#[derive(Debug)]
pub(super) enum Input {
    Bf16(Qkv<bf16>),
    F16(Qkv<f16>),
}

/// The three inputs of one prefill.
#[derive(Debug)]
pub(super) struct Qkv<T> {
    pub(super) q: Tensor<T>,
    pub(super) k: Tensor<T>,
    pub(super) v: Tensor<T>,
}

impl<T: Element> Qkv<T> {
    /// A copy where kernels of `device` read it.
    pub(super) fn to(&self, device: &Device) -> Result<Self> {
        Ok(Self { q: self.q.to(device)?, k: self.k.to(device)?, v: self.v.to(device)? })
    }
}

/// Why a file is no attention input.
#[derive(Debug)]
pub(super) enum InputError {
    Read(io::Error),
    Format(SafeTensorError),
    Missing { tensor: &'static str, found: Vec<String> },
    Dtype { tensor: &'static str, expected: &'static str, got: Dtype },
    Rank { tensor: &'static str, got: Vec<usize> },
    Shape { tensor: &'static str, expected: String, got: Vec<usize> },
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "cannot be read: {error}"),
            Self::Format(error) => write!(f, "is not a safetensors file: {error}"),
            Self::Missing { tensor, found } => {
                write!(f, "has no tensor `{tensor}`: expected `q`, `k` and `v`, found {}", found.join(", "))
            }
            Self::Dtype { tensor, expected, got } => {
                write!(f, "`{tensor}`: expected {expected}, got {got:?}")
            }
            Self::Rank { tensor, got } => {
                write!(f, "`{tensor}`: expected shape [batch, heads, tokens, head_dim], got {got:?}")
            }
            Self::Shape { tensor, expected, got } => {
                write!(f, "`{tensor}`: expected {expected}, got {got:?}")
            }
        }
    }
}

impl std::error::Error for InputError {}

/// Reads `q`, `k` and `v` from a file.
pub(super) fn read(path: &Path) -> Result<Input, InputError> {
    parse(&std::fs::read(path).map_err(InputError::Read)?)
}

/// Reads `q`, `k` and `v` from the bytes of a file.
pub(super) fn parse(bytes: &[u8]) -> Result<Input, InputError> {
    let file = SafeTensors::deserialize(bytes).map_err(InputError::Format)?;
    let find = |tensor: &'static str| {
        file.tensor(tensor).map_err(|_| {
            let mut found: Vec<_> = file.names().iter().map(|name| format!("`{name}`")).collect();
            found.sort();
            InputError::Missing { tensor, found }
        })
    };
    let (q, k, v) = (find("q")?, find("k")?, find("v")?);
    match q.dtype() {
        Dtype::BF16 => {
            check([("k", &k), ("v", &v)], Dtype::BF16, "bf16 as q is")?;
            Ok(Input::Bf16(assemble(&q, &k, &v, bf16::from_le_bytes)?))
        }
        Dtype::F16 => {
            check([("k", &k), ("v", &v)], Dtype::F16, "f16 as q is")?;
            Ok(Input::F16(assemble(&q, &k, &v, f16::from_le_bytes)?))
        }
        got => Err(InputError::Dtype { tensor: "q", expected: "bf16 or f16", got }),
    }
}

fn check(
    tensors: [(&'static str, &TensorView<'_>); 2],
    wanted: Dtype,
    expected: &'static str,
) -> Result<(), InputError> {
    match tensors.into_iter().find(|(_, view)| view.dtype() != wanted) {
        Some((tensor, view)) => Err(InputError::Dtype { tensor, expected, got: view.dtype() }),
        None => Ok(()),
    }
}

fn assemble<T: Element>(
    q: &TensorView<'_>,
    k: &TensorView<'_>,
    v: &TensorView<'_>,
    from_le: fn([u8; 2]) -> T,
) -> Result<Qkv<T>, InputError> {
    let [batch, heads, q_len, dim] = shape("q", q)?;
    let [k_batch, kv_heads, kv_len, _] = shape("k", k)?;
    let refuse = |tensor, view: &TensorView<'_>, expected| {
        Err(InputError::Shape { tensor, expected, got: view.shape().to_vec() })
    };
    if !HEAD_DIMS.contains(&dim) {
        return refuse("q", q, format!("a head_dim (the last axis) of {HEAD_DIMS:?}"));
    }
    if k_batch != batch || k.shape()[3] != dim {
        return refuse("k", k, format!("shape [{batch}, kv_heads, tokens, {dim}] to go with q"));
    }
    if !heads.is_multiple_of(kv_heads) {
        return refuse("k", k, format!("a number of heads (axis 1) that divides the {heads} of q"));
    }
    if kv_len < q_len {
        return refuse("k", k, format!("at least the {q_len} tokens (axis 2) of q"));
    }
    if v.shape() != k.shape() {
        return refuse("v", v, format!("the shape of k, {:?}", k.shape()));
    }
    let tensor = |name, view: &TensorView<'_>| {
        let data = view.data().as_chunks().0.iter().map(|&bytes| from_le(bytes)).collect();
        let refused = |_| InputError::Rank { tensor: name, got: view.shape().to_vec() };
        Tensor::from_bhsd(data, shape(name, view)?).map_err(refused)
    };
    Ok(Qkv { q: tensor("q", q)?, k: tensor("k", k)?, v: tensor("v", v)? })
}

fn shape(tensor: &'static str, view: &TensorView<'_>) -> Result<[usize; 4], InputError> {
    let got = || view.shape().to_vec();
    let shape: [usize; 4] = got().try_into().map_err(|_| InputError::Rank { tensor, got: got() })?;
    match shape.contains(&0) {
        true => Err(InputError::Shape { tensor, expected: "no empty axis".into(), got: got() }),
        false => Ok(shape),
    }
}
