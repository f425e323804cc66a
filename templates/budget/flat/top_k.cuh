// Blocks that a head visits, before bounds.
__device__ __forceinline__ u32 wanted_blocks() { return TOP_K; }
