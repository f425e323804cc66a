// dense: exact attention of each query head over every key that it sees, 64 · WARPGROUPS rows of one head a tile.
#define ROW_TILE (WARPGROUPS * WG_ROWS)

// Words of a description of work.
#define WORK_STAGES 0 // 0 ends the kernel
#define WORK_ROWS 1   // the tile's first query
#define WORK_HEAD 2
#define WORK_BATCH 3

// A thread has read a description.
__device__ __forceinline__ void work_read(u32 n) { mbarrier_arrive(barrier_at(WORK_EMPTY + n % WORK_SLOTS)); }

//@kernel dense
{
    barriers_start(1, WARPGROUPS * WG_WARPS + 2);
    const u32 wg = uniform(threadIdx.x / WG_THREADS);
    if (wg == WARPGROUPS) {
        registers_decrease<PRODUCER_REGISTERS>();
        if (lane_id() != 0) return;
        const u32 warp = warp_id() % WG_WARPS;
        Cursor next = cursor_of(warp == 2);
        // All keys of a tile, or all its values, the last first.
        auto load = [&](const TensorMap* map, u32 stages, u32 head, u32 batch) {
            for (u32 left = stages; left-- > 0; next.advance()) {
                const u32 full = RING_FULL + next.slot;
                stage_begin(next, full);
                load_piece(map, next.slot, full, 0, (i32)(left * STAGE_KEYS), head / (u32)p.heads_per_kv, batch);
            }
        };
        // The thread that loads queries, and the one that loads values.
        if (warp == 1 || warp == 2) {
            for (u32 tile = 0;; ++tile) {
                work_wait(tile);
                const u32 stages = ld_shared_u32(work_at(tile, WORK_STAGES)), head = ld_shared_u32(work_at(tile, WORK_HEAD));
                const u32 batch = ld_shared_u32(work_at(tile, WORK_BATCH));
                if (stages == 0) return;
                if (warp == 2) {
                    load(&p.v_map, stages, head, batch);
                } else {
                    const i32 first = (i32)ld_shared_u32(work_at(tile, WORK_ROWS));
                    for (u32 w = 0; w < WARPGROUPS; ++w)
                        load_queries(&p.q_map, tile, w, first + (i32)(w * WG_ROWS), head, batch);
                }
                work_read(tile);
            }
        }
        // The thread that describes the tiles and loads keys.
        if (warp != 0) return;
        const u32 row_tiles = ((u32)p.q_len + ROW_TILE - 1) / ROW_TILE;
        const u32 heads = (u32)(p.batch * p.heads), sequences = heads / (u32)p.heads_per_kv, tiles = heads * row_tiles;
        u32 ticket = blockIdx.x, fetched = atomic_add_global(p.tickets, 1);
        for (u32 tile = 0;; ++tile) {
            const bool more = ticket < tiles;
            const u32 member = ticket % (u32)p.heads_per_kv;
            const Line line = line_of(more ? ticket / (u32)p.heads_per_kv : 0, sequences, row_tiles, (u32)p.kv_len);
            const u32 sequence = line.sequence * (u32)p.heads_per_kv + member;
            const u32 head = sequence % (u32)p.heads, batch = sequence / (u32)p.heads;
            const i32 first = (i32)(line.row * ROW_TILE);
            const i32 end = sequence_of(p).seen(first + ROW_TILE - 1);
            const u32 stages = more ? (u32)(end + STAGE_KEYS - 1) / STAGE_KEYS : 0;
            work_begin(tile);
            st_shared_u32(work_at(tile, WORK_STAGES), stages);
            st_shared_u32(work_at(tile, WORK_ROWS), (u32)first);
            st_shared_u32(work_at(tile, WORK_HEAD), head);
            st_shared_u32(work_at(tile, WORK_BATCH), batch);
            work_publish(tile);
            if (stages == 0) return;
            ticket = gridDim.x + fetched;
            fetched = atomic_add_global(p.tickets, 1);
            load(&p.k_map, stages, head, batch);
        }
    }

    registers_increase<CONSUMER_REGISTERS>();
    struct Part {
        u32 number = 0u - 1, tile = 0u - 1, stages = 0;
        u32 behind = 0; // stages up to its end
        bool joined = true;
        i32 limit, plain; // keys that the lane's first row sees, and those that every row of the warpgroup sees
    };
    auto next = [&](Part& part, Phase& phase) -> bool {
        part.tile += 1;
        work_wait(part.tile);
        part.stages = uniform(ld_shared_u32(work_at(part.tile, WORK_STAGES)));
        phase = phase_of(key_slot(part.behind), value_slot(part.behind), part.stages, 0, 1, 0, true, WARPGROUPS == 2);
        part.behind += part.stages;
        const Sequence sequence = sequence_of(p);
        const i32 first = (i32)uniform(ld_shared_u32(work_at(part.tile, WORK_ROWS))) + (i32)(wg * WG_ROWS);
        part.limit = sequence.limit(first + (i32)(warp_id() % WG_WARPS * 16 + lane_id() / 4));
        part.plain = sequence.seen(first);
        if (part.stages == 0) return false;
        part.number = part.tile;
        return true;
    };
    auto again = [](Part&, Phase&) {}; // a tile is one phase
    auto mask = [&](float (&s)[STAGE_KEYS / 2], const Part& part, u32 at) {
        const i32 key = (i32)((part.stages - 1 - at) * STAGE_KEYS);
        if (key + STAGE_KEYS <= part.plain) return;
//@if CAUSAL
        hide<STAGE_KEYS, 8>(s, 0, part.limit - key);
//@else
        hide<STAGE_KEYS, 0>(s, 0, part.limit - key);
//@end
    };
    auto store = [&](const Flash& flash, const float (&sum)[2], const Part& part) {
        flash_store(flash, sum, &p.out_map, wg, query_slot(part.number, wg), [&]() -> Place {
            const i32 first = (i32)ld_shared_u32(work_at(part.tile, WORK_ROWS));
            return Place{first + (i32)(wg * WG_ROWS), ld_shared_u32(work_at(part.tile, WORK_HEAD)),
                         ld_shared_u32(work_at(part.tile, WORK_BATCH))};
        });
    };
    flash_stream<Part, false>(wg, next, again, mask, store);
}
