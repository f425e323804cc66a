// budget_masses: from the partials of a head to the share of its mass that each block holds.
#define MASS_WARPS (MASS_THREADS / WARP_SIZE)
#define BLOCK_LANES (BLOCK_Q / 4)
#define WARP_BLOCKS (WARP_SIZE / BLOCK_LANES)
#define CTA_BLOCKS (MASS_WARPS * WARP_BLOCKS)
#define STEP_BLOCKS 4
// Masses are fractions of 2³¹: their sums are exact and hold in a word, so that no order of addition matters.
#define WHOLE_MASS 2147483648.0f

__device__ __forceinline__ float float_of(const u32x4& v, u32 i) {
    return __uint_as_float(i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w);
}

//@kernel budget_masses
{
    const u64 head = (u64)blockIdx.y * p.heads + blockIdx.x;
    const u64 partials = head * p.blocks * BLOCK_Q;
    const float *partial_max = p.partial_max + partials, *partial_sum = p.partial_sum + partials;
//@if VALUES
    const float* partial_weighted = p.partial_weighted + partials;
//@end
    const u32 blocks = p.blocks, queries = min(BLOCK_Q, p.q_len);
    // Words for each warp and query, then for each query, of the largest score and of the sums under it.
    const u32 words = smem_u32(smem), maxima = words + MASS_MAXIMA * 4, sums = words + MASS_SUMS * 4;
//@if VALUES
    const u32 weighted_sums = words + MASS_WEIGHTED * 4;
//@end

    // A lane has four queries, BLOCK_LANES of them a block; the partials of STEP_BLOCKS blocks are on their way at once.
    const u32 quad = lane_id() % BLOCK_LANES * 4, first_block = warp_id() * WARP_BLOCKS + lane_id() / BLOCK_LANES;
    float tops[4], weights[4] = {0.0f, 0.0f, 0.0f, 0.0f};
//@if VALUES
    float weighted[4] = {0.0f, 0.0f, 0.0f, 0.0f};
//@end
#pragma unroll
    for (u32 i = 0; i < 4; ++i) tops[i] = MASKED_SCORE * SCALE_LOG2;
    for (u32 first = first_block; first < blocks; first += STEP_BLOCKS * CTA_BLOCKS) {
        u32x4 max[STEP_BLOCKS], sum[STEP_BLOCKS];
//@if VALUES
        u32x4 weighed[STEP_BLOCKS];
//@end
#pragma unroll
        for (u32 step = 0; step < STEP_BLOCKS; ++step) {
            // Past the last block the first is taken again, and weighs nothing.
            const u32 block = first + step * CTA_BLOCKS;
            const u64 at = (u64)(block < blocks ? block : first) * BLOCK_Q + quad;
            max[step] = ld_global_v4(partial_max + at);
            sum[step] = ld_global_v4(partial_sum + at);
//@if VALUES
            weighed[step] = ld_global_v4(partial_weighted + at);
//@end
        }
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            float top = tops[i];
#pragma unroll
            for (u32 step = 0; step < STEP_BLOCKS; ++step) top = fmaxf(top, float_of(max[step], i));
            const float before = exp2_approx(tops[i] - top);
            float total = weights[i] * before;
//@if VALUES
            float weighted_total = weighted[i] * before;
//@end
#pragma unroll
            for (u32 step = 0; step < STEP_BLOCKS; ++step)
                if (first + step * CTA_BLOCKS < blocks) {
                    const float under = exp2_approx(float_of(max[step], i) - top);
                    total += float_of(sum[step], i) * under;
//@if VALUES
                    weighted_total += float_of(weighed[step], i) * under;
//@end
                }
            tops[i] = top;
            weights[i] = total;
//@if VALUES
            weighted[i] = weighted_total;
//@end
        }
    }
    // Lanes with the same queries, then warps.
#pragma unroll
    for (u32 i = 0; i < 4; ++i) {
#pragma unroll
        for (u32 step = BLOCK_LANES; step < WARP_SIZE; step *= 2) {
            const float top = fmaxf(tops[i], shfl_xor(tops[i], step)), own = exp2_approx(tops[i] - top);
            weights[i] *= own;
            weights[i] += shfl_xor(weights[i], step);
//@if VALUES
            weighted[i] *= own;
            weighted[i] += shfl_xor(weighted[i], step);
//@end
            tops[i] = top;
        }
        if (lane_id() < BLOCK_LANES) {
            const u32 at = (warp_id() * BLOCK_Q + quad + i) * 4;
            st_shared_f32(maxima + at, tops[i]);
            st_shared_f32(sums + at, weights[i]);
//@if VALUES
            st_shared_f32(weighted_sums + at, weighted[i]);
//@end
        }
    }
    sync_threads();
    const u32 query = threadIdx.x;
    if (query < BLOCK_Q) {
        float top = ld_shared_f32(maxima + query * 4), total = 0.0f;
//@if VALUES
        float weighted_total = 0.0f;
//@end
        for (u32 w = 1; w < MASS_WARPS; ++w) top = fmaxf(top, ld_shared_f32(maxima + (w * BLOCK_Q + query) * 4));
        for (u32 w = 0; w < MASS_WARPS; ++w) {
            const u32 at = (w * BLOCK_Q + query) * 4;
            const float under = exp2_approx(ld_shared_f32(maxima + at) - top);
            total += ld_shared_f32(sums + at) * under;
//@if VALUES
            weighted_total += ld_shared_f32(weighted_sums + at) * under;
//@end
        }
        st_shared_f32(maxima + query * 4, top);
//@if VALUES
        // Every query's probabilities sum to 1; what it adds to the mass of all blocks is its mean norm.
        const float share = query < queries ? 1.0f / total : 0.0f;
        st_shared_f32(sums + query * 4, share);
        st_shared_f32(weighted_sums + query * 4, query < queries ? weighted_total * share : 0.0f);
//@else
        // Every query has the same weight in the mass, and the masses of all blocks sum to 1.
        st_shared_f32(sums + query * 4, query < queries ? 1.0f / (total * (float)queries) : 0.0f);
//@end
    }
    sync_threads();

//@if VALUES
    float whole = 0.0f;
    for (u32 i = lane_id(); i < BLOCK_Q; i += WARP_SIZE) whole += ld_shared_f32(weighted_sums + i * 4);
    whole = warp_sum(whole);
    // Values of zero: no block holds anything.
    const float to_share = whole > 0x1p-120f ? 1.0f / whole : 0.0f;
//@end
#pragma unroll
    for (u32 i = 0; i < 4; ++i) {
        tops[i] = ld_shared_f32(maxima + (quad + i) * 4);
//@if VALUES
        weights[i] = ld_shared_f32(sums + (quad + i) * 4) * to_share;
//@else
        weights[i] = ld_shared_f32(sums + (quad + i) * 4);
//@end
    }
    // All lanes of a warp go round together: they add up.
#pragma unroll 4
    for (u32 first = warp_id() * WARP_BLOCKS; first < blocks; first += CTA_BLOCKS) {
        const u32 block = first + lane_id() / BLOCK_LANES;
        float mass = 0.0f;
        if (block < blocks) {
            const u64 at = (u64)block * BLOCK_Q + quad;
//@if VALUES
            const u32x4 max = ld_global_v4(partial_max + at), sum = ld_global_v4(partial_weighted + at);
//@else
            const u32x4 max = ld_global_v4(partial_max + at), sum = ld_global_v4(partial_sum + at);
//@end
#pragma unroll
            for (u32 i = 0; i < 4; ++i)
                mass += float_of(sum, i) * exp2_approx(float_of(max, i) - tops[i]) * weights[i];
        }
#pragma unroll
        for (u32 step = BLOCK_LANES / 2; step > 0; step /= 2) mass += shfl_xor(mass, step);
        if (lane_id() % BLOCK_LANES == 0 && block < blocks)
            p.masses[head * blocks + block] = (u32)(fminf(mass, 1.0f) * WHOLE_MASS);
    }
}
