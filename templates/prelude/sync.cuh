// Barriers, fences and atomics.

// All threads of the CTA (barrier 0); shared and global writes before it are visible after it.
__device__ __forceinline__ void sync_threads() { __syncthreads(); }

// All lanes of the warp, with memory ordering among them.
__device__ __forceinline__ void sync_warp() { __syncwarp(FULL_MASK); }

// Wait on barrier `id` (1..15; 0 is sync_threads) until `threads` threads, a multiple of 32, arrived or waited.
__device__ __forceinline__ void named_barrier_sync(u32 id, u32 threads) {
    asm volatile("bar.sync %0, %1;" :: "r"(id), "r"(threads) : "memory");
}

// Arrive on barrier `id` without waiting; counts towards the same `threads`.
__device__ __forceinline__ void named_barrier_arrive(u32 id, u32 threads) {
    asm volatile("bar.arrive %0, %1;" :: "r"(id), "r"(threads) : "memory");
}

// Order this thread's global writes before what it does next, for readers anywhere on the GPU.
__device__ __forceinline__ void fence_gpu() { __threadfence(); }

// Atomic on global memory; returns the value before.
__device__ __forceinline__ u32 atomic_add_global(u32* p, u32 v) {
    u32 old;
    asm volatile("atom.global.add.u32 %0, [%1], %2;" : "=r"(old) : "l"(p), "r"(v) : "memory");
    return old;
}

// Atomic unsigned maximum on global memory; returns the value before.
__device__ __forceinline__ u32 atomic_max_global(u32* p, u32 v) {
    u32 old;
    asm volatile("atom.global.max.u32 %0, [%1], %2;" : "=r"(old) : "l"(p), "r"(v) : "memory");
    return old;
}

// Atomic on a shared address; returns the value before.
__device__ __forceinline__ u32 atomic_add_shared(u32 addr, u32 v) {
    u32 old;
    asm volatile("atom.shared.add.u32 %0, [%1], %2;" : "=r"(old) : "r"(addr), "r"(v) : "memory");
    return old;
}

// Atomic unsigned maximum on a shared address; returns the value before.
__device__ __forceinline__ u32 atomic_max_shared(u32 addr, u32 v) {
    u32 old;
    asm volatile("atom.shared.max.u32 %0, [%1], %2;" : "=r"(old) : "r"(addr), "r"(v) : "memory");
    return old;
}

// Wait until the kernels this launch depends on have finished and their writes are visible. Without programmatic
// launches (and before sm_90) the stream has already seen to it.
__device__ __forceinline__ void grid_dependency_wait() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Let dependent launches start; they still wait for this grid's memory with grid_dependency_wait.
__device__ __forceinline__ void grid_dependency_launch() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
