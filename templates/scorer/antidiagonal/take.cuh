// Scores of strided queries, the samples of rows of blocks. In an accumulator, a lane holds of each of its rows columns 2t and
// 2t + 1 (t = lane % 4) of every n-tile of eight strided keys, so a few lanes of a quad share a block, or some n-tiles do.
#define QUAD_LANES (SAMPLES_KV < 8 ? SAMPLES_KV / 2 : 4)
#define BLOCK_TILES (SAMPLES_KV < 8 ? 1 : SAMPLES_KV / 8)
// From a sum of products to a score in log2.
#define LOGIT_LOG2 (SCALE_LOG2 / STRIDE_KV)

// What a lane knows of a sample.
struct Sample {
    u16* codes;  // of its block 0
    i32 seen;    // strided keys that it sees
    bool stores; // whether its row of blocks exists
    float floor; // of its codes
    float sum;   // over the blocks that this lane stores, relative to FLOOR_DEPTH above the floor
};

template <class Params>
__device__ __forceinline__ Sample sample_begin(const Params& p, u64 sequence, u32 sample) {
    const u64 row = sequence * p.rows + sample / SAMPLES_Q;
    Sample s;
    s.codes = p.maxima + row * p.blocks * SAMPLES_Q + sample % SAMPLES_Q;
    s.seen = seen_samples(sequence_of(p), min((i32)sample, p.q_samples - 1), p.kv_samples);
    s.stores = sample < (u32)p.rows * SAMPLES_Q;
    s.floor = floor_below(MASKED_SCORE * SCALE_LOG2);
    s.sum = 0.0f;
    return s;
}

// Takes N n-tiles of scores that begin with the strided key `key`: `at` is where element e of the lane's two in n-tile j lies.
// Codes are those of blocks from `first_block` on; of lanes that share a block, the `turn`-th stores it.
template <u32 N, class At>
__device__ __forceinline__ void take_scores(Sample& sample, const At& at, i32 key, u32 first_block, u32 blocks, u32 turn) {
    const u32 t = lane_id() % 4;
    if (key + (i32)N * 8 > sample.seen) {
        const i32 left = sample.seen - key - (i32)t * 2;
#pragma unroll
        for (u32 i = 0; i < 2 * N; ++i)
            if ((i32)(i / 2 * 8 + i % 2) >= left) at(i / 2, i % 2) = FLOAT_NEG_INF;
    }
    // What each block's keys sum to, relative to the largest of them.
    float logs[N / BLOCK_TILES], top = FLOAT_NEG_INF;
#pragma unroll
    for (u32 b = 0; b < N / BLOCK_TILES; ++b) {
        float max = FLOAT_NEG_INF, sum = 0.0f;
#pragma unroll
        for (u32 j = b * BLOCK_TILES; j < (b + 1) * BLOCK_TILES; ++j) max = fmaxf(max, fmaxf(at(j, 0), at(j, 1)));
#pragma unroll
        for (u32 step = 1; step < QUAD_LANES; step *= 2) max = fmaxf(max, shfl_xor(max, step));
        const float shift = max == FLOAT_NEG_INF ? 0.0f : max * LOGIT_LOG2; // of a block that is not seen, the sum is 0
#pragma unroll
        for (u32 j = b * BLOCK_TILES; j < (b + 1) * BLOCK_TILES; ++j)
            sum += exp2_approx(fmaf(at(j, 0), LOGIT_LOG2, -shift)) + exp2_approx(fmaf(at(j, 1), LOGIT_LOG2, -shift));
#pragma unroll
        for (u32 step = 1; step < QUAD_LANES; step *= 2) sum += shfl_xor(sum, step);
        logs[b] = shift + log2_approx(sum);
        top = fmaxf(top, logs[b]);
    }
    // The floor keeps within reach of the sample's largest score.
    top = quad_max(top);
    const bool beyond = top - sample.floor > FLOOR_REACH;
    if (any_sync(beyond)) {
        const float rise = beyond ? floor_below(top) - sample.floor : 0.0f;
        sync_warp(); // other lanes stored some of the codes
        if (beyond && sample.stores) lower_codes(sample.codes, first_block + t, min((u32)key / SAMPLES_KV, blocks), 4, rise);
        sync_warp();
        if (beyond) sample.floor = floor_below(top);
        sample.sum *= exp2_approx(-rise);
    }
    if (t % QUAD_LANES != turn % QUAD_LANES) return;
#pragma unroll
    for (u32 b = 0; b < N / BLOCK_TILES; ++b) {
        const u32 block = ((u32)key + b * BLOCK_TILES * 8 + t * 2) / SAMPLES_KV;
        sample.sum += exp2_approx(logs[b] - (sample.floor + FLOOR_DEPTH));
        if (sample.stores && block < blocks) sample.codes[(u64)block * SAMPLES_Q] = code_of(logs[b] - sample.floor);
    }
}

// log2 of what the sample's keys sum to, by all lanes of its quad.
__device__ __forceinline__ float sample_lse(const Sample& sample) {
    return sample.floor + FLOOR_DEPTH + log2_approx(quad_sum(sample.sum));
}
