// What the lane's scores of its row g + 8 · h in columns [first, first + COUNT) sum to, relative to a reference.
template <u32 COUNT>
__device__ __forceinline__ float sum_columns(const float (&s)[STAGE_KEYS / 2], u32 first, u32 h, float reference) {
    const float shift = reference * SCALE_LOG2;
    float even = 0.0f, odd = 0.0f;
#pragma unroll
    for (u32 j = first / 8; j < (first + COUNT) / 8; ++j) {
        even += exp2_approx(fmaf(s[4 * j + 2 * h], SCALE_LOG2, -shift));
        odd += exp2_approx(fmaf(s[4 * j + 2 * h + 1], SCALE_LOG2, -shift));
    }
    return even + odd;
}
