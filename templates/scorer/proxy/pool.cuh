// The mean over heads, at strided tokens, of eight elements of a row.
__device__ __forceinline__ u32x4 pool_chunk(const Elem* base, i64 head_stride, u32 heads) {
    // A mean is within f32 where the sum may not be: heads, of which there are at most 256, add up scaled down by that.
    float sum[8] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    for (u32 head = 0; head < heads; ++head) {
        const u32x4 chunk = ld_global_nc_v4(base + head * head_stride);
        const u32 pairs[4] = {chunk.x, chunk.y, chunk.z, chunk.w};
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            sum[2 * i] = fmaf(unpack_lo(pairs[i]), 0x1p-8f, sum[2 * i]);
            sum[2 * i + 1] = fmaf(unpack_hi(pairs[i]), 0x1p-8f, sum[2 * i + 1]);
        }
    }
    const float share = 0x1p8f / (float)heads;
    return u32x4{pack2(sum[0] * share, sum[1] * share), pack2(sum[2] * share, sum[3] * share),
                 pack2(sum[4] * share, sum[5] * share), pack2(sum[6] * share, sum[7] * share)};
}

// pool_queries: a group's mean query at the first token of each window of STRIDE_Q.
//@kernel pool_queries
{
    const u32 group = blockIdx.y, batch = blockIdx.z;
    const u32 i = blockIdx.x * POOL_THREADS + threadIdx.x;
    const u32 sample = i / ROW_CHUNKS, chunk = i % ROW_CHUNKS;
//@if SEGMENTS
    // score begins with its first unit.
    if (i == 0 && group == 0 && batch == 0) *p.units = 0;
//@end
    if (sample >= (u32)p.q_samples) return;
    const Elem* q = p.q + batch * p.q_batch + group * p.heads_per_group * p.q_head +
                    (i64)(sample * STRIDE_Q) * p.q_token + chunk * 8;
    const u64 row = ((u64)batch * p.groups + group) * p.q_samples + sample;
    st_global_v4(p.proxy_q + row * HEAD_DIM + chunk * 8, pool_chunk(q, p.q_head, p.heads_per_group));
}
//@if POOL_KEYS

// pool_keys: a group's mean key at the first token of each window of STRIDE_KV.
//@kernel pool_keys
{
    const u32 group = blockIdx.y, batch = blockIdx.z;
    const u32 i = blockIdx.x * POOL_THREADS + threadIdx.x;
    const u32 sample = i / ROW_CHUNKS, chunk = i % ROW_CHUNKS;
    if (sample >= (u32)p.kv_samples) return;
    const Elem* k = p.k + batch * p.k_batch + group * p.kv_heads_per_group * p.k_head +
                    (i64)(sample * STRIDE_KV) * p.k_token + chunk * 8;
    const u64 row = ((u64)batch * p.groups + group) * p.kv_samples + sample;
    st_global_v4(p.proxy_k + row * HEAD_DIM + chunk * 8, pool_chunk(k, p.k_head, p.kv_heads_per_group));
}
//@end
