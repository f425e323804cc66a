// Fragments to shared memory by matrices, sm_90. All lanes of the warp take part. With g = lane / 4 and t = lane % 4, a
// 32-bit register holds the pair of columns (2t, 2t + 1), lower first.

// Four 8x8 matrices of 16-bit elements. Lanes 8i..8i+7 give the shared addresses of the rows of matrix i
// (16 bytes each, 16-byte aligned); r[i] is row g, columns 2t and 2t + 1 of matrix i.
__device__ __forceinline__ void stmatrix_x4(u32 addr, const u32 (&r)[4]) {
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};"
                 :: "r"(addr), "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3]) : "memory");
}
