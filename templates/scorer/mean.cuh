// The mean over heads of eight elements of a row.
__device__ __forceinline__ void mean_of_heads(const Elem* base, i64 head_stride, u32 heads, float (&mean)[8]) {
    // A mean is within f32 where the sum may not be: heads, of which there are at most 256, add up scaled down by that.
#pragma unroll
    for (u32 i = 0; i < 8; ++i) mean[i] = 0.0f;
    for (u32 head = 0; head < heads; ++head) {
        const u32x4 chunk = ld_global_nc_v4(base + head * head_stride);
        const u32 pairs[4] = {chunk.x, chunk.y, chunk.z, chunk.w};
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            mean[2 * i] = fmaf(unpack_lo(pairs[i]), 0x1p-8f, mean[2 * i]);
            mean[2 * i + 1] = fmaf(unpack_hi(pairs[i]), 0x1p-8f, mean[2 * i + 1]);
        }
    }
    const float share = 0x1p8f / (float)heads;
#pragma unroll
    for (u32 i = 0; i < 8; ++i) mean[i] = __fmul_rn(mean[i], share); // by itself, whatever is done with it next
}

__device__ __forceinline__ u32x4 pack8(const float (&x)[8]) {
    return u32x4{pack2(x[0], x[1]), pack2(x[2], x[3]), pack2(x[4], x[5]), pack2(x[6], x[7])};
}
