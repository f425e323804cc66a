// Shared-memory descriptors of wgmma operands under the 128-byte swizzle. No PTX here: device and host shim share
// this file. Tiles are 1024-byte aligned, their rows 128 bytes.
//   K-major (rows are M or N, 64 elements of K each): stride 1024 from 8 rows to the next; leading unused;
//     the next k16 is 32 bytes on.
//   MN-major (rows are K, 64 columns of N each): leading = bytes from one 64-column half to the next, stride 1024;
//     the next k16 is 2048 bytes on.
__device__ __forceinline__ u64 wgmma_descriptor(u32 addr, u32 leading_bytes, u32 stride_bytes) {
    return (u64)(addr >> 4 & 0x3fff) | (u64)(leading_bytes >> 4) << 16 | (u64)(stride_bytes >> 4) << 32 | 1ull << 62;
}

// The same `bytes` further on, a multiple of 16.
__device__ __forceinline__ u64 descriptor_at(u64 descriptor, u32 bytes) {
    return (descriptor & 0xffffffff00000000ull) | (u32)((u32)descriptor + bytes / 16);
}
