// Tensor-core products of one warp, and the fragment loads that feed them. All lanes of the warp take part.
// With g = lane / 4 and t = lane % 4, a 32-bit register holds the pair of columns (2t, 2t + 1), lower first.

// Four 8x8 matrices of 16-bit elements. Lanes 8i..8i+7 give the shared addresses of the rows of matrix i
// (16 bytes each, 16-byte aligned); r[i] receives row g, columns 2t and 2t + 1 of matrix i.
__device__ __forceinline__ void ldmatrix_x4(u32& r0, u32& r1, u32& r2, u32& r3, u32 addr) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r0), "=r"(r1), "=r"(r2), "=r"(r3) : "r"(addr) : "memory");
}
__device__ __forceinline__ void ldmatrix_x4(u32 (&r)[4], u32 addr) { ldmatrix_x4(r[0], r[1], r[2], r[3], addr); }

// The same, each matrix transposed: r[i] receives rows 2t and 2t + 1, column g of matrix i.
__device__ __forceinline__ void ldmatrix_x4_trans(u32& r0, u32& r1, u32& r2, u32& r3, u32 addr) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r0), "=r"(r1), "=r"(r2), "=r"(r3) : "r"(addr) : "memory");
}
__device__ __forceinline__ void ldmatrix_x4_trans(u32 (&r)[4], u32 addr) {
    ldmatrix_x4_trans(r[0], r[1], r[2], r[3], addr);
}

// d[16x8] += a[16x16] b[16x8], f32 accumulators.
//   a[0]: row g, columns 2t..      a[1]: row g + 8      a[2]: row g, columns 2t + 8..      a[3]: row g + 8, same
//   b0: rows 2t.., column g        b1: rows 2t + 8.., column g
//   d[0], d[1]: row g, columns 2t, 2t + 1               d[2], d[3]: row g + 8
__device__ __forceinline__ void mma_m16n8k16_bf16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// The same layout with f16 inputs.
__device__ __forceinline__ void mma_m16n8k16_f16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
