// Exchange inside a warp, and the approximate functions. Shuffles and votes take the whole warp: all 32 lanes
// must reach them together. `T` is any 32-bit arithmetic type.

// Lane of this thread, 0..31.
__device__ __forceinline__ u32 lane_id() {
    u32 lane;
    asm("mov.u32 %0, %%laneid;" : "=r"(lane));
    return lane;
}

// Warp of this thread in a one-dimensional CTA. (%warpid is not it: the hardware may move a warp.)
__device__ __forceinline__ u32 warp_id() { return threadIdx.x / WARP_SIZE; }

// One of two values, without a branch: the compiler would otherwise part the warp around what follows.
__device__ __forceinline__ float select(bool first, float a, float b) {
    float out;
    asm("{\n\t"
        ".reg .pred p;\n\t"
        "setp.ne.u32 p, %3, 0;\n\t"
        "selp.f32 %0, %1, %2, p;\n\t"
        "}" : "=f"(out) : "f"(a), "f"(b), "r"((u32)first));
    return out;
}

// The value of lane (lane ^ lane_mask).
template <class T>
__device__ __forceinline__ T shfl_xor(T v, u32 lane_mask) {
    return __shfl_xor_sync(FULL_MASK, v, lane_mask);
}

// The value of lane (lane - delta); lanes below delta keep their own.
template <class T>
__device__ __forceinline__ T shfl_up(T v, u32 delta) {
    return __shfl_up_sync(FULL_MASK, v, delta);
}

// The value of lane (lane + delta); the last delta lanes keep their own.
template <class T>
__device__ __forceinline__ T shfl_down(T v, u32 delta) {
    return __shfl_down_sync(FULL_MASK, v, delta);
}

// The value of lane (source % 32).
template <class T>
__device__ __forceinline__ T shfl_idx(T v, u32 source) {
    return __shfl_sync(FULL_MASK, v, source);
}

// Whether the predicate holds in any lane.
__device__ __forceinline__ bool any_sync(bool predicate) { return __any_sync(FULL_MASK, predicate) != 0; }

// Whether the predicate holds in all lanes.
__device__ __forceinline__ bool all_sync(bool predicate) { return __all_sync(FULL_MASK, predicate) != 0; }

// Bit i is the predicate of lane i.
__device__ __forceinline__ u32 ballot(bool predicate) { return __ballot_sync(FULL_MASK, predicate); }

// Sum over the warp, wrapping; every lane receives it.
__device__ __forceinline__ u32 redux_add(u32 v) { return __reduce_add_sync(FULL_MASK, v); }

// Largest value of the warp; every lane receives it.
__device__ __forceinline__ u32 redux_max(u32 v) { return __reduce_max_sync(FULL_MASK, v); }

// Smallest value of the warp; every lane receives it.
__device__ __forceinline__ u32 redux_min(u32 v) { return __reduce_min_sync(FULL_MASK, v); }

// 2^v with 2 ulp; 2^-inf = 0.
__device__ __forceinline__ float exp2_approx(float v) {
    float out;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(out) : "f"(v));
    return out;
}

// log2(v); log2(0) = -inf.
__device__ __forceinline__ float log2_approx(float v) {
    float out;
    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(out) : "f"(v));
    return out;
}

// 1 / v with 1 ulp; 1 / 0 = inf.
__device__ __forceinline__ float rcp_approx(float v) {
    float out;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(out) : "f"(v));
    return out;
}

// A value that is the same in every lane, said so that the compiler knows it: what follows from it stays in uniform
// registers, as addresses of wgmma operands should.
__device__ __forceinline__ u32 uniform(u32 v) { return __reduce_or_sync(FULL_MASK, v); }
