//! Tensors as the kernels see them: a device address and strides.

use crate::{Error, Result};
use proxyattn_codegen::cuda::Buffer;

/// Elements that a step of a tensor map stays below: 2^40 bytes.
const STRIDE_LIMIT: i64 = 1 << 39;

/// A tensor `[batch, heads, tokens, dim]` in device memory, whose last stride is 1.
///
/// ```
/// use proxyattn::RawTensor;
///
/// // [1, 8, 100, 64] in memory order [batch, tokens, heads, head_dim], at an address in device memory.
/// let tensor = RawTensor { address: 0x7000_0000, strides: [100 * 8 * 64, 64, 8 * 64] };
/// # assert_eq!(tensor.strides[2], 512);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawTensor {
    /// Device address of the first element; a multiple of 16.
    pub address: u64,
    /// Elements from one batch, head and token to the next; multiples of 8.
    pub strides: [i64; 3],
}

impl RawTensor {
    /// Refuses tensors that 16-byte loads and, with `maps`, tensor maps cannot read.
    pub(super) fn check(&self, arg: &'static str, maps: bool) -> Result<()> {
        if !self.address.is_multiple_of(16) || self.strides.iter().any(|stride| stride % 8 != 0) {
            return Err(Error::Layout {
                arg,
                expected: "an address on 16 bytes and strides that are multiples of 8 elements".into(),
                got: format!("address {:#x}, strides {:?}", self.address, self.strides),
            });
        }
        if maps && self.strides.iter().any(|stride| !(0..STRIDE_LIMIT).contains(stride)) {
            return Err(Error::Layout {
                arg,
                expected: format!("strides of 0 to {STRIDE_LIMIT} elements, for the copy engine of this GPU"),
                got: format!("strides {:?}", self.strides),
            });
        }
        Ok(())
    }
}

/// Everything that [`Attention::launch_raw`](crate::Attention::launch_raw) takes by address.
///
/// ```
/// use proxyattn::{RawArgs, RawTensor};
///
/// /// The same memory as all three inputs.
/// fn of_itself(qkv: RawTensor, out: RawTensor, workspace: u64, workspace_bytes: u64) -> RawArgs {
///     RawArgs { q: qkv, k: qkv, v: qkv, out, workspace, workspace_bytes }
/// }
/// # let tensor = RawTensor { address: 0, strides: [0; 3] };
/// # assert_eq!(of_itself(tensor, tensor, 256, 0).q, tensor);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawArgs {
    /// Queries.
    pub q: RawTensor,
    /// Keys.
    pub k: RawTensor,
    /// Values.
    pub v: RawTensor,
    /// Output.
    pub out: RawTensor,
    /// Device address of the workspace; a multiple of 256.
    pub workspace: u64,
    /// Its size; at least [`Attention::workspace_bytes`](crate::Attention::workspace_bytes).
    pub workspace_bytes: u64,
}

impl RawArgs {
    /// Refuses tensors that the kernels cannot read, and a workspace that is too small.
    pub(super) fn check(&self, workspace_bytes: u64, maps: bool) -> Result<()> {
        for (arg, tensor) in [("q", &self.q), ("k", &self.k), ("v", &self.v), ("out", &self.out)] {
            tensor.check(arg, maps)?;
        }
        if !self.workspace.is_multiple_of(Buffer::ALIGNMENT) || self.workspace_bytes < workspace_bytes {
            return Err(Error::Layout {
                arg: "workspace",
                expected: format!("{workspace_bytes} bytes on a multiple of {}", Buffer::ALIGNMENT),
                got: format!("{} bytes at {:#x}", self.workspace_bytes, self.workspace),
            });
        }
        Ok(())
    }
}

/// Lists in a GPU's memory, as kernels read them, for [`Attention::lists_on_device`](crate::Attention::lists_on_device). All
/// numbers are u32 and packed.
///
/// A list holds the key blocks that a row of query blocks visits, each once. Each head of its group visits a prefix of it.
///
/// ```
/// use proxyattn::RawLists;
///
/// /// A list for each of 8 KV heads, of at most 32 blocks, all of which every head visits.
/// fn of_an_indexer(lists: u64, counts: u64) -> RawLists {
///     RawLists { lists, counts, runs: None, groups: 8, width: 32 }
/// }
/// # assert_eq!(of_an_indexer(16, 32).groups, 8);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawLists {
    /// Device address of `[batch, groups, rows, width]`.
    pub lists: u64,
    /// Device address of `[batch, heads, rows]`: how many blocks of its group's list each head visits.
    pub counts: u64,
    /// Device address of `[batch, groups, rows]`: the smallest count among the group's heads. It may be `None` where all heads
    /// of a group have the same counts and the kernel's budget is flat, so that the kernel needs none.
    pub runs: Option<u64>,
    /// Groups of heads that share a list; divides the KV heads.
    pub groups: usize,
    /// Numbers that each list has room for.
    pub width: usize,
}
