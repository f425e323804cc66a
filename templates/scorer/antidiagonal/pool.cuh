// Means over the heads of a group, sorted by their places in windows of STRIDE_Q tokens: a part has the tokens of one place.

// To `parts`, what the `heads` heads from `base` on have: `samples` windows, whose last tokens may be missing.
__device__ __forceinline__ void pool_parts(const Elem* base, i64 head_stride, i64 token_stride, u32 heads, u32 tokens,
                                           u32 samples, Elem* parts) {
    const u32 i = blockIdx.x * POOL_THREADS + threadIdx.x;
    const u32 token = i / ROW_CHUNKS, chunk = i % ROW_CHUNKS;
    if (token >= samples * STRIDE_Q) return;
    float mean[8] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    if (token < tokens) mean_of_heads(base + token * token_stride + chunk * 8, head_stride, heads, mean);
    const u64 row = (u64)(token % STRIDE_Q) * samples + token / STRIDE_Q;
    st_global_v4(parts + row * HEAD_DIM + chunk * 8, pack8(mean));
}

// pool_queries: a group's mean queries.
//@kernel pool_queries
{
    const u32 group = blockIdx.y, batch = blockIdx.z;
//@if SEGMENTS
    // score begins with its first unit.
    if (blockIdx.x == 0 && threadIdx.x == 0 && group == 0 && batch == 0) *p.units = 0;
//@end
    pool_parts(p.q + batch * p.q_batch + group * p.heads_per_group * p.q_head, p.q_head, p.q_token, (u32)p.heads_per_group,
               (u32)p.q_len, (u32)p.q_samples,
               p.strided_q + ((u64)batch * p.groups + group) * STRIDE_Q * p.q_samples * HEAD_DIM);
}
//@if POOL_KEYS

// pool_keys: a group's mean keys.
//@kernel pool_keys
{
    const u32 group = blockIdx.y, batch = blockIdx.z;
    pool_parts(p.k + batch * p.k_batch + group * p.kv_heads_per_group * p.k_head, p.k_head, p.k_token,
               (u32)p.kv_heads_per_group, (u32)p.kv_len, (u32)p.kv_samples,
               p.strided_k + ((u64)batch * p.groups + group) * STRIDE_KV * p.kv_samples * HEAD_DIM);
}
//@end
