// score_partials: the last queries of each head against a range of blocks; of each (block, query) the log2 of what the block's
// scores sum to.
#define LAST_HEADS (SCORING_ROWS / LAST_QUERIES)

//@kernel score_partials
{
    const u32 packs = (p.heads_per_kv + LAST_HEADS - 1) / LAST_HEADS;
    const u32 first_head = blockIdx.x % packs * LAST_HEADS; // within the KV head
    const u32 first_block = blockIdx.x / packs * p.blocks_per_cta;
    const u32 kv_head = blockIdx.y, batch = blockIdx.z;
    const u32 head0 = kv_head * p.heads_per_kv + first_head;
    const i32 first_query = max(p.q_len - LAST_QUERIES, 0);
    const u32 ring = smem_u32(smem);
    const Elem* k = p.k + batch * p.k_batch + kv_head * p.k_head;
    const Sequence sequence = sequence_of(p);

#pragma unroll
    for (u32 h = 0; h < LAST_HEADS; ++h) {
        const bool has = first_head + h < (u32)p.heads_per_kv;
        const Elem* q = p.q + batch * p.q_batch + (has ? head0 + h : head0) * p.q_head;
        const HeadRows rows = {q, p.q_token, has ? p.q_len : 0};
        copy_rows<LAST_QUERIES, SCORING_THREADS>(ring + h * LAST_QUERIES * ROW_BYTES, rows, first_query);
    }
    cp_async_commit();
    cp_async_wait<0>();
    sync_threads();
    u32 q[2][ROW_STEPS][4];
    hold_queries(q, lane_base_a(ring + warp_id() * 32 * ROW_BYTES));
    sync_threads(); // the ring takes the place of the queries

    const u32 blocks = min((u32)p.blocks_per_cta, (u32)p.blocks - first_block);
    const i32 first_key = (i32)(first_block * BLOCK_KV);
    const u32 tiles = blocks * (BLOCK_KV / RING_KEYS);
    auto load = [&](u32 tile) {
        if (tile < tiles)
            copy_rows<RING_KEYS, SCORING_THREADS>(ring + tile % RING_STAGES * RING_BYTES,
                                                  HeadRows{k, p.k_token, p.kv_len}, first_key + (i32)(tile * RING_KEYS));
        cp_async_commit();
    };
    for (u32 tile = 0; tile + 1 < RING_STAGES; ++tile) load(tile);

    // The warp's 32 rows are of one head.
    const u32 warp_query = warp_id() * 32 % LAST_QUERIES, warp_head = warp_id() * 32 / LAST_QUERIES;
    const bool present = first_head + warp_head < (u32)p.heads_per_kv;
    // Of the row that this lane stores: [head][block][query].
    float* logs = p.last_logs + ((u64)batch * p.heads + head0 + warp_head) * p.blocks * LAST_QUERIES + warp_query + quad_row();
    i32 limits[2][2];
#pragma unroll
    for (u32 i = 0; i < 4; ++i)
        limits[i / 2][i % 2] = sequence.seen(first_query + (i32)(warp_query + i / 2 * 16 + i % 2 * 8 + lane_id() / 4));
    Running running;
    for (u32 tile = 0; tile < tiles; ++tile) {
        cp_async_wait<RING_STAGES - 2>();
        sync_threads();
        load(tile + RING_STAGES - 1);
        if (!present) continue;
        float s[2][RING_N][4];
        multiply_keys(s, q, lane_base_b(ring + tile % RING_STAGES * RING_BYTES));
        const i32 key = first_key + (i32)(tile * RING_KEYS);
        if (key + RING_KEYS > sequence.limit(first_query)) mask_keys(s, key, limits);
        if (tile % (BLOCK_KV / RING_KEYS) == 0) running_start(running);
        float max[2][2];
#pragma unroll
        for (u32 i = 0; i < 4; ++i) max[i / 2][i % 2] = scores_max<RING_N>(s[i / 2], 0, i % 2);
        running_add(running, s, max);
        if (tile % (BLOCK_KV / RING_KEYS) + 1 == BLOCK_KV / RING_KEYS) {
            const u32 block = first_block + tile / (BLOCK_KV / RING_KEYS);
            float sum[2][2];
#pragma unroll
            for (u32 i = 0; i < 4; ++i) sum[i / 2][i % 2] = quad_sum(running.sum[i / 2][i % 2]);
            logs[(u64)block * LAST_QUERIES] = quad_pick(running.max) * SCALE_LOG2 + log2_approx(quad_pick(sum));
        }
    }
}
