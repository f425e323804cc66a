// Where queries, keys and values lie. Keys and values share one ring of stages of STAGE_KEYS tokens, in the order in which
// they are needed: K0 K1 V0 K2 V1 K3 … Queries, and the output in their place, have slots.
#define QUERY_BYTES (WG_ROWS * HEAD_DIM * 2)
#define STAGE_BYTES (STAGE_KEYS * HEAD_DIM * 2)
#define RING_AT (TILES_AT + QUERY_SLOTS * WARPGROUPS * QUERY_BYTES)

#define RING_FULL TILE_BARRIERS
#define RING_EMPTY (RING_FULL + STAGES)
#define QUERIES_FULL (RING_EMPTY + STAGES)
#define QUERIES_EMPTY (QUERIES_FULL + QUERY_SLOTS * WARPGROUPS)

// Named barriers: 0 is the whole CTA's.
#define TURN_BARRIER 1
#define WG_BARRIER (TURN_BARRIER + WARPGROUPS)

// Which use of the ring the n-th keys and values are.
__device__ __forceinline__ u32 key_use(u32 n) { return n == 0 ? 0 : 2 * n - 1; }
__device__ __forceinline__ u32 value_use(u32 n) { return 2 * n + 2; }

// A stage at one of its uses.
struct Slot {
    u32 index, parity;
};
__device__ __forceinline__ Slot slot_of(u32 use) { return Slot{use % STAGES, parity_of(use, STAGES)}; }
// Of the use that follows.
__device__ __forceinline__ Slot slot_after(Slot slot) {
    const bool wraps = slot.index + 1 == STAGES;
    return Slot{wraps ? 0 : slot.index + 1, slot.parity ^ wraps};
}
__device__ __forceinline__ u32 ring_at(u32 index) { return smem_u32(smem) + RING_AT + index * STAGE_BYTES; }

__device__ __forceinline__ u32 query_slot(u32 tile, u32 wg) { return tile % QUERY_SLOTS * WARPGROUPS + wg; }
__device__ __forceinline__ u32 queries_at(u32 slot) { return smem_u32(smem) + TILES_AT + slot * QUERY_BYTES; }

// Every thread of the CTA. `work_readers` warps read each description of work.
__device__ __forceinline__ void barriers_start(u32 work_readers) {
    if (threadIdx.x == 0) {
        barriers_init(WORK_FULL, WORK_SLOTS, 1);
        barriers_init(WORK_EMPTY, WORK_SLOTS, work_readers);
        barriers_init(RING_FULL, STAGES, 1);
        barriers_init(RING_EMPTY, STAGES, WARPGROUPS * WG_WARPS);
        barriers_init(QUERIES_FULL, QUERY_SLOTS * WARPGROUPS, 1);
        barriers_init(QUERIES_EMPTY, QUERY_SLOTS * WARPGROUPS, 1);
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

// One lane of the producer: waits until the stage is free, and announces its bytes.
__device__ __forceinline__ void stage_begin(Slot slot) {
    mbarrier_wait(barrier_at(RING_EMPTY + slot.index), slot.parity ^ 1);
    mbarrier_arrive_expect_tx(barrier_at(RING_FULL + slot.index), STAGE_BYTES);
}

// One lane of the producer: a box of tokens from `first` on, to the rows from `row` on of a stage.
__device__ __forceinline__ void load_piece(const TensorMap* map, Slot slot, u32 row, i32 first, u32 head, u32 batch) {
#pragma unroll
    for (u32 half = 0; half < HALVES; ++half)
        tma_load_4d(ring_at(slot.index) + (half * STAGE_KEYS + row) * ROW_BYTES, map, barrier_at(RING_FULL + slot.index),
                    half * 64, first, head, batch);
}

// One lane of the producer: arrives in place of a warpgroup that leaves the stage out.
__device__ __forceinline__ void skip_stage(Slot slot) {
#pragma unroll
    for (u32 warp = 0; warp < WG_WARPS; ++warp) mbarrier_arrive(barrier_at(RING_EMPTY + slot.index));
}

// A consumer: waits until the stage has been loaded.
__device__ __forceinline__ void stage_wait(Slot slot) { mbarrier_wait(barrier_at(RING_FULL + slot.index), slot.parity); }
