// score: strided queries against strided keys. A product adds up over STRIDE_KV parts: the queries of the last place in their
// windows against the keys of the first, and so on to the queries of the first against the keys of the last.
#define STAGE_BYTES ((SCORING_ROWS + STRIDED_KEYS) * ROW_BYTES)
#define STRIDED_N (STRIDED_KEYS / 8)

// s += Q·Kᵀ of a part, for the warp's 32 rows.
__device__ __forceinline__ void add_part(float (&s)[2][STRIDED_N][4], u32 q_base, u32 k_base) {
#pragma unroll
    for (u32 step = 0; step < ROW_STEPS; ++step) {
        u32 q[2][4];
#pragma unroll
        for (u32 m = 0; m < 2; ++m) ldmatrix_x4(q[m], fragment_at(q_base, step) + m * 16 * ROW_BYTES);
#pragma unroll
        for (u32 n = 0; n < STRIDED_N; n += 2) {
            u32 b[4];
            ldmatrix_x4(b, fragment_at(k_base, step) + n * 8 * ROW_BYTES);
#pragma unroll
            for (u32 m = 0; m < 2; ++m) {
                mma_m16n8k16(s[m][n], q[m], b[0], b[1]);
                mma_m16n8k16(s[m][n + 1], q[m], b[2], b[3]);
            }
        }
    }
}

//@kernel score
{
    const u32 group = blockIdx.y, batch = blockIdx.z;
    const u64 sequence = (u64)batch * p.groups + group;
    // The last samples see the most keys: they come first.
    const i32 first_sample = (i32)(gridDim.x - 1 - blockIdx.x) * SCORING_ROWS;
    const u32 ring = smem_u32(smem);
    const Elem* queries = p.strided_q + sequence * STRIDE_Q * p.q_samples * HEAD_DIM;
    // Keys of a part: those of the windows that have one.
//@if POOL_KEYS
    const Elem* keys = p.strided_k + sequence * STRIDE_KV * p.kv_samples * HEAD_DIM;
    auto part_keys = [&](u32 part) -> HeadRows {
        return HeadRows{keys + (u64)part * p.kv_samples * HEAD_DIM, HEAD_DIM, p.kv_samples};
    };
//@else
    const Elem* keys = p.k + batch * p.k_batch + group * p.k_head;
    auto part_keys = [&](u32 part) -> HeadRows {
        return HeadRows{keys + part * p.k_token, STRIDE_KV * p.k_token, (p.kv_len - (i32)part + STRIDE_KV - 1) / STRIDE_KV};
    };
//@end
    const i32 seen = seen_samples(sequence_of(p), min(first_sample + SCORING_ROWS, p.q_samples) - 1, p.kv_samples);
    const u32 stages = (u32)(seen + STRIDED_KEYS - 1) / STRIDED_KEYS * STRIDE_KV;

    // The n-th stage is a part of a tile.
    auto load = [&](u32 n) {
        if (n < stages) {
            const u32 part = n % STRIDE_KV, stage = ring + n % STRIDED_STAGES * STAGE_BYTES;
            const Elem* of_queries = queries + (u64)(STRIDE_Q - 1 - part) * p.q_samples * HEAD_DIM;
            copy_rows<SCORING_ROWS, SCORING_THREADS>(stage, HeadRows{of_queries, HEAD_DIM, p.q_samples}, first_sample);
            copy_rows<STRIDED_KEYS, SCORING_THREADS>(stage + SCORING_ROWS * ROW_BYTES, part_keys(part),
                                                     (i32)(n / STRIDE_KV * STRIDED_KEYS));
        }
        cp_async_commit();
    };
    for (u32 n = 0; n + 1 < STRIDED_STAGES; ++n) load(n);

    const u32 warp_sample = (u32)first_sample + warp_id() * 32;
    Sample samples[2][2];
#pragma unroll
    for (u32 i = 0; i < 4; ++i)
        samples[i / 2][i % 2] = sample_begin(p, sequence, warp_sample + i / 2 * 16 + i % 2 * 8 + lane_id() / 4);

    float s[2][STRIDED_N][4];
    for (u32 n = 0; n < stages; ++n) {
        const u32 part = n % STRIDE_KV, stage = ring + n % STRIDED_STAGES * STAGE_BYTES;
//@if ONE_STAGE
        sync_threads(); // the part before has been read
        load(n);
        cp_async_wait<0>();
        sync_threads();
//@else
        cp_async_wait<STRIDED_STAGES - 2>();
        sync_threads();
        load(n + STRIDED_STAGES - 1);
//@end
        if (part == 0)
#pragma unroll
            for (u32 i = 0; i < 2 * STRIDED_N * 4; ++i) s[i / (STRIDED_N * 4)][i / 4 % STRIDED_N][i % 4] = 0.0f;
        add_part(s, lane_base_a(stage + warp_id() * 32 * ROW_BYTES), lane_base_b(stage + SCORING_ROWS * ROW_BYTES));
        if (part + 1 < STRIDE_KV) continue;
#pragma unroll
        for (u32 i = 0; i < 4; ++i)
            take_scores<STRIDED_N>(samples[i / 2][i % 2],
                                   [&](u32 j, u32 e) -> float& { return s[i / 2][j][i % 2 * 2 + e]; },
                                   (i32)(n / STRIDE_KV * STRIDED_KEYS), 0, (u32)p.blocks, i);
    }

    // A lane stores one of the four samples that its quad has.
    const u32 sample = warp_sample + quad_row();
    float lse[2][2], floor[2][2];
#pragma unroll
    for (u32 i = 0; i < 4; ++i) {
        lse[i / 2][i % 2] = sample_lse(samples[i / 2][i % 2]);
        floor[i / 2][i % 2] = samples[i / 2][i % 2].floor;
    }
    if (sample < (u32)p.rows * SAMPLES_Q) {
        p.lse[sequence * p.rows * SAMPLES_Q + sample] = quad_pick(lse);
        p.floors[sequence * p.rows * SAMPLES_Q + sample] = quad_pick(floor);
    }
}
