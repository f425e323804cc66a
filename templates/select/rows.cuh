// What `select` ranks by: the blocks of a row and how many of them a head wants, scores as integers, and their digits.
#define RANK_PINNED 0xffffffffu
// The first digit of a rank: 32 to each octave of scores from -64 to -1/4; its ends hold what lies beyond.
#define RANK_OF_MINUS_64 0x3d7fffffu
#define FIRST_DIGIT_SHIFT 18

// What a row of blocks sees, and what it keeps whatever the score.
struct RowBlocks {
    u32 visible;
    u32 pinned;
    u32 sink;  // blocks before it are pinned
    u32 local; // blocks in [local, diagonal_end) are pinned
    u32 diagonal_end;
};

__device__ __forceinline__ RowBlocks row_blocks(u32 row, i32 q_len, i32 kv_len, u32 blocks) {
    const i32 start = (i32)(row * BLOCK_Q), end = min(start + BLOCK_Q, q_len);
    RowBlocks r;
//@if CAUSAL
    const u32 diagonal = (u32)(kv_len - q_len + start) / BLOCK_KV;
    r.diagonal_end = (u32)(kv_len - q_len + end - 1) / BLOCK_KV + 1;
    r.visible = r.diagonal_end;
//@else
    // More queries than keys are no end of the keys: their rows have no diagonal.
    const bool placed = q_len <= kv_len;
    const u32 diagonal = placed ? (u32)(kv_len - q_len + start) / BLOCK_KV : 0;
    r.diagonal_end = placed ? (u32)(kv_len - q_len + end - 1) / BLOCK_KV + 1 : 0;
    r.visible = blocks;
//@end
    r.sink = min((u32)KEEP_SINK, r.visible);
    r.local = diagonal > KEEP_LOCAL ? diagonal - KEEP_LOCAL : 0;
    const u32 local = max(r.local, r.sink);
    r.pinned = r.sink + (r.diagonal_end > local ? r.diagonal_end - local : 0);
    return r;
}
