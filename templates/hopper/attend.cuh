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
#define WORK_KV_HEAD 3
#define WORK_LIST 4                       // whose list it is, of those of all groups and rows
#define WORK_RUN 5                        // blocks of the list's first run before the diagonal
#define WORK_HEAD 6                       // for each warpgroup
#define WORK_OWN (WORK_HEAD + WARPGROUPS) // for each warpgroup: pieces that its head visits

// So many stages before the end of a tile the loader looks up what the next one begins with.
#define LOOKED_UP_AT 2u

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
    barriers_start(WARPGROUPS * WG_WARPS + 1);
    const u32 wg = uniform(threadIdx.x / WG_THREADS), lane = lane_id();
    if (wg == WARPGROUPS) registers_decrease<PRODUCER_REGISTERS>();

    // The warp that schedules: describes one tile after the other, up to WORK_SLOTS ahead of those who work.
    if (wg == WARPGROUPS && warp_id() % WG_WARPS == 1) {
        const u32 packs = ((u32)p.heads_per_kv + PACK_HEADS - 1) / PACK_HEADS;
        const u32 tiles = (u32)(p.batch * p.kv_heads * p.rows) * packs;
        u32 ticket = blockIdx.x;
        for (u32 t = 0;; ++t) {
            u32 fetched = 0;
            if (lane == 0) fetched = atomic_add_global(p.tickets, 1);
            // One KV head after the other, so that its keys stay in the cache; the longest rows first.
            const bool more = ticket < tiles;
            const u32 pack = ticket % packs, line = ticket / packs, sequence = line / (u32)p.rows;
            const u32 row = (u32)p.rows - 1 - line % (u32)p.rows;
            const u32 kv_head = sequence % (u32)p.kv_heads, batch = sequence / (u32)p.kv_heads;
            const u32 list = (batch * p.groups + kv_head / p.kv_heads_per_group) * p.rows + row;
            const u32 window = pack * PACK_HEADS / WINDOW_HEADS * WINDOW_HEADS;
            const u32 heads = min((u32)p.heads_per_kv - window, (u32)WINDOW_HEADS); // of the window
            const u32 head0 = kv_head * p.heads_per_kv + window, rank0 = pack * PACK_HEADS - window;
            u32 count = 0;
            if (more && lane < heads) count = p.counts[((u64)batch * p.heads + head0 + lane) * p.rows + row];
//@if CAUSAL
//@if DYNAMIC
            const u32 run = more ? p.runs[list] : 0;
//@end
//@end
            // Where lane h's head stands among its fellows, the largest count first.
            u32 place = 0;
            for (u32 other = 0; other < heads; ++other) {
                const u32 theirs = shfl_idx(count, other);
                place += theirs > count || (theirs == count && other < lane);
            }
            u32 own[WARPGROUPS], head[WARPGROUPS];
#pragma unroll
            for (u32 w = 0; w < WARPGROUPS; ++w) {
                const u32 found = ballot(place == rank0 + w / HEAD_WGS && lane < heads);
                const u32 source = found == 0 ? 0 : (u32)__ffs((i32)found) - 1;
                own[w] = found == 0 ? 0 : shfl_idx(count, source) * BLOCK_PIECES;
                head[w] = head0 + source;
            }
            if (lane == 0) {
                work_begin(t);
                st_shared_u32(work_at(t, WORK_PIECES), more ? own[0] : 0);
                st_shared_u32(work_at(t, WORK_ROW), row);
                st_shared_u32(work_at(t, WORK_BATCH), batch);
                st_shared_u32(work_at(t, WORK_KV_HEAD), kv_head);
                st_shared_u32(work_at(t, WORK_LIST), list);
//@if CAUSAL
//@if DYNAMIC
                st_shared_u32(work_at(t, WORK_RUN), run);
//@else
                st_shared_u32(work_at(t, WORK_RUN), own[0] / BLOCK_PIECES);
//@end
//@end
#pragma unroll
                for (u32 w = 0; w < WARPGROUPS; ++w) {
                    st_shared_u32(work_at(t, WORK_HEAD + w), head[w]);
                    st_shared_u32(work_at(t, WORK_OWN + w), own[w]);
                }
                work_publish(t);
            }
            if (!more) return;
            ticket = gridDim.x + shfl_idx(fetched, 0);
        }
    }

    // The warp that loads.
    if (wg == WARPGROUPS) {
        if (warp_id() % WG_WARPS != 0) return;
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
        // The first key of a piece of the t-th tile, and 0 behind the last one.
        auto first_key = [&](u32 t, u32 piece) -> i32 {
            const u32 i = piece / BLOCK_PIECES;
            const u32* list = p.lists + (u64)ld_shared_u32(work_at(t, WORK_LIST)) * p.blocks;
//@if CAUSAL
            const Diagonal diagonal = diagonal_of(ld_shared_u32(work_at(t, WORK_ROW)), p.q_len, p.kv_len);
            const u32 past = i - diagonal.blocks, run = ld_shared_u32(work_at(t, WORK_RUN)) - diagonal.blocks;
            const u32 at = past < run ? past : i;
            const u32 block = i < diagonal.blocks ? diagonal.first + i : at < (u32)p.blocks ? list[at] : 0;
//@else
            const u32 block = i < (u32)p.blocks ? list[i] : 0;
//@end
            return (i32)(block * BLOCK_KV + piece % BLOCK_PIECES * PIECE_KEYS);
        };

        u32 n = 0;    // stages so far
        Stage before; // the n-th but one: its values are still to come
        i32 keys = 0, next = 0, first = 0; // keys of lane i's piece: now, 32 pieces on, of the next tile
        for (u32 t = 0;; ++t) {
            work_wait(t);
            const u32 most = ld_shared_u32(work_at(t, WORK_PIECES)), batch = ld_shared_u32(work_at(t, WORK_BATCH));
            if (n > 0 && (QUERY_SLOTS == 1 || most == 0)) fill(&p.v_map, value_use(n - 1), before);
            if (most == 0) return;
            const i32 row = (i32)(ld_shared_u32(work_at(t, WORK_ROW)) * BLOCK_Q);
            u32 own[WARPGROUPS];
#pragma unroll
            for (u32 w = 0; w < WARPGROUPS; ++w) {
                own[w] = ld_shared_u32(work_at(t, WORK_OWN + w));
                if (lane == 0)
                    load_queries(&p.q_map, t, w, own[w] > 0, row + (i32)(w % HEAD_WGS * WG_ROWS),
                                 ld_shared_u32(work_at(t, WORK_HEAD + w)), batch);
            }
            next = t == 0 ? first_key(t, min(lane, most - 1)) : first;
            const u32 stages = (most + STAGE_PIECES - 1) / STAGE_PIECES;
            Stage stage;
            stage.kv_head = ld_shared_u32(work_at(t, WORK_KV_HEAD));
            stage.batch = batch;
            // Each lane looks up one piece, 32 pieces ahead; a stage that would lack one gets the last once more.
            for (u32 i = 0; i < stages; ++i, ++n) {
                if (i * STAGE_PIECES % WARP_SIZE == 0) {
                    keys = next;
                    if (i * STAGE_PIECES + WARP_SIZE < most)
                        next = first_key(t, min(i * STAGE_PIECES + WARP_SIZE + lane, most - 1));
                }
                stage.skipped = 0;
#pragma unroll
                for (u32 w = 0; w < WARPGROUPS; ++w) stage.skipped |= (u32)(i * STAGE_PIECES >= own[w]) << w;
#pragma unroll
                for (u32 part = 0; part < STAGE_PIECES; ++part)
                    stage.first[part] = shfl_idx(keys, (i * STAGE_PIECES + part) % WARP_SIZE);
                fill(&p.k_map, key_use(n), stage);
                if (n > 0 && (QUERY_SLOTS > 1 || i > 0)) fill(&p.v_map, value_use(n - 1), before);
                before = stage;
                if (i == stages - min(stages, LOOKED_UP_AT)) {
                    work_wait(t + 1);
                    const u32 then = ld_shared_u32(work_at(t + 1, WORK_PIECES));
                    if (then > 0) first = first_key(t + 1, min(lane, then - 1));
                }
            }
            work_release(t);
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
