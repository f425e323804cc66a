// A CTA on Hopper: WARPGROUPS consumers, and one warp that feeds them by TMA through rings of stages in shared memory.
#define WG_THREADS 128
#define WG_WARPS 4
#define WG_ROWS 64
#define CTA_THREADS ((WARPGROUPS + 1) * WG_THREADS)
// Registers of a thread after the roles have parted: the producer needs few.
#define PRODUCER_REGISTERS (WARPGROUPS == 2 ? 40 : 32)
#define CONSUMER_REGISTERS (WARPGROUPS == 2 ? 232 : WARPGROUPS == 3 ? 160 : 112)

// Rows of shared memory are 64 elements, 128 bytes: what is wider lies in halves of 64 columns, one after the other.
#define ROW_BYTES 128
#define HALVES (HEAD_DIM / 64)
// A score that no query sees. Finite, so that the difference of two is no NaN, and a power of two, so that its
// product with a scale is exact.
#define MASKED_SCORE (-0x1p100f)
#define K_MAJOR 0
#define MN_MAJOR 1

extern __shared__ __align__(1024) u8 smem[];

// The n-th use of one of `count` stages or slots: full when this parity has passed, free for it when the other has.
__device__ __forceinline__ u32 parity_of(u32 n, u32 count) { return n / count % 2; }

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

// Starts s = Q·Kᵀ of 64 rows of queries, and as many keys as a stage has.
__device__ __forceinline__ void multiply_keys(float (&s)[STAGE_KEYS / 2], u32 q, u32 keys) {
    wgmma_fence();
#pragma unroll
    for (u32 step = 0; step < HEAD_DIM / 16; ++step) {
        const u32 half = step / 4, part = step % 4 * 32;
        wgmma_ss<K_MAJOR>(s, wgmma_descriptor(q + half * WG_ROWS * ROW_BYTES + part, 16, 1024),
                          wgmma_descriptor(keys + half * STAGE_KEYS * ROW_BYTES + part, 16, 1024), step > 0);
    }
    wgmma_commit();
}

// Hides columns of the keys [first, first + COUNT) of a stage: from `seen` on for the lane's row g, from `seen_8` on
// for row g + 8.
template <u32 COUNT>
__device__ __forceinline__ void hide(float (&s)[STAGE_KEYS / 2], u32 first, i32 seen, i32 seen_8) {
    const i32 column = (i32)(lane_id() % 4) * 2;
#pragma unroll
    for (u32 j = 0; j < COUNT / 8; ++j)
#pragma unroll
        for (u32 e = 0; e < 4; ++e)
            if (column + (i32)(j * 8 + e % 2) >= (e < 2 ? seen : seen_8)) s[(first / 8 + j) * 4 + e] = MASKED_SCORE;
}
