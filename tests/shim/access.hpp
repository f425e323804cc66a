// Accesses to memory: shared memory lies behind checked 32-bit addresses.
#pragma once

#include "machine.hpp"
#include "memory.hpp"

namespace shim {

constexpr u32 shared_limit = 227 * 1024;  // what a CTA may ask for on sm_90
constexpr u32 shared_canary = 32 * 1024;  // written over by nobody
constexpr u32 shared_base = 1024;         // address of smem[0]: not zero, so that nobody relies on zero

extern u32 shared_bytes;  // of this launch

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
    if ((const u8*)p >= smem && (const u8*)p < smem + shared_limit + shared_canary)
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

// The 128-byte swizzle: the 16-byte chunk within a 128-byte row is exchanged by the row's number modulo 8.
inline u32 swizzle_128(u32 addr) { return addr ^ (addr >> 7 & 7) << 4; }

// The barrier at a shared address.
Mbarrier& mbarrier_at(u32 bar, const char* operation, At at);
// Bytes that a copy has brought; outside any thread, so a barrier that is gone is the launch's failure.
void mbarrier_complete_tx(u32 bar, u32 bytes);

}  // namespace shim
