// score: strided queries against strided keys. A product adds up over STRIDE_KV parts: the queries of the last place in their
// windows against the keys of the first, and so on to the queries of the first against the keys of the last.
//
// A unit of work is UNIT_ROWS samples against SEGMENT_KEYS strided keys, tile after tile of STRIDED_KEYS. A stage has 64 elements
// of a part, of all rows of a tile. Each warpgroup has 128 samples, in two accumulators that share the stage's keys: with
// 64, operands would take as long from shared memory as products do. The sum of a sample is known for each segment, and
// added up by `select`.
//@if POOL_KEYS
//@else
//
// Keys are read where they lie: a row of `windows` is what lies from a window's first token to the next window, so that its
// part r begins r tokens on. `full_windows` has those alone that lack no token.
//@end
#define WARPGROUPS 2
#define WG_TILES 2 // accumulators of a warpgroup
#define UNIT_ROWS (WARPGROUPS * WG_TILES * WG_ROWS)
#define TILE_BYTES (WG_ROWS * ROW_BYTES)
#define QUERY_BYTES (UNIT_ROWS * ROW_BYTES)
#define STAGE_BYTES (QUERY_BYTES + STRIDED_KEYS * ROW_BYTES)
#define TILE_STAGES (STRIDE_KV * HALVES)
#define STAGES_FULL TILE_BARRIERS
#define STAGES_EMPTY (STAGES_FULL + STRIDED_STAGES)
// Words of a description of work.
#define WORK_TILES 0 // 0 ends the kernel
#define WORK_SEQUENCE 1
#define WORK_ROWS 2
#define WORK_SEGMENT 3

__device__ __forceinline__ u32 stage_at(u32 n) { return smem_u32(smem) + TILES_AT + n % STRIDED_STAGES * STAGE_BYTES; }

//@kernel score
{
    if (threadIdx.x == 0) {
        barriers_init(WORK_FULL, WORK_SLOTS, 1);
        barriers_init(WORK_EMPTY, WORK_SLOTS, WARPGROUPS * WG_WARPS);
        barriers_init(STAGES_FULL, STRIDED_STAGES, 1);
        barriers_init(STAGES_EMPTY, STRIDED_STAGES, WARPGROUPS * WG_WARPS);
        fence_mbarrier_init();
    }
    sync_threads();

    const u32 row_tiles = ((u32)p.q_samples + UNIT_ROWS - 1) / UNIT_ROWS;
    const u32 wg = uniform(threadIdx.x / WG_THREADS);
    if (wg == WARPGROUPS) {
        registers_decrease<PRODUCER_REGISTERS>();
        if (threadIdx.x != WARPGROUPS * WG_THREADS) return;
        // Strided keys that some sample of a tile of rows sees.
        auto seen_by = [&](u32 rows) -> i32 {
            return seen_samples(sequence_of(p), min((i32)((rows + 1) * UNIT_ROWS), p.q_samples) - 1, p.kv_samples);
        };
        u32 n = 0;                              // stages so far
        u32 ticket = blockIdx.x, passed = 0;    // units before those of (sequence, rows)
        u32 sequence = 0, rows = row_tiles - 1; // the last samples see the most keys: they come first
        for (u32 unit = 0;; ++unit) {
            auto segments_of = [&](u32 rows) -> u32 { return (u32)(seen_by(rows) + p.segment_keys - 1) / p.segment_keys; };
            while (sequence < (u32)(p.batch * p.groups) && ticket - passed >= segments_of(rows)) {
                passed += segments_of(rows);
                if (rows == 0) sequence += 1;
                rows = rows == 0 ? row_tiles - 1 : rows - 1;
            }
            const bool more = sequence < (u32)(p.batch * p.groups);
            const u32 segment = ticket - passed;
            const i32 first = (i32)(segment * p.segment_keys);
            const i32 end = more ? min(first + p.segment_keys, seen_by(rows)) : first;
            const u32 tiles = (u32)(end - first + STRIDED_KEYS - 1) / STRIDED_KEYS;
            work_begin(unit);
            st_shared_u32(work_at(unit, WORK_TILES), tiles);
            st_shared_u32(work_at(unit, WORK_SEQUENCE), sequence);
            st_shared_u32(work_at(unit, WORK_ROWS), rows);
            st_shared_u32(work_at(unit, WORK_SEGMENT), segment);
            work_publish(unit);
            if (!more) return;

            const i32 group = (i32)(sequence % (u32)p.groups), batch = (i32)(sequence / (u32)p.groups);
            for (u32 i = 0; i < tiles * TILE_STAGES; ++i, ++n) {
                const i32 part = (i32)(i % TILE_STAGES / HALVES), column = (i32)(i % HALVES) * BOX_COLUMNS;
                const u32 full = barrier_at(STAGES_FULL + n % STRIDED_STAGES);
                mbarrier_wait(barrier_at(STAGES_EMPTY + n % STRIDED_STAGES), parity_of(n, STRIDED_STAGES) ^ 1);
                mbarrier_arrive_expect_tx(full, STAGE_BYTES);
                tma_load_4d(stage_at(n), &p.strided_q_map, full, column, (i32)(rows * UNIT_ROWS),
                            group * STRIDE_Q + STRIDE_Q - 1 - part, batch);
                const i32 key = first + (i32)(i / TILE_STAGES * STRIDED_KEYS);
//@if POOL_KEYS
                tma_load_4d(stage_at(n) + QUERY_BYTES, &p.strided_k_map, full, column, key, group * STRIDE_KV + part, batch);
//@else
                // The last window may lack this part's key, or be the only one: then it lies outside of the map.
                const bool lacks = part >= p.kv_len % STRIDE_KV;
                tma_load_4d(stage_at(n) + QUERY_BYTES, lacks ? &p.full_windows_map : &p.windows_map, full,
                            part * (i32)p.k_token + column, key + (lacks && p.kv_len < STRIDE_KV ? 1 : 0), group, batch);
//@end
            }
            ticket = gridDim.x + atomic_add_global(p.units, 1);
        }
    }

    registers_increase<CONSUMER_REGISTERS>();
    const u64 q = wgmma_descriptor(stage_at(0) + wg * WG_TILES * TILE_BYTES, 16, 1024);
    const u64 k = wgmma_descriptor(stage_at(0) + QUERY_BYTES, 16, 1024);
    u32 n = 0; // stages so far
    for (u32 unit = 0;; ++unit) {
        work_wait(unit);
        const u32 tiles = ld_shared_u32(work_at(unit, WORK_TILES));
        const u64 sequence = ld_shared_u32(work_at(unit, WORK_SEQUENCE));
        const u32 rows = ld_shared_u32(work_at(unit, WORK_ROWS)), segment = ld_shared_u32(work_at(unit, WORK_SEGMENT));
        work_release(unit);
        if (tiles == 0) return;

        const u32 first_key = segment * (u32)p.segment_keys;
        const u32 first_sample = rows * UNIT_ROWS + wg * WG_TILES * WG_ROWS + warp_id() % WG_WARPS * 16 + lane_id() / 4;
        auto sample_of = [&](u32 i) -> u32 { return first_sample + i / 2 * WG_ROWS + i % 2 * 8; };
        Sample samples[2 * WG_TILES];
#pragma unroll
        for (u32 i = 0; i < 2 * WG_TILES; ++i) samples[i] = sample_begin(p, sequence, sample_of(i));

        for (u32 tile = 0; tile < tiles; ++tile) {
            float s[WG_TILES][STRIDED_KEYS / 2];
            for (u32 i = 0; i < TILE_STAGES; ++i, ++n) {
                const u32 stage = n % STRIDED_STAGES;
                mbarrier_wait(barrier_at(STAGES_FULL + stage), parity_of(n, STRIDED_STAGES));
                wgmma_fence();
#pragma unroll
                for (u32 step = 0; step < BOX_COLUMNS / 16; ++step)
#pragma unroll
                    for (u32 m = 0; m < WG_TILES; ++m)
                        wgmma_ss<K_MAJOR>(s[m], descriptor_at(q, stage * STAGE_BYTES + m * TILE_BYTES + step * 32),
                                          descriptor_at(k, stage * STAGE_BYTES + step * 32), i > 0 || step > 0);
                wgmma_commit();
                // The products of the stage before have been read: these go on.
                wgmma_wait<1>();
                if (i > 0) release(STAGES_EMPTY + (n - 1) % STRIDED_STAGES);
            }
            wgmma_wait<0>();
#pragma unroll
            for (u32 m = 0; m < WG_TILES; ++m) wgmma_hold(s[m]);
            release(STAGES_EMPTY + (n - 1) % STRIDED_STAGES);
#pragma unroll
            for (u32 i = 0; i < 2 * WG_TILES; ++i)
                take_scores<STRIDED_KEYS / 8>(samples[i],
                                              [&](u32 j, u32 e) -> float& { return s[i / 2][4 * j + i % 2 * 2 + e]; },
                                              (i32)(first_key + tile * STRIDED_KEYS), first_key / SAMPLES_KV, (u32)p.blocks, i);
        }

#pragma unroll
        for (u32 i = 0; i < 2 * WG_TILES; ++i) {
            const float lse = sample_lse(samples[i]);
            const u64 row = sequence * p.rows + sample_of(i) / SAMPLES_Q;
            if (lane_id() % 4 == i && samples[i].stores) {
                const u64 at = (row * p.segments + segment) * SAMPLES_Q + sample_of(i) % SAMPLES_Q;
                p.lse[at] = lse;
                p.floors[at] = samples[i].floor;
            }
        }
    }
}
