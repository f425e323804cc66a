// c[m x 128] = a[m x k] b[k x 128] by TMA, mbarriers and wgmma: a producer warpgroup and a consumer warpgroup, two
// stages of 64 deep. The kernel the sm_90a wrappers are tried on. Grid ceil(m / 64), 256 threads; k is a multiple
// of 8, c is stored as 16-bit elements.

#ifndef MUTANT
#define MUTANT(i) false
#endif

#define HOPPER_A_BYTES (64 * 128)
#define HOPPER_STAGE_BYTES (HOPPER_A_BYTES + 128 * 128)
#define HOPPER_BARRIERS (2 * HOPPER_STAGE_BYTES)
#define HOPPER_SMEM (HOPPER_BARRIERS + 4 * 8)

// How b lies in memory: b[k x 128] is MN-major, its transpose [128 x k] K-major.
#define B_K_MAJOR 0
#define B_MN_MAJOR 1

template <int BMajor>
__device__ __forceinline__ void hopper_produce(u32 base, const TensorMap* a, const TensorMap* b, u32 steps) {
    for (u32 step = 0; step < steps; step++) {
        u32 slot = step % 2, stage = base + slot * HOPPER_STAGE_BYTES, k0 = step * 64;
        u32 full = base + HOPPER_BARRIERS + 8 * slot, empty = full + 16;
        // A slot that was never filled counts as released: parity 1 passes in the first phase.
        if (!MUTANT(21)) mbarrier_wait(empty, (step / 2 & 1) ^ (MUTANT(22) ? 0 : 1));
        mbarrier_arrive_expect_tx(full, HOPPER_STAGE_BYTES - (MUTANT(23) ? HOPPER_A_BYTES : 0));
        tma_load_4d(stage, a, full, (i32)k0, (i32)(blockIdx.x * 64), 0, 0);
        if (BMajor == B_K_MAJOR) {
            tma_load_4d(stage + HOPPER_A_BYTES, b, full, (i32)k0, 0, 0, 0);
        } else {
            tma_load_4d(stage + HOPPER_A_BYTES, b, full, 0, (i32)k0, 0, 0);
            tma_load_4d(stage + HOPPER_A_BYTES + 64 * 128, b, full, 64, (i32)k0, 0, 0);
        }
    }
}

template <int BMajor, bool InRegisters, bool Halves>
__device__ __forceinline__ void hopper_step(u32 stage, u32 step, float (&whole)[64], float (&half)[2][32]) {
    u32 lane = lane_id(), row = warp_id() % 4 * 16 + lane % 16;
    // What lies 64 columns further in b: a half of 64 rows of 128 bytes, either way.
    u32 leading = BMajor == B_MN_MAJOR ? 64 * 128 : 16, stride = 1024;
    if (MUTANT(26)) leading = stride, stride = 64 * 128;
    for (u32 kk = 0; kk < 64; kk += 16) {
        u32 b_at = stage + HOPPER_A_BYTES + (BMajor == B_MN_MAJOR ? kk * 128 : kk * 2);
        u32 more = step > 0 || kk > 0;
        u64 a = wgmma_descriptor(stage + kk * 2, 16, 1024), b = wgmma_descriptor(b_at, leading, stride);
        u64 b_right = descriptor_at(b, 64 * 128);
        if (InRegisters) {
            u32 fragment[4];
            ldmatrix_x4(fragment, stage + row * 128 + ((kk / 8 + lane / 16) ^ (row % 8)) * 16);
            wgmma_fence();
            if (Halves) {
                wgmma_m64n64k16_rs<BMajor>(half[0], fragment, b, more);
                wgmma_m64n64k16_rs<BMajor>(half[1], fragment, b_right, more);
            } else {
                wgmma_m64n128k16_rs<BMajor>(whole, fragment, b, more);
            }
            wgmma_commit();
            if (!MUTANT(25)) wgmma_wait<0>();
        } else {
            wgmma_fence();
            if (Halves) {
                wgmma_m64n64k16_ss<BMajor>(half[0], a, b, more);
                wgmma_m64n64k16_ss<BMajor>(half[1], a, b_right, more);
            } else {
                wgmma_m64n128k16_ss<BMajor>(whole, a, b, more);
            }
        }
    }
    if (!InRegisters) {
        wgmma_commit();
        if (!MUTANT(25)) wgmma_wait<0>();
    }
}

template <int BMajor, bool InRegisters, bool Halves>
__device__ __forceinline__ void hopper_body(u32 base, const TensorMap* a, const TensorMap* b, const TensorMap* c,
                                            u32 k) {
    u32 bars = base + HOPPER_BARRIERS, steps = (k + 63) / 64;
    if (threadIdx.x == 0) {
        tma_prefetch(a);
        for (u32 i = 0; i < 2; i++) {
            mbarrier_init(bars + 8 * i, 1);
            mbarrier_init(bars + 16 + 8 * i, MUTANT(24) ? 5 : 4);
        }
        fence_mbarrier_init();
    }
    sync_threads();
    if (warp_id() < 4) {
        registers_decrease<40>();
        if (warp_id() == 0 && elect_one()) hopper_produce<BMajor>(base, a, b, steps);
    } else {
        registers_increase<232>();
        float whole[64], half[2][32];
        for (u32 step = 0; step < steps; step++) {
            u32 slot = step % 2;
            while (!MUTANT(20) && !mbarrier_try_wait(bars + 8 * slot, step / 2 & 1)) {
            }
            hopper_step<BMajor, InRegisters, Halves>(base + slot * HOPPER_STAGE_BYTES, step, whole, half);
            sync_warp();
            if (step % 2 == 0) {
                if (lane_id() == 0) mbarrier_arrive(bars + 16 + 8 * slot);
            } else {
                mbarrier_arrive_if(lane_id() == 0, bars + 16 + 8 * slot);
            }
        }
        wgmma_hold(whole);
        // Stage 0 becomes c's, once the whole group has read its last operands: two halves of 64 columns.
        if (!MUTANT(28)) named_barrier_sync(1, 128);
        for (u32 i = 0; i < 32; i++) {
            float left = Halves ? half[i / 16][i % 16 * 2] : whole[2 * i];
            float right = Halves ? half[i / 16][i % 16 * 2 + 1] : whole[2 * i + 1];
            u32 row = warp_id() % 4 * 16 + lane_id() / 4 + i % 2 * 8, chunk = i / 2 % 8, side = i / 16;
            st_shared_u32(base + side * 64 * 128 + row * 128 + (chunk ^ (row % 8)) * 16 + lane_id() % 4 * 4,
                          pack2(left, right));
        }
        fence_proxy_async();
        if (!MUTANT(27)) named_barrier_sync(1, 128);
        if (warp_id() == 4 && elect_one()) {
            tma_store_4d(c, base, 0, (i32)(blockIdx.x * 64), 0, 0);
            tma_store_4d(c, base + 64 * 128, 64, (i32)(blockIdx.x * 64), 0, 0);
            tma_store_commit();
            tma_store_wait_read<0>();
        }
    }
}

#define HOPPER_KERNEL(name, major, in_registers, halves) \
    extern "C" __global__ void __launch_bounds__(256, 1) \
    name(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, const __grid_constant__ TensorMap c, \
         u32 k) { \
        extern __shared__ __align__(1024) u8 smem[]; \
        hopper_body<major, in_registers, halves>(smem_u32(smem), &a, &b, &c, k); \
    }
HOPPER_KERNEL(hopper_ss_k, B_K_MAJOR, false, false)
HOPPER_KERNEL(hopper_ss_mn, B_MN_MAJOR, false, false)
HOPPER_KERNEL(hopper_rs_mn, B_MN_MAJOR, true, false)
HOPPER_KERNEL(hopper_ss_k_halves, B_K_MAJOR, false, true)
HOPPER_KERNEL(hopper_rs_mn_halves, B_MN_MAJOR, true, true)

// One warpgroup: c[64 x 128] = a[64 x 128] b[128 x 128] of f32, rounded to e4m3 on the way into shared memory; the columns of b
// are rows there. Once in columns of 128, once in halves of 64: c[0] and c[1].
extern "C" __global__ void __launch_bounds__(128, 1) e4m3_kernel(const float* a, const float* b, float* c) {
    extern __shared__ __align__(1024) u8 smem[];
    u32 base = smem_u32(smem), thread = threadIdx.x;
    auto put = [&](u32 at, u32 row, u32 chunk, const float* x) {
        u32x4 words = {pack4_e4m3(x[0], x[1], x[2], x[3]), pack4_e4m3(x[4], x[5], x[6], x[7]),
                       pack4_e4m3(x[8], x[9], x[10], x[11]), pack4_e4m3(x[12], x[13], x[14], x[15])};
        st_shared_v4(at + row * 128 + (chunk ^ (row % 8)) * 16, words);
    };
    for (u32 i = thread; i < 64 * 8; i += 128) put(base, i / 8, i % 8, a + i * 16);
    for (u32 i = thread; i < 128 * 8; i += 128) put(base + 64 * 128, i / 8, i % 8, b + i * 16);
    fence_proxy_async();
    sync_threads();
    float whole[64], half[2][32];
    u64 rows = wgmma_descriptor(base, 16, 1024), columns = wgmma_descriptor(base + 64 * 128, 16, 1024);
    wgmma_fence();
    for (u32 step = 0; step < 4; step++) {
        u64 left = descriptor_at(rows, step * 32), right = descriptor_at(columns, step * 32);
        wgmma_m64n128k32_ss_e4m3(whole, left, right, step > 0);
        wgmma_m64n64k32_ss_e4m3(half[0], left, right, step > 0);
        wgmma_m64n64k32_ss_e4m3(half[1], left, descriptor_at(right, 64 * 128), step > 0);
    }
    wgmma_commit();
    wgmma_wait<0>();
    wgmma_hold(whole);
    wgmma_hold(half[0]);
    wgmma_hold(half[1]);
    u32 row = warp_id() * 16 + lane_id() / 4;
    for (u32 i = 0; i < 64; i++) {
        u32 at = (row + i / 2 % 2 * 8) * 128 + i / 4 * 8 + lane_id() % 4 * 2 + i % 2;
        c[at] = whole[i];
        c[64 * 128 + at] = half[i / 32][i % 32];
    }
}
