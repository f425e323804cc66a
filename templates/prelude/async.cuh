// cp.async: global -> shared copies that bypass registers. Order: copies, commit, wait, then a barrier before
// other threads read, since a wait covers only the calling thread's own copies.

// Copy 16 bytes; only the first `bytes_valid` (0..16) are read, the rest of the 16 are zeros. `dst` is a shared
// address; both sides are 16-byte aligned.
__device__ __forceinline__ void cp_async_16(u32 dst, const void* src, u32 bytes_valid = 16) {
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;"
                 :: "r"(dst), "l"(src), "r"(bytes_valid) : "memory");
}

// Close the group of the copies issued so far by this thread; an empty group counts too.
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Wait until at most `Pending` of this thread's newest groups are in flight.
template <int Pending>
__device__ __forceinline__ void cp_async_wait() {
    asm volatile("cp.async.wait_group %0;" :: "n"(Pending) : "memory");
}
