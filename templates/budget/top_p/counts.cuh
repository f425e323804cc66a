// budget_counts: how many blocks of a row hold what is wanted of its weight, those that are always kept first, then by score.
// A block weighs 2 to the power of its score. As in `select`, the ranking is not sorted: the rank at which the weight is
// reached is found by its digits.

// The score that has a rank.
__device__ __forceinline__ float score_of_rank(u32 rank) {
    return __uint_as_float(rank >> 31 ? rank & 0x7fffffffu : ~rank);
}

//@kernel budget_counts
{
    const u32 row = blockIdx.x, group = blockIdx.y, batch = blockIdx.z;
    const u64 group_row = ((u64)batch * p.groups + group) * p.rows + row;
    const u32 words = smem_u32(smem);
    auto word = [&](u32 i) -> u32 { return words + i * 4; };
    const Sequence sequence = sequence_of(p);
    const RowBlocks r = row_blocks(sequence, row, p.blocks);
    auto is_pinned = [&](u32 block) -> bool { return block < r.sink || (block >= r.local && block < r.diagonal_end); };

    // Ranks by scores alone: what is pinned has its own weight.
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
        st_shared_u32(word(SHARE_RANKS + block), rank);
        if (block < scored) highest = max(highest, rank);
    };
    for (u32 i = threadIdx.x; i < SHARE_WORDS_CLEARED; i += SHARE_THREADS) st_shared_u32(word(SHARE_MASSES + i), 0);
//@if SEGMENTS
    const u32 segments = seen_segments(p, sequence, row);
    samples_lse<SHARE_THREADS>(p, row, group_row, segments, word(SHARE_LSE));
    sync_threads();
    rank_blocks<SHARE_THREADS>(p, group_row, unpinned, segments, word(SHARE_LSE), word(SHARE_LEVELS), take);
//@else
    samples_levels<SHARE_THREADS>(p, row, group_row, word(SHARE_LEVELS));
    sync_threads();
    rank_blocks<SHARE_THREADS>(p, group_row, unpinned, word(SHARE_LEVELS), take);
//@end

    // The whole weight, relative to the largest. Warps add up in their order, so that it is the same in every run.
    highest = redux_max(highest);
    if (lane_id() == 0) st_shared_u32(word(SHARE_OF_WARPS + warp_id()), highest);
    sync_threads();
#pragma unroll
    for (u32 w = 0; w < SHARE_THREADS / WARP_SIZE; ++w) highest = max(highest, ld_shared_u32(word(SHARE_OF_WARPS + w)));
    sync_threads();
    const float top = score_of_rank(highest);
    float own = 0.0f;
    for (u32 block = threadIdx.x; block < scored; block += SHARE_THREADS)
        own += exp2_approx(score_of_rank(ld_shared_u32(word(SHARE_RANKS + block))) - top);
    own = warp_sum(own);
    if (lane_id() == 0) st_shared_f32(word(SHARE_OF_WARPS + warp_id()), own);
    sync_threads();
    float sum = 0.0f;
#pragma unroll
    for (u32 w = 0; w < SHARE_THREADS / WARP_SIZE; ++w) sum += ld_shared_f32(word(SHARE_OF_WARPS + w));
    // From here on shares of it are whole numbers, which add up to the same in any order.
    const float share = 0x1p31f * rcp_approx(sum) * 0.9999f; // the sum of 2^31 is not exceeded, whatever is rounded
    auto mass_of = [&](u32 rank) -> u32 { return (u32)(exp2_approx(score_of_rank(rank) - top) * share); };

    u32 whole = 0, kept = 0;
    for (u32 block = threadIdx.x; block < scored; block += SHARE_THREADS) {
        const u32 rank = ld_shared_u32(word(SHARE_RANKS + block)), mass = mass_of(rank);
        whole += mass;
        if (is_pinned(block)) kept += mass;
        else atomic_add_shared(word(SHARE_MASSES + first_digit(rank)), mass);
    }
    whole = redux_add(whole);
    kept = redux_add(kept);
    if (lane_id() == 0) {
        atomic_add_shared(word(SHARE_TOTALS), whole);
        atomic_add_shared(word(SHARE_TOTALS + 1), kept);
    }
    sync_threads();
    whole = ld_shared_u32(word(SHARE_TOTALS));
    kept = ld_shared_u32(word(SHARE_TOTALS + 1));
    const u32 wanted = (u32)(((u64)whole * SHARE_MILLIONTHS + 999999) / 1000000);
    u32 count = r.pinned;
    if (kept < wanted) {
        u32 need = wanted - kept, lowest = 0, span = 0xfffffffeu, shift = 0;
        for (bool first = true;; first = false) {
            // By the first warp: the digit at which the need is met, and what blocks of that digit must hold of it.
            if (warp_id() == 0) {
                u32 mass;
                const u32 digit = find_digit(word(SHARE_MASSES), need, mass);
                if (lane_id() == 0) {
                    st_shared_u32(word(SHARE_FOUND), digit);
                    st_shared_u32(word(SHARE_FOUND + 1), need);
                }
            }
            sync_threads();
            const u32 digit = ld_shared_u32(word(SHARE_FOUND));
            need = ld_shared_u32(word(SHARE_FOUND + 1));
            if (first) {
                lowest = rank_of_digit(digit);
                span = (digit == DIGITS - 1 ? RANK_PINNED : rank_of_digit(digit + 1) - 1) - lowest;
            } else {
                lowest += digit << shift;
                span = min(span - (digit << shift), (1u << shift) - 1);
            }
            if (span == 0) break;
            // The ranks that are left, by their next digit.
            shift = 24 - min((u32)__clz((i32)span), 24u);
            for (u32 i = threadIdx.x; i < DIGITS; i += SHARE_THREADS) st_shared_u32(word(SHARE_MASSES + i), 0);
            sync_threads();
            for (u32 block = threadIdx.x; block < scored; block += SHARE_THREADS) {
                const u32 rank = ld_shared_u32(word(SHARE_RANKS + block));
                if (rank - lowest > span || is_pinned(block)) continue;
                atomic_add_shared(word(SHARE_MASSES + ((rank - lowest) >> shift)), mass_of(rank));
            }
            sync_threads();
        }
        // All blocks above the rank; and some of those that have it, which weigh the same.
        u32 above = 0;
        for (u32 block = threadIdx.x; block < scored; block += SHARE_THREADS)
            above += ld_shared_u32(word(SHARE_RANKS + block)) > lowest && !is_pinned(block);
        above = redux_add(above);
        if (lane_id() == 0) atomic_add_shared(word(SHARE_TOTALS + 2), above);
        sync_threads();
        const u32 each = mass_of(lowest);
        count += ld_shared_u32(word(SHARE_TOTALS + 2)) + (need + each - 1) / each;
    }
    if (threadIdx.x == 0) p.measured[group_row] = count;
}

// Blocks that a head wants of a row, before bounds: those that were counted for the row and the head's group.
template <class Params>
__device__ __forceinline__ u32 wanted_blocks(const Params& p, u32 head, u32 row, u32 visible, u32 last_visible) {
    return p.measured[(u64)(head / p.heads_per_group) * p.rows + row];
}
