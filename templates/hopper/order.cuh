// The order of tiles: one section after the other of as many sequences, a KV head of one of the batch each, as have keys and
// values that stay in the cache together. Within it the longest rows come first, so that what ends last is short.
#define SECTION_BYTES (32 << 20)
struct Line {
    u32 sequence, row;
};
__device__ __forceinline__ Line line_of(u32 n, u32 sequences, u32 rows, u32 kv_len) {
    const u32 fitting = SECTION_BYTES / (4 * HEAD_DIM) / kv_len, section = min(max(fitting, 1u), sequences);
    const u32 first = n / (section * rows) * section, place = n - first * rows;
    const u32 width = min(section, sequences - first);
    return Line{first + place % width, rows - 1 - place / width};
}
