// select: from block maxima to the list of a group's row: the blocks that are always kept, and those that weigh at least a
// share of what the heaviest weighs, ascending. Nothing is sorted or counted before: the list ends where its blocks do.
#define SELECT_WARPS (SELECT_THREADS / WARP_SIZE)

// The lowest rank that is kept beside a block of the highest: scores are logarithms of weights.
__device__ __forceinline__ u32 lowest_rank(u32 highest) {
    const float best = __uint_as_float(highest >> 31 ? highest & 0x7fffffffu : ~highest);
    return rank_of(best - KEPT_STEPS * (1.0f / STEPS_PER_LOG2));
}

//@kernel select
{
    const u32 row = blockIdx.x, group = blockIdx.y, batch = blockIdx.z;
    const u64 group_row = ((u64)batch * p.groups + group) * p.rows + row;
    const u32 words = smem_u32(smem);
    auto word = [&](u32 i) -> u32 { return words + i * 4; };
    const Sequence sequence = sequence_of(p);
    const RowBlocks r = row_blocks(sequence, row, p.blocks);
    auto is_pinned = [&](u32 block) -> bool { return block < r.sink || (block >= r.local && block < r.diagonal_end); };
//@if TICKETS
    // attend begins with its first tile.
    if (row == 0 && group == 0 && batch == 0 && threadIdx.x == 0) *p.tickets = 0;
//@end

    // Ranks by scores alone: what is pinned may be the heaviest.
    RowBlocks unpinned = r;
    unpinned.sink = 0;
    unpinned.local = unpinned.diagonal_end;
//@if EVERY_BLOCK_SCORED
    const u32 scored = r.visible;
//@else
    // Blocks beyond what the row's last sample sees weigh nothing. They are pinned.
    const i32 last_sample = (min((i32)((row + 1) * BLOCK_Q), p.q_len) - 1) / STRIDE_Q;
    const i32 seen_keys = seen_samples(sequence, last_sample, (p.kv_len + STRIDE_KV - 1) / STRIDE_KV);
    const u32 scored = min((u32)(seen_keys + SAMPLES_KV - 1) / SAMPLES_KV, r.visible);
//@end
    u32 highest = 0;
    auto take = [&](u32 block, u32 rank) {
        if (block < scored) highest = max(highest, rank);
        st_shared_u32(word(SELECT_RANKS + block), is_pinned(block) ? RANK_PINNED : rank);
    };
//@if SEGMENTS
    const u32 segments = seen_segments(p, sequence, row);
    samples_lse<SELECT_THREADS>(p, row, group_row, segments, word(SELECT_LSE));
    sync_threads();
    rank_blocks<SELECT_THREADS>(p, group_row, unpinned, segments, word(SELECT_LSE), word(SELECT_LEVELS), take);
//@else
    samples_levels<SELECT_THREADS>(p, row, group_row, word(SELECT_LEVELS));
    sync_threads();
    rank_blocks<SELECT_THREADS>(p, group_row, unpinned, word(SELECT_LEVELS), take);
//@end

    highest = redux_max(highest);
    if (lane_id() == 0) st_shared_u32(word(SELECT_HIGHEST + warp_id()), highest);
    sync_threads();
#pragma unroll
    for (u32 w = 0; w < SELECT_WARPS; ++w) highest = max(highest, ld_shared_u32(word(SELECT_HIGHEST + w)));
    const u32 lowest = lowest_rank(highest);

    // Each warp has a run of blocks: first it counts what it keeps of them.
    const u32 span = (r.visible + SELECT_THREADS - 1) / SELECT_THREADS * WARP_SIZE;
    const u32 begin = warp_id() * span, end = min(begin + span, r.visible);
    auto keeps = [&](u32 block) -> bool { return block < end && ld_shared_u32(word(SELECT_RANKS + block)) >= lowest; };
    u32 own = 0;
    for (u32 first = begin; first < end; first += WARP_SIZE) own += __popc(ballot(keeps(first + lane_id())));
    if (lane_id() == 0) st_shared_u32(word(SELECT_KEPT + warp_id()), own);
    sync_threads();
    u32 place = 0, count = 0;
#pragma unroll
    for (u32 w = 0; w < SELECT_WARPS; ++w) {
        const u32 kept = ld_shared_u32(word(SELECT_KEPT + w));
        place += w < warp_id() ? kept : 0;
        count += kept;
    }

    const u32 heads = p.heads_per_group;
    const u64 first_head = ((u64)batch * p.groups + group) * heads;
    for (u32 head = threadIdx.x; head < heads; head += SELECT_THREADS)
        p.counts[(first_head + head) * p.rows + row] = count;
    u32* list = p.lists + group_row * p.blocks;
    for (u32 first = begin; first < end; first += WARP_SIZE) {
        const u32 block = first + lane_id();
        const bool kept = keeps(block);
        const u32 lanes = ballot(kept);
        if (kept) list[place + __popc(lanes & ((1u << lane_id()) - 1))] = block;
        place += __popc(lanes);
    }
}
