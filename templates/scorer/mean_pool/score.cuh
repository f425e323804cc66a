// score: the mean queries of MEAN_ROWS_TILE rows of blocks against the mean keys of every block that they see. A row has one
// sample, whose score in a block is the product of the two means; what normalises it is the sum over the blocks.
//
// Tensor cores multiply means as sums of two bf16, an upper and a lower part: all products but that of two lower parts, which
// is less than what f32 rounds off in a sum of HEAD_DIM products. A warp has 16 rows, and a lane two of them, with 2 of
// every 8 blocks.
#define MEAN_TILES (MEAN_BLOCKS_TILE / 8)

// Tiles of `vectors` means: the upper parts, and the lower parts behind them.
__device__ __forceinline__ u32 lower_parts(u32 tile, u32 vectors) { return tile + vectors * ROW_BYTES; }

// WIDTH vectors from `first` on, of which there are `count`: each thread's part, on its way.
#define MEAN_CHUNKS(WIDTH) (((WIDTH) * ROW_CHUNKS + MEAN_SCORE_THREADS - 1) / MEAN_SCORE_THREADS)
template <u32 WIDTH>
__device__ __forceinline__ void load_means(u32x4 (&part)[MEAN_CHUNKS(WIDTH)][2], const float* means, i32 first, i32 count) {
#pragma unroll
    for (u32 i = 0; i < MEAN_CHUNKS(WIDTH); ++i) {
        const u32 at = min(threadIdx.x + i * MEAN_SCORE_THREADS, WIDTH * ROW_CHUNKS - 1);
        const float* eight =
            means + (u64)min(first + (i32)(at / ROW_CHUNKS), count - 1) * HEAD_DIM + at % ROW_CHUNKS * 8;
        part[i][0] = ld_global_nc_v4(eight);
        part[i][1] = ld_global_nc_v4(eight + 4);
    }
}

// Two numbers as pairs of their upper parts and of their lower parts.
__device__ __forceinline__ void split2(u32 left, u32 right, u32& upper, u32& lower) {
    upper = pack2_bf16(__uint_as_float(left), __uint_as_float(right));
    lower = pack2_bf16(__uint_as_float(left) - __uint_as_float(upper << 16),
                       __uint_as_float(right) - __uint_as_float(upper & 0xffff0000u));
}
template <u32 WIDTH>
__device__ __forceinline__ void store_means(u32 tile, const u32x4 (&part)[MEAN_CHUNKS(WIDTH)][2]) {
#pragma unroll
    for (u32 i = 0; i < MEAN_CHUNKS(WIDTH); ++i) {
        const u32 at = threadIdx.x + i * MEAN_SCORE_THREADS;
        if (WIDTH * ROW_CHUNKS % MEAN_SCORE_THREADS != 0 && at >= WIDTH * ROW_CHUNKS) break;
        const u32x4 first = part[i][0], second = part[i][1];
        u32x4 upper, lower;
        split2(first.x, first.y, upper.x, lower.x);
        split2(first.z, first.w, upper.y, lower.y);
        split2(second.x, second.y, upper.z, lower.z);
        split2(second.z, second.w, upper.w, lower.w);
        const u32 offset = chunk_offset(at / ROW_CHUNKS, at % ROW_CHUNKS);
        st_shared_v4(tile + offset, upper);
        st_shared_v4(lower_parts(tile, WIDTH) + offset, lower);
    }
}

// s = the products of a warp's rows with the blocks of a tile.
__device__ __forceinline__ void multiply_means(float (&s)[MEAN_TILES][4], u32 queries, u32 keys) {
#pragma unroll
    for (u32 n = 0; n < MEAN_TILES; ++n) s[n][0] = s[n][1] = s[n][2] = s[n][3] = 0.0f;
    const u32 rows = lane_base_a(queries + warp_id() * 16 * ROW_BYTES), blocks = lane_base_b(keys);
#pragma unroll
    for (u32 step = 0; step < ROW_STEPS; ++step) {
        u32 upper[4], lower[4];
        ldmatrix_x4(upper, fragment_at(rows, step));
        ldmatrix_x4(lower, lower_parts(fragment_at(rows, step), MEAN_ROWS_TILE));
#pragma unroll
        for (u32 n = 0; n < MEAN_TILES; n += 2) {
            u32 b_upper[4], b_lower[4];
            const u32 at = fragment_at(blocks, step) + n * 8 * ROW_BYTES;
            ldmatrix_x4(b_upper, at);
            ldmatrix_x4(b_lower, lower_parts(at, MEAN_BLOCKS_TILE));
#pragma unroll
            for (u32 half = 0; half < 2; ++half) {
                mma_m16n8k16_bf16(s[n + half], lower, b_upper[2 * half], b_upper[2 * half + 1]);
                mma_m16n8k16_bf16(s[n + half], upper, b_lower[2 * half], b_lower[2 * half + 1]);
                mma_m16n8k16_bf16(s[n + half], upper, b_upper[2 * half], b_upper[2 * half + 1]);
            }
        }
    }
}

//@kernel score
{
    const u32 group = blockIdx.x, batch = blockIdx.z;
    const u64 sequence = (u64)batch * p.groups + group;
    // The last rows see the most blocks: they come first.
    const i32 first_row = (i32)(gridDim.y - 1 - blockIdx.y) * MEAN_ROWS_TILE;
    const u32 queries = smem_u32(smem), keys = queries + MEAN_ROWS_TILE * 2 * ROW_BYTES;
    const float* mean_k = p.mean_k + sequence * p.blocks * HEAD_DIM;
    const Sequence here = sequence_of(p);
    const u32 own_row = warp_id() * 16 + lane_id() / 4, own_block = lane_id() % 4 * 2;
    {
        u32x4 part[MEAN_CHUNKS(MEAN_ROWS_TILE)][2];
        load_means<MEAN_ROWS_TILE>(part, p.mean_q + sequence * p.rows * HEAD_DIM, first_row, p.rows);
        store_means<MEAN_ROWS_TILE>(queries, part);
    }
    auto visible = [&](i32 row) -> i32 { return (i32)row_blocks(here, (u32)min(row, p.rows - 1), (u32)p.blocks).visible; };
    const i32 seen = visible(first_row + MEAN_ROWS_TILE - 1);
    i32 limits[2];
    u16* codes[2]; // of a row's blocks
    const float lowest = floor_below(MASKED_SCORE * SCALE_LOG2);
    float floor[2], sums[2]; // sums are relative to FLOOR_DEPTH above the floor, over the blocks of this lane
#pragma unroll
    for (u32 i = 0; i < 2; ++i) {
        const i32 row = first_row + (i32)(own_row + 8 * i);
        limits[i] = row < p.rows ? visible(row) : 0;
        codes[i] = p.maxima + (sequence * p.rows + row) * p.blocks;
        floor[i] = lowest;
        sums[i] = 0.0f;
    }

    u32x4 part[MEAN_CHUNKS(MEAN_BLOCKS_TILE)][2];
    load_means<MEAN_BLOCKS_TILE>(part, mean_k, 0, p.blocks);
    for (i32 first = 0; first < seen; first += MEAN_BLOCKS_TILE) {
        sync_threads(); // the tile before has been read
        store_means<MEAN_BLOCKS_TILE>(keys, part);
        sync_threads();
        if (first + MEAN_BLOCKS_TILE < seen) load_means<MEAN_BLOCKS_TILE>(part, mean_k, first + MEAN_BLOCKS_TILE, p.blocks);
        float s[MEAN_TILES][4];
        multiply_means(s, queries, keys);
#pragma unroll
        for (u32 i = 0; i < 2; ++i) {
            float top = FLOAT_NEG_INF;
#pragma unroll
            for (u32 n = 0; n < MEAN_TILES; ++n)
#pragma unroll
                for (u32 e = 0; e < 2; ++e) {
                    float& score = s[n][2 * i + e];
                    const bool sees = first + (i32)(n * 8 + own_block + e) < limits[i];
                    score = sees ? score * SCALE_LOG2 : FLOAT_NEG_INF;
                    top = fmaxf(top, score);
                }
            top = quad_max(top);
            // The floor keeps within reach of the row's largest score.
            const bool beyond = top - floor[i] > FLOOR_REACH;
            if (any_sync(beyond)) {
                const float rise = beyond ? floor_below(top) - floor[i] : 0.0f;
                sync_warp(); // other lanes stored some of the codes
                if (beyond) lower_codes(codes[i], lane_id() % 4, (u32)first, 4, rise);
                sync_warp();
                if (beyond) floor[i] = floor_below(top);
                sums[i] *= exp2_approx(-rise);
            }
#pragma unroll
            for (u32 n = 0; n < MEAN_TILES; ++n)
#pragma unroll
                for (u32 e = 0; e < 2; ++e) {
                    const i32 block = first + (i32)(n * 8 + own_block + e);
                    if (block < limits[i]) codes[i][block] = code_of(s[n][2 * i + e] - floor[i]);
                    sums[i] += exp2_approx(s[n][2 * i + e] - (floor[i] + FLOOR_DEPTH));
                }
        }
    }
#pragma unroll
    for (u32 i = 0; i < 2; ++i) {
        const float sum = quad_sum(sums[i]);
        const u64 row = (u64)first_row + own_row + 8 * i;
        if (own_block == 0 && row < (u64)p.rows) {
            p.lse[sequence * p.rows + row] = floor[i] + FLOOR_DEPTH + log2_approx(sum);
            p.floors[sequence * p.rows + row] = floor[i];
        }
    }
}
