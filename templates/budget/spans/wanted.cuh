// Blocks that a head wants of a row, before bounds: those that the head's span fills, the same in every row.
template <class Params>
__device__ __forceinline__ u32 wanted_blocks(const Params& p, u32 head, u32 row, u32 visible, u32 last_visible) {
    const u32* span = p.head_spans + head % (u32)(p.groups * p.heads_per_group) * 2;
    const i64 tokens = (i32)span[0] + (i64)((u64)(u32)p.kv_len * span[1] / 1000000);
    return (u32)(((tokens > MIN_TOKENS ? tokens : MIN_TOKENS) + BLOCK_KV - 1) / BLOCK_KV);
}
