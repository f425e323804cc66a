// budget_partials: the last queries of each head against all keys; of each (block, query) a reference near the largest
// score, and the sum under it.
//
// A pack of heads of one KV head shares each stage of keys, BLOCK_Q / 64 warpgroups a head. The stages of all sequences,
// which are the KV heads of all batches, form one line, and each of a pack's CTAs takes an equal run of it.
#define STAGE_BLOCKS (STAGE_KEYS / BLOCK_KV)
#define HEAD_WARPGROUPS (BLOCK_Q / WG_ROWS)
#define PACK_HEADS (WARPGROUPS / HEAD_WARPGROUPS)

// What a run has of one sequence.
struct Part {
    u32 sequence, first, stages;
};

// What a lane knows of its warpgroup's queries: its rows g and g + 8, and the row whose partials it stores.
struct Queries {
    float reference[2]; // a raw score; hardly ever moves
    i32 seen[2];        // keys that the rows see
    float *max, *sum;   // partials of the stored row and block 0
//@if VALUES
    float* weighted; // the same of probabilities times norms
//@end
};

//@if VALUES
// The norms of a stage's values: lane 4q + t has those of columns 8j + 2t and the next, for j = q and, where a stage has 128
// keys, for j = q + 8.
struct Norms {
    float of[STAGE_KEYS / 64][2];
};

__device__ __forceinline__ Norms load_norms(const float* norms, i32 key, i32 keys) {
    Norms n;
#pragma unroll
    for (u32 i = 0; i < STAGE_KEYS / 32; ++i) {
        // Keys past the last one have none.
        const i32 column = key + (i32)(i / 2 * 64 + lane_id() * 2 + i % 2);
        n.of[i / 2][i % 2] = column < keys ? norms[column] : 0.0f;
    }
    return n;
}

// What the lane's columns of each block sum to, relative to the references: probabilities by themselves, and times norms.
__device__ __forceinline__ void sum_blocks(const Queries& queries, const float (&s)[STAGE_KEYS / 2], const Norms& norms,
                                           float (&sums)[STAGE_BLOCKS][2], float (&weighted)[STAGE_BLOCKS][2]) {
    const float shift[2] = {queries.reference[0] * SCALE_LOG2, queries.reference[1] * SCALE_LOG2};
#pragma unroll
    for (u32 b = 0; b < STAGE_BLOCKS; ++b)
#pragma unroll
        for (u32 h = 0; h < 2; ++h) sums[b][h] = weighted[b][h] = 0.0f;
#pragma unroll
    for (u32 j = 0; j < STAGE_KEYS / 8; ++j) {
        const u32 b = j * 8 / BLOCK_KV, owner = j % 8 * 4 + lane_id() % 4;
        const float even_norm = shfl_idx(norms.of[j / 8][0], owner), odd_norm = shfl_idx(norms.of[j / 8][1], owner);
#pragma unroll
        for (u32 h = 0; h < 2; ++h) {
            const float even = exp2_approx(fmaf(s[4 * j + 2 * h], SCALE_LOG2, -shift[h]));
            const float odd = exp2_approx(fmaf(s[4 * j + 2 * h + 1], SCALE_LOG2, -shift[h]));
            sums[b][h] += even + odd;
            weighted[b][h] = fmaf(even, even_norm, fmaf(odd, odd_norm, weighted[b][h]));
        }
    }
}
//@else
__device__ __forceinline__ void sum_blocks(const Queries& queries, const float (&s)[STAGE_KEYS / 2],
                                           float (&sums)[STAGE_BLOCKS][2]) {
#pragma unroll
    for (u32 b = 0; b < STAGE_BLOCKS; ++b)
#pragma unroll
        for (u32 h = 0; h < 2; ++h) sums[b][h] = sum_columns<BLOCK_KV>(s, b * BLOCK_KV, h, queries.reference[h]);
}
//@end

// The sums go over the quad: lane t keeps those of row g + 8 · (t % 2) and of every block whose last bit is t / 2.
//@if VALUES
__device__ __forceinline__ void store_partials(const Queries& queries, const float (&sums)[STAGE_BLOCKS][2],
                                               const float (&weighted)[STAGE_BLOCKS][2], u32 block, u32 blocks) {
//@else
__device__ __forceinline__ void store_partials(const Queries& queries, const float (&sums)[STAGE_BLOCKS][2], u32 block,
                                               u32 blocks) {
//@end
    const u32 t = lane_id() % 4;
    const float max = select(t % 2 == 0, queries.reference[0], queries.reference[1]) * SCALE_LOG2;
//@if VALUES
    float mine[STAGE_BLOCKS], mine_weighted[STAGE_BLOCKS];
//@else
    float mine[STAGE_BLOCKS];
//@end
#pragma unroll
    for (u32 b = 0; b < STAGE_BLOCKS; ++b) {
        const Share row = share_out(sums[b][0], sums[b][1], 1);
        mine[b] = row.own + row.other;
//@if VALUES
        const Share row_weighted = share_out(weighted[b][0], weighted[b][1], 1);
        mine_weighted[b] = row_weighted.own + row_weighted.other;
//@end
    }
#pragma unroll
    for (u32 b = 0; b < STAGE_BLOCKS; b += 2) {
        const Share half = share_out(mine[b], mine[(b + 1) % STAGE_BLOCKS], 2);
//@if VALUES
        const Share half_weighted = share_out(mine_weighted[b], mine_weighted[(b + 1) % STAGE_BLOCKS], 2);
//@end
        const u32 at = b + t / 2;
        if (at < STAGE_BLOCKS && block + at < blocks) {
            queries.max[(u64)(block + at) * BLOCK_Q] = max;
            queries.sum[(u64)(block + at) * BLOCK_Q] = half.own + half.other;
//@if VALUES
            queries.weighted[(u64)(block + at) * BLOCK_Q] = half_weighted.own + half_weighted.other;
//@end
        }
    }
}

// Takes the scores of a stage that begins with `key`; `hidden` tells whether some row does not see all of it.
//@if VALUES
__device__ __forceinline__ void take(Queries& queries, float (&s)[STAGE_KEYS / 2], const Norms& norms, i32 key, bool hidden,
                                     u32 blocks) {
//@else
__device__ __forceinline__ void take(Queries& queries, float (&s)[STAGE_KEYS / 2], i32 key, bool hidden, u32 blocks) {
//@end
    if (hidden) hide<STAGE_KEYS>(s, 0, queries.seen[0] - key, queries.seen[1] - key, MASKED_SCORE);
//@if VALUES
    float sums[STAGE_BLOCKS][2], weighted[STAGE_BLOCKS][2];
    sum_blocks(queries, s, norms, sums, weighted);
//@else
    float sums[STAGE_BLOCKS][2];
    sum_blocks(queries, s, sums);
//@end
    float largest = fmaxf(sums[0][0], sums[0][1]);
#pragma unroll
    for (u32 b = 1; b < STAGE_BLOCKS; ++b) largest = fmaxf(largest, fmaxf(sums[b][0], sums[b][1]));
    // As a rule once in a part of a run, at its first stage. A row that sees nothing of it sees nothing of what follows
    // either: its reference stays MASKED_SCORE, under which its partials weigh nothing.
    if (__builtin_expect(any_sync(!(largest <= HEADROOM)), false)) {
#pragma unroll
        for (u32 h = 0; h < 2; ++h) {
            float row = queries.reference[h];
#pragma unroll
            for (u32 j = 0; j < STAGE_KEYS / 8; ++j) row = fmaxf(row, fmaxf(s[4 * j + 2 * h], s[4 * j + 2 * h + 1]));
            queries.reference[h] = quad_max(row);
        }
//@if VALUES
        sum_blocks(queries, s, norms, sums, weighted);
//@else
        sum_blocks(queries, s, sums);
//@end
    }
//@if VALUES
    store_partials(queries, sums, weighted, (u32)key / BLOCK_KV, blocks);
//@else
    store_partials(queries, sums, (u32)key / BLOCK_KV, blocks);
//@end
}

//@kernel budget_partials
{
    const u32 first_head = blockIdx.y * PACK_HEADS; // within the KV head
    const u32 consumers = min((u32)p.heads_per_kv - first_head, (u32)PACK_HEADS) * HEAD_WARPGROUPS;
    if (threadIdx.x == 0) {
        scoring_barriers_init(consumers);
        fence_mbarrier_init();
    }
    sync_threads();

    const u32 each = (u32)(p.kv_len + STAGE_KEYS - 1) / STAGE_KEYS, all = each * (u32)(p.batch * p.kv_heads);
    const u32 begin = (u32)((u64)all * blockIdx.x / gridDim.x), end = (u32)((u64)all * (blockIdx.x + 1) / gridDim.x);
    auto part_from = [&](u32 at) -> Part { return {at / each, at % each, min(each - at % each, end - at)}; };
    const i32 first_query = max(p.q_len - BLOCK_Q, 0);

    const u32 wg = uniform(threadIdx.x / WG_THREADS);
    if (wg == WARPGROUPS) {
        registers_decrease<PRODUCER_REGISTERS>();
        if (threadIdx.x != WARPGROUPS * WG_THREADS) return;
        u32 n = 0, parts = 0; // stages and parts so far
        for (u32 at = begin; at < end; ++parts) {
            const Part part = part_from(at);
            const u32 kv_head = part.sequence % (u32)p.kv_heads, batch = part.sequence / (u32)p.kv_heads;
            for (u32 w = 0; w < consumers; ++w)
                load_queries(&p.q_map, w, parts, first_query + (i32)(w % HEAD_WARPGROUPS * WG_ROWS),
                             kv_head * (u32)p.heads_per_kv + first_head + w / HEAD_WARPGROUPS, batch);
            for (u32 i = 0; i < part.stages; ++i, ++n)
                load_keys(&p.k_map, n, (i32)((part.first + i) * STAGE_KEYS), kv_head, batch);
            at += part.stages;
        }
        return;
    }

    registers_increase<CONSUMER_REGISTERS>();
    if (wg >= consumers) return; // the pack lacks heads
    const u32 t = lane_id() % 4;
    const u32 row = wg % HEAD_WARPGROUPS * WG_ROWS + warp_id() % WG_WARPS * 16 + lane_id() / 4;
    const u64 q = wgmma_descriptor(smem_u32(smem) + TILES_AT + wg * QUERY_BYTES, 16, 1024);
    // Keys that the first row sees: no other sees fewer.
    const Sequence sequence = sequence_of(p);
    const i32 seen = sequence.limit(first_query);
    Queries queries;
#pragma unroll
    for (u32 h = 0; h < 2; ++h) queries.seen[h] = sequence.seen(first_query + (i32)(row + h * 8));
    const Turns turns = turns_begin(wg, consumers);
    u32 n = 0, parts = 0;
    for (u32 at = begin; at < end; ++parts) {
        const Part part = part_from(at);
        const u64 head = (u64)part.sequence * p.heads_per_kv + first_head + wg / HEAD_WARPGROUPS;
        const u64 stored = head * p.blocks * BLOCK_Q + row + t % 2 * 8;
        queries.max = p.partial_max + stored;
        queries.sum = p.partial_sum + stored;
//@if VALUES
        queries.weighted = p.partial_weighted + stored;
        const float* of_sequence = p.norms + (u64)part.sequence * p.kv_len;
//@end
        queries.reference[0] = queries.reference[1] = MASKED_SCORE;
        mbarrier_wait(barrier_at(QUERIES_FULL + wg), parity_of(parts, 1));
        i32 key = (i32)(part.first * STAGE_KEYS);
        for (u32 i = 0; i < part.stages; ++i, ++n, key += STAGE_KEYS) {
            float s[STAGE_KEYS / 2];
//@if VALUES
            const Norms norms = load_norms(of_sequence, key, p.kv_len); // on their way during the products
//@end
            multiply_stage(s, q, n, turns, [] {});
//@if VALUES
            take(queries, s, norms, key, key + STAGE_KEYS > seen, p.blocks);
//@else
            take(queries, s, key, key + STAGE_KEYS > seen, p.blocks);
//@end
        }
        release(QUERIES_EMPTY + wg);
        at += part.stages;
    }
    turns_end(turns);
}
