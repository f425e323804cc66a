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
    const u32 wg = threadIdx.x / WG_THREADS;
    if (wg == WARPGROUPS) {
        registers_decrease<PRODUCER_REGISTERS>();
        if (warp_id() != WARPGROUPS * WG_WARPS) return;
        const u32 tiles = (u32)(p.batch * p.kv_heads * p.rows) * packs;
        u32 n = 0; // stages so far
        u32 ticket = blockIdx.x;
        for (u32 tile = 0;; ++tile) {
            const bool more = ticket < tiles;
            // One KV head after the other, so that its keys stay in the cache; the longest rows first.
            const u32 pack = ticket % packs, line = ticket / packs;
            const u32 row = (u32)p.rows - 1 - line % (u32)p.rows, sequence = line / (u32)p.rows;
            const u32 kv_head = sequence % (u32)p.kv_heads, batch = sequence / (u32)p.kv_heads;

            // Lane h has the window's head h: where it stands among its fellows, the largest count first.
            const u32 window = pack * PACK_HEADS / WINDOW_HEADS * WINDOW_HEADS, lane = lane_id();
            const u32 heads = min((u32)p.heads_per_kv - window, (u32)WINDOW_HEADS);
            const u32 head0 = kv_head * p.heads_per_kv + window;
            u32 count = 0, place = 0;
            if (more && lane < heads) count = p.counts[((u64)batch * p.heads + head0 + lane) * p.rows + row];
            for (u32 other = 0; other < heads; ++other) {
                const u32 theirs = shfl_idx(count, other);
                place += theirs > count || (theirs == count && other < lane);
            }
            u32 own[WARPGROUPS], head[WARPGROUPS];
#pragma unroll
            for (u32 w = 0; w < WARPGROUPS; ++w) {
                const u32 found = ballot(place == pack * PACK_HEADS - window + w / HEAD_WGS && lane < heads);
                const u32 source = found == 0 ? 0 : (u32)__ffs((i32)found) - 1;
                own[w] = found == 0 ? 0 : shfl_idx(count, source) * BLOCK_PIECES;
                head[w] = head0 + source;
            }
            const u32 most = own[0]; // heads come in the order of their counts
            if (lane == 0) {
                mbarrier_wait(barrier_at(WORK_EMPTY + tile % WORK_SLOTS), parity_of(tile, WORK_SLOTS) ^ 1);
                st_shared_u32(work_at(tile, WORK_PIECES), more ? most : 0);
                st_shared_u32(work_at(tile, WORK_ROW), row);
                st_shared_u32(work_at(tile, WORK_BATCH), batch);
#pragma unroll
                for (u32 w = 0; w < WARPGROUPS; ++w) {
                    st_shared_u32(work_at(tile, WORK_HEAD + w), head[w]);
                    st_shared_u32(work_at(tile, WORK_OWN + w), own[w]);
                }
                mbarrier_arrive(barrier_at(WORK_FULL + tile % WORK_SLOTS));
            }
            sync_warp();
            if (!more) return;
            if (lane == 0) ticket = gridDim.x + atomic_add_global(p.tickets, 1);
            ticket = shfl_idx(ticket, 0);

            const u64 group_row = ((u64)batch * p.groups + kv_head / p.kv_heads_per_group) * p.rows + row;
            const u32* list = p.lists + group_row * p.blocks;
//@if CAUSAL
            const Diagonal diagonal = diagonal_of(row, p.q_len, p.kv_len);
//@if DYNAMIC
            const u32 run = p.runs[group_row] - diagonal.blocks;
//@else
            const u32 run = most / BLOCK_PIECES - diagonal.blocks;
//@end
            auto first_key = [&](u32 piece) -> i32 {
                const u32 i = piece / BLOCK_PIECES, part = piece % BLOCK_PIECES;
                if (i < diagonal.blocks) return (i32)((diagonal.first + i) * BLOCK_KV + part * PIECE_KEYS);
                const u32 at = i - diagonal.blocks;
                return (i32)(list[at < run ? at : i] * BLOCK_KV + part * PIECE_KEYS);
            };
//@else
            auto first_key = [&](u32 piece) -> i32 {
                return (i32)(list[piece / BLOCK_PIECES] * BLOCK_KV + piece % BLOCK_PIECES * PIECE_KEYS);
            };
//@end
            // Each lane looks up one piece; a stage that would lack one gets the last once more.
            const u32 stages = (most + STAGE_PIECES - 1) / STAGE_PIECES;
            i32 keys = 0, next = first_key(min(lane, most - 1));
            if (lane == 0)
#pragma unroll
                for (u32 w = 0; w < WARPGROUPS; ++w)
                    load_queries(&p.q_map, tile, w, own[w] > 0, (i32)(row * BLOCK_Q + w % HEAD_WGS * WG_ROWS), head[w],
                                 batch);
            auto fill = [&](const TensorMap* map, u32 at, u32 full, u32 empty, u32 i, u32 use, i32 first) {
                u32 stage = 0;
                if (lane == 0) stage = stage_begin(at, full, empty, use);
#pragma unroll
                for (u32 piece = 0; piece < STAGE_PIECES; ++piece) {
                    const i32 key = shfl_idx(first, (i * STAGE_PIECES + piece) % WARP_SIZE);
                    if (lane == 0)
                        load_piece(map, stage, piece * PIECE_KEYS, barrier_at(full + use % STAGES), key, kv_head, batch);
                }
                if (lane == 0)
#pragma unroll
                    for (u32 w = 0; w < WARPGROUPS; ++w)
                        if (i * STAGE_PIECES >= own[w]) skip_stage(empty, use);
            };
            // Values follow the keys by a stage, as they are needed.
            for (u32 i = 0; i <= stages; ++i) {
                const i32 values = keys;
                if (i * STAGE_PIECES % WARP_SIZE == 0) {
                    keys = next;
                    next = first_key(min(i * STAGE_PIECES + WARP_SIZE + lane, most - 1));
                }
                if (i < stages) fill(&p.k_map, KEYS_AT, KEYS_FULL, KEYS_EMPTY, i, n + i, keys);
                if (i > 0) fill(&p.v_map, VALUES_AT, VALUES_FULL, VALUES_EMPTY, i - 1, n + i - 1, values);
            }
            n += stages;
        }
    }

    registers_increase<CONSUMER_REGISTERS>();
    u32 n = 0, stored = NO_SLOT; // stages so far; where the last output leaves from
    for (u32 tile = 0;; ++tile) {
        mbarrier_wait(barrier_at(WORK_FULL + tile % WORK_SLOTS), parity_of(tile, WORK_SLOTS));
        const u32 most = ld_shared_u32(work_at(tile, WORK_PIECES));
        const u32 row = ld_shared_u32(work_at(tile, WORK_ROW)), batch = ld_shared_u32(work_at(tile, WORK_BATCH));
        const u32 head = ld_shared_u32(work_at(tile, WORK_HEAD + wg));
        const u32 own = ld_shared_u32(work_at(tile, WORK_OWN + wg));
        const u32 partner = ld_shared_u32(work_at(tile, WORK_OWN + (wg == 0 ? 1 : 0)));
        sync_warp();
        release(WORK_EMPTY + tile % WORK_SLOTS);
        if (most == 0) break;
        if (own > 0) {
            const u32 slot = query_slot(tile, wg);
            const i32 first = (i32)(row * BLOCK_Q + wg % HEAD_WGS * WG_ROWS);
            const u32 stages = (own + STAGE_PIECES - 1) / STAGE_PIECES;
            const u32 turns = (min(own, partner) + STAGE_PIECES - 1) / STAGE_PIECES;
//@if CAUSAL
            const Diagonal diagonal = diagonal_of(row, p.q_len, p.kv_len);
            const u32 masked = diagonal.blocks * BLOCK_PIECES;
            // Keys that the lane's first row sees, counted from the diagonal's first.
            const i32 limit = p.kv_len - p.q_len + first + (i32)(warp_id() % WG_WARPS * 16 + lane_id() / 4) + 1 -
                              (i32)(diagonal.first * BLOCK_KV);
            auto mask = [&](float (&s)[STAGE_KEYS / 2], u32 i) {
                if (i * STAGE_PIECES >= masked && (i + 1) * STAGE_PIECES <= own) return;
#pragma unroll
                for (u32 piece = 0; piece < STAGE_PIECES; ++piece) {
                    const u32 at = i * STAGE_PIECES + piece;
                    const i32 seen = at < masked ? limit - (i32)(at * PIECE_KEYS) : at < own ? STAGE_KEYS : -STAGE_KEYS;
                    hide<PIECE_KEYS>(s, piece * PIECE_KEYS, seen, seen + 8);
                }
            };
//@else
            const u64 group_row =
                ((u64)batch * p.groups + head / p.heads_per_kv / p.kv_heads_per_group) * p.rows + row;
            const u32* list = p.lists + group_row * p.blocks;
            auto mask = [&](float (&s)[STAGE_KEYS / 2], u32 i) {
                if (p.kv_len % BLOCK_KV == 0 && (i + 1) * STAGE_PIECES <= own) return;
#pragma unroll
                for (u32 piece = 0; piece < STAGE_PIECES; ++piece) {
                    const u32 at = i * STAGE_PIECES + piece;
                    i32 seen = -STAGE_KEYS;
                    if (at < own)
                        seen = p.kv_len - (i32)(list[at / BLOCK_PIECES] * BLOCK_KV + at % BLOCK_PIECES * PIECE_KEYS);
                    hide<PIECE_KEYS>(s, piece * PIECE_KEYS, seen, seen);
                }
            };
//@end
            if (QUERY_SLOTS == 1) store_finish(stored);
            mbarrier_wait(barrier_at(QUERIES_FULL + slot), parity_of(tile, QUERY_SLOTS));
            Flash flash;
            flash_run(flash, wg, queries_at(slot), n, stages, turns, stored, mask);
            flash_store(flash, &p.out_map, wg, slot, first, head, batch);
            stored = slot;
        } else {
            store_finish(stored); // the slot is wanted while this warpgroup has no head
        }
        n += (most + STAGE_PIECES - 1) / STAGE_PIECES;
    }    store_finish(stored);
}
