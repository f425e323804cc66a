// dense: exact attention of each query head over every key that it sees, 64 · WARPGROUPS rows of one head a tile.
#define ROW_TILE (WARPGROUPS * WG_ROWS)

// Words of a description of work.
#define WORK_STAGES 0 // 0 ends the kernel
#define WORK_ROWS 1   // the tile's first query
#define WORK_HEAD 2
#define WORK_BATCH 3

//@kernel dense
{
    barriers_start();
    const u32 wg = threadIdx.x / WG_THREADS;
    if (wg == WARPGROUPS) {
        registers_decrease<PRODUCER_REGISTERS>();
        if (threadIdx.x != WARPGROUPS * WG_THREADS) return;
        const u32 row_tiles = ((u32)p.q_len + ROW_TILE - 1) / ROW_TILE;
        const u32 tiles = (u32)(p.batch * p.heads) * row_tiles;
        u32 n = 0; // stages so far
        u32 ticket = blockIdx.x;
        for (u32 tile = 0;; ++tile) {
            // One KV head after the other, so that its keys stay in the cache; the longest rows first.
            const u32 member = ticket % (u32)p.heads_per_kv, line = ticket / (u32)p.heads_per_kv;
            const u32 sequence = line / row_tiles * (u32)p.heads_per_kv + member;
            const u32 head = sequence % (u32)p.heads, batch = sequence / (u32)p.heads;
            const i32 first = (i32)((row_tiles - 1 - line % row_tiles) * ROW_TILE);
//@if CAUSAL
            const i32 end = min(p.kv_len - p.q_len + first + ROW_TILE, p.kv_len);
//@else
            const i32 end = p.kv_len;
//@end
            const u32 stages = ticket < tiles ? (u32)(end + STAGE_KEYS - 1) / STAGE_KEYS : 0;
            mbarrier_wait(barrier_at(WORK_EMPTY + tile % WORK_SLOTS), parity_of(tile, WORK_SLOTS) ^ 1);
            st_shared_u32(work_at(tile, WORK_STAGES), stages);
            st_shared_u32(work_at(tile, WORK_ROWS), (u32)first);
            st_shared_u32(work_at(tile, WORK_HEAD), head);
            st_shared_u32(work_at(tile, WORK_BATCH), batch);
            mbarrier_arrive(barrier_at(WORK_FULL + tile % WORK_SLOTS));
            if (stages == 0) return;
            ticket = gridDim.x + atomic_add_global(p.tickets, 1);

            for (u32 w = 0; w < WARPGROUPS; ++w)
                load_queries(&p.q_map, tile, w, true, first + (i32)(w * WG_ROWS), head, batch);
            const u32 kv_head = head / (u32)p.heads_per_kv;
            auto fill = [&](const TensorMap* map, u32 at, u32 full, u32 empty, u32 i) {
                const u32 stage = stage_begin(at, full, empty, n + i);
                load_piece(map, stage, 0, barrier_at(full + (n + i) % STAGES), (i32)((stages - 1 - i) * STAGE_KEYS),
                           kv_head, batch);
            };
            // Values follow the keys by a stage, as they are needed.
            for (u32 i = 0; i <= stages; ++i) {
                if (i < stages) fill(&p.k_map, KEYS_AT, KEYS_FULL, KEYS_EMPTY, i);
                if (i > 0) fill(&p.v_map, VALUES_AT, VALUES_FULL, VALUES_EMPTY, i - 1);
            }
            n += stages;
        }
    }

    registers_increase<CONSUMER_REGISTERS>();
    u32 n = 0, stored = NO_SLOT; // stages so far; where the last output leaves from
    for (u32 tile = 0;; ++tile) {
        mbarrier_wait(barrier_at(WORK_FULL + tile % WORK_SLOTS), parity_of(tile, WORK_SLOTS));
        const u32 stages = ld_shared_u32(work_at(tile, WORK_STAGES));
        const i32 first = (i32)ld_shared_u32(work_at(tile, WORK_ROWS)) + (i32)(wg * WG_ROWS);
        const u32 head = ld_shared_u32(work_at(tile, WORK_HEAD)), batch = ld_shared_u32(work_at(tile, WORK_BATCH));
        sync_warp();
        release(WORK_EMPTY + tile % WORK_SLOTS);
        if (stages == 0) break;
        const u32 slot = query_slot(tile, wg);
//@if CAUSAL
        // Keys that the lane's first row sees, and those that every row of the warpgroup sees.
        const i32 limit = p.kv_len - p.q_len + first + (i32)(warp_id() % WG_WARPS * 16 + lane_id() / 4) + 1;
        const i32 plain = min(p.kv_len - p.q_len + first + 1, p.kv_len);
//@else
        const i32 limit = p.kv_len, plain = p.kv_len;
//@end
        auto mask = [&](float (&s)[STAGE_KEYS / 2], u32 i) {
            const i32 key = (i32)((stages - 1 - i) * STAGE_KEYS);
            if (key + STAGE_KEYS <= plain) return;
//@if CAUSAL
            hide<STAGE_KEYS>(s, 0, limit - key, limit - key + 8);
//@else
            hide<STAGE_KEYS>(s, 0, limit - key, limit - key);
//@end
        };
        if (QUERY_SLOTS == 1) store_finish(stored);
        mbarrier_wait(barrier_at(QUERIES_FULL + slot), parity_of(tile, QUERY_SLOTS));
        Flash flash;
        flash_run(flash, wg, queries_at(slot), n, stages, stages, stored, mask);
        flash_store(flash, &p.out_map, wg, slot, first, head, batch);
        stored = slot;
        n += stages;
    }    store_finish(stored);
}
