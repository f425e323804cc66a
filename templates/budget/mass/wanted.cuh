// Blocks that a head wants of a row that sees `visible`, before bounds: what was measured on the last row, carried over.
template <class Params>
__device__ __forceinline__ u32 wanted_blocks(const Params& p, u32 head, u32 row, u32 visible, u32 last_visible) {
    const u32 measured = p.measured[head];
//@if ROWS_RATIO
    const u32 scaled = (u32)(((u64)measured * visible + last_visible - 1) / last_visible);
//@else
    const u32 scaled = measured;
//@end
    return max(scaled, (u32)MIN_BLOCKS);
}
