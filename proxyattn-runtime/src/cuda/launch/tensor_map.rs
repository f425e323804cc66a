//! Tensor maps, by which Hopper's copy engine reads tensors.

use super::RawTensor;
use crate::cuda::device::{encode_tiled, failed};
use crate::{Error, Result};
use core::ffi::{c_uint, c_void};
use cudarc::driver::sys::CUresult;
use proxyattn_codegen::Dtype;
use proxyattn_codegen::cuda::{Elem, Field};

/// Bytes of a map.
pub(super) const BYTES: usize = 128;

// The driver's enumerators.
const UINT8: c_uint = 0;
const UINT16: c_uint = 1;
const UINT32: c_uint = 2;
const FLOAT32: c_uint = 7;
const FLOAT16: c_uint = 6;
const BFLOAT16: c_uint = 9;
const INTERLEAVE_NONE: c_uint = 0;
const SWIZZLE_128B: c_uint = 3;
const L2_PROMOTION_256B: c_uint = 3;
const OUT_OF_BOUNDS_ZERO: c_uint = 0;

/// A map, which the driver writes.
#[repr(C, align(128))]
struct TensorMap {
    bytes: [u8; BYTES],
}

/// The map of a tensor with dimensions `[dim, tokens, heads, batch]`, in boxes of `rows` tokens.
///
/// # Errors
/// [`Error::Layout`] for strides that no map can hold, [`Error::Cuda`] for other refusals of the driver.
pub(super) fn encode(
    arg: &'static str,
    tensor: &RawTensor,
    dims: [u64; 4],
    rows: u32,
    elem: Elem,
    dtype: Dtype,
) -> Result<[u8; BYTES]> {
    let encode = encode_tiled()?;
    let [batch, head, token] = tensor.strides;
    // The stride of a dimension of one element is never used, but the driver checks it all the same.
    let size = elem.bytes(dtype);
    let bytes = |stride: i64, extent: u64| if extent > 1 { stride as u64 * size } else { 16 };
    let strides = [bytes(token, dims[1]), bytes(head, dims[2]), bytes(batch, dims[3])];
    let boxes = [Field::BOX_BYTES / size as u32, rows, 1, 1];
    let elem = match (elem, dtype) {
        (Elem::Dtype, Dtype::F16) => FLOAT16,
        (Elem::Dtype, Dtype::Bf16) => BFLOAT16,
        (Elem::E4m3, _) => UINT8, // to copy
        (Elem::U16, _) => UINT16,
        (Elem::U32, _) => UINT32,
        (Elem::F32, _) => FLOAT32,
    };
    let mut map = TensorMap { bytes: [0; BYTES] };
    // SAFETY: the arrays have the four and three elements that a map of rank 4 takes, and live through the call, which
    // reads them and writes the map.
    let code = unsafe {
        encode(
            map.bytes.as_mut_ptr().cast(),
            elem,
            4,
            tensor.address as *mut c_void,
            dims.as_ptr(),
            strides.as_ptr(),
            boxes.as_ptr(),
            [1u32; 4].as_ptr(),
            INTERLEAVE_NONE,
            SWIZZLE_128B,
            L2_PROMOTION_256B,
            OUT_OF_BOUNDS_ZERO,
        )
    };
    match code {
        CUresult::CUDA_SUCCESS => Ok(map.bytes),
        CUresult::CUDA_ERROR_INVALID_VALUE => Err(Error::Layout {
            arg,
            expected: "an address and strides that the driver makes a tensor map of".into(),
            got: format!("address {:#x}, strides {:?}", tensor.address, tensor.strides),
        }),
        code => Err(failed("cuTensorMapEncodeTiled")(cudarc::driver::DriverError(code))),
    }
}
