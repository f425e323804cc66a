//@if POOL_SUM
// score: proxy queries against proxy keys, once. Each (sample, block) keeps the code of what its scores sum to. What
// normalises it is the sum over a sample's blocks.
//@else
// score: proxy queries against proxy keys, once. Each (sample, block) keeps the code of its largest score: softmax is
// monotone, so normalising the maximum afterwards is all that is left of max-pooling it.
//@if SUMS_EXACT
// What normalises it is the sum over a sample's keys.
//@else
// What normalises it is the sum over a sample's block maxima: one exponential for a block.
//@end
//@end
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

    const u32 warp_sample = (u32)first_sample + warp_id() * 32;
    // Where the codes of a sample lie: [row of blocks][block][sample of the row].
    auto codes_of = [&](u32 sample) -> u16* {
        const u64 row = sequence * p.rows + sample / SAMPLES_Q;
        return p.maxima + row * p.blocks * SAMPLES_Q + sample % SAMPLES_Q;
    };
    const u32 samples = (u32)p.rows * SAMPLES_Q, sample = warp_sample + quad_row(); // the one that this lane stores
    const float lowest = floor_below(MASKED_SCORE * SCALE_LOG2);
    float floor[2][2] = {{lowest, lowest}, {lowest, lowest}};
//@if SUMS_EXACT
    Running running;
    running_start(running);
//@else
    // Of block maxima, relative to FLOOR_DEPTH above the floor: each block is one lane's.
    float sums[2][2] = {{0.0f, 0.0f}, {0.0f, 0.0f}};
//@end
    // Before the codes of a tile are stored: floors keep within reach of the largest scores of its rows, in log2.
    auto raise_floors = [&](const float (&max)[2][2], u32 blocks) {
        float rise[2][2];
        bool above = false;
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            const float top = max[i / 2][i % 2], low = floor[i / 2][i % 2];
            const bool beyond = top - low > FLOOR_REACH;
            rise[i / 2][i % 2] = beyond ? floor_below(top) - low : 0.0f;
            above |= beyond;
        }
        if (!any_sync(above)) return;
#pragma unroll
        for (u32 i = 0; i < 4; ++i)
            if (rise[i / 2][i % 2] > 0.0f) {
                floor[i / 2][i % 2] = floor_below(max[i / 2][i % 2]);
//@if SUMS_EXACT
//@else
                sums[i / 2][i % 2] *= exp2_approx(-rise[i / 2][i % 2]);
//@end
            }
        sync_warp(); // other lanes stored some of the codes
        if (sample < samples) lower_codes(codes_of(sample), 0, blocks, 1, quad_pick(rise));
        sync_warp();
    };
//@if E4M3
    // What queries and blocks of keys were divided by.
    float factors[2][2];
#pragma unroll
    for (u32 i = 0; i < 4; ++i) {
        const i32 own = min((i32)(warp_sample + i / 2 * 16 + i % 2 * 8 + lane_id() / 4), p.q_samples - 1);
        factors[i / 2][i % 2] = p.q_factors[sequence * p.q_samples + own];
    }
    const float* k_factors = p.k_factors + sequence * p.blocks;
//@end
    // A raw score of the lane's i-th row against a block, in log2.
//@if FACTORS_OF_TOPS
    auto log2_of = [&](float score, u32 i, u32 block) -> float {
        if (block >= (u32)p.blocks) return FLOAT_NEG_INF;
        const float factor = fmaxf(factors[i / 2][i % 2] * SCALE_LOG2, 0x1p-126f); // 0 would make a number of what is masked
        return score * factor * k_factors[block];
    };
//@else
    auto log2_of = [&](float score, u32 i, u32 block) -> float { return score * SCALE_LOG2; };
//@end
//@if POOL_SUM
    // Less than any sum's logarithm: what nothing is relative to.
    auto finite = [](float logarithm) -> float { return fmaxf(logarithm, -0x1p127f); };
//@if BLOCK_WITHIN_N_TILE
//@else
    // What a lane's scores of a block sum to in its i-th row, relative to `top`: those of n-tiles [first, first + count).
    auto sum_of = [&](const float (&s)[2][RING_N][4], u32 first, u32 count, u32 i, u32 block, float top) -> float {
        float sum = 0.0f;
#pragma unroll
        for (u32 n = first; n < first + count; ++n)
#pragma unroll
            for (u32 e = 0; e < 2; ++e) sum += exp2_approx(log2_of(s[i / 2][n][i % 2 * 2 + e], i, block) - top);
        return sum;
    };
//@end
//@end
//@if BLOCK_WITHIN_N_TILE
//@else
    // The largest scores of a block in the four rows, which all lanes of a quad have: each takes one row.
    auto take_block = [&](const float (&top)[2][2], u32 block) {
        const float own = quad_pick(top);
        if (sample < samples) codes_of(sample)[(u64)block * SAMPLES_Q] = code_of(own - quad_pick(floor));
//@if SUMS_EXACT
//@else
        const float weight = exp2_approx(own - (quad_pick(floor) + FLOOR_DEPTH));
#pragma unroll
        for (u32 i = 0; i < 4; ++i) sums[i / 2][i % 2] += i == lane_id() % 4 ? weight : 0.0f;
//@end
    };
//@end
//@if BLOCK_SPANS_TILES
    float block_max[2][2];
//@if POOL_SUM
    float block_sum[2][2]; // over the lane's columns, relative to the largest score
//@end
//@end
    for (u32 tile = 0; tile < tiles; ++tile) {
        cp_async_wait<RING_STAGES - 2>();
        sync_threads();
        load(tile + RING_STAGES - 1);
        float s[2][RING_N][4];
        multiply_keys(s, q, lane_base_b(ring + tile % RING_STAGES * RING_BYTES));
//@if FACTORS_OF_SCORES
#pragma unroll
        for (u32 n = 0; n < RING_N; ++n)
#pragma unroll
            for (u32 e = 0; e < 2; ++e) {
                const u32 column = tile * RING_KEYS + n * 8 + lane_id() % 4 * 2 + e;
                const float factor = k_factors[min(column / SAMPLES_KV, (u32)p.blocks - 1)];
#pragma unroll
                for (u32 i = 0; i < 4; ++i) {
                    float& score = s[i / 2][n][i % 2 * 2 + e];
                    score = score * factors[i / 2][i % 2] * factor;
                }
            }
//@end
        if (tile >= plain) {
            i32 limits[2][2];
#pragma unroll
            for (u32 i = 0; i < 4; ++i) {
                const i32 sample = (i32)(warp_sample + i / 2 * 16 + i % 2 * 8 + lane_id() / 4);
                // Padding rows see one key, so that no sum is 0; their results are not read.
                limits[i / 2][i % 2] = sample < p.q_samples ? limit_of(sample) : 1;
            }
//@if FACTORS_OF_TOPS
            mask_keys(s, (i32)(tile * RING_KEYS), limits, FLOAT_NEG_INF); // below what any factor makes of a score
//@else
            mask_keys(s, (i32)(tile * RING_KEYS), limits);
//@end
        }

//@if SUMS_EXACT
        float max[2][2]; // of each row in this tile
//@end
//@if BLOCK_SPANS_TILES
        const u32 part = tile % (SAMPLES_KV / RING_KEYS), block = tile / (SAMPLES_KV / RING_KEYS);
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            const float top = scores_max<RING_N>(s[i / 2], 0, i % 2);
//@if POOL_SUM
            const float before = part == 0 ? FLOAT_NEG_INF : block_max[i / 2][i % 2];
            block_max[i / 2][i % 2] = fmaxf(before, top);
            const float reference = finite(log2_of(block_max[i / 2][i % 2], i, block));
            const float under = part == 0 ? 0.0f : exp2_approx(finite(log2_of(before, i, block)) - reference);
            const float earlier = part == 0 ? 0.0f : block_sum[i / 2][i % 2];
            block_sum[i / 2][i % 2] = fmaf(earlier, under, sum_of(s, 0, RING_N, i, block, reference));
//@else
            block_max[i / 2][i % 2] = part == 0 ? top : fmaxf(block_max[i / 2][i % 2], top);
//@end
//@if SUMS_EXACT
            max[i / 2][i % 2] = top;
//@end
        }
        if (part + 1 == SAMPLES_KV / RING_KEYS || tile + 1 == tiles) {
            float top[2][2];
#pragma unroll
//@if POOL_SUM
            for (u32 i = 0; i < 4; ++i) {
                const float sum = log2_approx(quad_sum(block_sum[i / 2][i % 2]));
                top[i / 2][i % 2] = finite(log2_of(block_max[i / 2][i % 2], i, block)) + sum;
            }
//@else
            for (u32 i = 0; i < 4; ++i) top[i / 2][i % 2] = log2_of(block_max[i / 2][i % 2], i, block);
//@end
            raise_floors(top, block);
            take_block(top, block);
        }
//@end
//@if BLOCK_FILLS_N_TILES
        const u32 first_block = tile * (RING_KEYS / SAMPLES_KV);
        float tops[RING_KEYS / SAMPLES_KV][2][2], highest[2][2];
#pragma unroll
        for (u32 b = 0; b < RING_KEYS / SAMPLES_KV; ++b)
#pragma unroll
            for (u32 i = 0; i < 4; ++i) {
                const float top = scores_max<SAMPLES_KV / 8>(s[i / 2], b * (SAMPLES_KV / 8), i % 2);
//@if POOL_SUM
                const float reference = finite(log2_of(top, i, first_block + b));
                const float sum = sum_of(s, b * (SAMPLES_KV / 8), SAMPLES_KV / 8, i, first_block + b, reference);
                const float logarithm = reference + log2_approx(quad_sum(sum));
//@else
                const float logarithm = log2_of(top, i, first_block + b);
//@end
                tops[b][i / 2][i % 2] = logarithm;
                highest[i / 2][i % 2] = b == 0 ? logarithm : fmaxf(highest[i / 2][i % 2], logarithm);
//@if SUMS_EXACT
                max[i / 2][i % 2] = b == 0 ? top : fmaxf(max[i / 2][i % 2], top);
//@end
            }
        raise_floors(highest, first_block);
#pragma unroll
        for (u32 b = 0; b < RING_KEYS / SAMPLES_KV; ++b)
            if (first_block + b < (u32)p.blocks) take_block(tops[b], first_block + b);
//@end
//@if BLOCK_WITHIN_N_TILE
        // A block is SAMPLES_KV of the 8 columns of an n-tile: two, one or half of the columns of a quad's lane.
        const u32 t = lane_id() % 4;
        auto block_at = [&](u32 n) -> u32 { return (tile * RING_KEYS + n * 8 + 2 * t) / SAMPLES_KV; };
        float highest[2][2];
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
//@if FACTORS_OF_TOPS
            float top = FLOAT_NEG_INF;
#pragma unroll
            for (u32 n = 0; n < RING_N; ++n)
#pragma unroll
                for (u32 e = 0; e < 2; ++e)
                    top = fmaxf(top, log2_of(s[i / 2][n][i % 2 * 2 + e], i, (tile * RING_KEYS + n * 8 + 2 * t + e) / SAMPLES_KV));
            highest[i / 2][i % 2] = quad_max(top);
//@else
            const float top = scores_max<RING_N>(s[i / 2], 0, i % 2);
            highest[i / 2][i % 2] = top * SCALE_LOG2;
//@end
//@if SUMS_EXACT
            max[i / 2][i % 2] = top;
//@end
//@if POOL_SUM
            highest[i / 2][i % 2] += 2.0f; // a block's four scores sum to no more than four times the largest
//@end
        }
        raise_floors(highest, tile * (RING_KEYS / SAMPLES_KV));
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            const u32 row = warp_sample + i / 2 * 16 + i % 2 * 8 + lane_id() / 4;
            const float low = floor[i / 2][i % 2];
            // One lane takes a block of a row, in log2.
            auto take = [&](float top, u32 block) {
                if (block >= (u32)p.blocks) return;
                if (row < samples) codes_of(row)[(u64)block * SAMPLES_Q] = code_of(top - low);
//@if SUMS_EXACT
//@else
                sums[i / 2][i % 2] += exp2_approx(top - (low + FLOOR_DEPTH));
//@end
            };
#pragma unroll
            for (u32 n = 0; n < RING_N; ++n) {
                const float a = s[i / 2][n][i % 2 * 2], b = s[i / 2][n][i % 2 * 2 + 1];
//@if POOL_SUM
//@if BLOCK_OF_1
//@else
                const float of_a = log2_of(a, i, block_at(n)), of_b = log2_of(b, i, block_at(n));
                float top = fmaxf(of_a, of_b);
//@if BLOCK_OF_4
                top = finite(fmaxf(top, shfl_xor(top, 1)));
                float sum = exp2_approx(of_a - top) + exp2_approx(of_b - top);
                sum += shfl_xor(sum, 1);
                if (t % 2 == 0) take(top + log2_approx(sum), block_at(n));
//@else
                top = finite(top);
                take(top + log2_approx(exp2_approx(of_a - top) + exp2_approx(of_b - top)), block_at(n));
//@end
//@end
//@else
//@if BLOCK_OF_4
                const float top = fmaxf(fmaxf(a, b), shfl_xor(fmaxf(a, b), 1));
                if (t % 2 == 0) take(log2_of(top, i, block_at(n)), block_at(n));
//@end
//@if BLOCK_OF_2
                take(log2_of(fmaxf(a, b), i, block_at(n)), block_at(n));
//@end
//@end
//@if BLOCK_OF_1
                take(log2_of(a, i, block_at(n)), block_at(n));
                take(log2_of(b, i, block_at(n) + 1), block_at(n) + 1);
//@end
            }
        }
//@end
//@if SUMS_EXACT
        running_add(running, s, max);
//@end
    }

    float lse[2][2];
#pragma unroll
    for (u32 i = 0; i < 4; ++i)
//@if SUMS_EXACT
        lse[i / 2][i % 2] =
            running.max[i / 2][i % 2] * SCALE_LOG2 + log2_approx(quad_sum(running.sum[i / 2][i % 2]));
//@else
        lse[i / 2][i % 2] = floor[i / 2][i % 2] + FLOOR_DEPTH + log2_approx(quad_sum(sums[i / 2][i % 2]));
//@end
    if (sample < samples) {
        p.lse[sequence * samples + sample] = quad_pick(lse);
        p.floors[sequence * samples + sample] = quad_pick(floor);
    }
}
