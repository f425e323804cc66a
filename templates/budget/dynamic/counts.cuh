// budget_counts: from the partials of a head to the fewest blocks whose mass reaches a share of the whole.
#define COUNT_WARPS (COUNT_THREADS / WARP_SIZE)
#define BLOCK_LANES (BLOCK_Q / 4)
#define WARP_BLOCKS (WARP_SIZE / BLOCK_LANES)
#define CTA_BLOCKS (COUNT_WARPS * WARP_BLOCKS)
#define STEP_BLOCKS 4

__device__ __forceinline__ u32 word_of(const u32x4& v, u32 i) { return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w; }

// Sum over the warp; every lane receives it.
__device__ __forceinline__ u64 warp_sum_u64(u64 v) {
    for (u32 step = WARP_SIZE / 2; step > 0; step /= 2)
        v += (u64)shfl_xor((u32)(v >> 32), step) << 32 | shfl_xor((u32)v, step);
    return v;
}

//@kernel budget_counts
{
    const u64 head = (u64)blockIdx.y * p.heads + blockIdx.x;
    const float* partial_max = p.partial_max + head * p.blocks * BLOCK_Q;
    const float* partial_sum = p.partial_sum + head * p.blocks * BLOCK_Q;
    const u32 blocks = p.blocks, queries = min(BLOCK_Q, p.q_len);
    // Words for each warp and query, then for each query, of the largest score and of the sum under it.
    const u32 words = smem_u32(smem), maxima = words + COUNT_MAXIMA * 4, sums = words + COUNT_SUMS * 4;
    const u32 votes = words + COUNT_VOTES * 4, masses = words + COUNT_MASSES * 4;
    auto mass_of = [&](u32 block) -> u32 { return ld_shared_u32(masses + block * 4); };

    // A lane has four queries, BLOCK_LANES of them a block; the partials of STEP_BLOCKS blocks are on their way at once.
    const u32 quad = lane_id() % BLOCK_LANES * 4, first_block = warp_id() * WARP_BLOCKS + lane_id() / BLOCK_LANES;
    float tops[4], weights[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
    for (u32 i = 0; i < 4; ++i) tops[i] = MASKED_SCORE * SCALE_LOG2;
    for (u32 first = first_block; first < blocks; first += STEP_BLOCKS * CTA_BLOCKS) {
        u32x4 max[STEP_BLOCKS], sum[STEP_BLOCKS];
#pragma unroll
        for (u32 step = 0; step < STEP_BLOCKS; ++step) {
            // Past the last block the first is taken again, and weighs nothing.
            const u32 block = first + step * CTA_BLOCKS;
            const u64 at = (u64)(block < blocks ? block : first) * BLOCK_Q + quad;
            max[step] = ld_global_v4(partial_max + at);
            sum[step] = ld_global_v4(partial_sum + at);
        }
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            float top = tops[i];
#pragma unroll
            for (u32 step = 0; step < STEP_BLOCKS; ++step) top = fmaxf(top, __uint_as_float(word_of(max[step], i)));
            float total = weights[i] * exp2_approx(tops[i] - top);
#pragma unroll
            for (u32 step = 0; step < STEP_BLOCKS; ++step)
                if (first + step * CTA_BLOCKS < blocks)
                    total += __uint_as_float(word_of(sum[step], i)) * exp2_approx(__uint_as_float(word_of(max[step], i)) - top);
            tops[i] = top;
            weights[i] = total;
        }
    }
    // Lanes with the same queries, then warps.
#pragma unroll
    for (u32 i = 0; i < 4; ++i) {
#pragma unroll
        for (u32 step = BLOCK_LANES; step < WARP_SIZE; step *= 2) {
            const float top = fmaxf(tops[i], shfl_xor(tops[i], step));
            weights[i] *= exp2_approx(tops[i] - top);
            weights[i] += shfl_xor(weights[i], step);
            tops[i] = top;
        }
        if (lane_id() < BLOCK_LANES) {
            st_shared_f32(maxima + (warp_id() * BLOCK_Q + quad + i) * 4, tops[i]);
            st_shared_f32(sums + (warp_id() * BLOCK_Q + quad + i) * 4, weights[i]);
        }
    }
    sync_threads();
    const u32 query = threadIdx.x;
    if (query < BLOCK_Q) {
        float top = ld_shared_f32(maxima + query * 4), total = 0.0f;
        for (u32 w = 1; w < COUNT_WARPS; ++w) top = fmaxf(top, ld_shared_f32(maxima + (w * BLOCK_Q + query) * 4));
        for (u32 w = 0; w < COUNT_WARPS; ++w) {
            const u32 at = (w * BLOCK_Q + query) * 4;
            total += ld_shared_f32(sums + at) * exp2_approx(ld_shared_f32(maxima + at) - top);
        }
        st_shared_f32(maxima + query * 4, top);
        // Every query has the same weight in the mass, and the masses of all blocks sum to 1.
        st_shared_f32(sums + query * 4, query < queries ? 1.0f / (total * (float)queries) : 0.0f);
    }
    sync_threads();

    // Masses as fractions of 2³²: their sums are exact, so that no order of addition matters.
#pragma unroll
    for (u32 i = 0; i < 4; ++i) {
        tops[i] = ld_shared_f32(maxima + (quad + i) * 4);
        weights[i] = ld_shared_f32(sums + (quad + i) * 4);
    }
    // All lanes of a warp go round together: they add up.
#pragma unroll 4
    for (u32 first = warp_id() * WARP_BLOCKS; first < blocks; first += CTA_BLOCKS) {
        const u32 block = first + lane_id() / BLOCK_LANES;
        float mass = 0.0f;
        if (block < blocks) {
            const u64 at = (u64)block * BLOCK_Q + quad;
            const u32x4 max = ld_global_v4(partial_max + at), sum = ld_global_v4(partial_sum + at);
#pragma unroll
            for (u32 i = 0; i < 4; ++i)
                mass += __uint_as_float(word_of(sum, i)) * exp2_approx(__uint_as_float(word_of(max, i)) - tops[i]) * weights[i];
        }
#pragma unroll
        for (u32 step = BLOCK_LANES / 2; step > 0; step /= 2) mass += shfl_xor(mass, step);
        if (lane_id() % BLOCK_LANES == 0 && block < blocks)
            st_shared_u32(masses + block * 4, (u32)(fminf(mass, 1.0f) * 4294967040.0f));
    }
    sync_threads();

    u64 whole = 0;
    for (u32 block = lane_id(); block < blocks; block += WARP_SIZE) whole += mass_of(block);
    // The sum is hardly above 2^32, and a share has no more than 2^20 parts.
    const u64 wanted = (warp_sum_u64(whole) * GAMMA_MILLIONTHS + 999999) / 1000000;

    // The largest threshold at which the masses from it on still reach what is wanted, four bits a round: warp w
    // tries the digit w.
    u32 threshold = 0;
    for (u32 shift = 32; shift > 0;) {
        shift -= 4;
        const u32 tried = threshold + (warp_id() << shift);
        u64 mass = 0;
        for (u32 block = lane_id(); block < blocks; block += WARP_SIZE)
            if (mass_of(block) >= tried) mass += mass_of(block);
        mass = warp_sum_u64(mass);
        if (lane_id() == 0) st_shared_u32(votes + warp_id() * 4, mass >= wanted);
        sync_threads();
        u32 digit = 0;
        for (u32 w = 1; w < COUNT_WARPS; ++w) digit += ld_shared_u32(votes + w * 4);
        threshold += digit << shift;
        sync_threads();
    }
    if (warp_id() != 0) return;
    u64 above = 0;
    u32 count = 0;
    for (u32 block = lane_id(); block < blocks; block += WARP_SIZE)
        if (mass_of(block) > threshold) {
            above += mass_of(block);
            count += 1;
        }
    above = warp_sum_u64(above);
    count = redux_add(count);
    if (lane_id() == 0) p.measured[head] = count + (u32)((wanted - above + threshold - 1) / threshold);
}
