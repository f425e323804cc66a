// Exact attention of a warpgroup, 64 rows a tile: the softmax of one stage runs while the tensor cores take the values of
// the stage before, and the first stage of a tile is no exception.

// How the columns of the output are spread over products.
#define OUT_N (HEAD_DIM < 128 ? HEAD_DIM : 128)
#define OUT_TILES (HEAD_DIM / OUT_N)

// What a warpgroup carries from stage to stage: `max` is what weights are relative to, a score near the row's largest. A
// lane's sums cover its own columns until the end.
struct Flash {
    float o[OUT_TILES][OUT_N / 2];
    float max[2], sum[2];
};

// Starts o (+)= P·V.
__device__ __forceinline__ void multiply_values(Flash& flash, const u32 (&p)[STAGE_KEYS / 16][4], u64 values,
                                                bool accumulate) {
    wgmma_fence();
#pragma unroll
    for (u32 step = 0; step < STAGE_KEYS / 16; ++step)
#pragma unroll
        for (u32 tile = 0; tile < OUT_TILES; ++tile)
            wgmma_rs<MN_MAJOR>(flash.o[tile], p[step],
                               descriptor_at(values, tile * 2 * STAGE_KEYS * ROW_BYTES + step * 16 * ROW_BYTES),
                               step > 0 || accumulate);
    wgmma_commit();
}

__device__ __forceinline__ void hold_output(Flash& flash) {
#pragma unroll
    for (u32 tile = 0; tile < OUT_TILES; ++tile) wgmma_hold(flash.o[tile]);
}

// Hides columns of the keys [first, first + COUNT) of a stage: from `seen` on for the lane's row g, from `seen + APART` on,
// APART 0 or 8, for row g + 8. Each comparison serves both.
template <u32 COUNT, u32 APART>
__device__ __forceinline__ void hide(float (&s)[STAGE_KEYS / 2], u32 first, i32 seen) {
    const i32 own = seen - (i32)(lane_id() % 4) * 2;
#pragma unroll
    for (u32 n = 0; n < (COUNT + APART) / 8; ++n)
#pragma unroll
        for (u32 e = 0; e < 2; ++e) {
            const i32 column = (i32)(n * 8 + e) - (i32)APART; // of row g, and that much further of row g + 8
            const bool hidden = column >= own;
            if (column >= 0 && hidden) s[(first + (u32)column) / 8 * 4 + e] = MASKED_SCORE;
            if (n < COUNT / 8 && hidden) s[(first / 8 + n) * 4 + 2 + e] = MASKED_SCORE;
        }
}

// How large the weights of a lane's share of a row may become, summed: the reference is followed only beyond, so that a
// stage needs no maximum of its own, weights stay far inside the 16-bit formats, and the output is hardly ever rescaled.
#define HEADROOM 256.0f
__device__ __forceinline__ bool above_headroom(const float (&sum)[2]) {
    return any_sync(!(fmaxf(sum[0], sum[1]) <= HEADROOM));
}

// The largest score in each of the lane's rows becomes the reference, if it is above it. `factor` is what earlier sums
// shrink by. Two chains for each row keep the pipelines busy.
__device__ __forceinline__ void raise(Flash& flash, const float (&s)[STAGE_KEYS / 2], float (&factor)[2]) {
#pragma unroll
    for (u32 h = 0; h < 2; ++h) {
        float even = s[2 * h], odd = s[2 * h + 1];
#pragma unroll
        for (u32 j = 1; j < STAGE_KEYS / 8; ++j) {
            even = fmaxf(even, s[4 * j + 2 * h]);
            odd = fmaxf(odd, s[4 * j + 2 * h + 1]);
        }
        const float max = fmaxf(flash.max[h], quad_max(fmaxf(even, odd)));
        factor[h] = exp2_approx((flash.max[h] - max) * SCALE_LOG2);
        flash.max[h] = max;
    }
}

// Weights 2^(score − reference), as the operand of the values' product, and the sums of the lane's share. Accumulators of
// two neighbouring n-tiles are the A operand of one step over 16 keys.
__device__ __forceinline__ void weigh(const Flash& flash, const float (&s)[STAGE_KEYS / 2],
                                      u32 (&weights)[STAGE_KEYS / 16][4], float (&sum)[2]) {
#pragma unroll
    for (u32 h = 0; h < 2; ++h) {
        const float shift = flash.max[h] * SCALE_LOG2;
        float even = 0.0f, odd = 0.0f;
#pragma unroll
        for (u32 j = 0; j < STAGE_KEYS / 8; ++j) {
            const float left = exp2_approx(fmaf(s[4 * j + 2 * h], SCALE_LOG2, -shift));
            const float right = exp2_approx(fmaf(s[4 * j + 2 * h + 1], SCALE_LOG2, -shift));
            even += left;
            odd += right;
            weights[j / 2][j % 2 * 2 + h] = pack2(left, right);
        }
        sum[h] = even + odd;
    }
}

// What was summed so far, in units of the new reference.
__device__ __forceinline__ void rescale(Flash& flash, const float (&factor)[2]) {
    flash.sum[0] *= factor[0];
    flash.sum[1] *= factor[1];
#pragma unroll
    for (u32 tile = 0; tile < OUT_TILES; ++tile)
#pragma unroll
        for (u32 j = 0; j < OUT_N / 8; ++j) {
            flash.o[tile][4 * j] *= factor[0];
            flash.o[tile][4 * j + 1] *= factor[0];
            flash.o[tile][4 * j + 2] *= factor[1];
            flash.o[tile][4 * j + 3] *= factor[1];
        }
}

// Once the warpgroup's last output has left its slot, queries may take its place.
__device__ __forceinline__ void output_left(u32 slot) {
    if (threadIdx.x % WG_THREADS != 0) return;
    tma_store_wait_read<0>();
    mbarrier_arrive(barrier_at(QUERIES_EMPTY + slot));
}

// Where a warpgroup's rows belong. Rows past the tensor's end are not written.
struct Place {
    i32 first;
    u32 head, batch;
};

// Divides by the sums and begins to store the rows by way of the queries' place. One thread asks for `place`.
template <class Where>
__device__ __forceinline__ void flash_store(const Flash& flash, const float (&sum)[2], const TensorMap* map, u32 wg,
                                            u32 slot, const Where& place) {
    const u32 tile = queries_at(slot), lane = lane_id();
    const float inverse[2] = {rcp_approx(quad_sum(sum[0])), rcp_approx(quad_sum(sum[1]))};
    // Where a lane's 16 bytes of a step's 16 columns are: in row `lane % 16` of the warp's, on the left or on the right.
    const u32 at = tile + (warp_id() % WG_WARPS * 16 + lane % 16) * ROW_BYTES + (lane / 16 ^ lane % 8) * 16;
#pragma unroll
    for (u32 step = 0; step < HEAD_DIM / 16; ++step) {
        const float* o = &flash.o[step / (OUT_N / 16)][step % (OUT_N / 16) * 8];
        u32 packed[4];
#pragma unroll
        for (u32 i = 0; i < 4; ++i) packed[i] = pack2(o[2 * i] * inverse[i % 2], o[2 * i + 1] * inverse[i % 2]);
        stmatrix_x4((at ^ step % 4 * 32) + step / 4 * WG_ROWS * ROW_BYTES, packed);
    }
    fence_proxy_async();
    named_barrier_sync(WG_BARRIER + wg, WG_THREADS);
    if (threadIdx.x % WG_THREADS == 0) {
        const Place to = place();
#pragma unroll
        for (u32 half = 0; half < HALVES; ++half)
            tma_store_4d(map, tile + half * WG_ROWS * ROW_BYTES, half * BOX_COLUMNS, to.first, to.head, to.batch);
        tma_store_commit();
    }
}

__device__ __forceinline__ void flash_start(Flash& flash) {
    flash.max[0] = flash.max[1] = MASKED_SCORE;
    flash.sum[0] = flash.sum[1] = 0.0f;
}
