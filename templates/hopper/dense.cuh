// dense: exact attention of each query head over every key that it sees, 64 · WARPGROUPS rows of one head a tile.
#define ROW_TILE (WARPGROUPS * WG_ROWS)

// Words of a description of work.
#define WORK_STAGES 0 // 0 ends the kernel
#define WORK_ROWS 1   // the tile's first query
#define WORK_HEAD 2
#define WORK_BATCH 3

// One stage of keys or of values.
struct Stage {
    i32 first;
    u32 kv_head, batch;
};

//@kernel dense
{
    barriers_start(WARPGROUPS * WG_WARPS);
    const u32 wg = uniform(threadIdx.x / WG_THREADS);
    if (wg == WARPGROUPS) {
        registers_decrease<PRODUCER_REGISTERS>();
        if (threadIdx.x != WARPGROUPS * WG_THREADS) return;
        const u32 row_tiles = ((u32)p.q_len + ROW_TILE - 1) / ROW_TILE;
        const u32 tiles = (u32)(p.batch * p.heads) * row_tiles;
        u32 n = 0;    // stages so far
        Stage before; // the n-th but one: its values are still to come
        u32 ticket = blockIdx.x, fetched = atomic_add_global(p.tickets, 1);
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
            work_begin(tile);
            st_shared_u32(work_at(tile, WORK_STAGES), stages);
            st_shared_u32(work_at(tile, WORK_ROWS), (u32)first);
            st_shared_u32(work_at(tile, WORK_HEAD), head);
            st_shared_u32(work_at(tile, WORK_BATCH), batch);
            work_publish(tile);
            auto fill = [&](const TensorMap* map, u32 use, const Stage& stage) {
                const Slot slot = slot_of(use);
                stage_begin(slot);
                load_piece(map, slot, 0, stage.first, stage.kv_head, stage.batch);
            };
            if (n > 0 && (QUERY_SLOTS == 1 || stages == 0)) fill(&p.v_map, value_use(n - 1), before);
            if (stages == 0) return;
            ticket = gridDim.x + fetched;
            fetched = atomic_add_global(p.tickets, 1);

            for (u32 w = 0; w < WARPGROUPS; ++w)
                load_queries(&p.q_map, tile, w, true, first + (i32)(w * WG_ROWS), head, batch);
            for (u32 i = 0; i < stages; ++i, ++n) {
                const Stage stage = {(i32)((stages - 1 - i) * STAGE_KEYS), head / (u32)p.heads_per_kv, batch};
                fill(&p.k_map, key_use(n), stage);
                if (n > 0 && (QUERY_SLOTS > 1 || i > 0)) fill(&p.v_map, value_use(n - 1), before);
                before = stage;
            }
        }
    }

    registers_increase<CONSUMER_REGISTERS>();
    struct Part {
        u32 tile, end, stages, all, turns;
        i32 limit, plain; // keys that the lane's first row sees, and those that every row of the warpgroup sees
    };
    auto next = [&](Part& part) -> bool {
        part.tile += 1;
        work_wait(part.tile);
        part.stages = part.all = part.turns = uniform(ld_shared_u32(work_at(part.tile, WORK_STAGES)));
        part.end += part.stages;
//@if CAUSAL
        const i32 row = p.kv_len - p.q_len + (i32)uniform(ld_shared_u32(work_at(part.tile, WORK_ROWS))) + (i32)(wg * WG_ROWS);
        part.limit = row + (i32)(warp_id() % WG_WARPS * 16 + lane_id() / 4) + 1;
        part.plain = min(row + 1, p.kv_len);
//@else
        part.limit = part.plain = p.kv_len;
//@end
        return part.stages > 0;
    };
    auto mask = [&](float (&s)[STAGE_KEYS / 2], const Part& part, u32 i) {
        const i32 key = (i32)((part.stages - 1 - i) * STAGE_KEYS);
        if (key + STAGE_KEYS <= part.plain) return;
//@if CAUSAL
        hide<STAGE_KEYS>(s, 0, part.limit - key, part.limit - key + 8);
//@else
        hide<STAGE_KEYS>(s, 0, part.limit - key, part.limit - key);
//@end
    };
    auto store = [&](const Flash& flash, const float (&sum)[2], u32 tile) {
        flash_store(flash, sum, &p.out_map, wg, query_slot(tile, wg), [&]() -> Place {
            const i32 first = (i32)ld_shared_u32(work_at(tile, WORK_ROWS));
            return Place{first + (i32)(wg * WG_ROWS), ld_shared_u32(work_at(tile, WORK_HEAD)),
                         ld_shared_u32(work_at(tile, WORK_BATCH))};
        });
    };
    flash_stream<Part>(wg, next, mask, store);
}
