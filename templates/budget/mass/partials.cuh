//@if SAMPLED
// budget_partials: the last queries of each head against a range of its group's measured blocks; of each (block, query) the
// largest score and the sum under it.
//@else
// budget_partials: the last queries of each head against a range of blocks; of each (block, query) the largest score
// and the sum under it.
//@end
#define BUDGET_HEADS (SCORING_ROWS / BLOCK_Q)

//@if VALUES
// Each of the lane's rows: the largest raw score so far, and over the lane's own columns the sums under it of probabilities,
// and of probabilities times the norms of their keys' values.
struct Weighted {
    float max[2][2];
    float sum[2][2];
    float weighted[2][2];
};

__device__ __forceinline__ void running_start(Weighted& running) {
#pragma unroll
    for (u32 m = 0; m < 2; ++m)
#pragma unroll
        for (u32 h = 0; h < 2; ++h) {
            running.max[m][h] = MASKED_SCORE;
            running.sum[m][h] = running.weighted[m][h] = 0.0f;
        }
}

// Takes a tile of scores into the sums; `max` is the largest score of each row in it.
__device__ __forceinline__ void running_add(Weighted& running, const float (&s)[2][RING_N][4], const float (&max)[2][2],
                                            const float (&norms)[RING_N][2]) {
#pragma unroll
    for (u32 m = 0; m < 2; ++m)
#pragma unroll
        for (u32 h = 0; h < 2; ++h) {
            const float top = fmaxf(running.max[m][h], max[m][h]);
            const float shift = top * SCALE_LOG2, before = exp2_approx((running.max[m][h] - top) * SCALE_LOG2);
            float sum = running.sum[m][h] * before, weighted = running.weighted[m][h] * before;
#pragma unroll
            for (u32 n = 0; n < RING_N; ++n) {
                const float even = exp2_approx(fmaf(s[m][n][2 * h], SCALE_LOG2, -shift));
                const float odd = exp2_approx(fmaf(s[m][n][2 * h + 1], SCALE_LOG2, -shift));
                sum += even + odd;
                weighted = fmaf(even, norms[n][0], fmaf(odd, norms[n][1], weighted));
            }
            running.max[m][h] = top;
            running.sum[m][h] = sum;
            running.weighted[m][h] = weighted;
        }
}

//@end
//@kernel budget_partials
{
    const u32 packs = (p.heads_per_kv + BUDGET_HEADS - 1) / BUDGET_HEADS;
    const u32 first_head = blockIdx.x % packs * BUDGET_HEADS; // within the KV head
    const u32 first_block = blockIdx.x / packs * p.blocks_per_cta;
    const u32 kv_head = blockIdx.y, batch = blockIdx.z;
    const u32 head0 = kv_head * p.heads_per_kv + first_head;
    const i32 first_query = max(p.q_len - BLOCK_Q, 0);
    const u32 ring = smem_u32(smem);
    const Elem* k = p.k + batch * p.k_batch + kv_head * p.k_head;
    const Sequence sequence = sequence_of(p);

#pragma unroll
    for (u32 h = 0; h < BUDGET_HEADS; ++h) {
        const bool has = first_head + h < (u32)p.heads_per_kv;
        const Elem* q = p.q + batch * p.q_batch + (has ? head0 + h : head0) * p.q_head;
        const HeadRows rows = {q, p.q_token, has ? p.q_len : 0};
        copy_rows<BLOCK_Q, SCORING_THREADS>(ring + h * BLOCK_Q * ROW_BYTES, rows, first_query);
    }
    cp_async_commit();
    cp_async_wait<0>();
    sync_threads();
    u32 q[2][ROW_STEPS][4];
    hold_queries(q, lane_base_a(ring + warp_id() * 32 * ROW_BYTES));
    sync_threads(); // the ring takes the place of the queries

//@if SAMPLED
    const u32 blocks = min((u32)p.blocks_per_cta, (u32)p.sampled_blocks - first_block);
    const u64 group = (u64)batch * p.groups + kv_head / p.kv_heads_per_group;
    const u32* sampled = p.sampled + group * p.sampled_blocks + first_block;
    auto key_of = [&](u32 tile) -> i32 {
        return (i32)(sampled[tile / (BLOCK_KV / RING_KEYS)] * BLOCK_KV + tile % (BLOCK_KV / RING_KEYS) * RING_KEYS);
    };
//@else
    const u32 blocks = min((u32)p.blocks_per_cta, (u32)p.blocks - first_block);
    const i32 first_key = (i32)(first_block * BLOCK_KV);
//@end
    const u32 tiles = blocks * (BLOCK_KV / RING_KEYS);
    auto load = [&](u32 tile) {
        if (tile < tiles)
//@if SAMPLED
            copy_rows<RING_KEYS, SCORING_THREADS>(ring + tile % RING_STAGES * RING_BYTES,
                                                  HeadRows{k, p.k_token, p.kv_len}, key_of(tile));
//@else
            copy_rows<RING_KEYS, SCORING_THREADS>(ring + tile % RING_STAGES * RING_BYTES,
                                                  HeadRows{k, p.k_token, p.kv_len}, first_key + (i32)(tile * RING_KEYS));
//@end
        cp_async_commit();
    };
    for (u32 tile = 0; tile + 1 < RING_STAGES; ++tile) load(tile);

    // The warp's 32 rows are of one head.
    const u32 warp_query = warp_id() * 32 % BLOCK_Q, warp_head = warp_id() * 32 / BLOCK_Q;
    const bool present = first_head + warp_head < (u32)p.heads_per_kv;
    const u64 head = (u64)batch * p.heads + head0 + warp_head;
    const u32 at = warp_query + quad_row();
    i32 limits[2][2];
#pragma unroll
    for (u32 i = 0; i < 4; ++i)
        limits[i / 2][i % 2] = sequence.seen(first_query + (i32)(warp_query + i / 2 * 16 + i % 2 * 8 + lane_id() / 4));
//@if VALUES
    Weighted running;
    const float* norms = p.norms + ((u64)batch * p.kv_heads + kv_head) * p.kv_len;
//@else
    Running running;
//@end
    for (u32 tile = 0; tile < tiles; ++tile) {
//@if VALUES
        // On their way while the keys are; of keys past the last one there is none.
        float tile_norms[RING_N][2];
#pragma unroll
        for (u32 i = 0; i < 2 * RING_N; ++i) {
            const i32 of = first_key + (i32)(tile * RING_KEYS + i / 2 * 8 + lane_id() % 4 * 2 + i % 2);
            tile_norms[i / 2][i % 2] = of < p.kv_len ? norms[of] : 0.0f;
        }
//@end
        cp_async_wait<RING_STAGES - 2>();
        sync_threads();
        load(tile + RING_STAGES - 1);
        if (!present) continue;
        float s[2][RING_N][4];
        multiply_keys(s, q, lane_base_b(ring + tile % RING_STAGES * RING_BYTES));
//@if SAMPLED
        const i32 key = key_of(tile);
//@else
        const i32 key = first_key + (i32)(tile * RING_KEYS);
//@end
        if (key + RING_KEYS > sequence.limit(first_query)) mask_keys(s, key, limits);
        if (tile % (BLOCK_KV / RING_KEYS) == 0) running_start(running);
        float max[2][2];
#pragma unroll
        for (u32 i = 0; i < 4; ++i) max[i / 2][i % 2] = scores_max<RING_N>(s[i / 2], 0, i % 2);
//@if VALUES
        running_add(running, s, max, tile_norms);
//@else
        running_add(running, s, max);
//@end
        if (tile % (BLOCK_KV / RING_KEYS) + 1 == BLOCK_KV / RING_KEYS) {
//@if SAMPLED
            const u64 block = head * p.sampled_blocks + first_block + tile / (BLOCK_KV / RING_KEYS);
//@else
            const u64 block = head * p.blocks + first_block + tile / (BLOCK_KV / RING_KEYS);
//@end
            float sum[2][2];
#pragma unroll
            for (u32 i = 0; i < 4; ++i) sum[i / 2][i % 2] = quad_sum(running.sum[i / 2][i % 2]);
            p.partial_max[block * BLOCK_Q + at] = quad_pick(running.max) * SCALE_LOG2;
            p.partial_sum[block * BLOCK_Q + at] = quad_pick(sum);
//@if VALUES
#pragma unroll
            for (u32 i = 0; i < 4; ++i) sum[i / 2][i % 2] = quad_sum(running.weighted[i / 2][i % 2]);
            p.partial_weighted[block * BLOCK_Q + at] = quad_pick(sum);
//@end
        }
    }
}
