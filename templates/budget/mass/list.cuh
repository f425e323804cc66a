// The order in which `select` fills a group's list of the last row, by a CTA of ORDER_THREADS, in its shared memory.
struct ListOrder {
    u32 blocks, sums; // shared addresses: a half word for each place, a word for each warp
    u32 count;

    __device__ __forceinline__ u32 block(u32 place) const { return ld_shared_u16(blocks + place * 2); }
};

template <class Params>
__device__ __forceinline__ ListOrder list_order(const Params& p, u32 group, u32 batch) {
    const u32 words = smem_u32(smem), keys = words + ORDER_KEYS * 4, levels = words + ORDER_LEVELS * 4;
    const u32 row = p.rows - 1;
    const u64 group_row = ((u64)batch * p.groups + group) * p.rows + row;
    const Sequence sequence = sequence_of(p);
    const RowBlocks r = row_blocks(sequence, row, p.blocks);
    const ListOrder order = {keys + r.visible * 4, words + ORDER_SUMS * 4, r.visible};
//@if SEGMENTS
    const u32 lse = words + ORDER_LSE * 4, segments = seen_segments(p, sequence, row);
    samples_lse<ORDER_THREADS>(p, row, group_row, segments, lse);
//@else
    samples_levels<ORDER_THREADS>(p, row, group_row, levels);
//@end
    sync_threads();
    auto take = [&](u32 block, u32 rank) {
        st_shared_u32(keys + block * 4, rank);
        st_shared_u16(order.blocks + block * 2, (u16)block);
    };
//@if SEGMENTS
    rank_blocks<ORDER_THREADS>(p, group_row, r, segments, lse, levels, take);
//@else
    rank_blocks<ORDER_THREADS>(p, group_row, r, levels, take);
//@end
    sort_blocks(keys, order.blocks, order.count);
    return order;
}
