// Maxima of scores in 16 bits: codes of 1/64 in log2, counted from a floor that each sample has of its own in each
// segment of keys. Softmax looks at differences alone, so the precision does not depend on how large the scores are.
//
// A floor lies FLOOR_DEPTH below a reference score of its sample, and follows when scores exceed the reference by more than
// 40: then the codes stored so far are lowered. So codes reach 1022 units above their floor, and the sample's largest score
// lies at least FLOOR_DEPTH above it; what lies below the floor weighs less than 2^-FLOOR_DEPTH, and becomes 0.
#define FLOOR_DEPTH 982.0f
#define FLOOR_REACH (FLOOR_DEPTH + 40.0f)

// The floor of a sample with this reference, a score in log2. A whole number, so that codes move by whole numbers with it.
__device__ __forceinline__ float floor_below(float reference) { return rintf(reference) - FLOOR_DEPTH; }

// The code of a score that lies so much above its floor in log2, rounded by an addition that leaves it in the lowest bits: a
// conversion would share the unit of the exponentials.
__device__ __forceinline__ u16 code_of(float above) {
    return (u16)__float_as_uint(fmaxf(fmaf(above, CODES_PER_LOG2, 0x1p23f), 0x1p23f));
}

// Every `step`-th code of a sample from block `first` on, below block `end`: the sample's floor has risen.
__device__ __forceinline__ void lower_codes(u16* codes, u32 first, u32 end, u32 step, float rise) {
    const u32 lost = (u32)fminf(rise, 1024.0f) * (u32)CODES_PER_LOG2;
    for (u32 block = first; block < end; block += step) {
        u16* code = codes + (u64)block * SAMPLES_Q;
        *code = (u16)(max((u32)*code, lost) - lost);
    }
}
