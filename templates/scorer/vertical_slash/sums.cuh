// score_sums: what the scores of each of a head's last queries sum to, over all blocks. Lanes have a query each, and warps
// share the blocks.
#define LAST_STRIPS (LAST_SUM_THREADS / WARP_SIZE)
#define STRIP_LOADS 8 // on their way at once

//@kernel score_sums
{
    const u64 head = (u64)blockIdx.z * p.heads + blockIdx.y;
    const u32 query = blockIdx.x * WARP_SIZE + lane_id(), strip = warp_id(), blocks = p.blocks;
    const float* logs = p.last_logs + head * blocks * LAST_QUERIES + query;
    float top = FLOAT_NEG_INF, sum = 0.0f;
    for (u32 first = strip; first < blocks; first += STRIP_LOADS * LAST_STRIPS) {
        float some[STRIP_LOADS], above = top;
#pragma unroll
        for (u32 i = 0; i < STRIP_LOADS; ++i) {
            const u32 block = first + i * LAST_STRIPS;
            some[i] = block < blocks ? logs[(u64)block * LAST_QUERIES] : FLOAT_NEG_INF;
        }
#pragma unroll
        for (u32 i = 0; i < STRIP_LOADS; ++i) above = fmaxf(above, some[i]);
        sum *= exp2_approx(top - above);
#pragma unroll
        for (u32 i = 0; i < STRIP_LOADS; ++i) sum += exp2_approx(some[i] - above);
        top = above;
    }
    const u32 tops = smem_u32(smem), sums = tops + LAST_SUM_THREADS * 4;
    st_shared_f32(tops + threadIdx.x * 4, top);
    st_shared_f32(sums + threadIdx.x * 4, sum);
    sync_threads();
    if (strip > 0) return;
    for (u32 s = 1; s < LAST_STRIPS; ++s) top = fmaxf(top, ld_shared_f32(tops + (s * WARP_SIZE + lane_id()) * 4));
    sum = 0.0f;
    for (u32 s = 0; s < LAST_STRIPS; ++s) {
        const u32 at = (s * WARP_SIZE + lane_id()) * 4;
        sum += ld_shared_f32(sums + at) * exp2_approx(ld_shared_f32(tops + at) - top);
    }
    p.last_sums[head * LAST_QUERIES + query] = top + log2_approx(sum);
}
