// Samples: the first token of each window of STRIDE_Q queries, and of each window of STRIDE_KV keys. How many of the key
// samples a query sample sees:
__device__ __forceinline__ i32 seen_samples(const Sequence& sequence, i32 sample, i32 kv_samples) {
//@if CAUSAL
    return min(sequence.position(sample * STRIDE_Q) / STRIDE_KV + 1, kv_samples);
//@else
    return kv_samples;
//@end
}
