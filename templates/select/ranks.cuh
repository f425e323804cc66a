// Scores are whole numbers of steps of log₂ probability while samples are compared. A level is the score of code 0.
#define STEPS_PER_LOG2 4096.0f
#define STEPS_PER_CODE 64 // STEPS_PER_LOG2 / CODES_PER_LOG2
__device__ __forceinline__ i32 level_of(float log2_probability) {
    return __float2int_rn(log2_probability * STEPS_PER_LOG2);
}
//@if POOL_SUM
// Samples whose scores are read together.
#define SUMMED (SAMPLES_Q < 8 ? SAMPLES_Q : 8)
//@else
//@if SAMPLES_BY_EIGHT
// The larger score of two samples: their codes as a pair, and their levels.
__device__ __forceinline__ i32 score_of_two(u32 codes, u32 level_low, u32 level_high) {
    return max(dp2a_lo(codes, STEPS_PER_CODE, (i32)level_low), dp2a_lo(codes, STEPS_PER_CODE << 8, (i32)level_high));
}
//@end
//@end

// Floats as integers of the same order.
__device__ __forceinline__ u32 rank_of(float score) {
    const u32 bits = __float_as_uint(score);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

//@if SEGMENTS
// Segments that the row's last sample sees: `score` has gone through no others for certain.
template <class Params>
__device__ __forceinline__ u32 seen_segments(const Params& p, const Sequence& sequence, u32 row) {
    const i32 last_sample = (min((i32)((row + 1) * BLOCK_Q), p.q_len) - 1) / STRIDE_Q;
    const i32 seen_last = seen_samples(sequence, last_sample, (p.kv_len + STRIDE_KV - 1) / STRIDE_KV);
    return (u32)(seen_last - 1) / (u32)p.segment_keys + 1;
}

// To `to`, the sums of a row's samples over their keys, by the last of a CTA's THREADS. Samples past the last query weigh
// nothing.
template <u32 THREADS, class Params>
__device__ __forceinline__ void samples_lse(const Params& p, u32 row, u64 group_row, u32 segments, u32 to) {
    for (u32 i = THREADS - 1 - threadIdx.x; i < SAMPLES_Q; i += THREADS) {
        const bool inside = (i32)(row * BLOCK_Q + i * STRIDE_Q) < p.q_len;
        // From the sums over its segments: four are on their way at a time.
        const float* parts = p.lse + group_row * p.segments * SAMPLES_Q + i;
        const u32 last = segments - 1;
        float top = FLOAT_NEG_INF, sum = 0.0f;
        for (u32 first = 0; first <= last; first += 4)
#pragma unroll
            for (u32 s = first; s < first + 4; ++s) top = fmaxf(top, parts[min(s, last) * SAMPLES_Q]);
        for (u32 first = 0; first <= last; first += 4)
#pragma unroll
            for (u32 s = first; s < first + 4; ++s) {
                const float share = exp2_approx(parts[min(s, last) * SAMPLES_Q] - top);
                sum += s <= last ? share : 0.0f;
            }
        st_shared_f32(to + i * 4, inside ? top + log2_approx(sum) : FLOAT_INF);
    }
}
//@else
// To `to`, the levels of a row's samples, by the last of a CTA's THREADS. Samples past the last query weigh nothing.
template <u32 THREADS, class Params>
__device__ __forceinline__ void samples_levels(const Params& p, u32 row, u64 group_row, u32 to) {
    for (u32 i = THREADS - 1 - threadIdx.x; i < SAMPLES_Q; i += THREADS) {
        const bool inside = (i32)(row * BLOCK_Q + i * STRIDE_Q) < p.q_len;
        const u64 at = group_row * SAMPLES_Q + i;
        st_shared_u32(to + i * 4, (u32)level_of(inside ? p.floors[at] - p.lse[at] : FLOAT_NEG_INF));
    }
}
//@end

//@if POOL_SUM
// The ranks of a row's blocks, by all of a CTA's THREADS: the score of a block is log₂ of the sum of its samples'
// probabilities. `take` receives each block's; behind it all threads have met.
//@else
// The ranks of a row's blocks, by all of a CTA's THREADS: the score of a block is the largest of its samples' log₂
// probabilities. `take` receives each block's; behind it all threads have met.
//@end
//@if SEGMENTS
template <u32 THREADS, class Params, class Take>
__device__ __forceinline__ void rank_blocks(const Params& p, u64 group_row, const RowBlocks& r, u32 segments, u32 lse,
                                            u32 levels, const Take& take) {
    const u32 segment_blocks = (u32)p.segment_keys / SAMPLES_KV; // powers of two
    const u32 segment_shift = 31 - (u32)__clz((i32)segment_blocks);
//@else
template <u32 THREADS, class Params, class Take>
__device__ __forceinline__ void rank_blocks(const Params& p, u64 group_row, const RowBlocks& r, u32 levels,
                                            const Take& take) {
//@end
    auto rank_some = [&](u32 begin, u32 end) {
#pragma unroll(SAMPLES_Q <= 16 ? 2 : 1)
        for (u32 block = begin + threadIdx.x; block < end; block += THREADS) {
            const u16* of_block = p.maxima + (group_row * p.blocks + block) * SAMPLES_Q;
//@if SEGMENTS
            const u32 of_segment = levels + (block - begin >> segment_shift) * SAMPLES_Q * 4;
//@else
            const u32 of_segment = levels;
//@end
//@if POOL_SUM
            // The scores of SUMMED samples from the first-th on.
            auto scores_of = [&](u32 first, i32 (&scores)[SUMMED]) {
//@if SAMPLES_BY_EIGHT
                const u32x4 eight = ld_global_nc_v4(of_block + first);
                const u32 pairs[4] = {eight.x, eight.y, eight.z, eight.w};
#pragma unroll
                for (u32 i = 0; i < SUMMED; ++i) {
                    const u32 code = pairs[i / 2] >> i % 2 * 16 & 0xffff;
                    scores[i] = (i32)code * STEPS_PER_CODE + (i32)ld_shared_u32(of_segment + (first + i) * 4);
                }
//@else
#pragma unroll
                for (u32 i = 0; i < SUMMED; ++i)
                    scores[i] = (i32)of_block[i] * STEPS_PER_CODE + (i32)ld_shared_u32(of_segment + i * 4);
//@end
            };
            i32 top = -0x7fffffff, scores[SUMMED];
#pragma unroll
            for (u32 first = 0; first < SAMPLES_Q; first += SUMMED) {
                scores_of(first, scores);
#pragma unroll
                for (u32 i = 0; i < SUMMED; ++i) top = max(top, scores[i]);
            }
            float sum = 0.0f; // the largest weighs 1
#pragma unroll
            for (u32 first = 0; first < SAMPLES_Q; first += SUMMED) {
                if (SAMPLES_Q > SUMMED) scores_of(first, scores);
#pragma unroll
                for (u32 i = 0; i < SUMMED; ++i)
                    sum += exp2_approx(((float)scores[i] - (float)top) * (1.0f / STEPS_PER_LOG2));
            }
            const i32 score = top + level_of(log2_approx(sum));
//@else
            i32 score = -0x7fffffff;
//@if SAMPLES_BY_EIGHT
#pragma unroll
            for (u32 i = 0; i < SAMPLES_Q; i += 8) {
                const u32x4 eight = ld_global_nc_v4(of_block + i);
                const u32x4 level = ld_shared_v4(of_segment + i * 4), more = ld_shared_v4(of_segment + i * 4 + 16);
                score = max(score, score_of_two(eight.x, level.x, level.y));
                score = max(score, score_of_two(eight.y, level.z, level.w));
                score = max(score, score_of_two(eight.z, more.x, more.y));
                score = max(score, score_of_two(eight.w, more.z, more.w));
            }
//@else
#pragma unroll
            for (u32 i = 0; i < SAMPLES_Q; ++i)
                score = max(score, (i32)of_block[i] * STEPS_PER_CODE + (i32)ld_shared_u32(of_segment + i * 4));
//@end
//@end
            const bool pinned = block < r.sink || (block >= r.local && block < r.diagonal_end);
            take(block, pinned ? RANK_PINNED : rank_of((float)score * (1.0f / STEPS_PER_LOG2)));
        }
    };
//@if SEGMENTS
    // The levels of LEVEL_SEGMENTS segments at a time, and the blocks of these.
    for (u32 first = 0; first * segment_blocks < r.visible; first += LEVEL_SEGMENTS) {
        // Blocks past the last seen segment are pinned.
        const u32 seen = first < segments ? min(segments - first, (u32)LEVEL_SEGMENTS) : 0;
        for (u32 i = threadIdx.x; i < seen * SAMPLES_Q; i += THREADS) {
            const float floor = p.floors[(group_row * p.segments + first) * SAMPLES_Q + i];
            st_shared_u32(levels + i * 4, (u32)level_of(floor - ld_shared_f32(lse + i % SAMPLES_Q * 4)));
        }
        sync_threads();
        rank_some(first * segment_blocks, min((first + LEVEL_SEGMENTS) * segment_blocks, r.visible));
        sync_threads();
    }
//@else
    rank_some(0, r.visible);
    sync_threads();
//@end
}
