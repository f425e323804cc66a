// Twins of prelude/memory.cuh, with shared memory behind checked 32-bit addresses, and global buffers that end at
// an unmapped page.
#pragma once

#include <sys/mman.h>

#include <string>

#include "machine.hpp"

namespace shim {

constexpr u32 shared_limit = 227 * 1024;  // what a CTA may ask for on sm_90
constexpr u32 shared_canary = 32 * 1024;  // written over by nobody
constexpr u32 shared_base = 1024;         // address of smem[0]: not zero, so that nobody relies on zero

}  // namespace shim

// The array behind `extern __shared__ __align__(1024) u8 smem[]` in a kernel.
extern "C" {
alignas(1024) inline thread_local u8 smem[shim::shared_limit + shim::shared_canary];
}

namespace shim {

inline u32 shared_bytes = 0;  // of this launch

// All bits set is a NaN in f32, bf16 and f16, and an absurd index.
inline void poison_shared() {
    std::memset(smem, 0xff, shared_bytes);
    std::memset(smem + shared_bytes, 0xa5, shared_canary);
}
inline void check_canary() {
    for (u32 i = 0; i < shared_canary; i++)
        if (smem[shared_bytes + i] != 0xa5)
            throw Error("block (" + std::to_string(blockIdx.x) + "," + std::to_string(blockIdx.y) + "," +
                        std::to_string(blockIdx.z) + ") wrote " + std::to_string(i) + " bytes past the end of its " +
                        std::to_string(shared_bytes) + " bytes of shared memory");
}

// The bytes at a shared address, after the checks that hardware answers with an exception or with silence.
inline u8* shared_at(u32 addr, u32 bytes, u32 align, const char* operation, At at) {
    if (addr < shared_base || addr - shared_base > shared_bytes || shared_bytes - (addr - shared_base) < bytes)
        machine.fail(std::string(operation) + " of " + std::to_string(bytes) + " bytes at shared offset " +
                         std::to_string((i64)addr - shared_base) + ", outside the " + std::to_string(shared_bytes) +
                         " bytes of the launch", at);
    if (addr % align)
        machine.fail(std::string(operation) + " at shared offset " + std::to_string(addr - shared_base) +
                         ", which is not a multiple of " + std::to_string(align), at);
    return smem + (addr - shared_base);
}
inline const void* global_at(const void* p, u32 align, const char* operation, At at) {
    if (!p || (uintptr_t)p % align)
        machine.fail(std::string(operation) + " at a global address that is null or not a multiple of " +
                         std::to_string(align), at);
    if ((const u8*)p >= smem && (const u8*)p < smem + sizeof smem)
        machine.fail(std::string(operation) + " to global memory with a pointer into shared memory", at);
    return p;
}

template <class T>
inline T load(const void* p) {
    T v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
template <class T>
inline T load_global(const void* p, const char* operation, At at) {
    machine.maybe_yield();
    return load<T>(global_at(p, sizeof(T), operation, at));
}
template <class T>
inline void store_global(void* p, T v, const char* operation, At at) {
    machine.maybe_yield();
    std::memcpy((void*)global_at(p, sizeof v, operation, at), &v, sizeof v);
}
template <class T>
inline T load_shared(u32 addr, const char* operation, At at) {
    machine.maybe_yield();
    return load<T>(shared_at(addr, sizeof(T), sizeof(T), operation, at));
}
template <class T>
inline void store_shared(u32 addr, T v, const char* operation, At at) {
    machine.maybe_yield();
    std::memcpy(shared_at(addr, sizeof v, sizeof v, operation, at), &v, sizeof v);
}

// Global memory of a test: poisoned with NaN, and its last element lies against an unmapped page, so that a read
// or write past the end faults. Elements count in multiples of 16 bytes to keep vector accesses aligned.
template <class T>
class Buffer {
    static constexpr size_t page = 4096;
    size_t count, mapped;
    u8* base;

public:
    explicit Buffer(size_t n) : count(n), mapped(((n * sizeof(T) + 15) / 16 * 16 + page - 1) / page * page + page) {
        void* p = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) throw std::bad_alloc();
        base = (u8*)p;
        std::memset(base, 0xff, mapped - page);
        mprotect(base + mapped - page, page, PROT_NONE);
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { munmap(base, mapped); }
    T* data() { return (T*)(base + mapped - page - (count * sizeof(T) + 15) / 16 * 16); }
    T& operator[](size_t i) { return data()[i]; }
    size_t size() const { return count; }
};

}  // namespace shim

inline u32 smem_u32(const void* p, shim::At at = shim::At::here()) {
    // One past the end is an address too.
    if ((const u8*)p < smem || (const u8*)p > smem + shim::shared_bytes)
        shim::machine.fail("smem_u32 of a pointer that is not into the dynamic shared memory", at);
    return (u32)((const u8*)p - smem) + shim::shared_base;
}
inline u32x4 ld_global_v4(const void* p, shim::At at = shim::At::here()) {
    return shim::load_global<u32x4>(p, "ld_global_v4", at);
}
inline u32x4 ld_global_nc_v4(const void* p, shim::At at = shim::At::here()) {
    return shim::load_global<u32x4>(p, "ld_global_nc_v4", at);
}
inline u32 ld_global_nc_u32(const void* p, shim::At at = shim::At::here()) {
    return shim::load_global<u32>(p, "ld_global_nc_u32", at);
}
inline void st_global_v4(void* p, u32x4 v, shim::At at = shim::At::here()) {
    shim::store_global(p, v, "st_global_v4", at);
}
inline void st_global_v2(void* p, u32x2 v, shim::At at = shim::At::here()) {
    shim::store_global(p, v, "st_global_v2", at);
}
inline void st_global_u32(void* p, u32 v, shim::At at = shim::At::here()) {
    shim::store_global(p, v, "st_global_u32", at);
}
inline u32x4 ld_shared_v4(u32 addr, shim::At at = shim::At::here()) {
    return shim::load_shared<u32x4>(addr, "ld_shared_v4", at);
}
inline u32 ld_shared_u32(u32 addr, shim::At at = shim::At::here()) {
    return shim::load_shared<u32>(addr, "ld_shared_u32", at);
}
inline u16 ld_shared_u16(u32 addr, shim::At at = shim::At::here()) {
    return shim::load_shared<u16>(addr, "ld_shared_u16", at);
}
inline float ld_shared_f32(u32 addr, shim::At at = shim::At::here()) {
    return shim::load_shared<float>(addr, "ld_shared_f32", at);
}
inline void st_shared_v4(u32 addr, u32x4 v, shim::At at = shim::At::here()) {
    shim::store_shared(addr, v, "st_shared_v4", at);
}
inline void st_shared_u32(u32 addr, u32 v, shim::At at = shim::At::here()) {
    shim::store_shared(addr, v, "st_shared_u32", at);
}
inline void st_shared_u16(u32 addr, u16 v, shim::At at = shim::At::here()) {
    shim::store_shared(addr, v, "st_shared_u16", at);
}
inline void st_shared_f32(u32 addr, float v, shim::At at = shim::At::here()) {
    shim::store_shared(addr, v, "st_shared_f32", at);
}
