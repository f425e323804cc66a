// Kernels that between them call every wrapper that gemm.cuh does not, with results that can be computed by hand.

// One warp; `out` has a row of 32 words per operation, in the order below.
extern "C" __global__ void __launch_bounds__(32) exchange_kernel(u32* out) {
    u32 lane = lane_id(), value = lane * lane + 7, row = 0;
    out[32 * row++ + lane] = shfl_xor(value, 5);
    out[32 * row++ + lane] = shfl_up(value, 3);
    out[32 * row++ + lane] = shfl_down(value, 4);
    out[32 * row++ + lane] = shfl_idx(value, (lane + 9) % 32);
    out[32 * row++ + lane] = ballot(lane % 3 == 0);
    out[32 * row++ + lane] = any_sync(lane == 31) + 2 * any_sync(lane > 31);
    out[32 * row++ + lane] = all_sync(lane < 32) + 2 * all_sync(lane != 17);
    out[32 * row++ + lane] = redux_add(value);
    out[32 * row++ + lane] = redux_max(value ^ 1);
    out[32 * row++ + lane] = redux_min(value ^ 1);
    out[32 * row++ + lane] = (u32)select(lane % 3 == 0, (float)value, 5.0f);
    out[32 * row++ + lane] = (u32)quad_max(-(float)value);
    out[32 * row++ + lane] = (u32)quad_sum((float)value);
    out[32 * row++ + lane] = (u32)warp_max((float)(value ^ 1));
    out[32 * row++ + lane] = (u32)warp_sum((float)value);
    out[32 * row++ + lane] = uniform(lane / 32 + 9) + lane;
}

// One warp; approximate functions and conversions of `in[lane]`, a row of 32 words each.
extern "C" __global__ void __launch_bounds__(32) convert_kernel(const float* in, u32* out) {
    u32 lane = lane_id(), row = 0;
    float v = in[lane], other = shfl_idx(v, lane + 1);
    u32 pair = pack2(v, other);
    out[32 * row++ + lane] = __float_as_uint(exp2_approx(v));
    out[32 * row++ + lane] = __float_as_uint(log2_approx(v));
    out[32 * row++ + lane] = __float_as_uint(rcp_approx(v));
    out[32 * row++ + lane] = __float_as_uint(elem_to_float(float_to_elem(v)));
    out[32 * row++ + lane] = __float_as_uint(unpack_lo(pair));
    out[32 * row++ + lane] = __float_as_uint(unpack_hi(pair));
    out[32 * row++ + lane] = __float_as_uint(bf16_to_float(float_to_bf16(v)));
    out[32 * row++ + lane] = __float_as_uint(f16_to_float(float_to_f16(v)));
    out[32 * row++ + lane] = pack2_bf16(v, other) ^ pack2_f16(other, v);
    out[32 * row++ + lane] = (u32)dp2a_lo(pair, 0x7f03fe05, -(i32)lane);
}

// One warp, 512 bytes of shared memory: each width of load and store. A lane reads in[8 * lane ..], swaps the first
// four words with its neighbour, and writes out[16 * lane ..].
extern "C" __global__ void __launch_bounds__(32) memory_kernel(const u32* in, u32* out) {
    extern __shared__ __align__(1024) u8 smem[];
    u32 lane = lane_id(), base = smem_u32(smem), mine = base + lane * 16;
    u32x4 v = ld_global_v4(in + 8 * lane), w = ld_global_nc_v4(in + 8 * lane + 4);
    st_shared_v4(mine, v);
    sync_warp();
    u32x4 neighbour = ld_shared_v4(base + (lane ^ 1) * 16);
    sync_warp();
    st_shared_u32(mine, neighbour.x);
    st_shared_f32(mine + 4, ld_shared_f32(mine) + 0.0f);
    st_global_u32(out + 16 * lane, ld_shared_u32(mine));
    st_global_u32(out + 16 * lane + 1, ld_shared_u32(mine + 4));
    u32x2 middle = {neighbour.y, neighbour.z};
    st_global_v2(out + 16 * lane + 2, middle);
    st_global_v4(out + 16 * lane + 4, neighbour);
    st_global_v4(out + 16 * lane + 8, w);
    st_global_u32(out + 16 * lane + 12, ld_global_nc_u32(in + 8 * lane));
    // The halves change places.
    const u16 low = ld_shared_u16(mine), high = ld_shared_u16(mine + 2);
    st_shared_u16(mine, high);
    st_shared_u16(mine + 2, low);
    st_global_u32(out + 16 * lane + 13, ld_shared_u32(mine));
}

// 256 threads: sum and maximum of n values by shared atomics per CTA, then global ones; the last CTA publishes.
// total = {sum, maximum, CTAs done, published sum, published maximum}, zero at first.
extern "C" __global__ void __launch_bounds__(256) reduce_kernel(const u32* in, u32 n, u32* total) {
    extern __shared__ __align__(1024) u8 smem[];
    u32 base = smem_u32(smem);
    grid_dependency_wait();
    if (threadIdx.x < 2) st_shared_u32(base + 4 * threadIdx.x, 0);
    sync_threads();
    u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i < n) {
        atomic_add_shared(base, in[i]);
        atomic_max_shared(base + 4, in[i]);
    }
    sync_threads();
    if (threadIdx.x == 0) {
        atomic_add_global(total, ld_shared_u32(base));
        atomic_max_global(total + 1, ld_shared_u32(base + 4));
        fence_gpu();
        if (atomic_add_global(total + 2, 1) == gridDim.x - 1) {
            total[3] = total[0];
            total[4] = total[1];
        }
    }
    grid_dependency_launch();
}

// 64 threads, `rounds` values handed from warp 0 to warp 1 through one slot per lane, two named barriers.
extern "C" __global__ void __launch_bounds__(64) handover_kernel(u32* out, u32 rounds) {
    extern __shared__ __align__(1024) u8 smem[];
    u32 slot = smem_u32(smem) + 4 * lane_id();
    for (u32 round = 0; round < rounds; round++) {
        if (warp_id() == 0) {
            if (round > 0) named_barrier_sync(2, 64);
            st_shared_u32(slot, round * 100 + lane_id());
            named_barrier_arrive(1, 64);
        } else {
            named_barrier_sync(1, 64);
            out[round * 32 + lane_id()] = ld_shared_u32(slot);
            if (round + 1 < rounds) named_barrier_arrive(2, 64);
        }
    }
}

// One warp: products with the formats named, and the forms of the wrappers that take registers one by one. `x` and
// `y` are 8x8 row-major matrices of 16-bit floats; out[0..64) = x y in bf16, out[64..128) = x y in f16.
extern "C" __global__ void __launch_bounds__(32) product_kernel(const u16* x, const u16* y, float* out) {
    extern __shared__ __align__(1024) u8 smem[];
    u32 base = smem_u32(smem), lane = lane_id();
    // Matrix 0 is x, matrix 1 is y, matrices 2 and 3 are zeros.
    const u16* src = lane < 8 ? x + 8 * lane : y + 8 * (lane % 8);
    cp_async_16(base + 16 * lane, src, lane < 16 ? 16 : 0);
    cp_async_commit();
    cp_async_wait<0>();
    sync_warp();
    u32 a0, a1, a2, a3, b0, b1, b2, b3;
    ldmatrix_x4(a0, a1, a2, a3, base + 16 * lane);
    ldmatrix_x4_trans(b0, b1, b2, b3, base + 16 * lane);
    u32 a[4] = {a0, a2, a3, a2}, b[2] = {b1, b2};
    float d[3][4] = {};
    mma_m16n8k16_bf16(d[0], a, b1, b3);
    mma_m16n8k16_f16(d[1], a, b1, b2);
    mma_m16n8k16(d[2], a, b);
    for (u32 i = 0; i < 2; i++) {
        u32 at = lane / 4 * 8 + lane % 4 * 2 + i;
        out[at] = d[0][i];
        out[64 + at] = d[1][i];
        out[128 + at] = d[2][i] + d[2][i + 2];
    }
}

// One warp: fragments stored as matrices, in the order that lane addresses give, here the last matrix first. out[32 i ..) is
// matrix 3 - i, row-major, two elements a word.
extern "C" __global__ void __launch_bounds__(32) matrices_kernel(u32* out) {
    extern __shared__ __align__(1024) u8 smem[];
    u32 base = smem_u32(smem), lane = lane_id();
    u32 r[4];
    for (u32 i = 0; i < 4; i++) r[i] = i << 16 | lane;
    stmatrix_x4(base + (3 - lane / 8) * 128 + lane % 8 * 16, r);
    sync_warp();
    for (u32 i = 0; i < 4; i++) out[32 * i + lane] = ld_shared_u32(base + 128 * i + 4 * lane);
}
