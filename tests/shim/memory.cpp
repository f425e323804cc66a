#include "access.hpp"

extern "C" {
alignas(1024) __thread u8 smem[shim::shared_limit + shim::shared_canary];
}

u32 shim::shared_bytes = 0;

u32 smem_u32(const void* p, shim::At at) {
    // One past the end is an address too.
    if ((const u8*)p < smem || (const u8*)p > smem + shim::shared_bytes)
        shim::machine.fail("smem_u32 of a pointer that is not into the dynamic shared memory", at);
    return (u32)((const u8*)p - smem) + shim::shared_base;
}
u32x4 ld_global_v4(const void* p, shim::At at) {
    return shim::load_global<u32x4>(p, "ld_global_v4", at);
}
u32x4 ld_global_nc_v4(const void* p, shim::At at) {
    return shim::load_global<u32x4>(p, "ld_global_nc_v4", at);
}
u32 ld_global_nc_u32(const void* p, shim::At at) {
    return shim::load_global<u32>(p, "ld_global_nc_u32", at);
}
void st_global_v4(void* p, u32x4 v, shim::At at) {
    shim::store_global(p, v, "st_global_v4", at);
}
void st_global_v2(void* p, u32x2 v, shim::At at) {
    shim::store_global(p, v, "st_global_v2", at);
}
void st_global_u32(void* p, u32 v, shim::At at) {
    shim::store_global(p, v, "st_global_u32", at);
}
u32x4 ld_shared_v4(u32 addr, shim::At at) {
    return shim::load_shared<u32x4>(addr, "ld_shared_v4", at);
}
u32 ld_shared_u32(u32 addr, shim::At at) {
    return shim::load_shared<u32>(addr, "ld_shared_u32", at);
}
u16 ld_shared_u16(u32 addr, shim::At at) {
    return shim::load_shared<u16>(addr, "ld_shared_u16", at);
}
float ld_shared_f32(u32 addr, shim::At at) {
    return shim::load_shared<float>(addr, "ld_shared_f32", at);
}
void st_shared_v4(u32 addr, u32x4 v, shim::At at) {
    shim::store_shared(addr, v, "st_shared_v4", at);
}
void st_shared_u32(u32 addr, u32 v, shim::At at) {
    shim::store_shared(addr, v, "st_shared_u32", at);
}
void st_shared_u16(u32 addr, u16 v, shim::At at) {
    shim::store_shared(addr, v, "st_shared_u16", at);
}
void st_shared_f32(u32 addr, float v, shim::At at) {
    shim::store_shared(addr, v, "st_shared_f32", at);
}
