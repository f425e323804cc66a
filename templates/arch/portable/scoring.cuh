// Scoring passes: 128 rows in four warps, queries in registers, keys streamed through a ring of stages.
#define RING_BYTES (RING_KEYS * ROW_BYTES)
#define RING_N (RING_KEYS / 8)

// The largest score of a row among n-tiles [first, first + COUNT), over its quad.
template <u32 COUNT>
__device__ __forceinline__ float scores_max(const float (&s)[RING_N][4], u32 first, u32 h) {
    float max = fmaxf(s[first][2 * h], s[first][2 * h + 1]);
#pragma unroll
    for (u32 n = 1; n < COUNT; ++n) max = fmaxf(max, fmaxf(s[first + n][2 * h], s[first + n][2 * h + 1]));
    return quad_max(max);
}

// A lane has four rows, and so have the other three lanes of its quad: lane t takes row t of them, so that a warp
// stores 32 rows at once. Row t is 16 · (t / 2) + 8 · (t % 2) + lane / 4 of the warp.
__device__ __forceinline__ float quad_pick(const float (&v)[2][2]) {
    const u32 t = lane_id() % 4;
    const float low = t % 2 == 0 ? v[0][0] : v[0][1];
    const float high = t % 2 == 0 ? v[1][0] : v[1][1];
    return t < 2 ? low : high;
}
__device__ __forceinline__ u32 quad_row() {
    return lane_id() % 4 / 2 * 16 + lane_id() % 2 * 8 + lane_id() / 4;
}
