// attend: exact attention of each query head over its blocks, a prefix of its group's list. Heads of one KV head, in the
// order of their counts, share each block that is loaded as far as they both visit it.

// Where a piece of a tile lies: in a block that is on its way from the list, `offset` keys into it.
//@if CAUSAL
// Or in one of the diagonal's, which is known.
#define UNKNOWN_BLOCK 0xffffffffu
struct Piece {
    u32 known, listed, offset;
    __device__ __forceinline__ i32 first_key() const {
        return (i32)((known == UNKNOWN_BLOCK ? listed : known) * BLOCK_KV + offset);
    }
};
//@else
struct Piece {
    u32 listed, offset;
    __device__ __forceinline__ i32 first_key() const { return (i32)(listed * BLOCK_KV + offset); }
};
//@end
template <class Params>
__device__ __forceinline__ Piece piece_of(const Params& p, u32 t, u32 piece) {
    const u32 i = piece / BLOCK_PIECES, offset = piece % BLOCK_PIECES * PIECE_KEYS;
    const u32* list = p.lists + (u64)ld_shared_u32(work_at(t, WORK_LIST)) * p.blocks;
//@if CAUSAL
    const Diagonal diagonal = diagonal_of(sequence_of(p), ld_shared_u32(work_at(t, WORK_ROW)));
    const u32 past = i - diagonal.blocks(), run = ld_shared_u32(work_at(t, WORK_RUN)) - diagonal.blocks();
    const u32 at = past < run ? past : i;
    return Piece{i < diagonal.blocks() ? diagonal.first + i : UNKNOWN_BLOCK, list[min(at, (u32)p.blocks - 1)], offset};
//@else
    return Piece{list[min(i, (u32)p.blocks - 1)], offset};
//@end
}

// A warp that loads all keys, or all values: one that did both would be late.
template <class Params>
__device__ __forceinline__ void load_ring(const Params& p, bool values) {
    const u32 lane = lane_id();
    const TensorMap* map = values ? &p.v_map : &p.k_map;
    Cursor next = cursor_of(values);
    // Lanes look up a piece each, for as many stages of a phase as those make; a stage that would lack one gets the last
    // once more.
    i32 keys[2];    // for each column: now
    Piece ahead[2]; // and of the run that follows
    auto look_up = [&](u32 t, u32 phase, u32 stage) {
        const u32 last = ld_shared_u32(work_at(t, WORK_MOST)) - 1;
#pragma unroll
        for (u32 column = 0; column < 2; ++column) {
            const u32 from = ld_shared_u32(phase_at(t, phase, PHASE_FROM + column)) + stage;
            ahead[column] = piece_of(p, t, min(from * STAGE_PIECES + lane, last));
        }
    };
    for (u32 t = 0;; ++t) {
        work_wait(t);
        const u32 phases = ld_shared_u32(work_at(t, WORK_PHASES));
        if (phases == 0) return;
        if (t == 0) look_up(0, 0, 0);
        const u32 kv_head = ld_shared_u32(work_at(t, WORK_KV_HEAD)), batch = ld_shared_u32(work_at(t, WORK_BATCH));
        for (u32 phase = 0; phase < phases; ++phase) {
            const u32 stages = ld_shared_u32(phase_at(t, phase, PHASE_STAGES));
            const u32 columns = ld_shared_u32(phase_at(t, phase, PHASE_TAKERS));
            for (u32 i = 0; i < stages; ++i) {
                if (i * STAGE_PIECES % WARP_SIZE == 0) {
                    keys[0] = ahead[0].first_key();
                    keys[1] = ahead[1].first_key();
                    // What the run after this one begins with is on its way while this one is loaded.
                    if (i + WARP_SIZE / STAGE_PIECES < stages) {
                        look_up(t, phase, i + WARP_SIZE / STAGE_PIECES);
                    } else if (phase + 1 < phases) {
                        look_up(t, phase + 1, 0);
                    } else {
                        work_wait(t + 1);
                        if (ld_shared_u32(work_at(t + 1, WORK_PHASES)) > 0) look_up(t + 1, 0, 0);
                    }
                }
#pragma unroll 1
                for (u32 left = columns & 0xffff, column = 0; left != 0; left >>= 8, ++column) {
                    const u32 takers = left & 0xff;
                    i32 at[STAGE_PIECES];
#pragma unroll
                    for (u32 piece = 0; piece < STAGE_PIECES; ++piece)
                        at[piece] = shfl_idx(column == 0 ? keys[0] : keys[1], (i * STAGE_PIECES + piece) % WARP_SIZE);
                    if (lane == 0) {
                        const u32 full = RING_FULL + readers_of(takers) * STAGES + next.slot;
                        stage_begin(next, full);
#pragma unroll
                        for (u32 piece = 0; piece < STAGE_PIECES; ++piece)
                            load_piece(map, next.slot, full, piece * PIECE_KEYS, at[piece], kv_head, batch);
                        for (u32 w = 0; w < WARPGROUPS; ++w)
                            if (!(takers >> w & 1)) skip_stage(next.slot);
                    }
                    sync_warp();
                    next.advance();
                }
            }
        }
        work_release(t);
    }
}

//@kernel attend
{
    barriers_start(WARP_SIZE, WARPGROUPS * WG_WARPS + 3);
    const u32 wg = uniform(threadIdx.x / WG_THREADS), lane = lane_id();
    if (wg == WARPGROUPS) registers_decrease<PRODUCER_REGISTERS>();

    if (wg == WARPGROUPS && warp_id() % WG_WARPS == 1) {
        schedule(p);
        return;
    }
    // The warp that loads queries, a tile's later parts in the order in which they are begun.
    if (wg == WARPGROUPS && warp_id() % WG_WARPS == 2) {
        u32 number[WARPGROUPS] = {}; // parts so far
        for (u32 t = 0;; ++t) {
            work_wait(t);
            if (ld_shared_u32(work_at(t, WORK_PHASES)) == 0) return;
            const i32 row = (i32)(ld_shared_u32(work_at(t, WORK_ROW)) * BLOCK_Q);
            const u32 batch = ld_shared_u32(work_at(t, WORK_BATCH));
#pragma unroll
            for (u32 part = 0; part < PARTS; ++part)
#pragma unroll
                for (u32 turn = 0; turn < WARPGROUPS; ++turn) {
                    const u32 w = part == 0 ? turn : WARPGROUPS - 1 - turn;
                    const u32 head = ld_shared_u32(work_at(t, WORK_HEAD + w * PARTS + part));
                    if (head == NO_HEAD) continue;
                    if (lane == 0)
                        load_queries(&p.q_map, number[w], w, row + (i32)(w % HEAD_WGS * WG_ROWS), head, batch);
                    number[w] += 1;
                }
            work_release(t);
        }
    }
    if (wg == WARPGROUPS) {
        load_ring(p, warp_id() % WG_WARPS == 3);
        return;
    }

    registers_increase<CONSUMER_REGISTERS>();
    struct Part {
        u32 number = 0u - 1, tile = 0u - 1, stages = 0;
        u32 leg = 0, how = 1u << HOW_LAST; // the leg at hand
        u32 own = 0;                       // pieces
        bool joined = true;                // whether it follows on the one before in the ring
    };
    auto go = [&](Part& part, Phase& phase) {
        const Leg leg = leg_of(part.tile, wg, part.leg);
        part.own = leg.own;
        part.how = leg.how;
        phase = leg.phase();
    };
    // On to the part's next leg.
    auto again = [&](Part& part, Phase& phase) {
        part.leg += 1;
        go(part, phase);
    };
    auto next = [&](Part& part, Phase& phase) -> bool {
        part.leg += 1;
        if (part.how >> HOW_LAST & 1) {
            part.tile += 1;
            part.leg = 0;
            work_wait(part.tile);
        }
        go(part, phase);
        part.stages = stages_of(part.own);
        part.joined = !(part.how >> HOW_APART & 1);
        if (part.stages == 0) return uniform(ld_shared_u32(work_at(part.tile, WORK_PHASES))) > 0;
        part.number += 1;
        return true;
    };
    auto mask = [&](float (&s)[STAGE_KEYS / 2], const Part& part, u32 at) {
        const u32 from = at * STAGE_PIECES, own = part.own;
//@if CAUSAL
        const u32 masked = part.how >> HOW_MASKED;
        if (from >= masked && from + STAGE_PIECES <= own) return;
        // Keys that the lane's first row sees, counted from the diagonal's first.
        const u32 row = uniform(ld_shared_u32(work_at(part.tile, WORK_ROW)));
        const Sequence sequence = sequence_of(p);
        const i32 limit = sequence.limit((i32)(row * BLOCK_Q + wg % HEAD_WGS * WG_ROWS) +
                                         (i32)(warp_id() % WG_WARPS * 16 + lane_id() / 4)) -
                          (i32)(diagonal_of(sequence, row).first * BLOCK_KV);
#pragma unroll
        for (u32 piece = 0; piece < STAGE_PIECES; ++piece) {
            const u32 nth = from + piece;
            if (nth >= masked && nth < own) continue;
            const i32 seen = nth < masked ? limit - (i32)(nth * PIECE_KEYS) : -STAGE_KEYS;
            hide<PIECE_KEYS, 8>(s, piece * PIECE_KEYS, seen);
        }
//@else
        if (p.kv_len % BLOCK_KV == 0 && from + STAGE_PIECES <= own) return;
        const u32* list = p.lists + (u64)ld_shared_u32(work_at(part.tile, WORK_LIST)) * p.blocks;
#pragma unroll
        for (u32 piece = 0; piece < STAGE_PIECES; ++piece) {
            const u32 nth = from + piece;
            i32 seen = -STAGE_KEYS;
            if (nth < own)
                seen = p.kv_len - (i32)(list[nth / BLOCK_PIECES] * BLOCK_KV + nth % BLOCK_PIECES * PIECE_KEYS);
            hide<PIECE_KEYS, 0>(s, piece * PIECE_KEYS, seen);
        }
//@end
    };
    auto store = [&](const Flash& flash, const float (&sum)[2], const Part& part) {
        flash_store(flash, sum, &p.out_map, wg, query_slot(part.number, wg), [&]() -> Place {
            const u32 row = ld_shared_u32(work_at(part.tile, WORK_ROW));
            return Place{(i32)(row * BLOCK_Q + wg % HEAD_WGS * WG_ROWS),
                         ld_shared_u32(work_at(part.tile, WORK_HEAD + wg * PARTS + (part.how >> HOW_PART & 1))),
                         ld_shared_u32(work_at(part.tile, WORK_BATCH))};
        });
    };
    flash_stream<Part, true>(wg, next, again, mask, store);
}
