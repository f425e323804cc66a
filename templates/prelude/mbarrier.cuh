// mbarriers, sm_90: 8-byte objects in shared memory, named by their shared address. A phase ends when the count of
// arrivals and the announced bytes are both complete; phases alternate parity, starting with 0.

// One thread sets up a barrier for `count` arrivals per phase. Then fence_mbarrier_init, then a CTA barrier.
__device__ __forceinline__ void mbarrier_init(u32 bar, u32 count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(bar), "r"(count) : "memory");
}

// Make the initialised barriers visible to the asynchronous proxy.
__device__ __forceinline__ void fence_mbarrier_init() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

// One arrival.
__device__ __forceinline__ void mbarrier_arrive(u32 bar) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" :: "r"(bar) : "memory");
}

// One arrival where the predicate holds, without a branch.
__device__ __forceinline__ void mbarrier_arrive_if(bool predicate, u32 bar) {
    asm volatile("{\n\t"
                 ".reg .pred p;\n\t"
                 "setp.ne.u32 p, %1, 0;\n\t"
                 "@p mbarrier.arrive.shared::cta.b64 _, [%0];\n\t"
                 "}" :: "r"(bar), "r"((u32)predicate) : "memory");
}

// One arrival that announces `bytes` more for this phase; before the copies that bring them.
__device__ __forceinline__ void mbarrier_arrive_expect_tx(u32 bar, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" :: "r"(bar), "r"(bytes) : "memory");
}

// Whether the phase of this parity has ended; sleeps for up to ten milliseconds before it says no, so that who waits takes
// no turns from who works. A barrier in its first phase answers yes for parity 1.
__device__ __forceinline__ bool mbarrier_try_wait(u32 bar, u32 parity) {
    u32 done;
    asm volatile("{\n\t"
                 ".reg .pred p;\n\t"
                 "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2, 10000000;\n\t"
                 "selp.u32 %0, 1, 0, p;\n\t"
                 "}" : "=r"(done) : "r"(bar), "r"(parity) : "memory");
    return done != 0;
}

// Wait until the phase of this parity has ended.
__device__ __forceinline__ void mbarrier_wait(u32 bar, u32 parity) {
    while (!mbarrier_try_wait(bar, parity)) {
    }
}
