#define POOL_ROWS (POOL_THREADS / ROW_LANES)
#define KEY_ROWS (KEY_POOL_THREADS / ROW_LANES)
#define KEY_STEPS ((SAMPLES_KV + KEY_ROWS - 1) / KEY_ROWS)

// By a whole CTA: the mean of a group's keys at the first tokens of CENTRE_BLOCKS blocks, evenly spaced. All keys lose it,
// which softmax does not see: channels that are large in every key would cost the others their digits.
template <class Params>
__device__ __forceinline__ void find_centre(const Params& p, u32 group, u32 batch) {
    const u32 chunk = threadIdx.x % ROW_LANES, words = smem_u32(smem) + threadIdx.x * 32;
    const Elem* k = p.k + batch * p.k_batch + group * p.kv_heads_per_group * p.k_head + chunk * 8;
    const u32 count = min(p.blocks, CENTRE_BLOCKS);
    const float share = 1.0f / (float)count;
    float centre[8] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    if (chunk < ROW_CHUNKS)
#pragma unroll 2
        for (u32 i = threadIdx.x / ROW_LANES; i < count; i += POOL_ROWS) {
            const u32 block = (u32)((u64)i * p.blocks / count);
            float mean[8];
            mean_of_heads(k + (i64)(block * BLOCK_KV) * p.k_token, p.k_head, p.kv_heads_per_group, mean);
#pragma unroll
            for (u32 j = 0; j < 8; ++j) centre[j] = fmaf(mean[j], share, centre[j]);
        }
#pragma unroll
    for (u32 i = 0; i < 8; ++i) st_shared_f32(words + i * 4, centre[i]);
    sync_threads();
    if (threadIdx.x >= ROW_CHUNKS) return;
    for (u32 row = 1; row < POOL_ROWS; ++row)
#pragma unroll
        for (u32 i = 0; i < 8; ++i) centre[i] += ld_shared_f32(words + row * ROW_LANES * 32 + i * 4);
    st_global_v4(p.centres + ((u64)batch * p.groups + group) * HEAD_DIM + chunk * 8, pack8(centre));
}

// pool_queries: a group's mean query at the first token of each window of STRIDE_Q; the last CTA of a group finds the
// centre of its keys instead.
//@kernel pool_queries
{
    const u32 group = blockIdx.y, batch = blockIdx.z;
//@if SEGMENTS
    // score begins with its first unit.
    if (blockIdx.x == 0 && threadIdx.x == 0 && group == 0 && batch == 0) *p.units = 0;
//@end
    if (blockIdx.x + 1 == gridDim.x) {
        find_centre(p, group, batch);
        return;
    }
    const u32 sample = blockIdx.x * POOL_ROWS + threadIdx.x / ROW_LANES, chunk = threadIdx.x % ROW_LANES;
    const bool has = sample < (u32)p.q_samples && chunk < ROW_CHUNKS;
    const Elem* q = p.q + batch * p.q_batch + group * p.heads_per_group * p.q_head +
                    (i64)(sample * STRIDE_Q) * p.q_token + chunk * 8;
    float mean[8] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    if (has) mean_of_heads(q, p.q_head, p.heads_per_group, mean);
    float largest = largest_of(mean);
#pragma unroll
    for (u32 step = 1; step < ROW_LANES; step *= 2) largest = fmaxf(largest, shfl_xor(largest, step));
    if (!has) return;
    const i32 exponent = exponent_for(largest);
    const u64 row = ((u64)batch * p.groups + group) * p.q_samples + sample;
//@if E4M3_BYTES
    Rounded* rounded = p.proxy_q8 + row * HEAD_DIM;
//@else
    Rounded* rounded = p.proxy_q + row * HEAD_DIM;
//@end
    store_rounded(rounded + chunk * 8, mean, power_of_two(-exponent));
    if (chunk == 0) p.q_factors[row] = power_of_two(exponent);
}

// A difference of two floats may lie beyond all of them.
__device__ __forceinline__ float within_f32(float x) { return fminf(fmaxf(x, -0x1.fffffep127f), 0x1.fffffep127f); }

// pool_keys: a group's mean key at the first token of each window of STRIDE_KV, less the centre; a CTA has a block.
//@kernel pool_keys
{
    const u32 block = blockIdx.x, group = blockIdx.y, batch = blockIdx.z;
    const u32 chunk = threadIdx.x % ROW_LANES, row = threadIdx.x / ROW_LANES;
    const u64 sequence = (u64)batch * p.groups + group;
    const Elem* k = p.k + batch * p.k_batch + group * p.kv_heads_per_group * p.k_head + chunk * 8;
    auto sample_of = [&](u32 step) -> u32 { return block * SAMPLES_KV + step * KEY_ROWS + row; };
    auto has = [&](u32 step) -> bool {
        return chunk < ROW_CHUNKS && step * KEY_ROWS + row < SAMPLES_KV && sample_of(step) < (u32)p.kv_samples;
    };
    float keys[KEY_STEPS][8], largest = 0.0f;
    u32x4 centre = {0, 0, 0, 0};
    if (chunk < ROW_CHUNKS) centre = ld_global_nc_v4(p.centres + sequence * HEAD_DIM + chunk * 8);
    const u32 pairs[4] = {centre.x, centre.y, centre.z, centre.w};
#pragma unroll
    for (u32 step = 0; step < KEY_STEPS; ++step)
        if (has(step)) {
            mean_of_heads(k + (i64)(sample_of(step) * STRIDE_KV) * p.k_token, p.k_head, p.kv_heads_per_group, keys[step]);
#pragma unroll
            for (u32 i = 0; i < 4; ++i) {
                keys[step][2 * i] = within_f32(keys[step][2 * i] - unpack_lo(pairs[i]));
                keys[step][2 * i + 1] = within_f32(keys[step][2 * i + 1] - unpack_hi(pairs[i]));
            }
            largest = fmaxf(largest, largest_of(keys[step]));
        }
    // Over the CTA: floats that are not negative have the order of their bits.
    const u32 words = smem_u32(smem), of_warp = redux_max(__float_as_uint(largest));
    if (lane_id() == 0) st_shared_u32(words + warp_id() * 4, of_warp);
    sync_threads();
    u32 of_block = 0;
#pragma unroll
    for (u32 w = 0; w < KEY_POOL_THREADS / WARP_SIZE; ++w) of_block = max(of_block, ld_shared_u32(words + w * 4));
    const i32 exponent = exponent_for(__uint_as_float(of_block));
    const float factor = power_of_two(-exponent);
//@if E4M3_BYTES
    Rounded* rounded = p.proxy_k8 + sequence * p.kv_samples * HEAD_DIM;
//@else
    Rounded* rounded = p.proxy_k + sequence * p.kv_samples * HEAD_DIM;
//@end
#pragma unroll
    for (u32 step = 0; step < KEY_STEPS; ++step)
        if (has(step)) store_rounded(rounded + (u64)sample_of(step) * HEAD_DIM + chunk * 8, keys[step], factor);
    if (threadIdx.x == 0) p.k_factors[sequence * p.blocks + block] = power_of_two(exponent);
}
