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
__device__ __forceinline__ void multiply_values(Flash& flash, const u32 (&p)[STAGE_KEYS / 16][4], u32 values,
                                                bool accumulate) {
    const u64 b = wgmma_descriptor(values, STAGE_KEYS * ROW_BYTES, 1024);
    wgmma_fence();
#pragma unroll
    for (u32 step = 0; step < STAGE_KEYS / 16; ++step)
#pragma unroll
        for (u32 tile = 0; tile < OUT_TILES; ++tile)
            wgmma_rs<MN_MAJOR>(flash.o[tile], p[step],
                               descriptor_at(b, tile * 2 * STAGE_KEYS * ROW_BYTES + step * 16 * ROW_BYTES),
                               step > 0 || accumulate);
    wgmma_commit();
}

__device__ __forceinline__ void hold_output(Flash& flash) {
#pragma unroll
    for (u32 tile = 0; tile < OUT_TILES; ++tile) wgmma_hold(flash.o[tile]);
}

// How far a score may lie above the row's reference before the reference follows, in powers of two: weights stay far
// inside the 16-bit formats, and the output is hardly ever rescaled.
#define HEADROOM 8.0f

// Scores to weights 2^(score − reference). `factor` is what earlier sums shrink by where `moved`, the same for the whole
// warp. Two chains for each row keep the pipelines busy.
__device__ __forceinline__ bool softmax(Flash& flash, float (&s)[STAGE_KEYS / 2], float (&factor)[2]) {
    float max[2];
#pragma unroll
    for (u32 h = 0; h < 2; ++h) {
        float even = s[2 * h], odd = s[2 * h + 1];
#pragma unroll
        for (u32 j = 1; j < STAGE_KEYS / 8; ++j) {
            even = fmaxf(even, s[4 * j + 2 * h]);
            odd = fmaxf(odd, s[4 * j + 2 * h + 1]);
        }
        max[h] = fmaxf(even, odd);
    }
    const bool moved = any_sync(fmaxf(max[0] - flash.max[0], max[1] - flash.max[1]) * SCALE_LOG2 > HEADROOM);
    if (moved) {
#pragma unroll
        for (u32 h = 0; h < 2; ++h) {
            max[h] = fmaxf(flash.max[h], quad_max(max[h]));
            factor[h] = exp2_approx((flash.max[h] - max[h]) * SCALE_LOG2);
            flash.max[h] = max[h];
            flash.sum[h] *= factor[h];
        }
    }
#pragma unroll
    for (u32 h = 0; h < 2; ++h) {
        const float shift = flash.max[h] * SCALE_LOG2;
        float even = 0.0f, odd = 0.0f;
#pragma unroll
        for (u32 j = 0; j < STAGE_KEYS / 8; ++j) {
            even += s[4 * j + 2 * h] = exp2_approx(fmaf(s[4 * j + 2 * h], SCALE_LOG2, -shift));
            odd += s[4 * j + 2 * h + 1] = exp2_approx(fmaf(s[4 * j + 2 * h + 1], SCALE_LOG2, -shift));
        }
        flash.sum[h] += even + odd;
    }
    return moved;
}

__device__ __forceinline__ void rescale(Flash& flash, const float (&factor)[2]) {
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

// Accumulators of two neighbouring n-tiles are the A operand of one step over 16 keys.
__device__ __forceinline__ void pack_weights(u32 (&p)[STAGE_KEYS / 16][4], const float (&s)[STAGE_KEYS / 2]) {
#pragma unroll
    for (u32 j = 0; j < STAGE_KEYS / 8; ++j) {
        p[j / 2][j % 2 * 2] = pack2(s[4 * j], s[4 * j + 1]);
        p[j / 2][j % 2 * 2 + 1] = pack2(s[4 * j + 2], s[4 * j + 3]);
    }
}

// Once the warpgroup's last output has left its slot, queries may take its place.
#define NO_SLOT 0xffffffffu
__device__ __forceinline__ void store_finish(u32& stored) {
    if (stored != NO_SLOT && threadIdx.x % WG_THREADS == 0) {
        tma_store_wait_read<0>();
        mbarrier_arrive(barrier_at(QUERIES_EMPTY + stored));
    }
    stored = NO_SLOT;
}

// Divides by the sums and begins to store the rows by way of the queries' place.
__device__ __forceinline__ void flash_store(const Flash& flash, const float (&sum)[2], const TensorMap* map, u32 wg,
                                            u32 slot, i32 first, u32 head, u32 batch) {
    const u32 tile = queries_at(slot), g = lane_id() / 4, t = lane_id() % 4;
#pragma unroll
    for (u32 h = 0; h < 2; ++h) {
        const float inverse = rcp_approx(quad_sum(sum[h]));
        const u32 row = warp_id() % WG_WARPS * 16 + h * 8 + g;
#pragma unroll
        for (u32 j = 0; j < HEAD_DIM / 8; ++j) {
            const float* o = &flash.o[j / (OUT_N / 8)][j % (OUT_N / 8) * 4 + 2 * h];
            st_shared_u32(tile + (j / 8 * WG_ROWS + row) * ROW_BYTES + (j % 8 ^ g) * 16 + t * 4,
                          pack2(o[0] * inverse, o[1] * inverse));
        }
    }
    fence_proxy_async();
    named_barrier_sync(WG_BARRIER + wg, WG_THREADS);
    if (threadIdx.x % WG_THREADS == 0) {
#pragma unroll
        for (u32 half = 0; half < HALVES; ++half)
            tma_store_4d(map, tile + half * WG_ROWS * ROW_BYTES, half * 64, first, head, batch);
        tma_store_commit();
    }
}

__device__ __forceinline__ void flash_start(Flash& flash) {
    flash.max[0] = flash.max[1] = MASKED_SCORE;
    flash.sum[0] = flash.sum[1] = 0.0f;
}

// All that a warpgroup does. A Part is what it does of a tile: `stages` stages from the `first`-th of the ring on, of
// `all` that the tile has, in turn with its partner for the first `turns` of them. `next(part)` goes on to the next tile;
// `mask(s, part, i)` hides what the rows do not see of stage i; `store(flash, sum, tile)` begins to store a tile's rows.
template <class Part, class Next, class Mask, class Store>
__device__ __forceinline__ void flash_stream(u32 wg, const Next& next, const Mask& mask, const Store& store) {
    Flash flash;
    float s[STAGE_KEYS / 2], factor[2];
    u32 p[STAGE_KEYS / 16][4];
    u32 stored = NO_SLOT; // where the last output leaves from
    Part part = {};
    auto queries = [&]() -> u32 {
        const u32 slot = query_slot(part.tile, wg);
        mbarrier_wait(barrier_at(QUERIES_FULL + slot), parity_of(part.tile, QUERY_SLOTS));
        return queries_at(slot);
    };
    // The products of a turn: keys of stage i, and values of the stage before, which may be the last of another tile.
    auto step = [&](u32 i, u32 q, Slot key, bool turn, bool accumulate, float (&sum)[2]) {
        const Slot value = slot_after(key);
        stage_wait(key);
        if (PING_PONG && turn) named_barrier_sync(TURN_BARRIER + wg, 2 * WG_THREADS);
        multiply_keys(s, q, ring_at(key.index));
        stage_wait(value);
        multiply_values(flash, p, ring_at(value.index), accumulate);
        if (PING_PONG && turn) named_barrier_arrive(TURN_BARRIER + 1 - wg, 2 * WG_THREADS);
        store_finish(stored);
        wgmma_wait<1>();
        wgmma_hold(s);
        release(RING_EMPTY + key.index);
        mask(s, part, i);
        if (i == 0) {
            sum[0] = flash.sum[0];
            sum[1] = flash.sum[1];
            flash_start(flash);
        }
        const bool moved = softmax(flash, s, factor);
        // One wait for each way: before a branch, the compiler would move it ahead of the exponentials, and they would run
        // after the values instead of beside them.
        if (moved && i > 0) {
            wgmma_wait<0>();
            hold_output(flash);
            rescale(flash, factor);
        } else {
            wgmma_wait<0>();
            hold_output(flash);
        }
        release(RING_EMPTY + value.index);
        pack_weights(p, s);
    };
    auto finish = [&](const float (&sum)[2], u32 tile) {
        store(flash, sum, tile);
        work_release(tile);
        stored = query_slot(tile, wg);
    };

    if (PING_PONG && wg == 1) named_barrier_arrive(TURN_BARRIER, 2 * WG_THREADS);
    bool more = next(part);
    while (more) {
        if (part.stages == 0) {
            store_finish(stored); // the slot is wanted while this warpgroup has no rows
            work_release(part.tile);
            more = next(part);
            continue;
        }
        // No product is in flight: the first one is waited for.
        if (QUERY_SLOTS == 1) store_finish(stored);
        u32 q = queries();
        Slot key = slot_of(key_use(part.first));
        stage_wait(key);
        multiply_keys(s, q, ring_at(key.index));
        store_finish(stored);
        wgmma_wait<0>();
        wgmma_hold(s);
        release(RING_EMPTY + key.index);
        mask(s, part, 0u);
        flash_start(flash);
        softmax(flash, s, factor);
        pack_weights(p, s);

        key = slot_of(key_use(part.first + 1));
        bool accumulate, gone = false; // on to the next tile, while this one's last values are still to come
        u32 tile;
        float sum[2];
        for (;;) {
            tile = part.tile;
            for (u32 i = 1; i < part.stages; ++i) {
                step(i, q, key, i < part.turns, i > 1, sum);
                key = slot_after(slot_after(key));
            }
            store_finish(stored);
            accumulate = part.stages > 1;
            // While its partner goes on alone, a warpgroup must not hold the ring.
            if (QUERY_SLOTS == 1 || part.stages < part.all) break;
            const bool even = part.turns == part.stages;
            more = next(part);
            gone = true;
            if (!more || part.stages == 0) break;
            gone = false;
            q = queries();
            step(0, q, key, even && part.turns > 0, accumulate, sum);
            key = slot_after(slot_after(key));
            finish(sum, tile);
        }
        const Slot value = slot_after(key);
        stage_wait(value);
        multiply_values(flash, p, ring_at(value.index), accumulate);
        wgmma_wait<0>();
        hold_output(flash);
        release(RING_EMPTY + value.index);
        finish(flash.sum, tile);
        if (!gone) more = next(part);
    }
    if (PING_PONG && wg == 0) named_barrier_sync(TURN_BARRIER, 2 * WG_THREADS); // the turn that nobody takes
    store_finish(stored);
}
