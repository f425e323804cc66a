// Blocks of keys at the positions of a row of blocks: [first, end).
struct Diagonal {
    u32 first, end;
    __device__ __forceinline__ u32 blocks() const { return end - first; }
};

__device__ __forceinline__ Diagonal diagonal_of(const Sequence& sequence, u32 row) {
//@if CAUSAL
//@else
    // More queries than keys are not the end of the keys: their rows have no diagonal.
    if (sequence.offset < 0) return Diagonal{0, 0};
//@end
    const i32 begin = sequence.position((i32)(row * BLOCK_Q)), end = min(begin + BLOCK_Q, sequence.kv_len);
    return Diagonal{(u32)begin / BLOCK_KV, (u32)(end - 1) / BLOCK_KV + 1};
}
