// budget_counts: the curve that the masses of a head's blocks follow along its list, and how many of the first ones hold what
// is wanted.
//
// With y(t, x) what the keys of the block at rank x = 1, 2, … weigh to query t, and both windows' means of it, beyond the exact
// ranks y(t, x) is taken to be a(t) / x + b(t). So query t weighs whole(t) = Σ y(t, x) over exact ranks + Σ (a(t) / x + b(t))
// over the others, and rank x holds Σ_t y(t, x) / whole(t) of the mass, where it is not measured Σ_t (a(t) / x + b(t)) / whole(t).
#define FIT_WARPS (FIT_THREADS / WARP_SIZE)

// Σ 1 / x over the ranks of places [begin, end), by a whole warp.
__device__ __forceinline__ float harmonic(u32 begin, u32 end) {
    float sum = 0.0f;
    for (u32 place = begin + lane_id(); place < end; place += WARP_SIZE) sum += rcp_approx((float)(place + 1));
    return warp_sum(sum);
}

// a / x + b.
struct Curve {
    float a, b;
};

// Through the means of two windows: `near` and `far` of y, `near_rank` and `far_rank` of 1 / x. Nowhere does it rise or fall
// below 0: if the far window weighs more, it is flat; if b would be negative, b is 0 and the near window decides.
__device__ __forceinline__ Curve fit(float near, float far, float near_rank, float far_rank) {
    const float a = (near - far) / (near_rank - far_rank), b = near - a * near_rank;
    if (a <= 0.0f) return {0.0f, (near + far) * 0.5f};
    if (b <= 0.0f) return {near / near_rank, 0.0f};
    return {a, b};
}

//@kernel budget_counts
{
    const u64 head = (u64)blockIdx.y * p.heads + blockIdx.x;
    const u64 partials = head * p.sampled_blocks * BLOCK_Q;
    const float *partial_max = p.partial_max + partials, *partial_sum = p.partial_sum + partials;
    const u32 words = smem_u32(smem), blocks = p.blocks, queries = min(BLOCK_Q, p.q_len), query = threadIdx.x;
    auto word = [&](u32 i) -> u32 { return words + i * 4; };
    const Places places = places_of(blocks);

    // What each query weighs in all, as far as it is measured and by its curve.
    const float behind = harmonic(places.exact, blocks), each = places.window == 0 ? 0.0f : 1.0f / (float)places.window;
    const float near_rank = harmonic(places.near, places.near + places.window) * each;
    const float far_rank = harmonic(places.far, places.far + places.window) * each;
    Curve own = {0.0f, 0.0f};
    if (query < queries) {
        // Relative to the largest score; of the exact blocks, which hold the diagonal, every query sees some.
        float top = MASKED_SCORE * SCALE_LOG2;
#pragma unroll 4
        for (u32 i = 0; i < places.count(); ++i) top = fmaxf(top, partial_max[i * BLOCK_Q + query]);
        auto sum_of = [&](u32 begin, u32 end) -> float {
            float sum = 0.0f;
#pragma unroll 4
            for (u32 i = begin; i < end; ++i)
                sum += partial_sum[i * BLOCK_Q + query] * exp2_approx(partial_max[i * BLOCK_Q + query] - top);
            return sum;
        };
        const u32 windows = places.exact + places.window;
        float whole = sum_of(0, places.exact);
        if (places.window > 0) {
            const float near = sum_of(places.exact, windows) * each, far = sum_of(windows, places.count()) * each;
            own = fit(near, far, near_rank, far_rank);
            whole += own.a * behind + own.b * (float)(blocks - places.exact);
        }
        // Every query has the same weight in the mass, and the masses of all blocks sum to 1.
        const float share = 1.0f / (whole * (float)queries);
        own = {own.a * share, own.b * share};
        st_shared_f32(word(FIT_TOPS + query), top);
        st_shared_f32(word(FIT_SHARES + query), share);
    }
    own = {warp_sum(own.a), warp_sum(own.b)};
    if (lane_id() == 0) {
        st_shared_f32(word(FIT_CURVES + warp_id() * 2), own.a);
        st_shared_f32(word(FIT_CURVES + warp_id() * 2 + 1), own.b);
    }
    sync_threads();

    // The masses of the exact blocks, a warp to each.
    for (u32 i = warp_id(); i < places.exact; i += FIT_WARPS) {
        float mass = 0.0f;
        for (u32 t = lane_id(); t < queries; t += WARP_SIZE) {
            const float under = exp2_approx(partial_max[i * BLOCK_Q + t] - ld_shared_f32(word(FIT_TOPS + t)));
            mass += partial_sum[i * BLOCK_Q + t] * under * ld_shared_f32(word(FIT_SHARES + t));
        }
        mass = warp_sum(mass);
        if (lane_id() == 0) st_shared_f32(word(FIT_MASSES + i), mass);
    }
    sync_threads();
    if (warp_id() != 0) return;

    // Along the list, 32 ranks at a time.
    Curve curve = {0.0f, 0.0f};
#pragma unroll
    for (u32 w = 0; w < FIT_WARPS; ++w) {
        curve.a += ld_shared_f32(word(FIT_CURVES + w * 2));
        curve.b += ld_shared_f32(word(FIT_CURVES + w * 2 + 1));
    }
    float held = 0.0f;
    u32 count = blocks;
    for (u32 first = 0; first < blocks; first += WARP_SIZE) {
        const u32 place = first + lane_id();
        float upto = fmaf(curve.a, rcp_approx((float)(place + 1)), curve.b);
        if (place < places.exact) upto = ld_shared_f32(word(FIT_MASSES + place));
#pragma unroll
        for (u32 step = 1; step < WARP_SIZE; step *= 2) {
            const float lower = shfl_up(upto, step);
            if (lane_id() >= step) upto += lower;
        }
        const u32 reached = ballot(place < blocks && held + upto >= SHARE_MILLIONTHS * 1e-6f);
        if (reached != 0) {
            count = first + (u32)__ffs((i32)reached);
            break;
        }
        held += shfl_idx(upto, WARP_SIZE - 1);
    }
    if (lane_id() == 0) p.measured[head] = count;
}
