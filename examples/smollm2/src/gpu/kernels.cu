// What a Llama's forward pass needs beside matrix products and attention. Every kernel is one-dimensional, of CTAs of
// THREADS; a warp has a row, or a thread a few neighbouring elements. No shared memory, no header.
//
// The compiler's options say what the model is: HIDDEN, HEADS, KV_HEADS, HEAD_DIM, INTERMEDIATE, VOCAB, EPS; and THREADS.

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// Two neighbouring elements.
struct alignas(8) Floats {
    float x, y;
};
// Four neighbouring bf16.
struct alignas(8) Quad {
    u32 low, high;
};

#define KERNEL extern "C" __global__ void __launch_bounds__(THREADS)
#define ALL_HEADS (HEADS + 2 * KV_HEADS)
#define NONE 0xffffffffu

static_assert(THREADS % 32 == 0, "whole warps");
static_assert(HIDDEN % 2 == 0 && HEAD_DIM % 4 == 0 && INTERMEDIATE % 4 == 0, "elements move in pairs and fours");

// Of a pair in one word, the first element is in the lower half. bf16 is the upper half of an f32.
__device__ __forceinline__ float first_of(u32 pair) { return __uint_as_float(pair << 16); }
__device__ __forceinline__ float second_of(u32 pair) { return __uint_as_float(pair & 0xffff0000u); }

// f32 -> bf16, to nearest even; a NaN stays one.
__device__ __forceinline__ u32 round_bf16(float v) {
    const u32 bits = __float_as_uint(v);
    return v == v ? (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16 : bits >> 16 | 0x40u;
}
__device__ __forceinline__ u32 pair_of(float first, float second) {
    return round_bf16(first) | round_bf16(second) << 16;
}

// The row of this warp, and the element of this thread.
__device__ __forceinline__ u32 warp_row() { return blockIdx.x * (THREADS / 32) + threadIdx.x / 32; }
__device__ __forceinline__ u32 lane() { return threadIdx.x % 32; }
__device__ __forceinline__ u32 element() { return blockIdx.x * THREADS + threadIdx.x; }

// x[r] = table[tokens[r]]: x f32 [rows, HIDDEN], table bf16 [VOCAB, HIDDEN]. A warp has a row.
KERNEL embed(const u32* tokens, const u16* table, float* x, u32 rows) {
    const u32 row = warp_row();
    if (row >= rows) return;
    const u32* from = (const u32*)(table + (u64)tokens[row] * HIDDEN);
    Floats* to = (Floats*)(x + (u64)row * HIDDEN);
    for (u32 i = lane(); i < HIDDEN / 2; i += 32) to[i] = {first_of(from[i]), second_of(from[i])};
}

// out[r] = x[r] / rms(x[r]) * weight: x f32 and out bf16 [rows, HIDDEN], weight f32 [HIDDEN]. A warp has a row.
KERNEL rms_norm(const float* x, const float* weight, u16* out, u32 rows) {
    const u32 row = warp_row();
    if (row >= rows) return;
    const Floats* from = (const Floats*)(x + (u64)row * HIDDEN);
    const Floats* by = (const Floats*)weight;
    u32* to = (u32*)(out + (u64)row * HIDDEN);
    float sum = 0.0f;
    for (u32 i = lane(); i < HIDDEN / 2; i += 32) sum += from[i].x * from[i].x + from[i].y * from[i].y;
    for (u32 step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    const float scale = rsqrtf(sum / HIDDEN + EPS);
    for (u32 i = lane(); i < HIDDEN / 2; i += 32)
        to[i] = pair_of(from[i].x * scale * by[i].x, from[i].y * scale * by[i].y);
}

// Turns queries where they are, and keys on their way into the cache, where values go as they are. Row r is the token at
// position first + r.
//   qkv      bf16 [rows, HEADS + 2 KV_HEADS, HEAD_DIM]: queries, keys, values
//   turns    f32 [capacity, HEAD_DIM / 2, 2]: cosine and sine; pair i is elements i and i + HEAD_DIM / 2
//   k, v     bf16 [KV_HEADS, capacity, HEAD_DIM]
// A thread has two neighbouring pairs of one head.
KERNEL rotate(u16* qkv, const float* turns, u16* k, u16* v, u32 rows, u32 first, u32 capacity) {
    const u32 at = element() % (HEAD_DIM / 4) * 2, row_head = element() / (HEAD_DIM / 4);
    const u32 head = row_head % ALL_HEADS, row = row_head / ALL_HEADS;
    if (row >= rows) return;
    const u32 position = first + row;
    u16* from = qkv + (u64)row_head * HEAD_DIM;
    u32 low = *(const u32*)(from + at), high = *(const u32*)(from + HEAD_DIM / 2 + at);
    if (head < HEADS + KV_HEADS) {
        const Floats* turn = (const Floats*)turns + (u64)position * (HEAD_DIM / 2) + at;
        const float a0 = first_of(low), a1 = second_of(low), b0 = first_of(high), b1 = second_of(high);
        low = pair_of(a0 * turn[0].x - b0 * turn[0].y, a1 * turn[1].x - b1 * turn[1].y);
        high = pair_of(b0 * turn[0].x + a0 * turn[0].y, b1 * turn[1].x + a1 * turn[1].y);
    }
    u16* to = from;
    if (head >= HEADS + KV_HEADS)
        to = v + ((u64)(head - HEADS - KV_HEADS) * capacity + position) * HEAD_DIM;
    else if (head >= HEADS)
        to = k + ((u64)(head - HEADS) * capacity + position) * HEAD_DIM;
    *(u32*)(to + at) = low;
    *(u32*)(to + HEAD_DIM / 2 + at) = high;
}

__device__ __forceinline__ float silu(float v) { return v / (1.0f + expf(-v)); }
__device__ __forceinline__ u32 silu_pair(u32 gate, u32 up) {
    return pair_of(silu(first_of(gate)) * first_of(up), silu(second_of(gate)) * second_of(up));
}

// out[r] = silu(gate[r]) * up[r]: gate_up bf16 [rows, 2, INTERMEDIATE], out bf16 [rows, INTERMEDIATE]. A thread has four.
KERNEL silu_mul(const u16* gate_up, u16* out, u32 rows) {
    const u32 at = element() % (INTERMEDIATE / 4), row = element() / (INTERMEDIATE / 4);
    if (row >= rows) return;
    const Quad* from = (const Quad*)(gate_up + (u64)row * 2 * INTERMEDIATE) + at;
    const Quad gate = from[0], up = from[INTERMEDIATE / 4];
    ((Quad*)(out + (u64)row * INTERMEDIATE))[at] = {silu_pair(gate.low, up.low), silu_pair(gate.high, up.high)};
}

// next[r]: where logits[r], f32 [rows, VOCAB], is largest; of equals the lowest, and NONE where nothing is above -inf,
// as among NaN. A warp has a row.
KERNEL argmax(const float* logits, u32* next, u32 rows) {
    const u32 row = warp_row();
    if (row >= rows) return;
    const float* from = logits + (u64)row * VOCAB;
    float best = __uint_as_float(0xff800000u);
    u32 at = NONE;
    for (u32 i = lane(); i < VOCAB; i += 32)
        if (from[i] > best) {
            best = from[i];
            at = i;
        }
    for (u32 step = 16; step > 0; step /= 2) {
        const float other = __shfl_xor_sync(0xffffffffu, best, step);
        const u32 there = __shfl_xor_sync(0xffffffffu, at, step);
        if (other > best || (other == best && there < at)) {
            best = other;
            at = there;
        }
    }
    if (lane() == 0) next[row] = at;
}
