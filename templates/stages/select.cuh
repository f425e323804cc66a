// select: from block maxima to the list of a group's row. The ranking is never sorted: each count is a cut through it,
// found by its digits, and a block's place in the list follows from the cuts that it survives.
#define SELECT_THREADS 256
#define SELECT_WARPS (SELECT_THREADS / WARP_SIZE)
#define RANK_PINNED 0xffffffffu
#define NO_BOUND 0xffffffffu
//@if DYNAMIC
#define MAX_CUTS SELECT_THREADS
//@else
#define MAX_CUTS 1
//@end
// Shared memory, in words.
#define SELECT_LSE 0
#define SELECT_HISTOGRAM SAMPLES_Q
#define SELECT_FOUND (SELECT_HISTOGRAM + 256)
#define SELECT_COUNTS (SELECT_FOUND + 4)
#define SELECT_CUTS (SELECT_COUNTS + MAX_CUTS)
#define SELECT_THRESHOLDS (SELECT_CUTS + MAX_CUTS)
#define SELECT_BOUNDS (SELECT_THRESHOLDS + MAX_CUTS)
#define SELECT_PLACES (SELECT_BOUNDS + MAX_CUTS)
#define SELECT_RANKS (SELECT_PLACES + SELECT_WARPS * MAX_CUTS)

// What a row of blocks sees, and what it keeps whatever the score.
struct RowBlocks {
    u32 visible;
    u32 pinned;
    u32 sink;  // blocks before it are pinned
    u32 local; // blocks in [local, diagonal_end) are pinned
    u32 diagonal_end;
};

__device__ __forceinline__ RowBlocks row_blocks(u32 row, i32 q_len, i32 kv_len, u32 blocks) {
    const i32 start = (i32)(row * BLOCK_Q), end = min(start + BLOCK_Q, q_len);
    const u32 diagonal = (u32)(kv_len - q_len + start) / BLOCK_KV;
    RowBlocks r;
    r.diagonal_end = (u32)(kv_len - q_len + end - 1) / BLOCK_KV + 1;
//@if CAUSAL
    r.visible = r.diagonal_end;
//@else
    r.visible = blocks;
//@end
    r.sink = min((u32)KEEP_SINK, r.visible);
    r.local = diagonal > KEEP_LOCAL ? diagonal - KEEP_LOCAL : 0;
    const u32 local = max(r.local, r.sink);
    r.pinned = r.sink + (r.diagonal_end > local ? r.diagonal_end - local : 0);
    return r;
}

// Blocks that a head visits, before bounds.
//@if DYNAMIC
__device__ __forceinline__ u32 wanted_blocks(u32 measured, u32 visible, u32 last_visible) {
//@if ROWS_RATIO
    const u32 scaled = (u32)(((u64)measured * visible + last_visible - 1) / last_visible);
//@else
    const u32 scaled = measured;
//@end
    return max(scaled, (u32)MIN_BLOCKS);
}
//@end
//@if TOP_K_BUDGET
__device__ __forceinline__ u32 wanted_blocks() { return TOP_K; }
//@end
//@if RATIO_BUDGET
__device__ __forceinline__ u32 wanted_blocks(u32 visible) { return (u32)ceil(RATIO * (double)visible); }
//@end

//@if SAMPLES_BY_EIGHT
// The larger log₂ probability of two samples: their maxima as a pair, and where the sums over their keys are.
__device__ __forceinline__ float score_of_two(u32 maxima, u32 lse) {
    const f16 low = {(u16)maxima}, high = {(u16)(maxima >> 16)};
    return fmaxf(f16_to_float(low) - ld_shared_f32(lse), f16_to_float(high) - ld_shared_f32(lse + 4));
}
//@end

// Floats as integers of the same order.
__device__ __forceinline__ u32 rank_of(float score) {
    const u32 bits = __float_as_uint(score);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

//@kernel select
{
    const u32 row = blockIdx.x, group = blockIdx.y, batch = blockIdx.z;
    const u64 group_row = ((u64)batch * p.groups + group) * p.rows + row;
    const u32 words = smem_u32(smem);
    auto word = [&](u32 i) -> u32 { return words + i * 4; };
    const RowBlocks r = row_blocks(row, p.q_len, p.kv_len, p.blocks);
//@if TICKETS
    // attend begins with its first tile.
    if (row == 0 && group == 0 && batch == 0 && threadIdx.x == 0) *p.tickets = 0;
//@end

    // The counts of the group's heads, and where they cut the ranking: distinct, ascending.
//@if DYNAMIC
    const u32 last_visible = row_blocks(p.rows - 1, p.q_len, p.kv_len, p.blocks).visible;
    const u32 heads = p.heads_per_group;
    const u64 first_head = ((u64)batch * p.groups + group) * heads;
    u32 count = 0;
    if (threadIdx.x < heads) {
        count = wanted_blocks(p.measured[first_head + threadIdx.x], r.visible, last_visible);
        count = min(max(count, r.pinned), r.visible);
        p.counts[(first_head + threadIdx.x) * p.rows + row] = count;
        st_shared_u32(word(SELECT_COUNTS + threadIdx.x), count);
    }
    sync_threads();
    u32 smaller = 0;
    bool repeated = threadIdx.x >= heads;
    for (u32 h = 0; h < heads; ++h) {
        const u32 other = ld_shared_u32(word(SELECT_COUNTS + h));
        bool fresh = true; // the first head with this count
        for (u32 e = 0; e < h; ++e) fresh &= ld_shared_u32(word(SELECT_COUNTS + e)) != other;
        smaller += fresh && other < count;
        repeated |= h < threadIdx.x && other == count;
    }
    if (threadIdx.x == 0) st_shared_u32(word(SELECT_FOUND), 0);
    sync_threads();
    if (!repeated) {
        st_shared_u32(word(SELECT_CUTS + smaller), count);
        atomic_add_shared(word(SELECT_FOUND), 1);
    }
//@else
//@if TOP_K_BUDGET
    const u32 count = min(max(wanted_blocks(), r.pinned), r.visible);
//@else
    const u32 count = min(max(wanted_blocks(r.visible), r.pinned), r.visible);
//@end
    for (u32 h = threadIdx.x; h < (u32)p.heads_per_group; h += SELECT_THREADS)
        p.counts[(((u64)batch * p.groups + group) * p.heads_per_group + h) * p.rows + row] = count;
    if (threadIdx.x == 0) st_shared_u32(word(SELECT_CUTS), count);
//@end

    // Samples past the last query weigh nothing.
//@if SEGMENTS
    // Segments that the row's last sample sees: `score` has gone through no others for certain.
    const i32 last_token = min((i32)((row + 1) * BLOCK_Q), p.q_len) - 1;
//@if CAUSAL
//@if STRIDED_Q
    const i32 last_position = p.kv_len - p.q_len + last_token / STRIDE_Q * STRIDE_Q;
//@else
    const i32 last_position = p.kv_len - p.q_len + last_token;
//@end
//@if STRIDED_KV
    const u32 segments = (u32)(last_position / STRIDE_KV) / (u32)p.segment_keys + 1;
//@else
    const u32 segments = (u32)last_position / (u32)p.segment_keys + 1;
//@end
//@else
    const u32 segments = p.segments;
//@end
//@end
    for (u32 i = threadIdx.x; i < SAMPLES_Q; i += SELECT_THREADS) {
//@if STRIDED_Q
        const bool inside = (i32)(row * BLOCK_Q + i * STRIDE_Q) < p.q_len;
//@else
        const bool inside = (i32)(row * BLOCK_Q + i) < p.q_len;
//@end
//@if SEGMENTS
        // The sum over a sample's keys, from those over its segments.
        const float* parts = p.lse + group_row * p.segments * SAMPLES_Q + i;
        float top = inside ? parts[0] : FLOAT_INF;
        for (u32 s = 1; inside && s < segments; ++s) top = fmaxf(top, parts[s * SAMPLES_Q]);
        float sum = inside ? 0.0f : 1.0f;
        for (u32 s = 0; inside && s < segments; ++s) sum += exp2_approx(parts[s * SAMPLES_Q] - top);
        st_shared_f32(word(SELECT_LSE + i), top + log2_approx(sum));
//@else
        st_shared_f32(word(SELECT_LSE + i), inside ? p.lse[group_row * SAMPLES_Q + i] : FLOAT_INF);
//@end
    }
    sync_threads();
//@if DYNAMIC
    const u32 cuts = ld_shared_u32(word(SELECT_FOUND));
    if (threadIdx.x == 0) p.runs[group_row] = ld_shared_u32(word(SELECT_CUTS));
//@else
    const u32 cuts = 1;
//@end

    // Ranks: the score of a block is the largest of its samples' log₂ probabilities.
    const f16* maxima = p.maxima + group_row * p.blocks * SAMPLES_Q;
    for (u32 block = threadIdx.x; block < r.visible; block += SELECT_THREADS) {
        u32 rank = RANK_PINNED;
        if (block >= r.sink && (block < r.local || block >= r.diagonal_end)) {
            float score = FLOAT_NEG_INF;
            const f16* of_block = maxima + (u64)block * SAMPLES_Q;
//@if SAMPLES_BY_EIGHT
#pragma unroll
            for (u32 i = 0; i < SAMPLES_Q; i += 8) {
                const u32x4 eight = ld_global_nc_v4(of_block + i);
                score = fmaxf(score, score_of_two(eight.x, word(SELECT_LSE + i)));
                score = fmaxf(score, score_of_two(eight.y, word(SELECT_LSE + i + 2)));
                score = fmaxf(score, score_of_two(eight.z, word(SELECT_LSE + i + 4)));
                score = fmaxf(score, score_of_two(eight.w, word(SELECT_LSE + i + 6)));
            }
//@else
#pragma unroll
            for (u32 i = 0; i < SAMPLES_Q; ++i)
                score = fmaxf(score, f16_to_float(of_block[i]) - ld_shared_f32(word(SELECT_LSE + i)));
//@end
            rank = rank_of(score);
        }
        st_shared_u32(word(SELECT_RANKS + block), rank);
    }
    sync_threads();

    // Each cut: the smallest rank that it keeps, and, where it parts equal ranks, the last block that it keeps of them.
    for (u32 cut = 0; cut < cuts; ++cut) {
        u32 need = ld_shared_u32(word(SELECT_CUTS + cut)), threshold = 0, equal = 0;
        if (need < r.visible) {
            for (u32 shift = 32; shift > 0;) {
                shift -= 8;
                st_shared_u32(word(SELECT_HISTOGRAM + threadIdx.x), 0);
                sync_threads();
                for (u32 block = threadIdx.x; block < r.visible; block += SELECT_THREADS) {
                    const u32 rank = ld_shared_u32(word(SELECT_RANKS + block));
                    if ((rank ^ threshold) >> shift >> 8 == 0)
                        atomic_add_shared(word(SELECT_HISTOGRAM + (rank >> shift) % 256), 1);
                }
                sync_threads();
                if (warp_id() == 0) {
                    // Lane i owns digits 255 − 8i downwards; above it lie those of the lanes before it.
                    const u32 top = 255 - lane_id() * 8;
                    u32 own = 0;
                    for (u32 d = 0; d < 8; ++d) own += ld_shared_u32(word(SELECT_HISTOGRAM + top - d));
                    u32 upto = own;
                    for (u32 step = 1; step < WARP_SIZE; step *= 2) {
                        const u32 before = shfl_up(upto, step);
                        if (lane_id() >= step) upto += before;
                    }
                    u32 above = upto - own;
                    if (above < need && need <= upto) {
                        u32 digit = top;
                        u32 here = ld_shared_u32(word(SELECT_HISTOGRAM + digit));
                        while (above + here < need) {
                            above += here;
                            here = ld_shared_u32(word(SELECT_HISTOGRAM + --digit));
                        }
                        st_shared_u32(word(SELECT_FOUND + 1), digit);
                        st_shared_u32(word(SELECT_FOUND + 2), need - above);
                        st_shared_u32(word(SELECT_FOUND + 3), here);
                    }
                }
                sync_threads();
                threshold |= ld_shared_u32(word(SELECT_FOUND + 1)) << shift;
                need = ld_shared_u32(word(SELECT_FOUND + 2));
                equal = ld_shared_u32(word(SELECT_FOUND + 3));
            }
        }
        if (warp_id() == 0) {
            u32 bound = NO_BOUND;
            if (need < equal) {
                // The lower index wins: count equal ranks from the first block on.
                u32 found = 0;
                for (u32 first = 0; bound == NO_BOUND; first += WARP_SIZE) {
                    const u32 block = first + lane_id();
                    const bool same = block < r.visible && ld_shared_u32(word(SELECT_RANKS + block)) == threshold;
                    const u32 lanes = ballot(same);
                    const bool last = same && found + __popc(lanes & ((2u << lane_id()) - 1)) == need;
                    if (any_sync(last)) bound = first + (u32)__ffs((i32)ballot(last)) - 1;
                    found += __popc(lanes);
                }
            }
            if (lane_id() == 0) {
                st_shared_u32(word(SELECT_THRESHOLDS + cut), threshold);
                st_shared_u32(word(SELECT_BOUNDS + cut), bound);
            }
        }
        sync_threads();
    }

    // The list: what the first cut keeps, then what each next one adds, ascending within each.
    auto segment_of = [&](u32 block) -> u32 {
        if (block >= r.visible) return cuts;
        const u32 rank = ld_shared_u32(word(SELECT_RANKS + block));
        u32 segment = 0;
        for (; segment < cuts; ++segment) {
            const u32 threshold = ld_shared_u32(word(SELECT_THRESHOLDS + segment));
            if (rank > threshold || (rank == threshold && block <= ld_shared_u32(word(SELECT_BOUNDS + segment)))) break;
        }
        return segment;
    };
    // Each warp has a run of blocks: it counts its share of every segment, then writes from where the share begins.
    const u32 span = (r.visible + SELECT_THREADS - 1) / SELECT_THREADS * WARP_SIZE;
    const u32 begin = warp_id() * span, end = min(begin + span, r.visible);
    const u32 places = SELECT_PLACES + warp_id() * MAX_CUTS;
    for (u32 segment = lane_id(); segment < cuts; segment += WARP_SIZE) st_shared_u32(word(places + segment), 0);
    sync_warp();
    for (u32 first = begin; first < end; first += WARP_SIZE) {
        const u32 segment = segment_of(first + lane_id());
        if (segment < cuts) atomic_add_shared(word(places + segment), 1);
    }
    sync_threads();
    for (u32 segment = threadIdx.x; segment < cuts; segment += SELECT_THREADS) {
        u32 place = segment == 0 ? 0 : ld_shared_u32(word(SELECT_CUTS + segment - 1));
        for (u32 w = 0; w < SELECT_WARPS; ++w) {
            const u32 share = ld_shared_u32(word(SELECT_PLACES + w * MAX_CUTS + segment));
            st_shared_u32(word(SELECT_PLACES + w * MAX_CUTS + segment), place);
            place += share;
        }
    }
    sync_threads();
    u32* list = p.lists + group_row * p.blocks;
    for (u32 first = begin; first < end; first += WARP_SIZE) {
        const u32 segment = segment_of(first + lane_id());
        for (u32 open = ballot(segment < cuts); open != 0;) {
            const u32 turn = shfl_idx(segment, (u32)__ffs((i32)open) - 1);
            const u32 lanes = ballot(segment == turn);
            const u32 place = ld_shared_u32(word(places + turn));
            if (segment == turn) list[place + __popc(lanes & ((1u << lane_id()) - 1))] = first + lane_id();
            sync_warp();
            if (lane_id() == 0) st_shared_u32(word(places + turn), place + __popc(lanes));
            sync_warp();
            open &= ~lanes;
        }
    }
}
