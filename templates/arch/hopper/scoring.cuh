// Scoring passes: each warpgroup holds 64 rows, and the keys go past them through a ring of stages. Warpgroups take turns
// at the tensor cores: products and exponentials need equal time, and only where one warpgroup is multiplied while the
// others are summed, one after the other, do both units stay busy.
#define WARPGROUPS SCORE_WARPGROUPS

// Shared memory: queries, then the ring of keys.
#define QUERY_BYTES (WG_ROWS * HEAD_DIM * OPERAND_BYTES)
#define STAGE_BYTES (STAGE_KEYS * HEAD_DIM * OPERAND_BYTES)
#define KEYS_AT (TILES_AT + WARPGROUPS * QUERY_BYTES)
#define KEYS_FULL TILE_BARRIERS
#define KEYS_EMPTY (KEYS_FULL + SCORE_STAGES)
#define QUERIES_FULL (KEYS_EMPTY + SCORE_STAGES)
#define QUERIES_EMPTY (QUERIES_FULL + WARPGROUPS)
// Named barriers, one for each warpgroup's turn; 0 is the whole CTA's.
#define TURN_BARRIER 1

// One thread: sets up the barriers of as many consumers, beginning with the first warpgroup.
__device__ __forceinline__ void scoring_barriers_init(u32 consumers) {
    barriers_init(KEYS_FULL, SCORE_STAGES, 1);
    barriers_init(KEYS_EMPTY, SCORE_STAGES, consumers * WG_WARPS);
    barriers_init(QUERIES_FULL, WARPGROUPS, 1);
    barriers_init(QUERIES_EMPTY, WARPGROUPS, WG_WARPS);
}

// The producer: starts copying the n-th queries of warpgroup w, from a row of a head on.
__device__ __forceinline__ void load_queries(const TensorMap* map, u32 w, u32 n, i32 row, u32 head, u32 batch) {
    const u32 full = barrier_at(QUERIES_FULL + w);
    mbarrier_wait(barrier_at(QUERIES_EMPTY + w), parity_of(n, 1) ^ 1);
    mbarrier_arrive_expect_tx(full, QUERY_BYTES);
    load_operands(map, smem_u32(smem) + TILES_AT + w * QUERY_BYTES, WG_ROWS, full, row, head, batch);
}

// The producer: starts copying the n-th stage, from a key of a head on.
__device__ __forceinline__ void load_keys(const TensorMap* map, u32 n, i32 key, u32 head, u32 batch) {
    const u32 stage = n % SCORE_STAGES, full = barrier_at(KEYS_FULL + stage);
    mbarrier_wait(barrier_at(KEYS_EMPTY + stage), parity_of(n, SCORE_STAGES) ^ 1);
    mbarrier_arrive_expect_tx(full, STAGE_BYTES);
    load_operands(map, smem_u32(smem) + KEYS_AT + stage * STAGE_BYTES, STAGE_KEYS, full, key, head, batch);
}

// A warpgroup's turns, the one after another; a lone one takes none.
struct Turns {
    bool taken;
    u32 own, after;
};

__device__ __forceinline__ Turns turns_begin(u32 wg, u32 consumers) {
    const Turns turns = {consumers > 1, TURN_BARRIER + wg, TURN_BARRIER + (wg + 1) % consumers};
    if (turns.taken && wg == consumers - 1) named_barrier_arrive(turns.after, 2 * WG_THREADS);
    return turns;
}

// The turn that nobody takes.
__device__ __forceinline__ void turns_end(const Turns& turns) {
    if (turns.taken && turns.own == TURN_BARRIER) named_barrier_sync(turns.own, 2 * WG_THREADS);
}

// The scores of the warpgroup's rows against the n-th stage. `meanwhile` runs beside the products.
template <class Meanwhile>
__device__ __forceinline__ void multiply_stage(float (&s)[STAGE_KEYS / 2], u64 queries, u32 n, const Turns& turns,
                                               const Meanwhile& meanwhile) {
    const u32 stage = n % SCORE_STAGES;
    const u64 keys = wgmma_descriptor(smem_u32(smem) + KEYS_AT, 16, 1024);
    mbarrier_wait(barrier_at(KEYS_FULL + stage), parity_of(n, SCORE_STAGES));
    if (turns.taken) named_barrier_sync(turns.own, 2 * WG_THREADS);
    multiply_operands(s, queries, descriptor_at(keys, stage * STAGE_BYTES));
    if (turns.taken) named_barrier_arrive(turns.after, 2 * WG_THREADS);
    meanwhile();
    wgmma_wait<0>();
    wgmma_hold(s);
    release(KEYS_EMPTY + stage);
}

// Hides columns of the keys [first, first + COUNT) of a stage: from `seen` on for the lane's row g, from `seen_8` on for row
// g + 8 they become `hidden`.
template <u32 COUNT>
__device__ __forceinline__ void hide(float (&s)[STAGE_KEYS / 2], u32 first, i32 seen, i32 seen_8, float hidden) {
    const i32 column = (i32)(lane_id() % 4) * 2;
    const i32 own[2] = {seen - column, seen_8 - column}; // so that each comparison is with a constant
#pragma unroll
    for (u32 j = 0; j < COUNT / 8; ++j)
#pragma unroll
        for (u32 e = 0; e < 4; ++e)
            if ((i32)(j * 8 + e % 2) >= own[e / 2]) s[(first / 8 + j) * 4 + e] = hidden;
}

// Two lanes of a quad share out two values: the one whose bit `mask` is 0 has both lanes' a, the other both lanes' b.
struct Share {
    float own, other;
};

__device__ __forceinline__ Share share_out(float a, float b, u32 mask) {
    const bool first = (lane_id() & mask) == 0;
    return {select(first, a, b), shfl_xor(select(first, b, a), mask)};
}
