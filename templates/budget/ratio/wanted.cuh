// Blocks that a head wants of a row, before bounds: a share of those that the row sees, rounded up.
template <class Params>
__device__ __forceinline__ u32 wanted_blocks(const Params& p, u32 head, u32 row, u32 visible, u32 last_visible) {
    return (u32)(((u64)visible * RATIO_MILLIONTHS + 999999) / 1000000);
}
