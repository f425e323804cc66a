// budget_counts: the largest share of their masses that a sequence's heads can afford together, and the blocks that each
// needs for it. The last row sees all blocks.

// Blocks of a head at a share of its mass, in fractions of 2³²: one more than hold less, within bounds.
__device__ __forceinline__ u32 count_at(const u32* shares, u32 blocks, u32 share) {
    u32 lacking = 0, end = blocks;
    while (lacking < end) {
        const u32 middle = (lacking + end) / 2;
        if (ld_global_nc_u32(shares + middle) < share) lacking = middle + 1;
        else end = middle;
    }
    return min(max(lacking + 1, (u32)MIN_BLOCKS), blocks);
}

//@kernel budget_counts
{
    const u32 heads = p.heads, blocks = p.blocks;
    const u32* shares = p.shares + (u64)blockIdx.x * heads * blocks;
    const u32 sums = smem_u32(smem);
    const u32 total = heads * (u32)(((u64)blocks * RATIO_MILLIONTHS + 999999) / 1000000);

    // Five bits of the share a round: every lane tries a digit, and every warp adds up its heads. The rounds have words of
    // their own.
    for (u32 i = threadIdx.x; i < SPLIT_ROUNDS * WARP_SIZE; i += SPLIT_THREADS) st_shared_u32(sums + i * 4, 0);
    sync_threads();
    u32 share = 0;
#pragma unroll 1
    for (u32 round = 0; round < SPLIT_ROUNDS; ++round) {
        // The last digit is what is left.
        const u32 bits = min(5u, 32 - 5 * round), shift = 32 - 5 * round - bits;
        const u32 own = sums + (round * WARP_SIZE + lane_id()) * 4;
        const bool tries = lane_id() < 1u << bits;
        if (tries) {
            u32 sum = 0;
            for (u32 head = warp_id(); head < heads; head += SPLIT_THREADS / WARP_SIZE)
                sum += count_at(shares + (u64)head * blocks, blocks, share + (lane_id() << shift));
            atomic_add_shared(own, sum);
        }
        sync_threads();
        // A share of 0 is taken even where the floors alone exceed the total.
        const u32 fit = ballot(tries && ld_shared_u32(own) <= total) | 1;
        share += (31 - (u32)__clz((i32)fit)) << shift;
    }
    for (u32 head = threadIdx.x; head < heads; head += SPLIT_THREADS)
        p.measured[(u64)blockIdx.x * heads + head] = count_at(shares + (u64)head * blocks, blocks, share);
}
