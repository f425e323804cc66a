// The scheduler warp: it describes each tile's work to the warps that load and to the warpgroups that compute. A tile is a few
// heads of one KV head on one row of blocks. A warpgroup computes one part after the other, a part for each of its heads.
// Heads visit prefixes of one list, so a stage of keys that two heads visit is loaded once for both. A phase is a run of
// stages that the same warpgroups go through together, and a leg is one warpgroup's share of a phase. Two warpgroups with
// two parts each, of heads A to D in the order of their counts, the largest first:
//
//   stages ─▶      both           side by side    both            alone
//   warpgroup 0    A from 0 ────▶ A's rest ─────▶ D from 0 ─────▶ D's rest
//   warpgroup 1    B, all of it ▶ C's last ones ▶ C from 0 ─────▶ C up to its last ones

// A block of queries is one or two warpgroups high.
#define HEAD_WGS (BLOCK_Q / WG_ROWS)
#define PACK_HEADS (WARPGROUPS / HEAD_WGS)
// Two warpgroups of one row of blocks each have two parts where there are tiles enough, the longest and the shortest head
// for one of them.
#define PARTS (WARPGROUPS == 2 && HEAD_WGS == 1 ? 2 : 1)
#define TILE_HEADS (PARTS * PACK_HEADS)
#define TILES_ENOUGH 4 // for each CTA
// Heads are ordered by their counts within windows, as far as a warp reaches.
#define WINDOW_HEADS (WARP_SIZE / TILE_HEADS * TILE_HEADS)
// What one copy brings: a block, or as much of it as a stage holds.
#define PIECE_KEYS (BLOCK_KV < STAGE_KEYS ? BLOCK_KV : STAGE_KEYS)
#define BLOCK_PIECES (BLOCK_KV / PIECE_KEYS)
#define STAGE_PIECES (STAGE_KEYS / PIECE_KEYS)

// Words of a description of work.
#define WORK_PHASES 0 // how many; 0 ends the kernel
#define WORK_ROW 1
#define WORK_BATCH 2
#define WORK_KV_HEAD 3
#define WORK_LIST 4 // whose list it is, of those of all groups and rows
#define WORK_RUN 5  // blocks of the list's first run before the diagonal
#define WORK_MOST 6 // the most pieces that a head visits
#define WORK_LEG 8  // for each warpgroup; legs and phases are 16 bytes each
#define WORK_PHASE (WORK_LEG + WARPGROUPS * LEGS * LEG_WORDS)
#define WORK_HEAD (WORK_PHASE + PHASES * PHASE_WORDS) // for each warpgroup's parts; without one, it has no queries
#define NO_HEAD 0xffffffffu
// Words of a phase, as those who load see it.
#define PHASE_STAGES 0
#define PHASE_TAKERS 1 // a bit for each warpgroup: from bit 0 those of the first column, from bit 8 of the second
#define PHASE_FROM 2   // for each column
#define PHASE_WORDS 4
#define PHASES (PARTS == 2 ? 6 : WARPGROUPS)
// Words of a leg.
#define LEG_HOW 3
#define LEG_WORDS 4
#define LEGS (PARTS == 2 ? 5 : WARPGROUPS)
// Bits of `how`: the slots of the first keys and values, the readers, and
#define HOW_VALUE 8
#define HOW_READERS 16
#define HOW_COLUMNS 20 // two columns
#define HOW_BOTH 21    // both warpgroups go through it
#define HOW_BEGINS 22  // and both begin a part
#define HOW_APART 23   // others have gone through stages since the leg before
#define HOW_PART 24    // the second part
#define HOW_LAST 25    // of the tile
#define HOW_MASKED 26  // from here on: pieces of the diagonal

static_assert(WORK_HEAD + WARPGROUPS * PARTS <= WORK_WORDS, "a description of work is too long");

__device__ __forceinline__ u32 phase_at(u32 tile, u32 phase, u32 word) {
    return work_at(tile, WORK_PHASE + phase * PHASE_WORDS + word);
}
__device__ __forceinline__ u32 leg_at(u32 tile, u32 wg, u32 leg) {
    return work_at(tile, WORK_LEG + (wg * LEGS + leg) * LEG_WORDS);
}
// One warpgroup's share of a phase: `stages` of them, 0 where it has no part in the tile, from place `from` of the list on.
// Its head visits `own` pieces.
struct Leg {
    u32 stages, from, own, how;
    __device__ __forceinline__ Phase phase() const {
        return phase_of(how & 0xff, how >> HOW_VALUE & 0xff, stages, from, (how >> HOW_COLUMNS & 1) + 1,
                        how >> HOW_READERS & 0xf, how >> HOW_BOTH & 1, how >> HOW_BEGINS & 1);
    }
};
__device__ __forceinline__ Leg leg_of(u32 tile, u32 wg, u32 leg) {
    const u32x4 words = ld_shared_v4(leg_at(tile, wg, leg));
    return Leg{uniform(words.x), uniform(words.y), uniform(words.z), uniform(words.w)};
}
// Two warpgroups are both or either, three are all or as many as have not left yet.
__device__ __forceinline__ u32 readers_of(u32 takers) { return (WARPGROUPS == 2 ? takers : (u32)__popc(takers)) % READERS; }
__device__ __forceinline__ u32 stages_of(u32 pieces) { return (pieces + STAGE_PIECES - 1) / STAGE_PIECES; }

// Writes a tile's phases, one after the other. Lane w writes the legs of warpgroup w, the first lane the rest. A phase
// without stages is none.
struct Phases {
    u32 behind;     // stages up to its end, of all tiles
    u32 behind_leg; // up to the end of this warpgroup's last leg
    u32 tile, masked;
    u32 count, legs, how; // the last leg's
    u32 part, own;        // the warpgroup's
    __device__ __forceinline__ void tile_begin(u32 t, u32 pieces_masked) {
        tile = t;
        masked = pieces_masked;
        count = legs = how = 0;
        for (u32 n = 0; n < PARTS; ++n) put_head(n, NO_HEAD);
    }
    __device__ __forceinline__ void put_head(u32 n, u32 head) const {
        if (lane_id() < WARPGROUPS) st_shared_u32(work_at(tile, WORK_HEAD + lane_id() * PARTS + n), head);
    }
    __device__ __forceinline__ void part_begin(u32 wg, u32 n, u32 head, u32 pieces) {
        if (lane_id() != wg) return;
        part = n;
        own = pieces;
        if (pieces > 0) put_head(n, head);
    }
    __device__ __forceinline__ void put(u32 stages, u32 takers, u32 from, bool begins, u32 beside = 0,
                                        u32 from_beside = 0) {
        if (stages == 0) return;
        const u32 lane = lane_id(), columns = beside == 0 ? 1 : 2;
        if (lane == 0) {
            st_shared_v4(phase_at(tile, count, PHASE_STAGES), u32x4{stages, takers | beside << 8, from, from_beside});
        }
        if ((takers | beside) >> lane & 1) {
            const u32 column = beside >> lane & 1;
            how = key_slot(behind + column) | value_slot(behind + column) << HOW_VALUE |
                  readers_of(column == 0 ? takers : beside) << HOW_READERS | (columns - 1) << HOW_COLUMNS |
                  (u32)((takers | beside) == (1u << WARPGROUPS) - 1) << HOW_BOTH | (u32)begins << HOW_BEGINS |
                  (u32)(behind != behind_leg) << HOW_APART | part << HOW_PART | masked << HOW_MASKED;
            st_shared_v4(leg_at(tile, lane, legs), u32x4{stages, column == 0 ? from : from_beside, own, how});
            legs += 1;
            behind_leg = behind + stages * columns;
        }
        behind += stages * columns;
        count += 1;
    }
    __device__ __forceinline__ void tile_end() const {
        const u32 lane = lane_id();
        if (lane < WARPGROUPS && legs == 0) st_shared_v4(leg_at(tile, lane, 0), u32x4{0, 0, 0, 1u << HOW_LAST});
        if (lane < WARPGROUPS && legs > 0)
            st_shared_u32(leg_at(tile, lane, legs - 1) + LEG_HOW * 4, how | 1u << HOW_LAST);
        if (lane == 0) st_shared_u32(work_at(tile, WORK_PHASES), count);
    }
};

// The heads of a tile, the largest count first; of those that it lacks the count is 0.
struct Ranking {
    u32 head[TILE_HEADS], own[TILE_HEADS]; // pieces
};

// Assigns heads to warpgroups, and decides which stages they share.
__device__ __forceinline__ void divide(const Ranking& heads, Phases& phases) {
    auto part = [&](u32 wg, u32 n, u32 rank) { phases.part_begin(wg, n, heads.head[rank], heads.own[rank]); };
    auto stages = [&](u32 rank) -> u32 { return stages_of(heads.own[rank]); };
#if PARTS == 1
    // A head for each, or two: they leave when their lists end.
    for (u32 wg = 0; wg < WARPGROUPS; ++wg) part(wg, 0, wg / HEAD_WGS);
    u32 from = 0;
    for (u32 rank = PACK_HEADS; rank-- > 0;) {
        phases.put(stages(rank) - from, (1u << (rank + 1) * HEAD_WGS) - 1, from, WARPGROUPS == 2);
        from = stages(rank);
    }
#else
    // The longest and the shortest head, and the two between. The third begins with its list's end, beside the end of
    // the first, so that its beginning is left for the fourth to share.
    const u32 s0 = stages(0), s1 = stages(1), s2 = stages(TILE_HEADS - 2), s3 = stages(TILE_HEADS - 1);
    const u32 beside = min(s0 - s1, s2), left = s2 - beside, shared = min(left, s3);
    part(0, 0, 0);
    part(1, 0, 1);
    phases.put(s1, 3, 0, true);
    part(1, 1, TILE_HEADS - 2);
    phases.put(beside, 1, s1, false, 2, left);
    phases.put(s0 - s1 - beside, 1, s1 + beside, false);
    part(0, 1, TILE_HEADS - 1);
    phases.put(shared, 3, 0, s0 == s1);
    phases.put(left - shared, 2, shared, false);
    phases.put(s3 - shared, 1, shared, false);
#endif
}

// A warp that describes one tile after the other. Tiles are taken late, since those that a CTA has taken nobody else can
// help with: when the one three before is done with. Those who load look at the next tile while others still cross over from
// the one before.
template <class Params>
__device__ __forceinline__ void schedule(const Params& p) {
    const u32 lane = lane_id();
    auto packs_of = [&](u32 heads) -> u32 { return ((u32)p.heads_per_kv + heads - 1) / heads; };
    const u32 sequences = (u32)(p.batch * p.kv_heads), lines = sequences * (u32)p.rows;
    const u32 tile_heads = lines * packs_of(TILE_HEADS) < TILES_ENOUGH * gridDim.x ? PACK_HEADS : TILE_HEADS;
    const u32 packs = packs_of(tile_heads), tiles = lines * packs;
    u32 ticket = blockIdx.x;
    Phases phases = {};
    for (u32 t = 0;; ++t) {
        work_begin(t + 1); // its slot held that tile
        if (t > 0) {
            u32 fetched = 0;
            if (lane == 0) fetched = atomic_add_global(p.tickets, 1);
            ticket = gridDim.x + shfl_idx(fetched, 0);
        }
        const bool more = ticket < tiles;
        const u32 pack = ticket % packs;
        const Line line = line_of(more ? ticket / packs : 0, sequences, (u32)p.rows, (u32)p.kv_len);
        const u32 row = line.row, sequence = line.sequence;
        const u32 kv_head = sequence % (u32)p.kv_heads, batch = sequence / (u32)p.kv_heads;
        const u32 list = (batch * p.groups + kv_head / p.kv_heads_per_group) * p.rows + row;
        const u32 window = pack * tile_heads / WINDOW_HEADS * WINDOW_HEADS;
        const u32 heads = min((u32)p.heads_per_kv - window, (u32)WINDOW_HEADS); // of the window
        const u32 head0 = kv_head * p.heads_per_kv + window, rank0 = pack * tile_heads - window;
        u32 count = 0;
        if (more && lane < heads) count = p.counts[((u64)batch * p.heads + head0 + lane) * p.rows + row];
//@if CAUSAL
//@if PER_HEAD
        const u32 run = more ? p.runs[list] : 0;
//@end
//@end
        // Where lane h's head stands among its fellows, the largest count first.
        u32 place = 0;
        for (u32 other = 0; other < heads; ++other) {
            const u32 theirs = shfl_idx(count, other);
            place += theirs > count || (theirs == count && other < lane);
        }
        Ranking ranking;
#pragma unroll
        for (u32 rank = 0; rank < TILE_HEADS; ++rank) {
            const u32 found = ballot(place == rank0 + rank && lane < heads && rank < tile_heads);
            const u32 source = found == 0 ? 0 : (u32)__ffs((i32)found) - 1;
            ranking.own[rank] = found == 0 ? 0 : shfl_idx(count, source) * BLOCK_PIECES;
            ranking.head[rank] = head0 + source;
        }
//@if CAUSAL
        // Blocks of the diagonal are in every head's count and stand together at the end of the list's first run. They come
        // first, token by token; what remains needs no mask.
        phases.tile_begin(t, diagonal_of(sequence_of(p), row).blocks() * BLOCK_PIECES);
//@else
        phases.tile_begin(t, 0);
//@end
        if (more) divide(ranking, phases);
        phases.tile_end();
        if (lane == 0) {
            st_shared_u32(work_at(t, WORK_ROW), row);
            st_shared_u32(work_at(t, WORK_BATCH), batch);
            st_shared_u32(work_at(t, WORK_KV_HEAD), kv_head);
            st_shared_u32(work_at(t, WORK_LIST), list);
            st_shared_u32(work_at(t, WORK_MOST), ranking.own[0]);
//@if CAUSAL
//@if PER_HEAD
            st_shared_u32(work_at(t, WORK_RUN), run);
//@else
            st_shared_u32(work_at(t, WORK_RUN), ranking.own[0] / BLOCK_PIECES);
//@end
//@end
        }
        work_publish(t); // each lane what it wrote
        if (!more) return;
    }
}
