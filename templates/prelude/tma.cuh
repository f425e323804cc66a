// Tensor copies by descriptor, sm_90. One thread issues; coordinates count elements, innermost first. A kernel takes
// its map as `const __grid_constant__ TensorMap`.

// What the driver's cuTensorMapEncodeTiled fills in.
struct alignas(64) TensorMap {
    u64 opaque[16];
};

// Fetch the descriptor ahead of its first use.
__device__ __forceinline__ void tma_prefetch(const TensorMap* map) {
    asm volatile("prefetch.tensormap [%0];" :: "l"(map) : "memory");
}

// Box at (c0, c1, c2, c3) -> shared address `dst` (128-byte aligned; 1024 under the 128-byte swizzle). Elements
// outside the tensor arrive as zeros; the whole box counts towards the bytes of mbarrier `bar`.
__device__ __forceinline__ void tma_load_4d(u32 dst, const TensorMap* map, u32 bar, i32 c0, i32 c1, i32 c2, i32 c3) {
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%3, %4, %5, %6}], [%2];"
                 :: "r"(dst), "l"(map), "r"(bar), "r"(c0), "r"(c1), "r"(c2), "r"(c3) : "memory");
}

// Shared address `src` -> box at (c0, c1, c2, c3); elements outside the tensor are not written. After
// fence_proxy_async by the writers of `src`.
__device__ __forceinline__ void tma_store_4d(const TensorMap* map, u32 src, i32 c0, i32 c1, i32 c2, i32 c3) {
    asm volatile("cp.async.bulk.tensor.4d.global.shared::cta.tile.bulk_group [%0, {%2, %3, %4, %5}], [%1];"
                 :: "l"(map), "r"(src), "r"(c0), "r"(c1), "r"(c2), "r"(c3) : "memory");
}

// Close the group of the stores issued so far by this thread.
__device__ __forceinline__ void tma_store_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }

// Wait until at most `Pending` of this thread's newest store groups still read shared memory.
template <int Pending>
__device__ __forceinline__ void tma_store_wait_read() {
    asm volatile("cp.async.bulk.wait_group.read %0;" :: "n"(Pending) : "memory");
}

// Order this thread's shared-memory writes before what TMA and wgmma read of them.
__device__ __forceinline__ void fence_proxy_async() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
