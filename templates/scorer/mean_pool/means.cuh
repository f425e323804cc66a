// Mean queries and keys of blocks. A thread sums a chunk of eight elements over every MEAN_ROWS-th token of the block.
#define MEAN_ROWS (MEAN_THREADS / ROW_CHUNKS)

// To `mean`, HEAD_DIM long: the mean over `heads` heads, `head_stride` apart, of `tokens` tokens, `token_stride` apart. By a
// whole CTA.
__device__ __forceinline__ void mean_of_block(const Elem* base, i64 head_stride, i64 token_stride, u32 heads, u32 tokens,
                                              float* mean) {
    const u32 sums = smem_u32(smem), row = threadIdx.x / ROW_CHUNKS, chunk = threadIdx.x % ROW_CHUNKS;
    float sum[8] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    if (row < MEAN_ROWS)
        for (u32 head = 0; head < heads; ++head) {
            const Elem* rows = base + head * head_stride + chunk * 8;
#pragma unroll 4
            for (u32 token = row; token < tokens; token += MEAN_ROWS) {
                const u32x4 eight = ld_global_nc_v4(rows + token * token_stride);
                const u32 pairs[4] = {eight.x, eight.y, eight.z, eight.w};
                // A mean is within f32 where the sum may not be: at most 256 heads of 128 tokens add up scaled down by that.
#pragma unroll
                for (u32 i = 0; i < 4; ++i) {
                    sum[2 * i] = fmaf(unpack_lo(pairs[i]), 0x1p-15f, sum[2 * i]);
                    sum[2 * i + 1] = fmaf(unpack_hi(pairs[i]), 0x1p-15f, sum[2 * i + 1]);
                }
            }
        }
    if (row < MEAN_ROWS)
#pragma unroll
        for (u32 i = 0; i < 8; ++i) st_shared_f32(sums + (row * HEAD_DIM + chunk * 8 + i) * 4, sum[i]);
    sync_threads();
    const float share = 0x1p15f / (float)(heads * tokens);
    for (u32 dim = threadIdx.x; dim < HEAD_DIM; dim += MEAN_THREADS) {
        float all = 0.0f;
#pragma unroll
        for (u32 part = 0; part < MEAN_ROWS; ++part) all += ld_shared_f32(sums + (part * HEAD_DIM + dim) * 4);
        mean[dim] = all * share;
    }
}

// pool_queries: the mean query of a row of blocks, over the heads of a group.
//@kernel pool_queries
{
    const u32 row = blockIdx.x, group = blockIdx.y, batch = blockIdx.z;
    const i32 first = (i32)(row * BLOCK_Q);
    const Elem* q = p.q + batch * p.q_batch + group * p.heads_per_group * p.q_head + first * p.q_token;
    mean_of_block(q, p.q_head, p.q_token, (u32)p.heads_per_group, (u32)min(BLOCK_Q, p.q_len - first),
                  p.mean_q + (((u64)batch * p.groups + group) * p.rows + row) * HEAD_DIM);
}

// pool_keys: the mean key of a block, over the KV heads of a group.
//@kernel pool_keys
{
    const u32 block = blockIdx.x, group = blockIdx.y, batch = blockIdx.z;
    const i32 first = (i32)(block * BLOCK_KV);
    const Elem* k = p.k + batch * p.k_batch + group * p.kv_heads_per_group * p.k_head + first * p.k_token;
    mean_of_block(k, p.k_head, p.k_token, (u32)p.kv_heads_per_group, (u32)min(BLOCK_KV, p.kv_len - first),
                  p.mean_k + (((u64)batch * p.groups + group) * p.blocks + block) * HEAD_DIM);
}
