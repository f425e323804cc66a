// Scoring passes: 128 rows in four warps, queries in registers, keys streamed through a ring of stages.
#define RING_BYTES (RING_KEYS * ROW_BYTES)
#define RING_N (RING_KEYS / 8)

// Each of the lane's rows: the largest raw score so far, and the sum under it over the lane's own columns.
struct Running {
    float max[2][2];
    float sum[2][2];
};

__device__ __forceinline__ void running_start(Running& running) {
#pragma unroll
    for (u32 m = 0; m < 2; ++m)
#pragma unroll
        for (u32 h = 0; h < 2; ++h) {
            running.max[m][h] = MASKED_SCORE;
            running.sum[m][h] = 0.0f;
        }
}

// The largest score of a row among n-tiles [first, first + COUNT), over its quad.
template <u32 COUNT>
__device__ __forceinline__ float scores_max(const float (&s)[RING_N][4], u32 first, u32 h) {
    float max = fmaxf(s[first][2 * h], s[first][2 * h + 1]);
#pragma unroll
    for (u32 n = 1; n < COUNT; ++n) max = fmaxf(max, fmaxf(s[first + n][2 * h], s[first + n][2 * h + 1]));
    return quad_max(max);
}

// Takes a tile of scores into the sums; `max` is the largest score of each row in it.
__device__ __forceinline__ void running_add(Running& running, const float (&s)[2][RING_N][4],
                                            const float (&max)[2][2]) {
#pragma unroll
    for (u32 m = 0; m < 2; ++m)
#pragma unroll
        for (u32 h = 0; h < 2; ++h) {
            const float top = fmaxf(running.max[m][h], max[m][h]);
            const float shift = top * SCALE_LOG2;
            float sum = running.sum[m][h] * exp2_approx((running.max[m][h] - top) * SCALE_LOG2);
#pragma unroll
            for (u32 n = 0; n < RING_N; ++n)
                sum += exp2_approx(fmaf(s[m][n][2 * h], SCALE_LOG2, -shift)) +
                       exp2_approx(fmaf(s[m][n][2 * h + 1], SCALE_LOG2, -shift));
            running.max[m][h] = top;
            running.sum[m][h] = sum;
        }
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
