// Operands of a scoring pass in e4m3: a row is the 128 bytes of a head.
#define OPERAND_BYTES 1

// One thread: starts copying a box of rows, from `first` on.
__device__ __forceinline__ void load_operands(const TensorMap* map, u32 to, u32 rows, u32 full, i32 first, u32 head, u32 batch) {
    tma_load_4d(to, map, full, 0, first, (i32)head, (i32)batch);
}

// Products of either width of a stage.
__device__ __forceinline__ void wgmma_e4m3(float (&d)[32], u64 a, u64 b, u32 accumulate) {
    wgmma_m64n64k32_ss_e4m3(d, a, b, accumulate);
}
__device__ __forceinline__ void wgmma_e4m3(float (&d)[64], u64 a, u64 b, u32 accumulate) {
    wgmma_m64n128k32_ss_e4m3(d, a, b, accumulate);
}

// Starts the products of 64 rows and a stage.
__device__ __forceinline__ void multiply_operands(float (&s)[STAGE_KEYS / 2], u64 queries, u64 keys) {
    wgmma_fence();
#pragma unroll
    for (u32 step = 0; step < HEAD_DIM / 32; ++step)
        wgmma_e4m3(s, descriptor_at(queries, step * 32), descriptor_at(keys, step * 32), step > 0);
    wgmma_commit();
}
