//! Attention inputs from safetensors files: `q`, `k`, and `v` where it is needed.

use half::{bf16, f16};
use proxyattn_runtime::{Device, Element, Result, Tensor};
use safetensors::{Dtype, SafeTensorError, SafeTensors, tensor::TensorView};
use std::{fmt, io, path::Path};

/// Widths of heads that there are kernels for.
pub const HEAD_DIMS: [usize; 4] = [64, 96, 128, 256];

/// Something in one of the two element types.
#[derive(Debug)]
pub enum Typed<B, F> {
    /// Of `bf16`.
    Bf16(B),
    /// Of `f16`.
    F16(F),
}

/// The inputs of one prefill.
pub type Input = Typed<Qkv<bf16>, Qkv<f16>>;

/// Queries and keys: where attention looks, without what it finds there.
pub type QkInput = Typed<Qk<bf16>, Qk<f16>>;

/// `q [batch, heads, q_len, D]`, `k` and `v` `[batch, kv_heads, kv_len, D]`.
#[derive(Debug)]
pub struct Qkv<T> {
    /// The queries.
    pub q: Tensor<T>,
    /// The keys.
    pub k: Tensor<T>,
    /// The values.
    pub v: Tensor<T>,
}

/// `q [batch, heads, q_len, D]` and `k [batch, kv_heads, kv_len, D]`.
#[derive(Debug)]
pub struct Qk<T> {
    /// The queries.
    pub q: Tensor<T>,
    /// The keys.
    pub k: Tensor<T>,
}

impl<T: Element> Qkv<T> {
    /// A copy where kernels of `device` read it.
    ///
    /// # Errors
    /// As [`Tensor::to`].
    pub fn to(&self, device: &Device) -> Result<Self> {
        Ok(Self { q: self.q.to(device)?, k: self.k.to(device)?, v: self.v.to(device)? })
    }
}

/// Why a file is no attention input.
#[derive(Debug)]
pub enum InputError {
    /// The file cannot be read.
    Read(io::Error),
    /// It is no safetensors file.
    Format(SafeTensorError),
    /// A tensor is not there.
    Missing {
        /// Its name.
        tensor: &'static str,
        /// All that are wanted.
        expected: &'static str,
        /// What there is.
        found: Vec<String>,
    },
    /// A tensor of another element type.
    Dtype {
        /// Its name.
        tensor: &'static str,
        /// What would have been right.
        expected: &'static str,
        /// What it has.
        got: Dtype,
    },
    /// A tensor that has not four axes.
    Rank {
        /// Its name.
        tensor: &'static str,
        /// Its shape.
        got: Vec<usize>,
    },
    /// A tensor whose shape does not fit the others, or no kernel.
    Shape {
        /// Its name.
        tensor: &'static str,
        /// What would have been right.
        expected: String,
        /// Its shape.
        got: Vec<usize>,
    },
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "cannot be read: {error}"),
            Self::Format(error) => write!(f, "is not a safetensors file: {error}"),
            Self::Missing { tensor, expected, found } => {
                write!(f, "has no tensor `{tensor}`: expected {expected}, found {}", found.join(", "))
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
///
/// # Errors
/// As [`parse`], and [`InputError::Read`].
pub fn read(path: &Path) -> Result<Input, InputError> {
    parse(&std::fs::read(path).map_err(InputError::Read)?)
}

/// Reads `q`, `k` and `v` from the bytes of a file.
///
/// # Errors
/// For bytes that are no safetensors file, and for tensors that are missing, of another type than bf16 or f16, or of
/// shapes that no kernel takes.
pub fn parse(bytes: &[u8]) -> Result<Input, InputError> {
    let file = File::open(bytes, &["q", "k", "v"], "`q`, `k` and `v`")?;
    Ok(match file.dtype {
        Dtype::BF16 => Typed::Bf16(file.qkv()?),
        _ => Typed::F16(file.qkv()?),
    })
}

/// Reads `q` and `k` from a file, whatever else it holds.
///
/// # Errors
/// As [`read`].
pub fn read_qk(path: &Path) -> Result<QkInput, InputError> {
    parse_qk(&std::fs::read(path).map_err(InputError::Read)?)
}

/// Reads `q` and `k` from the bytes of a file, whatever else it holds.
///
/// # Errors
/// As [`parse`].
pub fn parse_qk(bytes: &[u8]) -> Result<QkInput, InputError> {
    let file = File::open(bytes, &["q", "k"], "`q` and `k`")?;
    Ok(match file.dtype {
        Dtype::BF16 => Typed::Bf16(file.qk()?),
        _ => Typed::F16(file.qk()?),
    })
}

/// Tensors of one file, all of the element type of the first, which is bf16 or f16.
struct File<'a> {
    dtype: Dtype,
    tensors: Vec<(&'static str, TensorView<'a>)>,
}

impl<'a> File<'a> {
    fn open(bytes: &'a [u8], names: &[&'static str], expected: &'static str) -> Result<Self, InputError> {
        let file = SafeTensors::deserialize(bytes).map_err(InputError::Format)?;
        let find = |&tensor: &&'static str| match file.tensor(tensor) {
            Ok(view) => Ok((tensor, view)),
            Err(_) => {
                let mut found: Vec<_> = file.names().iter().map(|name| format!("`{name}`")).collect();
                found.sort();
                Err(InputError::Missing { tensor, expected, found })
            }
        };
        let tensors: Vec<_> = names.iter().map(find).collect::<Result<_, _>>()?;
        let (first, dtype) = (tensors[0].0, tensors[0].1.dtype());
        let expected = match dtype {
            Dtype::BF16 => "bf16 as q is",
            Dtype::F16 => "f16 as q is",
            got => return Err(InputError::Dtype { tensor: first, expected: "bf16 or f16", got }),
        };
        match tensors.iter().find(|(_, view)| view.dtype() != dtype) {
            Some((tensor, view)) => Err(InputError::Dtype { tensor, expected, got: view.dtype() }),
            None => Ok(Self { dtype, tensors }),
        }
    }

    fn qkv<T: Element>(&self) -> Result<Qkv<T>, InputError> {
        let (Qk { q, k }, (name, v)) = (self.qk()?, &self.tensors[2]);
        if v.shape() != k.shape() {
            return Err(refused(name, v, format!("the shape of k, {:?}", k.shape())));
        }
        Ok(Qkv { q, k, v: tensor(name, v)? })
    }

    fn qk<T: Element>(&self) -> Result<Qk<T>, InputError> {
        let ((_, q), (_, k)) = (&self.tensors[0], &self.tensors[1]);
        let [batch, heads, q_len, dim] = shape("q", q)?;
        let [k_batch, kv_heads, kv_len, k_dim] = shape("k", k)?;
        if !HEAD_DIMS.contains(&dim) {
            return Err(refused("q", q, format!("a head_dim (the last axis) of {HEAD_DIMS:?}")));
        }
        if k_batch != batch || k_dim != dim {
            return Err(refused("k", k, format!("shape [{batch}, kv_heads, tokens, {dim}] to go with q")));
        }
        if !heads.is_multiple_of(kv_heads) {
            return Err(refused("k", k, format!("a number of heads (axis 1) that divides the {heads} of q")));
        }
        if kv_len < q_len {
            return Err(refused("k", k, format!("at least the {q_len} tokens (axis 2) of q")));
        }
        Ok(Qk { q: tensor("q", q)?, k: tensor("k", k)? })
    }
}

fn refused(tensor: &'static str, view: &TensorView<'_>, expected: String) -> InputError {
    InputError::Shape { tensor, expected, got: view.shape().to_vec() }
}

fn tensor<T: Element>(name: &'static str, view: &TensorView<'_>) -> Result<Tensor<T>, InputError> {
    let bits = view.data().as_chunks().0.iter().map(|&bytes| u16::from_le_bytes(bytes));
    let rank = |_| InputError::Rank { tensor: name, got: view.shape().to_vec() };
    Tensor::from_bhsd(bits.map(T::from_bits).collect(), shape(name, view)?).map_err(rank)
}

fn shape(tensor: &'static str, view: &TensorView<'_>) -> Result<[usize; 4], InputError> {
    let got = || view.shape().to_vec();
    let shape: [usize; 4] = got().try_into().map_err(|_| InputError::Rank { tensor, got: got() })?;
    match shape.contains(&0) {
        true => Err(refused(tensor, view, "no empty axis".into())),
        false => Ok(shape),
    }
}
