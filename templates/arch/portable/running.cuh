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
