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

__device__ __forceinline__ RowBlocks row_blocks(const Sequence& sequence, u32 row, u32 blocks) {
    const Diagonal diagonal = diagonal_of(sequence, row);
    RowBlocks r;
    r.diagonal_end = diagonal.end;
//@if CAUSAL
    r.visible = diagonal.end;
//@else
    r.visible = blocks;
//@end
    r.sink = min((u32)KEEP_SINK, r.visible);
    r.local = diagonal.first > KEEP_LOCAL ? diagonal.first - KEEP_LOCAL : 0;
    const u32 local = max(r.local, r.sink);
    r.pinned = r.sink + (r.diagonal_end > local ? r.diagonal_end - local : 0);
    return r;
}
