// Exact attention of a tile of query rows: the softmax runs along with the keys.

// CTA: TILE_HEADS query heads of one KV head × TILE_ROWS queries, WARP_ROWS of them to a warp; every tile of K and V
// is loaded once for all of them.
#define WARPS_PER_HEAD (TILE_ROWS / WARP_ROWS)
#define TILE_THREADS (TILE_HEADS * WARPS_PER_HEAD * WARP_SIZE)
#define ROW_TILES (BLOCK_Q / TILE_ROWS)
#define WARP_M (WARP_ROWS / 16)
#define TILE_N (TILE_KEYS / 8)
#define QUERY_BYTES (TILE_HEADS * TILE_ROWS * ROW_BYTES)
#define KEY_TILE_BYTES (TILE_KEYS * ROW_BYTES)

// What a warp carries from tile to tile. A lane's sums cover its own columns until the end.
struct Flash {
    float o[WARP_M][HEAD_DIM / 8][4];
    float max[WARP_M][2];
    float sum[WARP_M][2];
};

__device__ __forceinline__ void flash_start(Flash& flash) {
#pragma unroll
    for (u32 m = 0; m < WARP_M; ++m) {
#pragma unroll
        for (u32 n = 0; n < HEAD_DIM / 8; ++n)
            flash.o[m][n][0] = flash.o[m][n][1] = flash.o[m][n][2] = flash.o[m][n][3] = 0.0f;
        flash.max[m][0] = flash.max[m][1] = MASKED_SCORE;
        flash.sum[m][0] = flash.sum[m][1] = 0.0f;
    }
}

// Where a CTA stands. The last rows see the most keys: they come first. Heads of a KV head are neighbours, since
// they read the same keys.
struct Place {
    u32 row;         // of blocks
    i32 first_query; // of the CTA
    u32 first_head;  // of the CTA, within the KV head
};

__device__ __forceinline__ Place flash_place(u32 rows, u32 heads_per_kv) {
    const u32 packs = (heads_per_kv + TILE_HEADS - 1) / TILE_HEADS;
    const u32 tile = rows * ROW_TILES - 1 - blockIdx.x / packs;
    Place place;
    place.row = tile / ROW_TILES;
    place.first_query = (i32)(tile * TILE_ROWS);
    place.first_head = blockIdx.x % packs * TILE_HEADS;
    return place;
}

// Shared address of the keys of a stage; its values follow.
__device__ __forceinline__ u32 stage_address(u32 tile) {
    return smem_u32(smem) + QUERY_BYTES + tile % TILE_STAGES * (2 * KEY_TILE_BYTES);
}

// One tile of keys. `limit` is how many keys the lane's first row sees, and counts only if MASKED.
template <bool MASKED>
__device__ __forceinline__ void flash_step(Flash& flash,
//@if FLASH_HOLDS_QUERIES
                                           const u32 (&q)[WARP_M][ROW_STEPS][4],
//@else
                                           u32 q,
//@end
                                           u32 stage, i32 first_key, i32 limit) {
    float s[WARP_M][TILE_N][4];
    multiply_keys(s, q, lane_base_b(stage));
    if (MASKED) {
        i32 limits[WARP_M][2];
#pragma unroll
        for (u32 m = 0; m < WARP_M; ++m)
//@if CAUSAL
            limits[m][0] = limit + (i32)(m * 16), limits[m][1] = limits[m][0] + 8;
//@else
            limits[m][0] = limits[m][1] = limit;
//@end
        mask_keys(s, first_key, limits);
    }

    float factor[WARP_M][2];
    bool grew = false;
#pragma unroll
    for (u32 m = 0; m < WARP_M; ++m)
#pragma unroll
        for (u32 h = 0; h < 2; ++h) {
            float max = fmaxf(s[m][0][2 * h], s[m][0][2 * h + 1]);
#pragma unroll
            for (u32 n = 1; n < TILE_N; ++n) max = fmaxf(max, fmaxf(s[m][n][2 * h], s[m][n][2 * h + 1]));
            max = fmaxf(flash.max[m][h], quad_max(max));
            grew |= max > flash.max[m][h];
            factor[m][h] = exp2_approx((flash.max[m][h] - max) * SCALE_LOG2);
            flash.max[m][h] = max;
        }
    // Maxima settle early, and a factor of 1 is worth no multiplication.
    if (any_sync(grew)) {
#pragma unroll
        for (u32 m = 0; m < WARP_M; ++m) {
            flash.sum[m][0] *= factor[m][0];
            flash.sum[m][1] *= factor[m][1];
#pragma unroll
            for (u32 n = 0; n < HEAD_DIM / 8; ++n) {
                flash.o[m][n][0] *= factor[m][0];
                flash.o[m][n][1] *= factor[m][0];
                flash.o[m][n][2] *= factor[m][1];
                flash.o[m][n][3] *= factor[m][1];
            }
        }
    }

    // Accumulators of two neighbouring n-tiles are the A operand of one step over 16 keys.
    u32 p[WARP_M][TILE_KEYS / 16][4];
#pragma unroll
    for (u32 m = 0; m < WARP_M; ++m) {
        const float shift[2] = {flash.max[m][0] * SCALE_LOG2, flash.max[m][1] * SCALE_LOG2};
#pragma unroll
        for (u32 n = 0; n < TILE_N; ++n)
#pragma unroll
            for (u32 h = 0; h < 2; ++h) {
                const float a = exp2_approx(fmaf(s[m][n][2 * h], SCALE_LOG2, -shift[h]));
                const float b = exp2_approx(fmaf(s[m][n][2 * h + 1], SCALE_LOG2, -shift[h]));
                flash.sum[m][h] += a + b;
                p[m][n / 2][n % 2 * 2 + h] = pack2(a, b);
            }
    }

    const u32 v_base = lane_base_a(stage + KEY_TILE_BYTES);
#pragma unroll
    for (u32 step = 0; step < TILE_KEYS / 16; ++step)
#pragma unroll
        for (u32 n = 0; n < HEAD_DIM / 16; ++n) {
            u32 b[4];
            ldmatrix_x4_trans(b, fragment_at(v_base, n) + step * 16 * ROW_BYTES);
#pragma unroll
            for (u32 m = 0; m < WARP_M; ++m) {
                mma_m16n8k16(flash.o[m][2 * n], p[m][step], b[0], b[1]);
                mma_m16n8k16(flash.o[m][2 * n + 1], p[m][step], b[2], b[3]);
            }
        }
}

// Divides by the sums and stores the warp's first `tokens` rows, 16 bytes at a time. `tile` held the warp's queries.
__device__ __forceinline__ void flash_store(const Flash& flash, u32 tile, Elem* out, i64 stride, i32 tokens) {
    const u32 g = lane_id() / 4, t = lane_id() % 4;
    sync_warp();
#pragma unroll
    for (u32 m = 0; m < WARP_M; ++m)
#pragma unroll
        for (u32 h = 0; h < 2; ++h) {
            const float inverse = rcp_approx(quad_sum(flash.sum[m][h]));
            const u32 row = m * 16 + h * 8 + g;
#pragma unroll
            for (u32 n = 0; n < HEAD_DIM / 8; ++n)
                st_shared_u32(tile + chunk_offset(row, n) + t * 4,
                              pack2(flash.o[m][n][2 * h] * inverse, flash.o[m][n][2 * h + 1] * inverse));
        }
    sync_warp();
#pragma unroll
    for (u32 i = lane_id(); i < WARP_ROWS * ROW_CHUNKS; i += WARP_SIZE) {
        const u32 row = i / ROW_CHUNKS, chunk = i % ROW_CHUNKS;
        if ((i32)row < tokens) st_global_v4(out + row * stride + chunk * 8, ld_shared_v4(tile + chunk_offset(row, chunk)));
    }
}
