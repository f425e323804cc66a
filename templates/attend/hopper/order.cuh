// The order of tiles. A sequence is a KV head of one of the batch: one comes after the other, so that its keys and values stay
// in the cache, and in each the longest rows come first. Its shortest rows are left for the end, with those of all others: they
// see few keys, which stay in the cache together, and what ends last is short.
#define TOGETHER_BYTES (16 << 20)
struct Line {
    u32 sequence, row;
};
__device__ __forceinline__ Line line_of(u32 n, u32 sequences, u32 rows, u32 kv_len) {
//@if CAUSAL
    const u32 together = TOGETHER_BYTES / (4 * HEAD_DIM) / sequences; // keys of each
    const u32 left = min((u32)((u64)rows * together / kv_len), rows), before = rows - left;
    if (n >= sequences * before) {
        const u32 place = n - sequences * before;
        return Line{place % sequences, left - 1 - place / sequences};
    }
    return Line{n / before, rows - 1 - n % before};
//@else
    return Line{n / rows, rows - 1 - n % rows};
//@end
}
