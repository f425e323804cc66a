// c[m x n] = a[m x k] b[k x n]: cp.async into two stages, ldmatrix, mma.sync. The kernel the shim is tried on, and
// the same text compiles for the device. Grid (n / 64, ceil(m / 128)), 128 threads; k is a multiple of 8.

// MUTANT(i) is true where the self-test plants its bug number i.
#ifndef MUTANT
#define MUTANT(i) false
#endif

// Rows are padded by 16 bytes, so that eight consecutive ones fall into different banks.
#define TILE_M 128
#define TILE_N 64
#define TILE_K 32
#define A_PITCH ((TILE_K + 8) * 2)
#define B_PITCH ((TILE_N + 8) * 2)
#define A_BYTES (TILE_M * A_PITCH)
#define STAGE_BYTES (A_BYTES + TILE_K * B_PITCH)
#define GEMM_SMEM (2 * STAGE_BYTES)

__device__ __forceinline__ void load_stage(u32 stage, const Elem* a, const Elem* b, u32 row0, u32 col0, u32 k0,
                                           u32 m, u32 n, u32 k) {
    for (u32 i = threadIdx.x; i < TILE_M * TILE_K / 8; i += 128) {
        u32 row = i / (TILE_K / 8), col = i % (TILE_K / 8) * 8;
        bool inside = row0 + row < m && k0 + col < k;
        const Elem* src = inside ? a + (u64)(row0 + row) * k + k0 + col : a;
        cp_async_16(stage + row * A_PITCH + col * 2, src, inside || MUTANT(1) ? 16 : 0);
    }
    for (u32 i = threadIdx.x; i < TILE_K * TILE_N / 8; i += 128) {
        u32 row = i / (TILE_N / 8), col = i % (TILE_N / 8) * 8;
        bool inside = k0 + row < k;
        const Elem* src = inside ? b + (u64)(k0 + row) * n + col0 + col : b;
        cp_async_16(stage + A_BYTES + row * B_PITCH + col * 2, src, inside || MUTANT(1) ? 16 : 0);
    }
}

__device__ __forceinline__ void multiply_stage(u32 stage, float (&acc)[2][8][4]) {
    u32 lane = lane_id(), warp = warp_id();
    for (u32 kk = 0; kk < TILE_K; kk += 16) {
        u32 a[2][4];
        for (u32 i = 0; i < 2; i++) {
            // Lanes 0-15 give rows 0-15 of the left half, lanes 16-31 those of the right half.
            u32 row = warp * 32 + i * 16 + (MUTANT(2) ? lane % 8 : lane % 16);
            u32 col = kk + (MUTANT(3) ? lane / 8 % 2 : lane / 16) * 8;
            ldmatrix_x4(a[i], stage + row * A_PITCH + col * 2);
        }
        for (u32 j = 0; j < TILE_N / 16; j++) {
            u32 b[4];
            u32 at = stage + A_BYTES + (kk + lane % 16) * B_PITCH + (j * 16 + lane / 16 * 8) * 2;
            if (MUTANT(4)) ldmatrix_x4(b, at);
            else ldmatrix_x4_trans(b, at);
            for (u32 i = 0; i < 2; i++) {
                mma_m16n8k16(acc[i][2 * j], a[i], b[0], b[1]);
                mma_m16n8k16(acc[i][2 * j + 1], a[i], b[2], b[MUTANT(5) ? 1 : 3]);
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(128)
gemm(const Elem* __restrict__ a, const Elem* __restrict__ b, float* __restrict__ c, u32 m, u32 n, u32 k) {
    extern __shared__ __align__(1024) u8 smem[];
    u32 base = smem_u32(smem), row0 = blockIdx.y * TILE_M, col0 = blockIdx.x * TILE_N;
    u32 steps = (k + TILE_K - 1) / TILE_K;
    float acc[2][8][4] = {};

    load_stage(base, a, b, row0, col0, 0, m, n, k);
    cp_async_commit();
    for (u32 step = 0; step < steps; step++) {
        u32 next = step + 1;
        if (next < steps) {
            u32 into = MUTANT(6) ? step % 2 : next % 2;
            load_stage(base + into * STAGE_BYTES, a, b, row0, col0, next * TILE_K, m, n, k);
        }
        if (!MUTANT(7)) cp_async_commit();
        if (MUTANT(8)) cp_async_wait<2>();
        else if (!MUTANT(9)) cp_async_wait<1>();
        if (!MUTANT(10) && !(MUTANT(11) && warp_id() == 3)) sync_threads();
        multiply_stage(base + (MUTANT(12) ? next % 2 : step % 2) * STAGE_BYTES, acc);
        // The next iteration loads into the stage just read.
        if (!MUTANT(13)) sync_threads();
    }

    u32 g = lane_id() / 4, t = lane_id() % 4;
    for (u32 i = 0; i < 2; i++) {
        for (u32 half = 0; half < 2; half++) {
            u32 row = row0 + warp_id() * 32 + i * 16 + (MUTANT(14) ? g * 2 + half : g + half * 8);
            for (u32 j = 0; j < 8; j++) {
                float* out = c + (u64)row * n + col0 + j * 8 + t * 2;
                if (row < m) out[0] = acc[i][j][2 * half], out[1] = acc[i][j][2 * half + 1];
            }
        }
    }
}
