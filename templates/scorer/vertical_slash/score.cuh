// score: the larger of what a block's column and its diagonal hold, in every row. A warp has a row, which has one sample; what
// normalises it is the sum over the blocks.
#define LANE_BLOCKS 4 // of a step

//@kernel score
{
    const u32 group = blockIdx.x, batch = blockIdx.z;
    const u64 sequence = (u64)batch * p.groups + group;
    // The last rows see the most blocks: they come first.
    const i32 row = (i32)((gridDim.y - 1 - blockIdx.y) * (LAST_WARPS_THREADS / WARP_SIZE) + warp_id());
    if (row >= p.rows) return;
    const i32 visible = (i32)row_blocks(sequence_of(p), (u32)row, (u32)p.blocks).visible;
    const float* verticals = p.verticals + sequence * p.blocks;
    const float* slashes = p.slashes + sequence * LAST_ROWS * p.blocks;
    const i32 ahead = max(p.q_len - LAST_QUERIES, 0) / BLOCK_Q - row; // rows from this one to the first of the last queries

    // The log2 of a block's weight.
    auto weight_of = [&](i32 block) -> float {
        // The block that is as far from each row of the last queries as this one from here.
        float logs[LAST_ROWS], top = -0x1p126f;
#pragma unroll
        for (i32 i = 0; i < LAST_ROWS; ++i) {
//@if ROWS_APART
            const bool alike = (ahead + i) * BLOCK_Q % BLOCK_KV == 0; // in blocks of keys
            const i32 there = block + (ahead + i) * BLOCK_Q / BLOCK_KV;
            logs[i] = alike && there >= 0 && there < p.blocks ? slashes[i * p.blocks + there] : FLOAT_NEG_INF;
//@else
            const i32 there = block + (ahead + i) * (BLOCK_Q / BLOCK_KV);
            logs[i] = there >= 0 && there < p.blocks ? slashes[i * p.blocks + there] : FLOAT_NEG_INF;
//@end
            top = fmaxf(top, logs[i]);
        }
        float sum = 0.0f;
#pragma unroll
        for (u32 i = 0; i < LAST_ROWS; ++i) sum += exp2_approx(logs[i] - top);
        return fmaxf(verticals[block], top + log2_approx(sum));
    };

    u16* codes = p.maxima + (sequence * p.rows + row) * p.blocks;
    float floor = floor_below(MASKED_SCORE * SCALE_LOG2), sum = 0.0f; // relative to FLOOR_DEPTH above the floor, of this lane's
    for (i32 first = 0; first < visible; first += LANE_BLOCKS * WARP_SIZE) {
        float weights[LANE_BLOCKS], top = FLOAT_NEG_INF;
#pragma unroll
        for (u32 i = 0; i < LANE_BLOCKS; ++i) {
            const i32 block = first + (i32)(i * WARP_SIZE + lane_id());
            weights[i] = block < visible ? weight_of(block) : FLOAT_NEG_INF;
            top = fmaxf(top, weights[i]);
        }
        // The floor keeps within reach of the row's largest weight. Each lane lowers what it has stored.
        top = warp_max(top);
        if (top - floor > FLOOR_REACH) {
            const float rise = floor_below(top) - floor;
            lower_codes(codes, lane_id(), (u32)first, WARP_SIZE, rise);
            sum *= exp2_approx(-rise);
            floor = floor_below(top);
        }
#pragma unroll
        for (u32 i = 0; i < LANE_BLOCKS; ++i) {
            const i32 block = first + (i32)(i * WARP_SIZE + lane_id());
            if (block < visible) codes[block] = code_of(weights[i] - floor);
            sum += exp2_approx(weights[i] - (floor + FLOOR_DEPTH));
        }
    }
    sum = warp_sum(sum);
    if (lane_id() > 0) return;
    p.lse[sequence * p.rows + row] = floor + FLOOR_DEPTH + log2_approx(sum);
    p.floors[sequence * p.rows + row] = floor;
}
