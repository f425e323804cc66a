// score_masses: the share of the last queries' attention that a block holds, over the heads of a group, as logarithms: by
// itself for the verticals, and of the queries of each row for the slashes. A warp has a block, and a lane LAST_PARTS queries.
#define LAST_PARTS (LAST_QUERIES / WARP_SIZE)

//@kernel score_masses
{
    const u32 block = blockIdx.x * (LAST_WARPS_THREADS / WARP_SIZE) + warp_id(), group = blockIdx.y, batch = blockIdx.z;
    if (block >= (u32)p.blocks) return;
    const u64 sequence = (u64)batch * p.groups + group, first_head = sequence * p.heads_per_group;
    const i32 first_query = max(p.q_len - LAST_QUERIES, 0), first_row = first_query / BLOCK_Q;

    // Of each query over the heads: the largest share, and the sum under it.
    float tops[LAST_PARTS], sums[LAST_PARTS];
    i32 rows[LAST_PARTS]; // of the queries, from the first row on; -1 past the last query
#pragma unroll
    for (u32 i = 0; i < LAST_PARTS; ++i) {
        const i32 query = first_query + (i32)(i * WARP_SIZE + lane_id());
        rows[i] = query < p.q_len ? query / BLOCK_Q - first_row : -1;
        tops[i] = FLOAT_NEG_INF;
        sums[i] = 0.0f;
    }
#pragma unroll 4
    for (u32 h = 0; h < (u32)p.heads_per_group; ++h) {
        const u64 head = first_head + h;
        const float* logs = p.last_logs + (head * p.blocks + block) * LAST_QUERIES + lane_id();
        const float* whole = p.last_sums + head * LAST_QUERIES + lane_id();
#pragma unroll
        for (u32 i = 0; i < LAST_PARTS; ++i) {
            const float share = logs[i * WARP_SIZE] - whole[i * WARP_SIZE], top = fmaxf(tops[i], share);
            sums[i] = sums[i] * exp2_approx(tops[i] - top) + exp2_approx(share - top);
            tops[i] = top;
        }
    }

    const u32 queries = min(LAST_QUERIES, p.q_len);
    float slashes[LAST_ROWS], highest = FLOAT_NEG_INF;
#pragma unroll
    for (i32 row = 0; row < LAST_ROWS; ++row) {
        float top = FLOAT_NEG_INF, sum = 0.0f;
#pragma unroll
        for (u32 i = 0; i < LAST_PARTS; ++i) top = fmaxf(top, rows[i] == row ? tops[i] : FLOAT_NEG_INF);
        top = warp_max(top);
#pragma unroll
        for (u32 i = 0; i < LAST_PARTS; ++i) sum += rows[i] == row ? sums[i] * exp2_approx(tops[i] - top) : 0.0f;
        slashes[row] = top + log2_approx(warp_sum(sum)); // -inf of a row without queries
        highest = fmaxf(highest, slashes[row]);
    }
    float sum = 0.0f;
#pragma unroll
    for (u32 row = 0; row < LAST_ROWS; ++row) sum += exp2_approx(slashes[row] - highest);
    if (lane_id() > 0) return;
    const float of_all = log2_approx((float)(queries * p.heads_per_group));
    p.verticals[sequence * p.blocks + block] = highest + log2_approx(sum) - of_all;
#pragma unroll
    for (i32 row = 0; row < LAST_ROWS; ++row) {
//@if ROWS_APART
        // Queries of this row and of those that lie in blocks of keys as this one does.
        i32 alike = 0;
#pragma unroll
        for (i32 other = row % (BLOCK_KV / BLOCK_Q); other < LAST_ROWS; other += BLOCK_KV / BLOCK_Q) {
            const i32 begin = (first_row + other) * BLOCK_Q;
            alike += max(min(begin + BLOCK_Q, p.q_len) - max(begin, first_query), 0);
        }
        const float of_row = log2_approx((float)(alike * p.heads_per_group));
//@else
        const float of_row = of_all;
//@end
        p.slashes[(sequence * LAST_ROWS + row) * p.blocks + block] = slashes[row] - of_row;
    }
}
