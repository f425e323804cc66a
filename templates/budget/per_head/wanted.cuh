// Blocks that a head wants of a row, before bounds: the head's share of those that the row sees, rounded up. A pruned head
// has none.
template <class Params>
__device__ __forceinline__ u32 wanted_blocks(const Params& p, u32 head, u32 row, u32 visible, u32 last_visible) {
    const u32 share = p.head_shares[head % (u32)(p.groups * p.heads_per_group)];
    return share == 0 ? 0 : max((u32)(((u64)visible * share + 999999) / 1000000), (u32)MIN_BLOCKS);
}
