// budget_norms: ‖v‖₂ of each value, by which its key's probability weighs. A quad of lanes has a token, each lane every
// fourth chunk of eight elements.
#define NORM_CHUNKS (HEAD_DIM / 32)
// No value counts for more, so that sums of weighed probabilities stay inside f32.
#define LARGEST_NORM 0x1p64f
//@kernel budget_norms
{
    const i32 token = (i32)(blockIdx.x * (NORM_THREADS / 4) + threadIdx.x / 4);
    const u32 head = blockIdx.y, batch = blockIdx.z;
    // Past the last token the last one is taken again, and written by nobody.
    const Elem* v = p.v + batch * p.v_batch + head * p.v_head + min(token, p.kv_len - 1) * p.v_token;
    u32x4 chunks[NORM_CHUNKS];
#pragma unroll
    for (u32 i = 0; i < NORM_CHUNKS; ++i) chunks[i] = ld_global_nc_v4(v + (i * 4 + lane_id() % 4) * 8);

    auto of_pair = [](u32 pair) -> float { return fmaxf(fabsf(unpack_lo(pair)), fabsf(unpack_hi(pair))); };
    float largest = 0.0f;
#pragma unroll
    for (u32 i = 0; i < NORM_CHUNKS; ++i)
        largest = fmaxf(fmaxf(fmaxf(largest, of_pair(chunks[i].x)), fmaxf(of_pair(chunks[i].y), of_pair(chunks[i].z))),
                        of_pair(chunks[i].w));
    // Squares of elements over a power of two near the largest one: they stay inside f32, and the division is exact.
    const u32 exponent = min(max(__float_as_uint(quad_max(largest)) >> 23, 1u), 253u);
    const float scale = __uint_as_float(exponent << 23), inverse = __uint_as_float((254 - exponent) << 23);
    float sum = 0.0f;
    auto add_pair = [&](u32 pair) {
        const float low = unpack_lo(pair) * inverse, high = unpack_hi(pair) * inverse;
        sum = fmaf(low, low, fmaf(high, high, sum));
    };
#pragma unroll
    for (u32 i = 0; i < NORM_CHUNKS; ++i) {
        add_pair(chunks[i].x);
        add_pair(chunks[i].y);
        add_pair(chunks[i].z);
        add_pair(chunks[i].w);
    }
    sum = quad_sum(sum);
    if (lane_id() % 4 == 0 && token < p.kv_len)
        p.norms[((u64)batch * p.kv_heads + head) * p.kv_len + token] = fminf(sqrtf(sum) * scale, LARGEST_NORM);
}
