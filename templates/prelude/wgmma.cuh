// Warpgroup products, sm_90a: four warps multiply a 64-row tile. The order is wgmma_fence after registers were
// touched, products, wgmma_commit, wgmma_wait before anyone reads the accumulators or reuses the operands.
//
// Warp w of the group holds rows 16w + g and 16w + g + 8 of an accumulator d, where g = lane / 4 and t = lane % 4:
//   d[4j], d[4j + 1]: row g, columns 8j + 2t and 8j + 2t + 1          d[4j + 2], d[4j + 3]: row g + 8, the same
// Operands in registers have the layout of mma_m16n8k16's `a`, rows as above.

// Order this thread's accesses to accumulator and operand registers before the products that follow.
__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

// Close the group of the products issued so far.
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Wait until at most `Pending` of the newest groups are in flight.
template <int Pending>
__device__ __forceinline__ void wgmma_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" :: "n"(Pending) : "memory");
}

// Keep the compiler from moving or copying accumulators across the point where it stands; no instruction.
template <int Count>
__device__ __forceinline__ void wgmma_hold(float (&d)[Count]) {
#pragma unroll
    for (int i = 0; i < Count; i++) asm volatile("" : "+f"(d[i])::"memory");
}

#if defined(ELEM_BF16)
#define WGMMA_TYPES ".f32.bf16.bf16 "
#else
#define WGMMA_TYPES ".f32.f16.f16 "
#endif
#define WGMMA_IN_OUT_8(d, i) \
    "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), \
        "+f"(d[i + 7])
#define WGMMA_IN_OUT_32(d, i) \
    WGMMA_IN_OUT_8(d, i), WGMMA_IN_OUT_8(d, i + 8), WGMMA_IN_OUT_8(d, i + 16), WGMMA_IN_OUT_8(d, i + 24)
#define WGMMA_NAMES_32 \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define WGMMA_NAMES_64 \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
    "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
    "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"

// d[64 x 64] (+)= a[64 x 16] b[16 x 64], both by descriptor, a K-major. `accumulate` 0 overwrites d; b is MN-major
// where Transposed is 1, K-major where it is 0.
template <int Transposed>
__device__ __forceinline__ void wgmma_m64n64k16_ss(float (&d)[32], u64 a, u64 b, u32 accumulate) {
    asm volatile("{\n\t.reg .pred p;\n\tsetp.ne.b32 p, %34, 0;\n\t"
                 "wgmma.mma_async.sync.aligned.m64n64k16" WGMMA_TYPES "{" WGMMA_NAMES_32 "}, "
                 "%32, %33, p, 1, 1, 0, %35;\n\t}"
                 : WGMMA_IN_OUT_32(d, 0)
                 : "l"(a), "l"(b), "r"(accumulate), "n"(Transposed));
}

// The same with a in registers.
template <int Transposed>
__device__ __forceinline__ void wgmma_m64n64k16_rs(float (&d)[32], const u32 (&a)[4], u64 b, u32 accumulate) {
    asm volatile("{\n\t.reg .pred p;\n\tsetp.ne.b32 p, %37, 0;\n\t"
                 "wgmma.mma_async.sync.aligned.m64n64k16" WGMMA_TYPES "{" WGMMA_NAMES_32 "}, "
                 "{%32, %33, %34, %35}, %36, p, 1, 1, %38;\n\t}"
                 : WGMMA_IN_OUT_32(d, 0)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate), "n"(Transposed));
}

// d[64 x 128] (+)= a[64 x 16] b[16 x 128], both by descriptor, a K-major. `accumulate` 0 overwrites d; b is MN-major
// where Transposed is 1, K-major where it is 0.
template <int Transposed>
__device__ __forceinline__ void wgmma_m64n128k16_ss(float (&d)[64], u64 a, u64 b, u32 accumulate) {
    asm volatile("{\n\t.reg .pred p;\n\tsetp.ne.b32 p, %66, 0;\n\t"
                 "wgmma.mma_async.sync.aligned.m64n128k16" WGMMA_TYPES "{" WGMMA_NAMES_64 "}, "
                 "%64, %65, p, 1, 1, 0, %67;\n\t}"
                 : WGMMA_IN_OUT_32(d, 0), WGMMA_IN_OUT_32(d, 32)
                 : "l"(a), "l"(b), "r"(accumulate), "n"(Transposed));
}

// The same with a in registers.
template <int Transposed>
__device__ __forceinline__ void wgmma_m64n128k16_rs(float (&d)[64], const u32 (&a)[4], u64 b, u32 accumulate) {
    asm volatile("{\n\t.reg .pred p;\n\tsetp.ne.b32 p, %69, 0;\n\t"
                 "wgmma.mma_async.sync.aligned.m64n128k16" WGMMA_TYPES "{" WGMMA_NAMES_64 "}, "
                 "{%64, %65, %66, %67}, %68, p, 1, 1, %70;\n\t}"
                 : WGMMA_IN_OUT_32(d, 0), WGMMA_IN_OUT_32(d, 32)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate), "n"(Transposed));
}
