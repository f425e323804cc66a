// Blocks that a head visits, before bounds.
__device__ __forceinline__ u32 wanted_blocks(u32 visible) {
    return (u32)(((u64)visible * RATIO_MILLIONTHS + 999999) / 1000000);
}
