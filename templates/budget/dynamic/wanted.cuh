// Blocks that a head visits, before bounds.
__device__ __forceinline__ u32 wanted_blocks(u32 measured, u32 visible, u32 last_visible) {
//@if ROWS_RATIO
    const u32 scaled = (u32)(((u64)measured * visible + last_visible - 1) / last_visible);
//@else
    const u32 scaled = measured;
//@end
    return max(scaled, (u32)MIN_BLOCKS);
}
