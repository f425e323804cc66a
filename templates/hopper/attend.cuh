// attend: exact attention of each query head over its blocks, a prefix of its group's list. Heads of one KV head, in
// the order of their counts, share each block that is loaded; a warpgroup whose head has seen its share is done with
// the tile, and the others go on.

// A block of queries is one or two warpgroups high.
#define HEAD_WGS (BLOCK_Q / WG_ROWS)
#define PACK_HEADS (WARPGROUPS / HEAD_WGS)
// Heads are ordered within windows, as far as a warp reaches.
#define WINDOW_HEADS (WARP_SIZE / PACK_HEADS * PACK_HEADS)
// What one copy brings: a block, or as much of it as a stage holds.
#define PIECE_KEYS (BLOCK_KV < STAGE_KEYS ? BLOCK_KV : STAGE_KEYS)
#define BLOCK_PIECES (BLOCK_KV / PIECE_KEYS)
#define STAGE_PIECES (STAGE_KEYS / PIECE_KEYS)

// Words of a description of work.
#define WORK_PIECES 0 // the most that a head visits; 0 ends the kernel
#define WORK_ROW 1
#define WORK_BATCH 2
#define WORK_HEAD 3                            // for each warpgroup
#define WORK_OWN (WORK_HEAD + WARPGROUPS)      // for each warpgroup: pieces that its head visits

// Where the tile of a ticket lies: one KV head after the other, so that its keys stay in the cache; the longest rows
// first.
struct Tile {
    u32 row, kv_head, batch;
    u32 head0, heads; // the window's
    u32 rank0;        // of the window's heads, in the order of their counts, the first one here
    u64 group_row;
};

// What the producer reads of a tile while the stages of the one before it are under way: lane h has the count of the
// window's head h, and lane i the list's i-th block.
struct Ahead {
    u32 count, block, run;
};

// One stage of keys or of values.
struct Stage {
    i32 first[STAGE_PIECES];
    u32 kv_head, batch;
    u32 skipped; // a bit for each warpgroup
};

//@if CAUSAL
// Blocks that the row of blocks meets the diagonal in. They are in every head's count and stand together at the end of
// the list's first run. They come first, token by token; what remains needs no mask.
struct Diagonal {
    u32 first, blocks;
};
__device__ __forceinline__ Diagonal diagonal_of(u32 row, i32 q_len, i32 kv_len) {
    const i32 start = kv_len - q_len + (i32)(row * BLOCK_Q), end = min(start + BLOCK_Q, kv_len);
    const u32 first = (u32)start / BLOCK_KV;
    return Diagonal{first, (u32)(end - 1) / BLOCK_KV + 1 - first};
}
//@end

//@kernel attend
{
    barriers_start();
    const u32 packs = ((u32)p.heads_per_kv + PACK_HEADS - 1) / PACK_HEADS;
    const u32 wg = uniform(threadIdx.x / WG_THREADS);
    if (wg == WARPGROUPS) {
        registers_decrease<PRODUCER_REGISTERS>();
        if (warp_id() != WARPGROUPS * WG_WARPS) return;
        const u32 tiles = (u32)(p.batch * p.kv_heads * p.rows) * packs, lane = lane_id();
        auto tile_of = [&](u32 ticket) -> Tile {
            Tile tile;
            const u32 pack = ticket % packs, line = ticket / packs, sequence = line / (u32)p.rows;
            tile.row = (u32)p.rows - 1 - line % (u32)p.rows;
            tile.kv_head = sequence % (u32)p.kv_heads;
            tile.batch = sequence / (u32)p.kv_heads;
            const u32 window = pack * PACK_HEADS / WINDOW_HEADS * WINDOW_HEADS;
            tile.heads = min((u32)p.heads_per_kv - window, (u32)WINDOW_HEADS);
            tile.head0 = tile.kv_head * p.heads_per_kv + window;
            tile.rank0 = pack * PACK_HEADS - window;
            tile.group_row = ((u64)tile.batch * p.groups + tile.kv_head / p.kv_heads_per_group) * p.rows + tile.row;
            return tile;
        };
        auto read_ahead = [&](const Tile& tile, bool present) -> Ahead {
            Ahead ahead = {0, 0, 0};
            if (present && lane < tile.heads)
                ahead.count = p.counts[((u64)tile.batch * p.heads + tile.head0 + lane) * p.rows + tile.row];
            if (present && lane < (u32)p.blocks) ahead.block = p.lists[tile.group_row * p.blocks + lane];
//@if CAUSAL
//@if DYNAMIC
            if (present) ahead.run = p.runs[tile.group_row];
//@end
//@end
            return ahead;
        };
        auto fill = [&](const TensorMap* map, u32 use, const Stage& stage) {
            if (lane != 0) return;
            const Slot slot = slot_of(use);
            stage_begin(slot);
#pragma unroll
            for (u32 piece = 0; piece < STAGE_PIECES; ++piece)
                load_piece(map, slot, piece * PIECE_KEYS, stage.first[piece], stage.kv_head, stage.batch);
#pragma unroll
            for (u32 w = 0; w < WARPGROUPS; ++w)
                if (stage.skipped >> w & 1) skip_stage(slot);
        };

        u32 n = 0;    // stages so far
        Stage before; // the n-th but one: its values are still to come
        u32 ticket = blockIdx.x, fetched = 0;
        if (lane == 0) fetched = gridDim.x + atomic_add_global(p.tickets, 1);
        Ahead ahead = read_ahead(tile_of(ticket), ticket < tiles);
        for (u32 t = 0;; ++t) {
            const Tile tile = tile_of(ticket);
            const bool more = ticket < tiles;
            // Where lane h's head stands among its fellows, the largest count first.
            u32 place = 0;
            for (u32 other = 0; other < tile.heads; ++other) {
                const u32 theirs = shfl_idx(ahead.count, other);
                place += theirs > ahead.count || (theirs == ahead.count && other < lane);
            }
            u32 own[WARPGROUPS], head[WARPGROUPS];
#pragma unroll
            for (u32 w = 0; w < WARPGROUPS; ++w) {
                const u32 found = ballot(place == tile.rank0 + w / HEAD_WGS && lane < tile.heads);
                const u32 source = found == 0 ? 0 : (u32)__ffs((i32)found) - 1;
                own[w] = found == 0 ? 0 : shfl_idx(ahead.count, source) * BLOCK_PIECES;
                head[w] = tile.head0 + source;
            }
            const u32 most = own[0];
            if (lane == 0) {
                work_begin(t);
                st_shared_u32(work_at(t, WORK_PIECES), more ? most : 0);
                st_shared_u32(work_at(t, WORK_ROW), tile.row);
                st_shared_u32(work_at(t, WORK_BATCH), tile.batch);
#pragma unroll
                for (u32 w = 0; w < WARPGROUPS; ++w) {
                    st_shared_u32(work_at(t, WORK_HEAD + w), head[w]);
                    st_shared_u32(work_at(t, WORK_OWN + w), own[w]);
                }
                work_publish(t);
            }
            sync_warp();
            if (n > 0 && (QUERY_SLOTS == 1 || !more)) fill(&p.v_map, value_use(n - 1), before);
            if (!more) return;
            if (lane == 0)
#pragma unroll
                for (u32 w = 0; w < WARPGROUPS; ++w)
                    load_queries(&p.q_map, t, w, own[w] > 0, (i32)(tile.row * BLOCK_Q + w % HEAD_WGS * WG_ROWS), head[w],
                                 tile.batch);

            const u32* list = p.lists + tile.group_row * p.blocks;
            const u32 kv_head = tile.kv_head, batch = tile.batch;
//@if CAUSAL
            const Diagonal diagonal = diagonal_of(tile.row, p.q_len, p.kv_len);
//@if DYNAMIC
            const u32 run = ahead.run - diagonal.blocks;
//@else
            const u32 run = most / BLOCK_PIECES - diagonal.blocks;
//@end
            // The list's place of the i-th block that is visited, past the diagonal.
            auto place_of = [&](u32 i) -> u32 {
                const u32 at = i - diagonal.blocks;
                return at < run ? at : i;
            };
            auto block_of = [&](u32 i, u32 listed) -> u32 { return i < diagonal.blocks ? diagonal.first + i : listed; };
//@else
            auto place_of = [&](u32 i) -> u32 { return i; };
            auto block_of = [&](u32 i, u32 listed) -> u32 { return listed; };
//@end
            // Each lane looks up one piece, 32 pieces ahead; a stage that would lack one gets the last once more.
            auto first_key = [&](u32 piece, u32 listed) -> i32 {
                return (i32)(block_of(piece / BLOCK_PIECES, listed) * BLOCK_KV + piece % BLOCK_PIECES * PIECE_KEYS);
            };
            const u32 stages = (most + STAGE_PIECES - 1) / STAGE_PIECES;
            u32 piece = min(lane, most - 1);
            i32 next = first_key(piece, shfl_idx(ahead.block, place_of(piece / BLOCK_PIECES) % WARP_SIZE)), keys = 0;

            ticket = shfl_idx(fetched, 0);
            ahead = read_ahead(tile_of(ticket), ticket < tiles);
            if (lane == 0) fetched = gridDim.x + atomic_add_global(p.tickets, 1);

            for (u32 i = 0; i < stages; ++i, ++n) {
                if (i * STAGE_PIECES % WARP_SIZE == 0) {
                    keys = next;
                    piece = min(i * STAGE_PIECES + WARP_SIZE + lane, most - 1);
                    const u32 at = place_of(piece / BLOCK_PIECES);
                    next = first_key(piece, at < (u32)p.blocks ? list[at] : 0);
                }
                Stage stage;
                stage.kv_head = kv_head;
                stage.batch = batch;
                stage.skipped = 0;
#pragma unroll
                for (u32 w = 0; w < WARPGROUPS; ++w) stage.skipped |= (u32)(i * STAGE_PIECES >= own[w]) << w;
#pragma unroll
                for (u32 part = 0; part < STAGE_PIECES; ++part)
                    stage.first[part] = shfl_idx(keys, (i * STAGE_PIECES + part) % WARP_SIZE);
                fill(&p.k_map, key_use(n), stage);
                if (n > 0 && (QUERY_SLOTS > 1 || i > 0)) fill(&p.v_map, value_use(n - 1), before);
                before = stage;
            }
        }
    }

    registers_increase<CONSUMER_REGISTERS>();
    struct Part {
        u32 tile, end, stages, all, turns;
        u32 own; // pieces
//@if CAUSAL
        u32 masked; // pieces of the diagonal
//@else
        const u32* list;
//@end
    };
    auto next = [&](Part& part) -> bool {
        part.tile += 1;
        work_wait(part.tile);
        const u32 most = uniform(ld_shared_u32(work_at(part.tile, WORK_PIECES)));
        part.own = uniform(ld_shared_u32(work_at(part.tile, WORK_OWN + wg)));
        part.stages = (part.own + STAGE_PIECES - 1) / STAGE_PIECES;
        part.all = (most + STAGE_PIECES - 1) / STAGE_PIECES;
        if (PING_PONG) {
            const u32 partner = uniform(ld_shared_u32(work_at(part.tile, WORK_OWN + (wg == 0 ? 1 : 0))));
            part.turns = min(part.stages, (partner + STAGE_PIECES - 1) / STAGE_PIECES);
        }
        part.end += part.all;
        const u32 row = uniform(ld_shared_u32(work_at(part.tile, WORK_ROW)));
//@if CAUSAL
        part.masked = diagonal_of(row, p.q_len, p.kv_len).blocks * BLOCK_PIECES;
//@else
        const u32 batch = uniform(ld_shared_u32(work_at(part.tile, WORK_BATCH)));
        const u32 head = uniform(ld_shared_u32(work_at(part.tile, WORK_HEAD + wg)));
        part.list = p.lists + (((u64)batch * p.groups + head / p.heads_per_kv / p.kv_heads_per_group) * p.rows + row) * p.blocks;
//@end
        return most > 0;
    };
    auto mask = [&](float (&s)[STAGE_KEYS / 2], const Part& part, u32 i) {
        const u32 from = i * STAGE_PIECES, own = part.own;
//@if CAUSAL
        if (from >= part.masked && from + STAGE_PIECES <= own) return;
        // Keys that the lane's first row sees, counted from the diagonal's first.
        const u32 row = uniform(ld_shared_u32(work_at(part.tile, WORK_ROW)));
        const i32 limit = p.kv_len - p.q_len + (i32)(row * BLOCK_Q + wg % HEAD_WGS * WG_ROWS) +
                          (i32)(warp_id() % WG_WARPS * 16 + lane_id() / 4) + 1 -
                          (i32)(diagonal_of(row, p.q_len, p.kv_len).first * BLOCK_KV);
#pragma unroll
        for (u32 piece = 0; piece < STAGE_PIECES; ++piece) {
            const u32 at = from + piece;
            if (at >= part.masked && at < own) continue;
            const i32 seen = at < part.masked ? limit - (i32)(at * PIECE_KEYS) : -STAGE_KEYS;
            hide<PIECE_KEYS>(s, piece * PIECE_KEYS, seen, seen + 8);
        }
//@else
        if (p.kv_len % BLOCK_KV == 0 && from + STAGE_PIECES <= own) return;
#pragma unroll
        for (u32 piece = 0; piece < STAGE_PIECES; ++piece) {
            const u32 at = from + piece;
            i32 seen = -STAGE_KEYS;
            if (at < own)
                seen = p.kv_len - (i32)(part.list[at / BLOCK_PIECES] * BLOCK_KV + at % BLOCK_PIECES * PIECE_KEYS);
            hide<PIECE_KEYS>(s, piece * PIECE_KEYS, seen, seen);
        }
//@end
    };
    auto store = [&](const Flash& flash, const float (&sum)[2], u32 tile) {
        flash_store(flash, sum, &p.out_map, wg, query_slot(tile, wg), [&]() -> Place {
            const u32 row = ld_shared_u32(work_at(tile, WORK_ROW));
            return Place{(i32)(row * BLOCK_Q + wg % HEAD_WGS * WG_ROWS), ld_shared_u32(work_at(tile, WORK_HEAD + wg)),
                         ld_shared_u32(work_at(tile, WORK_BATCH))};
        });
    };
    flash_stream<Part>(wg, next, mask, store);
}
