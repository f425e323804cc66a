//! A build without the feature `cuda`.

use crate::kernels::Small;
use crate::message;
use candle_core::{CudaDevice, CudaStorage, CustomOp3, Device, Layout};
use proxyattn_candle::{Options, ProxyAttention, load};

/// candle may have been built for GPUs by somebody else, without this crate's feature.
#[test]
fn gpus_are_told_to_be_left_out() {
    let expected = "proxyattn on CUDA is not available: proxyattn-candle was built without its feature `cuda`; enable \
                    the feature, or move q, k and v with to_device(&Device::Cpu)";
    let error = load::<Small>(&Device::Cuda(CudaDevice)).expect_err("there is nothing for it");
    assert_eq!(message(error), expected);
    let op = ProxyAttention::new(load::<Small>(&Device::Cpu).expect("the kernel loads"), Options::default());
    let (storage, layout) = (&CudaStorage, &Layout::contiguous((2, 70, 4, 64)));
    let result = op.cuda_fwd(storage, layout, storage, layout, storage, layout);
    assert_eq!(message(result.expect_err("there is nothing for it")), expected);
}
