// score: the mean queries of MEAN_ROWS_TILE rows of blocks against the mean keys of every block that they see. A row has one
// sample, whose score in a block is the product of the two means; what normalises it is the sum over the blocks.
//
// Products are those of f32, in steps of MEAN_STEP dims. A thread has 4 rows and 4 blocks of a tile of MEAN_BLOCKS_TILE
// blocks, and half a warp has all blocks of its rows.

// Where an element of a tile lies, in floats: `width` vectors of a dim side by side, so permuted that the eight lanes that
// store one vector's dims meet in no bank. Four vectors stay together.
__device__ __forceinline__ u32 mean_at(u32 width, u32 dim, u32 vector) { return dim * width + (vector ^ dim / 4 % 8 * 4); }

// A step of WIDTH vectors from `first` on, of which there are `count`: each thread's part, on its way.
#define STEP_LOADS(WIDTH) ((WIDTH) * MEAN_STEP / 4 / MEAN_SCORE_THREADS)
template <u32 WIDTH>
__device__ __forceinline__ void load_step(u32x4 (&part)[STEP_LOADS(WIDTH)], const float* means, i32 first, i32 count, u32 dim) {
#pragma unroll
    for (u32 i = 0; i < STEP_LOADS(WIDTH); ++i) {
        const u32 at = threadIdx.x + i * MEAN_SCORE_THREADS, vector = at / (MEAN_STEP / 4), chunk = at % (MEAN_STEP / 4);
        part[i] = ld_global_nc_v4(means + (u64)min(first + (i32)vector, count - 1) * HEAD_DIM + dim + chunk * 4);
    }
}
template <u32 WIDTH>
__device__ __forceinline__ void store_step(u32 tile, const u32x4 (&part)[STEP_LOADS(WIDTH)], u32 dim) {
#pragma unroll
    for (u32 i = 0; i < STEP_LOADS(WIDTH); ++i) {
        const u32 at = threadIdx.x + i * MEAN_SCORE_THREADS, vector = at / (MEAN_STEP / 4), chunk = at % (MEAN_STEP / 4);
        const u32 four[4] = {part[i].x, part[i].y, part[i].z, part[i].w};
#pragma unroll
        for (u32 e = 0; e < 4; ++e) st_shared_u32(tile + mean_at(WIDTH, dim + chunk * 4 + e, vector) * 4, four[e]);
    }
}

// The largest value, or the sum, of the 16 lanes that have a row.
__device__ __forceinline__ float row_max(float v) {
#pragma unroll
    for (u32 step = 8; step > 0; step /= 2) v = fmaxf(v, shfl_xor(v, step));
    return v;
}
__device__ __forceinline__ float row_sum(float v) {
#pragma unroll
    for (u32 step = 8; step > 0; step /= 2) v += shfl_xor(v, step);
    return v;
}

//@kernel score
{
    const u32 group = blockIdx.x, batch = blockIdx.z;
    const u64 sequence = (u64)batch * p.groups + group;
    // The last rows see the most blocks: they come first.
    const i32 first_row = (i32)(gridDim.y - 1 - blockIdx.y) * MEAN_ROWS_TILE;
    const u32 queries = smem_u32(smem), keys = queries + MEAN_ROWS_TILE * HEAD_DIM * 4;
    const float* mean_q = p.mean_q + sequence * p.rows * HEAD_DIM;
    const float* mean_k = p.mean_k + sequence * p.blocks * HEAD_DIM;
    const Sequence here = sequence_of(p);
    const u32 own_row = threadIdx.x / 16 * 4, own_block = threadIdx.x % 16 * 4;

    for (u32 dim = 0; dim < HEAD_DIM; dim += MEAN_STEP) {
        u32x4 part[STEP_LOADS(MEAN_ROWS_TILE)];
        load_step<MEAN_ROWS_TILE>(part, mean_q, first_row, p.rows, dim);
        store_step<MEAN_ROWS_TILE>(queries, part, dim);
    }
    auto visible = [&](i32 row) -> i32 { return (i32)row_blocks(here, (u32)min(row, p.rows - 1), (u32)p.blocks).visible; };
    const i32 seen = visible(first_row + MEAN_ROWS_TILE - 1);
    i32 limits[4];
    u16* codes[4]; // of a row's blocks
    const float lowest = floor_below(MASKED_SCORE * SCALE_LOG2);
    float floor[4], sums[4]; // sums are relative to FLOOR_DEPTH above the floor, over the blocks of this thread
#pragma unroll
    for (u32 i = 0; i < 4; ++i) {
        const i32 row = first_row + (i32)(own_row + i);
        limits[i] = row < p.rows ? visible(row) : 0;
        codes[i] = p.maxima + (sequence * p.rows + row) * p.blocks;
        floor[i] = lowest;
        sums[i] = 0.0f;
    }

    u32x4 part[STEP_LOADS(MEAN_BLOCKS_TILE)];
    load_step<MEAN_BLOCKS_TILE>(part, mean_k, 0, p.blocks, 0);
    for (i32 first = 0; first < seen; first += MEAN_BLOCKS_TILE) {
        float s[4][4];
#pragma unroll
        for (u32 i = 0; i < 16; ++i) s[i / 4][i % 4] = 0.0f;
        for (u32 dim = 0; dim < HEAD_DIM; dim += MEAN_STEP) {
            sync_threads(); // the step before has been read
            store_step<MEAN_BLOCKS_TILE>(keys, part, 0);
            sync_threads();
            if (dim + MEAN_STEP < HEAD_DIM) load_step<MEAN_BLOCKS_TILE>(part, mean_k, first, p.blocks, dim + MEAN_STEP);
            else if (first + MEAN_BLOCKS_TILE < seen)
                load_step<MEAN_BLOCKS_TILE>(part, mean_k, first + MEAN_BLOCKS_TILE, p.blocks, 0);
#pragma unroll 8
            for (u32 d = 0; d < MEAN_STEP; ++d) {
                const u32x4 q = ld_shared_v4(queries + mean_at(MEAN_ROWS_TILE, dim + d, own_row) * 4);
                const u32x4 k = ld_shared_v4(keys + mean_at(MEAN_BLOCKS_TILE, d, own_block) * 4);
                const u32 rows[4] = {q.x, q.y, q.z, q.w}, blocks[4] = {k.x, k.y, k.z, k.w};
#pragma unroll
                for (u32 i = 0; i < 16; ++i)
                    s[i / 4][i % 4] = fmaf(__uint_as_float(rows[i / 4]), __uint_as_float(blocks[i % 4]), s[i / 4][i % 4]);
            }
        }
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            float top = FLOAT_NEG_INF;
#pragma unroll
            for (u32 b = 0; b < 4; ++b) {
                const bool sees = first + (i32)(own_block + b) < limits[i];
                s[i][b] = sees ? s[i][b] * SCALE_LOG2 : FLOAT_NEG_INF;
                top = fmaxf(top, s[i][b]);
            }
            top = row_max(top);
            // The floor keeps within reach of the row's largest score.
            const bool beyond = top - floor[i] > FLOOR_REACH;
            if (any_sync(beyond)) {
                const float rise = beyond ? floor_below(top) - floor[i] : 0.0f;
                sync_warp(); // other lanes stored some of the codes
                if (beyond) lower_codes(codes[i], threadIdx.x % 16, (u32)first, 16, rise);
                sync_warp();
                if (beyond) floor[i] = floor_below(top);
                sums[i] *= exp2_approx(-rise);
            }
#pragma unroll
            for (u32 b = 0; b < 4; ++b) {
                const i32 block = first + (i32)(own_block + b);
                if (block < limits[i]) codes[i][block] = code_of(s[i][b] - floor[i]);
                sums[i] += exp2_approx(s[i][b] - (floor[i] + FLOOR_DEPTH));
            }
        }
    }
#pragma unroll
    for (u32 i = 0; i < 4; ++i) {
        const float sum = row_sum(sums[i]);
        const u64 row = (u64)first_row + own_row + i;
        if (own_block == 0 && row < (u64)p.rows) {
            p.lse[sequence * p.rows + row] = floor[i] + FLOOR_DEPTH + log2_approx(sum);
            p.floors[sequence * p.rows + row] = floor[i];
        }
    }
}
