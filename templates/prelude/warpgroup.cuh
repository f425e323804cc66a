// Roles within a CTA, sm_90a.

// Give registers of the warpgroup back to the CTA's pool, down to `Count` per thread (a multiple of 8).
template <int Count>
__device__ __forceinline__ void registers_decrease() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" :: "n"(Count));
}

// Take registers from the pool, up to `Count` per thread; waits until they are free.
template <int Count>
__device__ __forceinline__ void registers_increase() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" :: "n"(Count));
}

// True in one lane of a converged warp.
__device__ __forceinline__ bool elect_one() {
    u32 elected;
    asm volatile("{\n\t"
                 ".reg .pred p;\n\t"
                 "elect.sync _|p, 0xffffffff;\n\t"
                 "selp.u32 %0, 1, 0, p;\n\t"
                 "}" : "=r"(elected));
    return elected != 0;
}
