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
    float mean[8];
    mean_of_heads(q, p.q_head, p.heads_per_group, mean);
    st_global_v4(p.proxy_q + row * HEAD_DIM + chunk * 8, pack8(mean));
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
    float mean[8];
    mean_of_heads(k, p.k_head, p.kv_heads_per_group, mean);
    st_global_v4(p.proxy_k + row * HEAD_DIM + chunk * 8, pack8(mean));
}
//@end
