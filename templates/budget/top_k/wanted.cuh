// Blocks that a head wants of a row, before bounds: the same number everywhere.
template <class Params>
__device__ __forceinline__ u32 wanted_blocks(const Params& p, u32 head, u32 row, u32 visible, u32 last_visible) {
    return TOP_K;
}
