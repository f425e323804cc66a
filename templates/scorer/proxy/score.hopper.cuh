// score: proxy queries against proxy keys, once. Rows keep their maximum and sum, and each (sample, block) the code of its
// largest score: softmax is monotone, so normalising the maximum afterwards is all that is left of max-pooling it.
//
// A unit of work is UNIT_ROWS samples against SEGMENT_KEYS keys: long enough to hide how it begins, short enough to fill
// the GPU. What a sample's keys sum to is known for each segment, and added up by `select`. Each warpgroup has 64 samples.
#define UNIT_ROWS (WARPGROUPS * WG_ROWS)
#define STAGE_BLOCKS (STAGE_KEYS / SAMPLES_KV)
// Words of a description of work.
#define WORK_STAGES 0 // 0 ends the kernel
#define WORK_SEQUENCE 1
#define WORK_TILE 2
#define WORK_SEGMENT 3

// What a lane knows of its warpgroup's samples: its rows g and g + 8, and the sample whose codes it stores. Lane t of a quad
// stores those of row g + 8 · (t % 2), BLOCKS_APART from each other.
//@if BLOCK_FILLS_STAGE
#define BLOCKS_APART 1
//@else
#define BLOCKS_APART 2 // beginning with t / 2
//@end
struct Samples {
    float max[2], sum[2];
    i32 seen[2]; // keys that the rows see
    u16* codes;  // of the stored sample and the lane's first block, or null
    float floor; // of the stored sample
};

// The largest score of each block in each of the lane's rows goes to the lane of the quad that stores its code.
__device__ __forceinline__ void store_codes(const Samples& samples, const float (&top)[STAGE_BLOCKS][2], u32 block,
                                            u32 blocks) {
    float mine[STAGE_BLOCKS];
#pragma unroll
    for (u32 b = 0; b < STAGE_BLOCKS; ++b) {
        const Share row = share_out(top[b][0], top[b][1], 1);
        mine[b] = fmaxf(row.own, row.other);
    }
//@if BLOCK_FILLS_STAGE
    const float max = fmaxf(mine[0], shfl_xor(mine[0], 2));
    if (samples.codes != nullptr && block < blocks)
        samples.codes[(u64)block * SAMPLES_Q] = code_of(max, samples.floor);
//@else
#pragma unroll
    for (u32 b = 0; b < STAGE_BLOCKS; b += 2) {
        const Share half = share_out(mine[b], mine[b + 1], 2);
        if (samples.codes != nullptr && block + b + lane_id() % 4 / 2 < blocks)
            samples.codes[(u64)(block + b) * SAMPLES_Q] = code_of(fmaxf(half.own, half.other), samples.floor);
    }
//@end
}

// Takes the scores of a tile against the stage that begins with `key`; its segment begins with `first_key`.
__device__ __forceinline__ void take(Samples& samples, float (&s)[STAGE_KEYS / 2], i32 first_key, i32 key, u32 blocks) {
    if (any_sync(key + STAGE_KEYS > samples.seen[0] || key + STAGE_KEYS > samples.seen[1]))
        hide<STAGE_KEYS>(s, 0, samples.seen[0] - key, samples.seen[1] - key);
    float added[2], top[STAGE_BLOCKS][2];
#pragma unroll
    for (u32 h = 0; h < 2; ++h) added[h] = sum_columns<STAGE_KEYS>(s, 0, h, samples.max[h]);
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
        const float floor = floor_below(lane_id() % 2 == 0 ? samples.max[0] : samples.max[1]);
        if (samples.codes != nullptr)
            lower_codes(samples.codes, (u32)first_key / SAMPLES_KV, (u32)key / SAMPLES_KV, BLOCKS_APART,
                        floor - samples.floor);
        samples.floor = floor;
    }
    samples.sum[0] += added[0];
    samples.sum[1] += added[1];
    store_codes(samples, top, (u32)key / SAMPLES_KV, blocks);
}

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
        u16* codes = p.maxima + row * p.blocks * SAMPLES_Q + stored % SAMPLES_Q;
//@if BLOCK_FILLS_STAGE
        samples.codes = stored < samples_all && t < 2 ? codes : nullptr;
//@else
        samples.codes = stored < samples_all ? codes + t / 2 * SAMPLES_Q : nullptr;
//@end
        samples.floor = floor_below(MASKED_SCORE);
#pragma unroll
        for (u32 h = 0; h < 2; ++h) {
            const i32 sample = (i32)(first_sample + h * 8);
            // Padding rows see one key, so that no sum is 0; their results are not read.
            samples.seen[h] = sample < p.q_samples ? seen_by(sample) : 1;
            samples.max[h] = MASKED_SCORE;
            samples.sum[h] = 0.0f;
        }

        mbarrier_wait(barrier_at(QUERIES_FULL + wg), parity_of(unit, 1));
        const i32 first_key = (i32)(segment * p.segment_keys);
        i32 key = first_key;
        for (u32 i = 0; i < stages; ++i, ++n, key += STAGE_KEYS) {
            float s[STAGE_KEYS / 2];
            multiply_stage(s, q, n, turns);
            take(samples, s, first_key, key, p.blocks);
        }
        release(QUERIES_EMPTY + wg);

        float lse[2];
#pragma unroll
        for (u32 h = 0; h < 2; ++h) lse[h] = samples.max[h] * SCALE_LOG2 + log2_approx(quad_sum(samples.sum[h]));
        if (t < 2 && stored < samples_all) {
            const u64 at = (row * p.segments + segment) * SAMPLES_Q + stored % SAMPLES_Q;
            p.lse[at] = t == 0 ? lse[0] : lse[1];
            p.floors[at] = samples.floor;
        }
    }
}
