// score: proxy queries against proxy keys, once. Rows keep their maximum and sum, and each (sample, block) the code of its
// largest score: softmax is monotone, so normalising the maximum afterwards is all that is left of max-pooling it.
//@kernel score
{
    const u32 group = blockIdx.y, batch = blockIdx.z;
    const u64 sequence = (u64)batch * p.groups + group;
    // The last samples see the most keys: they come first.
    const i32 first_sample = (i32)(gridDim.x - 1 - blockIdx.x) * SCORING_ROWS;
    const u32 ring = smem_u32(smem);
    const Elem* keys = p.keys + batch * p.keys_batch + group * p.keys_group;
    const Elem* queries = p.proxy_q + sequence * p.q_samples * HEAD_DIM;

    copy_rows<SCORING_ROWS, SCORING_THREADS>(ring, HeadRows{queries, HEAD_DIM, p.q_samples}, first_sample);
    cp_async_commit();
    cp_async_wait<0>();
    sync_threads();
    u32 q[2][ROW_STEPS][4];
    hold_queries(q, lane_base_a(ring + warp_id() * 32 * ROW_BYTES));
    sync_threads(); // the ring takes the place of the queries

    auto limit_of = [&](i32 sample) -> i32 { return seen_samples(sequence_of(p), sample, p.kv_samples); };
    const i32 seen = limit_of(min(first_sample + SCORING_ROWS, p.q_samples) - 1);
    const u32 tiles = (u32)(seen + RING_KEYS - 1) / RING_KEYS;
    const u32 plain = (u32)limit_of(first_sample) / RING_KEYS;

    auto load = [&](u32 tile) {
        if (tile < tiles)
            copy_rows<RING_KEYS, SCORING_THREADS>(ring + tile % RING_STAGES * RING_BYTES,
                                                  HeadRows{keys, p.keys_sample, p.kv_samples}, (i32)(tile * RING_KEYS));
        cp_async_commit();
    };
    for (u32 tile = 0; tile + 1 < RING_STAGES; ++tile) load(tile);

    Running running;
    running_start(running);
    const u32 warp_sample = (u32)first_sample + warp_id() * 32;
    // Where the codes of a sample lie: [row of blocks][block][sample of the row].
    auto codes_of = [&](u32 sample) -> u16* {
        const u64 row = sequence * p.rows + sample / SAMPLES_Q;
        return p.maxima + row * p.blocks * SAMPLES_Q + sample % SAMPLES_Q;
    };
    const u32 samples = (u32)p.rows * SAMPLES_Q, sample = warp_sample + quad_row(); // the one that this lane stores
    float floor[2][2] = {{floor_below(MASKED_SCORE), floor_below(MASKED_SCORE)},
                         {floor_below(MASKED_SCORE), floor_below(MASKED_SCORE)}};
    // Before the codes of a tile are stored: floors keep within reach of the largest scores of its rows.
    auto raise_floors = [&](const float (&max)[2][2], u32 blocks) {
        float rise[2][2];
        bool above = false;
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            const float top = max[i / 2][i % 2];
            const bool beyond = fmaf(top, SCALE_LOG2, -floor[i / 2][i % 2]) > FLOOR_REACH;
            rise[i / 2][i % 2] = beyond ? floor_below(top) - floor[i / 2][i % 2] : 0.0f;
            above |= beyond;
        }
        if (!any_sync(above)) return;
#pragma unroll
        for (u32 i = 0; i < 4; ++i)
            if (rise[i / 2][i % 2] > 0.0f) floor[i / 2][i % 2] = floor_below(max[i / 2][i % 2]);
        sync_warp(); // other lanes stored some of the codes
        if (sample < samples) lower_codes(codes_of(sample), 0, blocks, 1, quad_pick(rise));
        sync_warp();
    };
//@if BLOCK_SPANS_TILES
    float block_max[2][2];
//@end
    for (u32 tile = 0; tile < tiles; ++tile) {
        cp_async_wait<RING_STAGES - 2>();
        sync_threads();
        load(tile + RING_STAGES - 1);
        float s[2][RING_N][4];
        multiply_keys(s, q, lane_base_b(ring + tile % RING_STAGES * RING_BYTES));
        if (tile >= plain) {
            i32 limits[2][2];
#pragma unroll
            for (u32 i = 0; i < 4; ++i) {
                const i32 sample = (i32)(warp_sample + i / 2 * 16 + i % 2 * 8 + lane_id() / 4);
                // Padding rows see one key, so that no sum is 0; their results are not read.
                limits[i / 2][i % 2] = sample < p.q_samples ? limit_of(sample) : 1;
            }
            mask_keys(s, (i32)(tile * RING_KEYS), limits);
        }

        float max[2][2];
//@if BLOCK_SPANS_TILES
        const u32 part = tile % (SAMPLES_KV / RING_KEYS), block = tile / (SAMPLES_KV / RING_KEYS);
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            max[i / 2][i % 2] = scores_max<RING_N>(s[i / 2], 0, i % 2);
            block_max[i / 2][i % 2] =
                part == 0 ? max[i / 2][i % 2] : fmaxf(block_max[i / 2][i % 2], max[i / 2][i % 2]);
        }
        if (part + 1 == SAMPLES_KV / RING_KEYS || tile + 1 == tiles) {
            raise_floors(block_max, block);
            if (sample < samples)
                codes_of(sample)[(u64)block * SAMPLES_Q] = code_of(quad_pick(block_max), quad_pick(floor));
        }
//@end
//@if BLOCK_FILLS_N_TILES
        float block_max[RING_KEYS / SAMPLES_KV][2][2];
#pragma unroll
        for (u32 b = 0; b < RING_KEYS / SAMPLES_KV; ++b)
#pragma unroll
            for (u32 i = 0; i < 4; ++i) {
                const float top = scores_max<SAMPLES_KV / 8>(s[i / 2], b * (SAMPLES_KV / 8), i % 2);
                block_max[b][i / 2][i % 2] = top;
                max[i / 2][i % 2] = b == 0 ? top : fmaxf(max[i / 2][i % 2], top);
            }
        raise_floors(max, tile * (RING_KEYS / SAMPLES_KV));
#pragma unroll
        for (u32 b = 0; b < RING_KEYS / SAMPLES_KV; ++b) {
            const u32 block = tile * (RING_KEYS / SAMPLES_KV) + b;
            if (sample < samples && block < (u32)p.blocks)
                codes_of(sample)[(u64)block * SAMPLES_Q] = code_of(quad_pick(block_max[b]), quad_pick(floor));
        }
//@end
//@if BLOCK_WITHIN_N_TILE
#pragma unroll
        for (u32 i = 0; i < 4; ++i) max[i / 2][i % 2] = scores_max<RING_N>(s[i / 2], 0, i % 2);
        raise_floors(max, tile * (RING_KEYS / SAMPLES_KV));
        // A block is SAMPLES_KV of the 8 columns of an n-tile: two, one or half of the columns of a quad's lane.
        const u32 t = lane_id() % 4;
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            const u32 sample = warp_sample + i / 2 * 16 + i % 2 * 8 + lane_id() / 4;
            const float low = floor[i / 2][i % 2];
#pragma unroll
            for (u32 n = 0; n < RING_N; ++n) {
                const float a = s[i / 2][n][i % 2 * 2], b = s[i / 2][n][i % 2 * 2 + 1];
                const u32 first = (tile * RING_KEYS + n * 8 + 2 * t) / SAMPLES_KV;
//@if BLOCK_OF_4
                const float top = fmaxf(fmaxf(a, b), shfl_xor(fmaxf(a, b), 1));
                if (t % 2 == 0 && sample < samples && first < (u32)p.blocks)
                    codes_of(sample)[(u64)first * SAMPLES_Q] = code_of(top, low);
//@end
//@if BLOCK_OF_2
                if (sample < samples && first < (u32)p.blocks)
                    codes_of(sample)[(u64)first * SAMPLES_Q] = code_of(fmaxf(a, b), low);
//@end
//@if BLOCK_OF_1
                if (sample < samples && first < (u32)p.blocks)
                    codes_of(sample)[(u64)first * SAMPLES_Q] = code_of(a, low);
                if (sample < samples && first + 1 < (u32)p.blocks)
                    codes_of(sample)[(u64)(first + 1) * SAMPLES_Q] = code_of(b, low);
//@end
            }
        }
//@end
        running_add(running, s, max);
    }

    float lse[2][2];
#pragma unroll
    for (u32 i = 0; i < 4; ++i)
        lse[i / 2][i % 2] =
            running.max[i / 2][i % 2] * SCALE_LOG2 + log2_approx(quad_sum(running.sum[i / 2][i % 2]));
    if (sample < samples) {
        p.lse[sequence * samples + sample] = quad_pick(lse);
        p.floors[sequence * samples + sample] = quad_pick(floor);
    }
}
