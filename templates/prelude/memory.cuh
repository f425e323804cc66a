// Addresses, and loads and stores of a chosen width. Vector accesses must be aligned to their width.

// Generic pointer into shared memory -> 32-bit shared address, as ldmatrix, cp.async and the rest take it.
__device__ __forceinline__ u32 smem_u32(const void* p) { return (u32)__cvta_generic_to_shared(p); }

// 16 bytes from global memory; ordered with the stores around it.
__device__ __forceinline__ u32x4 ld_global_v4(const void* p) {
    u32x4 v;
    asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p) : "memory");
    return v;
}

// 16 bytes from global memory that nothing writes during the kernel (read-only path).
__device__ __forceinline__ u32x4 ld_global_nc_v4(const void* p) {
    u32x4 v;
    asm("ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
    return v;
}

// 4 bytes from global memory that nothing writes during the kernel (read-only path).
__device__ __forceinline__ u32 ld_global_nc_u32(const void* p) {
    u32 v;
    asm("ld.global.nc.u32 %0, [%1];" : "=r"(v) : "l"(p));
    return v;
}

// 16 bytes to global memory.
__device__ __forceinline__ void st_global_v4(void* p, u32x4 v) {
    asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};"
                 :: "l"(p), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w) : "memory");
}

// 8 bytes to global memory.
__device__ __forceinline__ void st_global_v2(void* p, u32x2 v) {
    asm volatile("st.global.v2.u32 [%0], {%1, %2};" :: "l"(p), "r"(v.x), "r"(v.y) : "memory");
}

// 4 bytes to global memory.
__device__ __forceinline__ void st_global_u32(void* p, u32 v) {
    asm volatile("st.global.u32 [%0], %1;" :: "l"(p), "r"(v) : "memory");
}

// 16 bytes from a shared address.
__device__ __forceinline__ u32x4 ld_shared_v4(u32 addr) {
    u32x4 v;
    asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(addr) : "memory");
    return v;
}

// 4 bytes from a shared address.
__device__ __forceinline__ u32 ld_shared_u32(u32 addr) {
    u32 v;
    asm volatile("ld.shared.u32 %0, [%1];" : "=r"(v) : "r"(addr) : "memory");
    return v;
}

// 2 bytes from a shared address.
__device__ __forceinline__ u16 ld_shared_u16(u32 addr) {
    u16 v;
    asm volatile("ld.shared.u16 %0, [%1];" : "=h"(v) : "r"(addr) : "memory");
    return v;
}

// One f32 from a shared address.
__device__ __forceinline__ float ld_shared_f32(u32 addr) {
    float v;
    asm volatile("ld.shared.f32 %0, [%1];" : "=f"(v) : "r"(addr) : "memory");
    return v;
}

// 16 bytes to a shared address.
__device__ __forceinline__ void st_shared_v4(u32 addr, u32x4 v) {
    asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};"
                 :: "r"(addr), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w) : "memory");
}

// 4 bytes to a shared address.
__device__ __forceinline__ void st_shared_u32(u32 addr, u32 v) {
    asm volatile("st.shared.u32 [%0], %1;" :: "r"(addr), "r"(v) : "memory");
}

// 2 bytes to a shared address.
__device__ __forceinline__ void st_shared_u16(u32 addr, u16 v) {
    asm volatile("st.shared.u16 [%0], %1;" :: "r"(addr), "h"(v) : "memory");
}

// One f32 to a shared address.
__device__ __forceinline__ void st_shared_f32(u32 addr, float v) {
    asm volatile("st.shared.f32 [%0], %1;" :: "r"(addr), "f"(v) : "memory");
}
