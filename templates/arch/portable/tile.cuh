// Tiles in shared memory: rows of HEAD_DIM elements in chunks of 16 bytes. The chunks of a row are permuted by its
// number, so that the eight rows of an ldmatrix matrix lie on different banks.

#define ROW_BYTES (HEAD_DIM * 2)
#define ROW_CHUNKS (HEAD_DIM / 8)
// Steps of 16 elements along a row: the depth of one mma.
#define ROW_STEPS (HEAD_DIM / 16)
//@if ROW_OF_96
// 192-byte rows already alternate between the halves of the banks; a permutation of four chunks does the rest.
#define SWIZZLE_CHUNKS 4
#define SWIZZLE_KEY(row) ((row) / 2 % 4)
//@else
#define SWIZZLE_CHUNKS 8
#define SWIZZLE_KEY(row) ((row) % 8)
//@end
// A score that no query sees. Finite, so that the difference of two is no NaN, and a power of two, so that its
// product with a scale is exact: a row that has seen nothing yet sums 2^0 and not 2^(rounding error of 1e30).
//@if UNUSUAL_SCALE
// Here the scale asks for another one than -0x1p100f: it is among the constants.
//@else
#define MASKED_SCORE (-0x1p100f)
//@end

extern __shared__ __align__(128) u8 smem[];

// Byte offset of a chunk in a tile.
__device__ __forceinline__ u32 chunk_offset(u32 row, u32 chunk) {
    return row * ROW_BYTES + (chunk ^ SWIZZLE_KEY(row)) * 16;
}

// Address that a lane hands to ldmatrix for step 0; `fragment_at` moves it along the row.
__device__ __forceinline__ u32 fragment_base(u32 tile, u32 row, u32 half) { return tile + chunk_offset(row, half); }
__device__ __forceinline__ u32 fragment_at(u32 base, u32 step) {
    const u32 span = SWIZZLE_CHUNKS / 2;
    return (base ^ step % span * 32) + step / span * (SWIZZLE_CHUNKS * 16);
}

// The four matrices of an ldmatrix_x4 in the order of an mma's A operand (and of V, transposed, as B) ...
__device__ __forceinline__ u32 lane_base_a(u32 tile) { return fragment_base(tile, lane_id() % 16, lane_id() / 16); }
// ... and of B operands for 16 keys whose rows lie along the depth.
__device__ __forceinline__ u32 lane_base_b(u32 tile) {
    return fragment_base(tile, lane_id() % 8 + lane_id() / 16 * 8, lane_id() / 8 % 2);
}

// Where the rows of one head lie: `count` of them, `stride` elements apart. Tensors are read through this alone.
struct HeadRows {
    const Elem* base;
    i64 stride;
    i32 count;
};

// Starts copying ROWS rows from `first` on; rows past the last become zeros. Of these nothing is read: their address is only
// a valid one.
template <u32 ROWS, u32 THREADS>
__device__ __forceinline__ void copy_rows(u32 tile, const HeadRows& rows, i32 first) {
    const Elem* base = rows.base;
    const i64 stride = rows.stride;
    const i32 end = rows.count;
//@if ROW_OF_96
    const u32 chunks = ROWS * ROW_CHUNKS;
#pragma unroll
    for (u32 n = 0; n < (chunks + THREADS - 1) / THREADS; ++n) {
        const u32 i = threadIdx.x + n * THREADS;
        if (chunks % THREADS == 0 || i < chunks) {
            const u32 row = i / ROW_CHUNKS, chunk = i % ROW_CHUNKS;
            const i32 token = first + (i32)row;
            cp_async_16(tile + chunk_offset(row, chunk), base + (token < end ? token : 0) * stride + chunk * 8,
                        token < end ? 16 : 0);
        }
    }
//@else
    // A thread copies the same chunk of every HOP-th row.
    const u32 HOP = THREADS / ROW_CHUNKS;
    const u32 row0 = threadIdx.x / ROW_CHUNKS, chunk = threadIdx.x % ROW_CHUNKS;
    const Elem* src = base + (first + (i32)row0) * stride + chunk * 8;
    const i32 left = end - first - (i32)row0;
#pragma unroll
    for (u32 row = 0; row < ROWS; row += HOP) {
        if (ROWS % HOP == 0 || row0 + row < ROWS)
            cp_async_16(tile + chunk_offset(row0 + row, chunk), (i32)row < left ? src : base, (i32)row < left ? 16 : 0);
        src += HOP * stride;
    }
//@end
}

//@if QUERIES_HELD
// Loads the A fragments of M·16 rows into registers.
template <u32 M>
__device__ __forceinline__ void hold_queries(u32 (&q)[M][ROW_STEPS][4], u32 q_base) {
#pragma unroll
    for (u32 m = 0; m < M; ++m)
#pragma unroll
        for (u32 step = 0; step < ROW_STEPS; ++step)
            ldmatrix_x4(q[m][step], fragment_at(q_base, step) + m * 16 * ROW_BYTES);
}

// s = Q·Kᵀ for M·16 rows held in registers and N·8 keys.
template <u32 M, u32 N>
__device__ __forceinline__ void multiply_keys(float (&s)[M][N][4], const u32 (&q)[M][ROW_STEPS][4], u32 k_base) {
#pragma unroll
    for (u32 m = 0; m < M; ++m)
#pragma unroll
        for (u32 n = 0; n < N; ++n) s[m][n][0] = s[m][n][1] = s[m][n][2] = s[m][n][3] = 0.0f;
#pragma unroll
    for (u32 step = 0; step < ROW_STEPS; ++step)
#pragma unroll
        for (u32 n = 0; n < N; n += 2) {
            u32 b[4];
            ldmatrix_x4(b, fragment_at(k_base, step) + n * 8 * ROW_BYTES);
#pragma unroll
            for (u32 m = 0; m < M; ++m) {
                mma_m16n8k16(s[m][n], q[m][step], b[0], b[1]);
                mma_m16n8k16(s[m][n + 1], q[m][step], b[2], b[3]);
            }
        }
}
//@end
//@if QUERIES_IN_SHARED
// s = Q·Kᵀ for M·16 rows and N·8 keys. The rows stay in shared memory: registers are taken by the output.
template <u32 M, u32 N>
__device__ __forceinline__ void multiply_keys(float (&s)[M][N][4], u32 q_base, u32 k_base) {
#pragma unroll
    for (u32 m = 0; m < M; ++m)
#pragma unroll
        for (u32 n = 0; n < N; ++n) s[m][n][0] = s[m][n][1] = s[m][n][2] = s[m][n][3] = 0.0f;
#pragma unroll
    for (u32 step = 0; step < ROW_STEPS; ++step) {
        u32 q[M][4];
#pragma unroll
        for (u32 m = 0; m < M; ++m) ldmatrix_x4(q[m], fragment_at(q_base, step) + m * 16 * ROW_BYTES);
#pragma unroll
        for (u32 n = 0; n < N; n += 2) {
            u32 b[4];
            ldmatrix_x4(b, fragment_at(k_base, step) + n * 8 * ROW_BYTES);
#pragma unroll
            for (u32 m = 0; m < M; ++m) {
                mma_m16n8k16(s[m][n], q[m], b[0], b[1]);
                mma_m16n8k16(s[m][n + 1], q[m], b[2], b[3]);
            }
        }
    }
}
//@end

// Hides from each row the keys from its limit on. In an accumulator a lane holds rows g and g + 8 (g = lane / 4) of
// each 16, at columns 2t and 2t + 1 (t = lane % 4): limits[m][0] is for row g, limits[m][1] for row g + 8.
template <u32 M, u32 N>
__device__ __forceinline__ void mask_keys(float (&s)[M][N][4], i32 first_key, const i32 (&limits)[M][2],
                                          float masked = MASKED_SCORE) {
    const i32 first = first_key + (i32)(lane_id() % 4) * 2;
#pragma unroll
    for (u32 m = 0; m < M; ++m)
#pragma unroll
        for (u32 n = 0; n < N; ++n)
#pragma unroll
            for (u32 e = 0; e < 4; ++e)
                if (first + (i32)(n * 8 + e % 2) >= limits[m][e / 2]) s[m][n][e] = masked;
}
