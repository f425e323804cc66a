// Where K, V, queries and descriptions of work lie: K and V in rings of stages of STAGE_KEYS keys, the others in slots.
#define QUERY_BYTES (WG_ROWS * HEAD_DIM * 2)
#define STAGE_BYTES (STAGE_KEYS * HEAD_DIM * 2)
#define KEYS_AT (QUERY_SLOTS * WARPGROUPS * QUERY_BYTES)
#define VALUES_AT (KEYS_AT + STAGES * STAGE_BYTES)

// Barriers: eight bytes each, for each stage or slot. Full ones count the producer and the bytes that it announces,
// empty ones the warps that have read.
#define BARRIERS_AT (VALUES_AT + STAGES * STAGE_BYTES)
#define KEYS_FULL 0
#define KEYS_EMPTY (KEYS_FULL + STAGES)
#define VALUES_FULL (KEYS_EMPTY + STAGES)
#define VALUES_EMPTY (VALUES_FULL + STAGES)
#define QUERIES_FULL (VALUES_EMPTY + STAGES)
#define QUERIES_EMPTY (QUERIES_FULL + QUERY_SLOTS * WARPGROUPS)
#define WORK_FULL (QUERIES_EMPTY + QUERY_SLOTS * WARPGROUPS)
#define WORK_EMPTY (WORK_FULL + WORK_SLOTS)
#define BARRIERS (WORK_EMPTY + WORK_SLOTS)

// A description of work: words that the producer writes.
#define WORK_SLOTS 2
#define WORK_WORDS 16
#define WORK_AT (BARRIERS_AT + BARRIERS * 8)

// Named barriers: 0 is the whole CTA's.
#define TURN_BARRIER 1
#define WG_BARRIER (TURN_BARRIER + WARPGROUPS)

__device__ __forceinline__ u32 barrier_at(u32 which) { return smem_u32(smem) + BARRIERS_AT + which * 8; }
__device__ __forceinline__ u32 work_at(u32 tile, u32 word) {
    return smem_u32(smem) + WORK_AT + (tile % WORK_SLOTS * WORK_WORDS + word) * 4;
}
__device__ __forceinline__ u32 query_slot(u32 tile, u32 wg) { return tile % QUERY_SLOTS * WARPGROUPS + wg; }
__device__ __forceinline__ u32 queries_at(u32 slot) { return smem_u32(smem) + slot * QUERY_BYTES; }

// Every thread of the CTA.
__device__ __forceinline__ void barriers_start() {
    if (threadIdx.x == 0) {
        for (u32 stage = 0; stage < STAGES; ++stage) {
            mbarrier_init(barrier_at(KEYS_FULL + stage), 1);
            mbarrier_init(barrier_at(KEYS_EMPTY + stage), WARPGROUPS * WG_WARPS);
            mbarrier_init(barrier_at(VALUES_FULL + stage), 1);
            mbarrier_init(barrier_at(VALUES_EMPTY + stage), WARPGROUPS * WG_WARPS);
        }
        for (u32 slot = 0; slot < QUERY_SLOTS * WARPGROUPS; ++slot) {
            mbarrier_init(barrier_at(QUERIES_FULL + slot), 1);
            mbarrier_init(barrier_at(QUERIES_EMPTY + slot), 1);
        }
        for (u32 slot = 0; slot < WORK_SLOTS; ++slot) {
            mbarrier_init(barrier_at(WORK_FULL + slot), 1);
            mbarrier_init(barrier_at(WORK_EMPTY + slot), WARPGROUPS * WG_WARPS);
        }
        fence_mbarrier_init();
    }
    sync_threads();
}

// One lane of the producer: the queries of a warpgroup for a tile, or none.
__device__ __forceinline__ void load_queries(const TensorMap* map, u32 tile, u32 wg, bool present, i32 first, u32 head,
                                             u32 batch) {
    const u32 slot = query_slot(tile, wg), full = barrier_at(QUERIES_FULL + slot);
    mbarrier_wait(barrier_at(QUERIES_EMPTY + slot), parity_of(tile, QUERY_SLOTS) ^ 1);
    if (present) {
        mbarrier_arrive_expect_tx(full, QUERY_BYTES);
#pragma unroll
        for (u32 half = 0; half < HALVES; ++half)
            tma_load_4d(queries_at(slot) + half * WG_ROWS * ROW_BYTES, map, full, half * 64, first, head, batch);
    } else {
        mbarrier_arrive(full);
        mbarrier_arrive(barrier_at(QUERIES_EMPTY + slot));
    }
}

// One lane of the producer: waits until a stage of the ring at `at` is free for its n-th use, and announces its bytes.
__device__ __forceinline__ u32 stage_begin(u32 at, u32 full, u32 empty, u32 n) {
    const u32 stage = n % STAGES;
    mbarrier_wait(barrier_at(empty + stage), parity_of(n, STAGES) ^ 1);
    mbarrier_arrive_expect_tx(barrier_at(full + stage), STAGE_BYTES);
    return smem_u32(smem) + at + stage * STAGE_BYTES;
}

// One lane of the producer: PIECE_KEYS tokens from `first` on, to rows [row, row + PIECE_KEYS) of a stage.
__device__ __forceinline__ void load_piece(const TensorMap* map, u32 stage, u32 row, u32 full, i32 first, u32 head,
                                           u32 batch) {
#pragma unroll
    for (u32 half = 0; half < HALVES; ++half)
        tma_load_4d(stage + (half * STAGE_KEYS + row) * ROW_BYTES, map, full, half * 64, first, head, batch);
}

// One lane of the producer: arrives on an empty barrier in place of a warpgroup that leaves the stage out.
__device__ __forceinline__ void skip_stage(u32 empty, u32 n) {
#pragma unroll
    for (u32 warp = 0; warp < WG_WARPS; ++warp) mbarrier_arrive(barrier_at(empty + n % STAGES));
}

// A consumer warp has read a stage or a slot.
__device__ __forceinline__ void release(u32 barrier) {
    if (lane_id() == 0) mbarrier_arrive(barrier_at(barrier));
}
