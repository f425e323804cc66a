//! Tensors and buffers with offsets that 31 bits do not hold.

use super::*;
use proxyattn::codegen::Stride;
use proxyattn::cudarc::driver::{CudaSlice, CudaStream, DevicePtr, result};
use proxyattn::{View, ViewMut};
use std::sync::Arc;

/// The first offset, in elements, that 31 bits do not hold.
const BEYOND: usize = 1 << 31;

/// Room for so many numbers on the device, each of them NaN.
fn poisoned(stream: &Arc<CudaStream>, len: usize) -> CudaSlice<bf16> {
    // SAFETY: every byte is written right below.
    let slice = unsafe { stream.alloc::<bf16>(len) }.expect("room on the device");
    // SAFETY: the slice has two bytes for each element.
    unsafe { result::memset_d8_async(slice.device_ptr(stream).0, 0xff, len * 2, stream.cu_stream()) }
        .expect("a memset");
    slice
}

/// Strides under which the last index of `axis` lies beyond 31 bits, and everything else is packed inside of it; and how
/// many elements that is.
fn far(shape: [usize; 4], axis: usize) -> ([usize; 4], usize) {
    let (mut strides, mut packed) = ([0, 0, 0, 1], shape[3]);
    for inner in (0..3).rev().filter(|&inner| inner != axis) {
        strides[inner] = packed;
        packed *= shape[inner];
    }
    strides[axis] = BEYOND.div_ceil(shape[axis] - 1).next_multiple_of(8);
    (strides, packed)
}

/// The same numbers with offsets that pass 2^31 elements along batches, heads or tokens, and packed: the output is the
/// same to the bit. Takes 9 GB.
#[test]
fn offsets_beyond_31_bits_are_followed() {
    let Some(device) = gpu() else { return };
    for axis in 0..3 {
        follow::<Default64>(&device, axis);
        follow::<Portable>(&device, axis);
        follow::<Dense64>(&device, axis);
    }
}

fn follow<K: AttentionKernel<Elem = bf16>>(device: &Device, axis: usize) {
    let Device::Cuda(cuda) = device else { unreachable!("it was opened as one") };
    let stream = cuda.stream();
    let attention = K::load(device).expect("the kernel loads").with_dense_below(0);
    let inputs = Inputs::<bf16>::generate(&Case::new([4, 2], 700, 700).batch(2), K::SPEC.head_dim);
    let (q_shape, kv_shape) = (inputs.q_shape, inputs.kv_shape);
    let expected = {
        let q = on(device, &inputs.q, q_shape);
        let (k, v) = (on(device, &inputs.k, kv_shape), on(device, &inputs.v, kv_shape));
        attention.prefill(&q, &k, &v).and_then(Tensor::into_vec).expect("good inputs")
    };

    // Between the far indices of one tensor there is room for the others.
    let len = BEYOND + (1 << 22);
    let mut memory = poisoned(stream, len);
    let ((q_strides, q_packed), (kv_strides, kv_packed)) = (far(q_shape, axis), far(kv_shape, axis));
    let k_offset = q_packed + 64;
    let v_offset = k_offset + kv_packed + 64;
    let places = [
        (&inputs.q, 0, q_shape, q_strides),
        (&inputs.k, k_offset, kv_shape, kv_strides),
        (&inputs.v, v_offset, kv_shape, kv_strides),
    ];
    let rows = |shape: [usize; 4], strides: [usize; 4]| {
        let at = move |i: usize| [i / shape[2] / shape[1], i / shape[2] % shape[1], i % shape[2]];
        (0..shape[0] * shape[1] * shape[2])
            .map(move |i| at(i).into_iter().zip(strides).map(|(index, stride)| index * stride).sum::<usize>())
    };
    for (data, offset, shape, strides) in places {
        for (row, at) in data.chunks_exact(shape[3]).zip(rows(shape, strides)) {
            let mut place = memory.slice_mut(offset + at..offset + at + shape[3]);
            stream.memcpy_htod(row, &mut place).expect("a copy");
        }
    }
    let mut out = poisoned(stream, len);
    let view = |(_, offset, shape, strides)| View::cuda(&memory, offset, shape, strides).expect("inside");
    let [q, k, v] = places.map(view);
    let target = ViewMut::cuda(&mut out, 0, q_shape, q_strides).expect("inside");
    attention.prefill_into(&q, &k, &v, target).expect("good inputs");
    let mut got = vec![bf16::ZERO; expected.len()];
    for (row, at) in got.chunks_exact_mut(q_shape[3]).zip(rows(q_shape, q_strides)) {
        stream.memcpy_dtoh(&out.slice(at..at + q_shape[3]), row).expect("a copy");
    }
    stream.synchronize().expect("the kernels");
    assert!(got == expected, "{} with far strides along axis {axis}", K::NAME);
}

/// Every query token scored, so that the scores take room.
struct Unstrided;

impl AttentionKernel for Unstrided {
    const NAME: &'static str = "Unstrided";
    const SPEC: Spec = Spec { stride: Stride { q: 1, kv: 1 }, ..Default64::SPEC };
    type Elem = bf16;
}

/// [`Unstrided`] in portable kernels.
struct UnstridedPortable;

impl AttentionKernel for UnstridedPortable {
    const NAME: &'static str = "UnstridedPortable";
    const SPEC: Spec = Spec { arch: Portable::SPEC.arch, ..Unstrided::SPEC };
    type Elem = bf16;
}

/// More than 2^31 elements of queries, of outputs and of scores in one call: three sequences over and over, and each
/// output is that of its sequence, to the bit. Takes 20 GB.
#[test]
fn tensors_beyond_31_bits_are_whole() {
    let Some(device) = gpu() else { return };
    let case = Case::new([8, 1], 32_768, 32_768).batch(3);
    let inputs = Inputs::<bf16>::generate(&case, 64);
    repeat::<Unstrided>(&device, &inputs);
    repeat::<UnstridedPortable>(&device, &inputs);
}

fn repeat<K: AttentionKernel<Elem = bf16>>(device: &Device, inputs: &Inputs<bf16>) {
    const BATCH: usize = 130;
    let Device::Cuda(cuda) = device else { unreachable!("it was opened as one") };
    let stream = cuda.stream();
    let attention = K::load(device).expect("the kernel loads").with_dense_below(0);
    let (few_q, few_kv) = (inputs.q_shape, inputs.kv_shape);
    let few = {
        let q = on(device, &inputs.q, few_q);
        let (k, v) = (on(device, &inputs.k, few_kv), on(device, &inputs.v, few_kv));
        attention.prefill(&q, &k, &v).and_then(Tensor::into_vec).expect("good inputs")
    };

    let many = |data: &[bf16]| {
        let (few, len) = (stream.clone_htod(data).expect("room"), data.len() / few_q[0]);
        let mut many = poisoned(stream, BATCH * len);
        for i in 0..BATCH {
            let from = few.slice(i % few_q[0] * len..(i % few_q[0] + 1) * len);
            stream.memcpy_dtod(&from, &mut many.slice_mut(i * len..(i + 1) * len)).expect("a copy");
        }
        many
    };
    let (q, k, v) = (many(&inputs.q), many(&inputs.k), many(&inputs.v));
    let mut out = poisoned(stream, q.len());
    assert!(q.len() > BEYOND);
    fn packed([_, heads, tokens, dim]: [usize; 4]) -> ([usize; 4], [usize; 4]) {
        ([BATCH, heads, tokens, dim], [heads * tokens * dim, tokens * dim, dim, 1])
    }
    let ((q_shape, q_strides), (kv_shape, kv_strides)) = (packed(few_q), packed(few_kv));
    let [k, v] = [&k, &v].map(|data| View::cuda(data, 0, kv_shape, kv_strides).expect("inside"));
    let q = View::cuda(&q, 0, q_shape, q_strides).expect("inside");
    let target = ViewMut::cuda(&mut out, 0, q_shape, q_strides).expect("inside");
    attention.prefill_into(&q, &k, &v, target).expect("good inputs");

    let len = q_strides[0];
    let output = |i: usize| {
        let output = stream.clone_dtoh(&out.slice(i * len..(i + 1) * len)).expect("a copy");
        stream.synchronize().expect("the kernels");
        output
    };
    let first: Vec<_> = (0..few_q[0]).map(output).collect();
    // In a smaller batch sums are split in other ways, so that close scores may change places.
    let expected: Vec<_> = few.iter().map(|x| f64::from(x.to_f32())).collect();
    let (all, _) = compare::distance(&first.concat(), &expected, 64);
    assert!(all <= OUTPUT, "output {all:.2e}: {}", K::NAME);
    for i in few_q[0]..BATCH {
        assert!(output(i) == first[i % few_q[0]], "sequence {i} of {BATCH}: {}", K::NAME);
    }
}
