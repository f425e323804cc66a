// score: how far a block is from the row's own one, a code of `maxima` for each block of distance. A warp has a row, which has
// one sample; what normalises it is the sum over the blocks.

//@kernel score
{
    const u32 group = blockIdx.x, batch = blockIdx.z;
    const u64 sequence = (u64)batch * p.groups + group;
    // The last rows see the most blocks: they come first.
    const i32 row = (i32)((gridDim.y - 1 - blockIdx.y) * (NEAREST_THREADS / WARP_SIZE) + warp_id());
    if (row >= p.rows) return;
    const Sequence here = sequence_of(p);
    const i32 visible = (i32)row_blocks(here, (u32)row, (u32)p.blocks).visible;
    // The block of the row's last query. More queries than keys stand at keys from the first on.
    const i32 last = min((row + 1) * BLOCK_Q, p.q_len) - 1;
    const i32 own = min(max(here.offset, 0) + last, p.kv_len - 1) / BLOCK_KV;

    u16* codes = p.maxima + (sequence * p.rows + row) * p.blocks;
    const float floor = floor_below(0.0f); // the own block's score is 0
    float sum = 0.0f;
    for (i32 block = (i32)lane_id(); block < visible; block += WARP_SIZE) {
        const float score = (float)(block < own ? block - own : own - block) * (1.0f / CODES_PER_LOG2);
        codes[block] = code_of(score - floor);
        sum += exp2_approx(score);
    }
    sum = warp_sum(sum);
    if (lane_id() > 0) return;
    p.lse[sequence * p.rows + row] = log2_approx(sum);
    p.floors[sequence * p.rows + row] = floor;
}
