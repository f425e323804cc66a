// score: proxy queries against proxy keys, once. Each (sample, block) keeps the code of its largest score: softmax is
// monotone, so normalising the maximum afterwards is all that is left of max-pooling it.
//@if SUMS_EXACT
// What normalises it is the sum over a sample's keys.
//@else
// What normalises it is the sum over a sample's block maxima: one exponential for a block.
//@end
//
// A unit of work is UNIT_ROWS samples against SEGMENT_KEYS keys: long enough to hide how it begins, short enough to fill
// the GPU. The sum of a sample is known for each segment, and added up by `select`. Each warpgroup has 64 samples.
#define UNIT_ROWS (WARPGROUPS * WG_ROWS)
#define STAGE_BLOCKS (STAGE_KEYS / SAMPLES_KV)
// Words of a description of work.
#define WORK_STAGES 0 // 0 ends the kernel
#define WORK_SEQUENCE 1
#define WORK_TILE 2
#define WORK_SEGMENT 3

// What a lane knows of its warpgroup's samples: its rows g and g + 8, and the sample whose codes it stores. Lane t of a quad
// stores those of row g + 8 · (t % 2), LANE_BLOCKS of a stage, BLOCKS_APART from each other.
//@if BLOCK_FILLS_STAGE
#define LANE_BLOCKS 1
#define BLOCKS_APART 1
//@else
#define LANE_BLOCKS (STAGE_BLOCKS / 2)
#define BLOCKS_APART 2 // beginning with t / 2
//@end
struct Samples {
    i32 seen[2];     // keys that the rows see
    i32 seen_by_all; // by all rows of the warp
    u16* codes;      // of the stored sample and the lane's first block of the stage
    u32 blocks;      // before which the lane's first block of a stage exists
    bool stores;
//@if SUMS_EXACT
    float max[2], sum[2];
    float floor; // of the stored sample
//@else
    float reference; // of the stored sample, in log2: FLOOR_DEPTH above its floor
    float sum;       // of the stored sample over the lane's blocks, relative to the reference
//@end
//@if FACTORS_OF_TOPS
    float factor;           // of the stored sample's query, and the scale
    const float* k_factors; // of the lane's first block of the stage
//@end
//@if FACTORS_OF_SCORES
    float factors[2];       // of the rows' queries
    const float* k_factors; // of the first block of the stage
//@end
};

// The largest score of each block in each of the lane's rows.
__device__ __forceinline__ void block_tops(const float (&s)[STAGE_KEYS / 2], float (&top)[STAGE_BLOCKS][2]) {
#pragma unroll
    for (u32 h = 0; h < 2; ++h)
#pragma unroll
        for (u32 b = 0; b < STAGE_BLOCKS; ++b) {
            const u32 first = b * (SAMPLES_KV / 8);
            float even = s[4 * first + 2 * h], odd = s[4 * first + 2 * h + 1];
#pragma unroll
            for (u32 j = 1; j < SAMPLES_KV / 8; ++j) {
                even = fmaxf(even, s[4 * (first + j) + 2 * h]);
                odd = fmaxf(odd, s[4 * (first + j) + 2 * h + 1]);
            }
            top[b][h] = fmaxf(even, odd);
        }
}

// They go to the lane of the quad that stores their codes.
__device__ __forceinline__ void share_tops(const float (&top)[STAGE_BLOCKS][2], float (&mine)[LANE_BLOCKS]) {
    float row[STAGE_BLOCKS];
#pragma unroll
    for (u32 b = 0; b < STAGE_BLOCKS; ++b) {
        const Share of_row = share_out(top[b][0], top[b][1], 1);
        row[b] = fmaxf(of_row.own, of_row.other);
    }
//@if BLOCK_FILLS_STAGE
    mine[0] = fmaxf(row[0], shfl_xor(row[0], 2));
//@else
#pragma unroll
    for (u32 i = 0; i < LANE_BLOCKS; ++i) {
        const Share of_block = share_out(row[2 * i], row[2 * i + 1], 2);
        mine[i] = fmaxf(of_block.own, of_block.other);
    }
//@end
}

// The stored sample's floor has risen: its codes of the lane's earlier blocks of the segment, `count` of them, are lowered.
__device__ __forceinline__ void lower_earlier(const Samples& samples, u32 count, float rise) {
    if (samples.stores) lower_codes(samples.codes - (u64)count * BLOCKS_APART * SAMPLES_Q, 0, count * BLOCKS_APART, BLOCKS_APART, rise);
}

// Hides what the rows do not see of a stage. What hides it is lower than any score, and weighs nothing.
__device__ __forceinline__ void hide_unseen(const Samples& samples, float (&s)[STAGE_KEYS / 2], i32 key) {
    if (key + STAGE_KEYS > samples.seen_by_all)
//@if SUMS_EXACT
        hide<STAGE_KEYS>(s, 0, samples.seen[0] - key, samples.seen[1] - key, MASKED_SCORE);
//@else
        hide<STAGE_KEYS>(s, 0, samples.seen[0] - key, samples.seen[1] - key, FLOAT_NEG_INF);
//@end
}

//@if SUMS_EXACT
//@if FACTORS_OF_SCORES
// What queries and blocks of keys were divided by.
__device__ __forceinline__ void multiply_back(const Samples& samples, float (&s)[STAGE_KEYS / 2], i32 key, u32 blocks) {
    const u32 last = blocks - 1 - (u32)key / SAMPLES_KV;
#pragma unroll
    for (u32 b = 0; b < STAGE_BLOCKS; ++b) {
        const float factor = samples.k_factors[min(b, last)];
#pragma unroll
        for (u32 j = b * (SAMPLES_KV / 8); j < (b + 1) * (SAMPLES_KV / 8); ++j)
#pragma unroll
            for (u32 e = 0; e < 4; ++e) s[4 * j + e] = s[4 * j + e] * samples.factors[e / 2] * factor;
    }
}

//@end
// Takes the scores of a stage that begins with `key`, the i-th of its segment.
__device__ __forceinline__ void take(Samples& samples, float (&s)[STAGE_KEYS / 2], u32 i, i32 key) {
    hide_unseen(samples, s, key);
    float added[2], top[STAGE_BLOCKS][2], mine[LANE_BLOCKS];
#pragma unroll
    for (u32 h = 0; h < 2; ++h) added[h] = sum_columns<STAGE_KEYS>(s, 0, h, samples.max[h]);
    block_tops(s, top);
    // Sums are relative to a reference that hardly ever moves: once in a unit, as a rule. So they wait neither for the
    // maxima nor for another lane. The floor of the codes moves with it.
    if (__builtin_expect(any_sync(!(fmaxf(added[0], added[1]) <= HEADROOM)), false)) {
#pragma unroll
        for (u32 h = 0; h < 2; ++h) {
            float row = top[0][h];
#pragma unroll
            for (u32 b = 1; b < STAGE_BLOCKS; ++b) row = fmaxf(row, top[b][h]);
            const float max = fmaxf(samples.max[h], quad_max(row));
            samples.sum[h] *= exp2_approx((samples.max[h] - max) * SCALE_LOG2);
            samples.max[h] = max;
            added[h] = sum_columns<STAGE_KEYS>(s, 0, h, max);
        }
        const float floor = floor_below((lane_id() % 2 == 0 ? samples.max[0] : samples.max[1]) * SCALE_LOG2);
        lower_earlier(samples, i * LANE_BLOCKS, floor - samples.floor);
        samples.floor = floor;
    }
    samples.sum[0] += added[0];
    samples.sum[1] += added[1];
    share_tops(top, mine);
#pragma unroll
    for (u32 j = 0; j < LANE_BLOCKS; ++j)
        if (samples.stores && (u32)key / SAMPLES_KV + j * BLOCKS_APART < samples.blocks)
            samples.codes[j * BLOCKS_APART * SAMPLES_Q] = code_of(mine[j] * SCALE_LOG2 - samples.floor);
    samples.codes += STAGE_BLOCKS * SAMPLES_Q;
}
//@else
//@if FEW_BLOCKS
// What the products of a stage leave: its codes and sums follow while the next stage is multiplied.
//@else
// What the products of a stage leave.
//@end
struct Tops {
    float top[STAGE_BLOCKS][2];
//@if FACTORS_OF_TOPS
    float factors[LANE_BLOCKS]; // of the lane's blocks
//@end
};

// Takes the maxima of the stage that begins with `key`, the i-th of its segment.
__device__ __forceinline__ void take(Samples& samples, const Tops& tops, u32 i, i32 key) {
    float mine[LANE_BLOCKS], above[LANE_BLOCKS]; // raw, and in log2 above the reference
    share_tops(tops.top, mine);
    auto largest_above = [&](float reference) -> float {
        float largest = FLOAT_NEG_INF;
#pragma unroll
        for (u32 j = 0; j < LANE_BLOCKS; ++j) {
//@if FACTORS_OF_TOPS
            above[j] = fmaf(mine[j] * samples.factor, tops.factors[j], -reference);
//@else
            above[j] = fmaf(mine[j], SCALE_LOG2, -reference);
//@end
            largest = fmaxf(largest, above[j]);
        }
        return largest;
    };
    // Once in a unit, as a rule.
    if (__builtin_expect(any_sync(largest_above(samples.reference) > FLOOR_REACH - FLOOR_DEPTH), false)) {
        const float largest = largest_above(0.0f);
        const float row = fmaxf(largest, shfl_xor(largest, 2)); // of both lanes that have the sample
        if (row - samples.reference > FLOOR_REACH - FLOOR_DEPTH) {
            const float rise = rintf(row) - samples.reference;
            lower_earlier(samples, i * LANE_BLOCKS, rise);
            samples.sum *= exp2_approx(-rise);
            samples.reference = rintf(row);
        }
        largest_above(samples.reference);
    }
#pragma unroll
    for (u32 j = 0; j < LANE_BLOCKS; ++j) {
        samples.sum += exp2_approx(above[j]);
        if (samples.stores && (u32)key / SAMPLES_KV + j * BLOCKS_APART < samples.blocks)
            samples.codes[j * BLOCKS_APART * SAMPLES_Q] = code_of(above[j] + FLOOR_DEPTH);
    }
    samples.codes += STAGE_BLOCKS * SAMPLES_Q;
}
//@end

//@kernel score
{
    if (threadIdx.x == 0) {
        barriers_init(WORK_FULL, WORK_SLOTS, 1);
        barriers_init(WORK_EMPTY, WORK_SLOTS, WARPGROUPS * WG_WARPS);
        scoring_barriers_init(WARPGROUPS);
        fence_mbarrier_init();
    }
    sync_threads();

    auto seen_by = [&](i32 sample) -> i32 { return seen_samples(sequence_of(p), sample, p.kv_samples); };
    // Keys that some sample of a tile sees.
    auto seen_by_tile = [&](u32 tile) -> i32 { return seen_by(min((i32)((tile + 1) * UNIT_ROWS), p.q_samples) - 1); };
    const u32 row_tiles = ((u32)p.q_samples + UNIT_ROWS - 1) / UNIT_ROWS;

    const u32 wg = uniform(threadIdx.x / WG_THREADS);
    if (wg == WARPGROUPS) {
        registers_decrease<PRODUCER_REGISTERS>();
        if (threadIdx.x != WARPGROUPS * WG_THREADS) return;
        u32 n = 0;                                // stages so far
        u32 ticket = blockIdx.x, passed = 0;      // units before those of (sequence, tile)
        u32 sequence = 0, tile = row_tiles - 1;   // the last samples see the most keys: they come first
        for (u32 unit = 0;; ++unit) {
            auto segments_of = [&](u32 tile) -> u32 {
                return (u32)(seen_by_tile(tile) + p.segment_keys - 1) / p.segment_keys;
            };
            while (sequence < (u32)(p.batch * p.groups) && ticket - passed >= segments_of(tile)) {
                passed += segments_of(tile);
                if (tile == 0) sequence += 1;
                tile = tile == 0 ? row_tiles - 1 : tile - 1;
            }
            const bool more = sequence < (u32)(p.batch * p.groups);
            const u32 segment = ticket - passed;
            const i32 first = (i32)(segment * p.segment_keys);
            const i32 end = more ? min(first + p.segment_keys, seen_by_tile(tile)) : first;
            const u32 stages = (u32)(end - first + STAGE_KEYS - 1) / STAGE_KEYS;
            work_begin(unit);
            st_shared_u32(work_at(unit, WORK_STAGES), stages);
            st_shared_u32(work_at(unit, WORK_SEQUENCE), sequence);
            st_shared_u32(work_at(unit, WORK_TILE), tile);
            st_shared_u32(work_at(unit, WORK_SEGMENT), segment);
            work_publish(unit);
            if (!more) return;

            const u32 group = sequence % (u32)p.groups, batch = sequence / (u32)p.groups;
            for (u32 w = 0; w < WARPGROUPS; ++w)
                load_queries(&p.proxy_q_map, w, unit, (i32)(tile * UNIT_ROWS + w * WG_ROWS), group, batch);
            for (u32 i = 0; i < stages; ++i, ++n)
                load_keys(&p.keys_map, n, first + (i32)(i * STAGE_KEYS), group, batch);
            ticket = gridDim.x + atomic_add_global(p.units, 1);
        }
    }

    registers_increase<CONSUMER_REGISTERS>();
    const u32 samples_all = (u32)p.rows * SAMPLES_Q, t = lane_id() % 4, g = lane_id() / 4;
    const u64 q = wgmma_descriptor(smem_u32(smem) + TILES_AT + wg * QUERY_BYTES, 16, 1024);
    const Turns turns = turns_begin(wg, WARPGROUPS);
    u32 n = 0; // stages so far
    for (u32 unit = 0;; ++unit) {
        work_wait(unit);
        const u32 stages = ld_shared_u32(work_at(unit, WORK_STAGES));
        const u32 sequence = ld_shared_u32(work_at(unit, WORK_SEQUENCE));
        const u32 tile = ld_shared_u32(work_at(unit, WORK_TILE)), segment = ld_shared_u32(work_at(unit, WORK_SEGMENT));
        work_release(unit);
        if (stages == 0) {
            turns_end(turns);
            return;
        }

        Samples samples;
        const u32 first_sample = tile * UNIT_ROWS + wg * WG_ROWS + warp_id() % WG_WARPS * 16 + g;
        const u32 stored = first_sample + t % 2 * 8;
        const u64 row = (u64)sequence * p.rows + stored / SAMPLES_Q;
        const i32 first_key = (i32)(segment * p.segment_keys);
//@if BLOCK_FILLS_STAGE
        const u32 first_block = 0; // of the lane's in a stage
        samples.stores = stored < samples_all && t < 2;
//@else
        const u32 first_block = t / 2; // of the lane's in a stage
        samples.stores = stored < samples_all;
//@end
        samples.blocks = p.blocks - first_block;
        samples.codes = p.maxima + (row * p.blocks + (u32)first_key / SAMPLES_KV + first_block) * SAMPLES_Q + stored % SAMPLES_Q;
//@if SUMS_EXACT
        samples.floor = floor_below(MASKED_SCORE * SCALE_LOG2);
//@else
        samples.reference = MASKED_SCORE * SCALE_LOG2;
        samples.sum = 0.0f;
//@end
//@if FACTORS_OF_TOPS
        const float q_factor = p.q_factors[(u64)sequence * p.q_samples + min((i32)stored, p.q_samples - 1)];
        samples.factor = fmaxf(q_factor * SCALE_LOG2, 0x1p-126f); // 0 would make a number of what is hidden
        samples.k_factors = p.k_factors + (u64)sequence * p.blocks + (u32)first_key / SAMPLES_KV + first_block;
//@end
#pragma unroll
        for (u32 h = 0; h < 2; ++h) {
            const i32 sample = (i32)(first_sample + h * 8);
            // Padding rows see one key, so that no sum is 0; their results are not read.
            samples.seen[h] = sample < p.q_samples ? seen_by(sample) : 1;
//@if FACTORS_OF_SCORES
            samples.factors[h] = p.q_factors[(u64)sequence * p.q_samples + min(sample, p.q_samples - 1)];
//@end
//@if SUMS_EXACT
            samples.max[h] = MASKED_SCORE;
            samples.sum[h] = 0.0f;
//@end
        }
//@if FACTORS_OF_SCORES
        samples.k_factors = p.k_factors + (u64)sequence * p.blocks + (u32)first_key / SAMPLES_KV;
//@end
        samples.seen_by_all = (i32)redux_min((u32)min(samples.seen[0], samples.seen[1]));

        mbarrier_wait(barrier_at(QUERIES_FULL + wg), parity_of(unit, 1));
        i32 key = first_key;
//@if SUMS_EXACT
        for (u32 i = 0; i < stages; ++i, ++n, key += STAGE_KEYS) {
            float s[STAGE_KEYS / 2];
            multiply_stage(s, q, n, turns, [] {});
//@if FACTORS_OF_SCORES
            multiply_back(samples, s, key, p.blocks);
            samples.k_factors += STAGE_BLOCKS;
//@end
            take(samples, s, i, key);
        }
//@else
        Tops tops;
        for (u32 i = 0; i < stages; ++i, ++n, key += STAGE_KEYS) {
            float s[STAGE_KEYS / 2];
//@if FACTORS_OF_TOPS
            float factors[LANE_BLOCKS];
#pragma unroll
            for (u32 j = 0; j < LANE_BLOCKS; ++j) {
                const bool exists = (u32)key / SAMPLES_KV + j * BLOCKS_APART < samples.blocks;
                factors[j] = exists ? samples.k_factors[j * BLOCKS_APART] : 1.0f;
            }
            samples.k_factors += STAGE_BLOCKS;
//@end
//@if FEW_BLOCKS
            multiply_stage(s, q, n, turns, [&] {
                if (i > 0) take(samples, tops, i - 1, key - STAGE_KEYS);
            });
//@else
            multiply_stage(s, q, n, turns, [] {});
//@end
            hide_unseen(samples, s, key);
            block_tops(s, tops.top);
//@if FACTORS_OF_TOPS
#pragma unroll
            for (u32 j = 0; j < LANE_BLOCKS; ++j) tops.factors[j] = factors[j];
//@end
//@if FEW_BLOCKS
        }
        take(samples, tops, stages - 1, key - STAGE_KEYS);
//@else
            take(samples, tops, i, key); // at once: there are too many to wait in registers
        }
//@end
//@end
        release(QUERIES_EMPTY + wg);

//@if SUMS_EXACT
        float lse[2];
#pragma unroll
        for (u32 h = 0; h < 2; ++h) lse[h] = samples.max[h] * SCALE_LOG2 + log2_approx(quad_sum(samples.sum[h]));
        const float stored_lse = t == 0 ? lse[0] : lse[1];
//@else
//@if BLOCK_FILLS_STAGE
        const float sum = samples.sum;
//@else
        const float sum = samples.sum + shfl_xor(samples.sum, 2);
//@end
        const float stored_lse = samples.reference + log2_approx(sum);
//@end
        if (t < 2 && stored < samples_all) {
            const u64 at = (row * p.segments + segment) * SAMPLES_Q + stored % SAMPLES_Q;
            p.lse[at] = stored_lse;
//@if SUMS_EXACT
            p.floors[at] = samples.floor;
//@else
            p.floors[at] = samples.reference - FLOOR_DEPTH;
//@end
        }
    }
}
