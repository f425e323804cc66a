// Ranks by their digits.
__device__ __forceinline__ u32 first_digit(u32 rank) {
    return min((max(rank, RANK_OF_MINUS_64) - RANK_OF_MINUS_64) >> FIRST_DIGIT_SHIFT, DIGITS - 1);
}

// The smallest rank with that first digit.
__device__ __forceinline__ u32 rank_of_digit(u32 digit) {
    return digit == 0 ? 0 : RANK_OF_MINUS_64 + (digit << FIRST_DIGIT_SHIFT);
}

// By a whole warp: the digit of the `need`-th largest rank. `need` becomes how many to take of those with that digit,
// of which `here` exist.
__device__ __forceinline__ u32 find_digit(u32 histogram, u32& need, u32& here) {
    // Lane i owns digits 255 − 8i downwards; above it lie those of the lanes before it.
    u32 digit = DIGITS - 1 - lane_id() * 8;
    const u32x4 high = ld_shared_v4(histogram + (digit - 3) * 4), low = ld_shared_v4(histogram + (digit - 7) * 4);
    const u32 counts[8] = {high.w, high.z, high.y, high.x, low.w, low.z, low.y, low.x};
    u32 own = 0;
#pragma unroll
    for (u32 i = 0; i < 8; ++i) own += counts[i];
    u32 upto = own;
#pragma unroll
    for (u32 step = 1; step < WARP_SIZE; step *= 2) {
        const u32 before = shfl_up(upto, step);
        if (lane_id() >= step) upto += before;
    }
    const u32 owner = (u32)__ffs((i32)ballot(upto >= need)) - 1;
    u32 sum = upto - own, above = sum;
#pragma unroll
    for (u32 i = 0; i < 8; ++i) {
        sum += counts[i];
        if (sum < need) {
            --digit;
            above = sum;
        }
    }
    digit = shfl_idx(digit, owner);
    need -= shfl_idx(above, owner);
    here = ld_shared_u32(histogram + digit * 4);
    return digit;
}
