// Twins of prelude/tma.cuh.
#pragma once

#include "at.hpp"
#include "cuda.hpp"

// Opaque to kernels, as on the device.
struct alignas(64) TensorMap {
    u64 opaque[16];
};

namespace shim {

// What the shim keeps in a TensorMap: a 4-D tensor of 16-bit elements, innermost dimension first and dense.
struct TensorLayout {
    u16* base;
    u64 strides[3];  // of dimensions 1..3, in bytes
    u32 sizes[4], box[4];
    u32 swizzled;  // 1: the 128-byte swizzle
};
static_assert(sizeof(TensorLayout) <= sizeof(TensorMap), "the layout fits the map");

TensorMap tensor_map(const TensorLayout& layout);
void tma_store_wait_read(u32 pending);

}  // namespace shim

inline void tma_prefetch(const TensorMap*) {}
void tma_load_4d(u32 dst, const TensorMap* map, u32 bar, i32 c0, i32 c1, i32 c2, i32 c3, shim::At at = shim::At::here());
void tma_store_4d(const TensorMap* map, u32 src, i32 c0, i32 c1, i32 c2, i32 c3, shim::At at = shim::At::here());
void tma_store_commit();
template <int Pending>
inline void tma_store_wait_read() {
    shim::tma_store_wait_read(Pending);
}
inline void fence_proxy_async() {}
