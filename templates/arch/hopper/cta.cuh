// A CTA on Hopper: WARPGROUPS consumers, and warps that feed them by TMA through rings of stages in shared memory.
#define WG_WARPS 4
#define CTA_THREADS ((WARPGROUPS + 1) * WG_THREADS)

// Rows of shared memory are 64 elements, 128 bytes: what is wider lies in halves of 64 columns, one after the other.
#define ROW_BYTES 128
#define HALVES (HEAD_DIM / BOX_COLUMNS)
// A score that no query sees. Finite, so that the difference of two is no NaN, and a power of two, so that its
// product with a scale is exact.
//@if UNUSUAL_SCALE
// Here the scale asks for another one than -0x1p100f: it is among the constants.
//@else
#define MASKED_SCORE (-0x1p100f)
//@end
#define K_MAJOR 0
#define MN_MAJOR 1

extern __shared__ __align__(1024) u8 smem[];

// Shared memory before TILES_AT: barriers of eight bytes each from its beginning, descriptions of work up to its end.
// Behind it lie tiles of queries, keys and values.
#define WORK_SLOTS 4
#define WORK_WORDS 80
#define WORK_AT (TILES_AT - WORK_SLOTS * WORK_WORDS * 4)
// Each stage or slot has a full and an empty barrier. Full ones count the producer and the bytes that it announces, empty
// ones the warps that have read.
#define WORK_FULL 0
#define WORK_EMPTY (WORK_FULL + WORK_SLOTS)
#define TILE_BARRIERS (WORK_EMPTY + WORK_SLOTS)

__device__ __forceinline__ u32 barrier_at(u32 which) { return smem_u32(smem) + which * 8; }

// The n-th use of one of `count` stages or slots: full when this parity has passed, free for it when the other has.
__device__ __forceinline__ u32 parity_of(u32 n, u32 count) { return n / count % 2; }

// One thread: sets up `count` barriers.
__device__ __forceinline__ void barriers_init(u32 first, u32 count, u32 arrivals) {
    for (u32 i = 0; i < count; ++i) mbarrier_init(barrier_at(first + i), arrivals);
}

// A consumer warp has read a stage or a slot.
__device__ __forceinline__ void release(u32 barrier) {
    mbarrier_arrive_if(lane_id() == 0, barrier_at(barrier));
}

// Descriptions of work: words that the producer writes for the n-th tile or unit.
__device__ __forceinline__ u32 work_at(u32 n, u32 word) {
    return smem_u32(smem) + WORK_AT + (n % WORK_SLOTS * WORK_WORDS + word) * 4;
}
__device__ __forceinline__ void work_begin(u32 n) {
    mbarrier_wait(barrier_at(WORK_EMPTY + n % WORK_SLOTS), parity_of(n, WORK_SLOTS) ^ 1);
}
__device__ __forceinline__ void work_publish(u32 n) { mbarrier_arrive(barrier_at(WORK_FULL + n % WORK_SLOTS)); }
__device__ __forceinline__ void work_wait(u32 n) {
    mbarrier_wait(barrier_at(WORK_FULL + n % WORK_SLOTS), parity_of(n, WORK_SLOTS));
}
__device__ __forceinline__ void work_release(u32 n) {
    sync_warp();
    release(WORK_EMPTY + n % WORK_SLOTS);
}

// One thread: starts copying a box of a head's tokens from `first` on, as many as the map's boxes have, to `to`; the halves of
// the rows come to lie `apart` bytes from each other. Tensors are read through this alone.
__device__ __forceinline__ void load_tokens(const TensorMap* map, u32 to, u32 apart, u32 full, i32 first, u32 head,
                                            u32 batch) {
#pragma unroll
    for (u32 half = 0; half < HALVES; ++half)
        tma_load_4d(to + half * apart, map, full, half * BOX_COLUMNS, first, (i32)head, (i32)batch);
}

// Products of any width that is needed here.
template <int Transposed>
__device__ __forceinline__ void wgmma_ss(float (&d)[32], u64 a, u64 b, u32 accumulate) {
    wgmma_m64n64k16_ss<Transposed>(d, a, b, accumulate);
}
template <int Transposed>
__device__ __forceinline__ void wgmma_ss(float (&d)[64], u64 a, u64 b, u32 accumulate) {
    wgmma_m64n128k16_ss<Transposed>(d, a, b, accumulate);
}
template <int Transposed>
__device__ __forceinline__ void wgmma_rs(float (&d)[32], const u32 (&a)[4], u64 b, u32 accumulate) {
    wgmma_m64n64k16_rs<Transposed>(d, a, b, accumulate);
}
template <int Transposed>
__device__ __forceinline__ void wgmma_rs(float (&d)[64], const u32 (&a)[4], u64 b, u32 accumulate) {
    wgmma_m64n128k16_rs<Transposed>(d, a, b, accumulate);
}

// Starts s = Q·Kᵀ of 64 rows of queries, and as many keys as a stage has; both by descriptor. What `meanwhile` does
// stands behind the first of the products.
template <class Meanwhile>
__device__ __forceinline__ void multiply_keys(float (&s)[STAGE_KEYS / 2], u64 queries, u64 keys, const Meanwhile& meanwhile) {
    wgmma_fence();
#pragma unroll
    for (u32 step = 0; step < HEAD_DIM / 16; ++step) {
        const u32 half = step / 4, part = step % 4 * 32;
        wgmma_ss<K_MAJOR>(s, descriptor_at(queries, half * WG_ROWS * ROW_BYTES + part),
                          descriptor_at(keys, half * STAGE_KEYS * ROW_BYTES + part), step > 0);
        if (step == 0) meanwhile();
    }
    wgmma_commit();
}
__device__ __forceinline__ void multiply_keys(float (&s)[STAGE_KEYS / 2], u64 queries, u64 keys) {
    multiply_keys(s, queries, keys, [] {});
}
