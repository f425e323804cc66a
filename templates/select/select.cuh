// select: from block maxima to the list of a group's row. The ranking is never sorted: each count is a cut through it,
// found by its digits, and a block's place in the list follows from the cuts that it survives.
#define SELECT_WARPS (SELECT_THREADS / WARP_SIZE)
#define MAX_SEGMENTS 512 // a power of two above MAX_CUTS: the last segment holds what no cut keeps
#define NO_BOUND 0xffffffffu

//@kernel select
{
    const u32 row = blockIdx.x, group = blockIdx.y, batch = blockIdx.z;
    const u64 group_row = ((u64)batch * p.groups + group) * p.rows + row;
    const u32 words = smem_u32(smem);
    auto word = [&](u32 i) -> u32 { return words + i * 4; };
    const Sequence sequence = sequence_of(p);
    const RowBlocks r = row_blocks(sequence, row, p.blocks);
    const u32 last_visible = row_blocks(sequence, p.rows - 1, p.blocks).visible;
//@if TICKETS
    // attend begins with its first tile.
    if (row == 0 && group == 0 && batch == 0 && threadIdx.x == 0) *p.tickets = 0;
//@end

    for (u32 digit = threadIdx.x; digit < DIGITS; digit += SELECT_THREADS)
        st_shared_u32(word(SELECT_HISTOGRAM + digit), 0);
    // Ranks are read by fours: those past the last are lower than any.
    if (threadIdx.x < 3) st_shared_u32(word(SELECT_RANKS + r.visible + threadIdx.x), 0);

    // The counts of the group's heads, and where they cut the ranking: distinct, ascending.
    const u32 heads = p.heads_per_group;
    const u64 first_head = ((u64)batch * p.groups + group) * heads;
//@if PER_HEAD
    if (warp_id() == 0) {
        for (u32 head = lane_id(); head < heads; head += WARP_SIZE) {
            const u32 wanted = wanted_blocks(p, (u32)first_head + head, row, r.visible, last_visible);
            const u32 count = min(max(wanted, r.pinned), r.visible);
            p.counts[(first_head + head) * p.rows + row] = count;
            st_shared_u32(word(SELECT_COUNTS + head), count);
        }
        sync_warp();
        u32 found = 0;
        for (u32 last = 0;; ++found) {
            u32 next = NO_BOUND;
            for (u32 head = lane_id(); head < heads; head += WARP_SIZE) {
                const u32 count = ld_shared_u32(word(SELECT_COUNTS + head));
                if (count > last) next = min(next, count);
            }
            last = redux_min(next);
            if (last == NO_BOUND) break;
            if (lane_id() == 0) st_shared_u32(word(SELECT_CUTS + found), last);
        }
        if (lane_id() == 0) st_shared_u32(word(SELECT_FOUND), found);
    }
//@else
    const u32 wanted = wanted_blocks(p, (u32)first_head, row, r.visible, last_visible);
    const u32 count = min(max(wanted, r.pinned), r.visible);
    for (u32 head = threadIdx.x; head < heads; head += SELECT_THREADS)
        p.counts[(first_head + head) * p.rows + row] = count;
    if (threadIdx.x == 0) st_shared_u32(word(SELECT_CUTS), count);
//@end

    // The last threads: the first warp has the counts.
//@if SEGMENTS
    const u32 segments = seen_segments(p, sequence, row);
    samples_lse<SELECT_THREADS>(p, row, group_row, segments, word(SELECT_LSE));
//@else
    samples_levels<SELECT_THREADS>(p, row, group_row, word(SELECT_LEVELS));
//@end
    sync_threads();
//@if PER_HEAD
    const u32 cuts = ld_shared_u32(word(SELECT_FOUND));
    if (threadIdx.x == 0) p.runs[group_row] = ld_shared_u32(word(SELECT_CUTS));
//@else
    const u32 cuts = 1;
//@end

    auto take = [&](u32 block, u32 rank) {
        st_shared_u32(word(SELECT_RANKS + block), rank);
        atomic_add_shared(word(SELECT_HISTOGRAM + first_digit(rank)), 1);
    };
//@if SEGMENTS
    rank_blocks<SELECT_THREADS>(p, group_row, r, segments, word(SELECT_LSE), word(SELECT_LEVELS), take);
//@else
    rank_blocks<SELECT_THREADS>(p, group_row, r, word(SELECT_LEVELS), take);
//@end

    // A warp to a cut: it looks for a rank from which on the cut keeps, and, where the cut parts equal ranks, for the
    // last block that it keeps of them.
    const u32 of_warp = SELECT_OF_WARPS + warp_id() * MAX_CUTS;
    for (u32 cut = warp_id(); cut < cuts; cut += SELECT_WARPS) {
        u32 need = ld_shared_u32(word(SELECT_CUTS + cut)), here;
        const u32 first = find_digit(word(SELECT_HISTOGRAM), need, here);
        u32 lowest = rank_of_digit(first), highest = first == DIGITS - 1 ? RANK_PINNED : rank_of_digit(first + 1) - 1;
        // The ranks that are left, fewer with each digit, until the cut keeps all of them, or they are equal.
        while (need < here && lowest < highest) {
            const u32 span = highest - lowest, shift = 24 - min((u32)__clz((i32)span), 24u);
#pragma unroll
            for (u32 digit = 0; digit < DIGITS; digit += WARP_SIZE) st_shared_u32(word(of_warp + digit + lane_id()), 0);
            sync_warp();
            auto count = [&](u32 rank) {
                const u32 digit = word(of_warp + ((rank - lowest) >> shift));
                if (rank - lowest <= span) atomic_add_shared(digit, 1);
            };
            for (u32 block = lane_id() * 4; block < r.visible; block += WARP_SIZE * 4) {
                const u32x4 ranks = ld_shared_v4(word(SELECT_RANKS + block));
                count(ranks.x);
                count(ranks.y);
                count(ranks.z);
                count(ranks.w);
            }
            sync_warp();
            lowest += find_digit(word(of_warp), need, here) << shift;
            highest = lowest + min(highest - lowest, (1u << shift) - 1);
            sync_warp();
        }
        u32 bound = NO_BOUND;
        if (need < here) {
            // The lower index wins: count equal ranks from the first block on.
            for (u32 first = 0; bound == NO_BOUND; first += WARP_SIZE) {
                const u32 block = first + lane_id();
                const bool same = block < r.visible && ld_shared_u32(word(SELECT_RANKS + block)) == lowest;
                const u32 lanes = ballot(same);
                const bool last = same && (u32)__popc(lanes & ((2u << lane_id()) - 1)) == need;
                if (any_sync(last)) bound = first + (u32)__ffs((i32)ballot(last)) - 1;
                need -= __popc(lanes);
            }
        }
        if (lane_id() == 0) {
            st_shared_u32(word(SELECT_THRESHOLDS + cut), lowest);
            st_shared_u32(word(SELECT_BOUNDS + cut), bound);
        }
    }
    sync_threads();

    // The list: what the first cut keeps, then what each next one adds, ascending within each. A block's segment is the
    // number of cuts that drop it.
    for (u32 segment = lane_id(); segment < cuts; segment += WARP_SIZE) st_shared_u32(word(of_warp + segment), 0);
    sync_warp();
    // Each warp has a run of blocks: first it counts its share of every segment. A block's rank gives way to its
    // segment, and how many of the share lie before it.
    const u32 span = (r.visible + SELECT_THREADS - 1) / SELECT_THREADS * WARP_SIZE;
    const u32 begin = warp_id() * span, end = min(begin + span, r.visible);
    for (u32 first = begin; first < end; first += WARP_SIZE) {
        const u32 block = first + lane_id();
        const bool inside = block < end;
        const u32 rank = inside ? ld_shared_u32(word(SELECT_RANKS + block)) : 0;
        // Bit by bit; `peers` are the lanes with the same bits.
        u32 segment = 0, peers = ballot(inside);
        for (u32 bit = 1u << (31 - __clz((i32)cuts)); bit > 0; bit /= 2) {
            const u32 next = segment + bit, cut = min(next, cuts) - 1;
            const u32 threshold = ld_shared_u32(word(SELECT_THRESHOLDS + cut));
            const u32 bound = ld_shared_u32(word(SELECT_BOUNDS + cut));
            const bool dropped = (rank < threshold) | ((rank == threshold) & (block > bound));
            const bool beyond = (next <= cuts) & dropped;
            const u32 lanes = ballot(beyond);
            peers &= beyond ? lanes : ~lanes;
            if (beyond) segment = next;
        }
        const u32 leader = (u32)__ffs((i32)peers) - 1;
        u32 before = 0;
        if (lane_id() == leader && segment < cuts) before = atomic_add_shared(word(of_warp + segment), __popc(peers));
        before = shfl_idx(before, leader) + __popc(peers & ((1u << lane_id()) - 1));
        if (inside) st_shared_u32(word(SELECT_RANKS + block), before * MAX_SEGMENTS + segment);
    }
    sync_threads();
    for (u32 segment = threadIdx.x; segment < cuts; segment += SELECT_THREADS) {
        u32 place = segment == 0 ? 0 : ld_shared_u32(word(SELECT_CUTS + segment - 1));
#pragma unroll
        for (u32 w = 0; w < SELECT_WARPS; ++w) {
            const u32 share = ld_shared_u32(word(SELECT_OF_WARPS + w * MAX_CUTS + segment));
            st_shared_u32(word(SELECT_OF_WARPS + w * MAX_CUTS + segment), place);
            place += share;
        }
    }
    sync_threads();
    u32* list = p.lists + group_row * p.blocks;
    for (u32 block = begin + lane_id(); block < end; block += WARP_SIZE) {
        const u32 place = ld_shared_u32(word(SELECT_RANKS + block)), segment = place % MAX_SEGMENTS;
        if (segment < cuts) list[ld_shared_u32(word(of_warp + segment)) + place / MAX_SEGMENTS] = block;
    }
}
