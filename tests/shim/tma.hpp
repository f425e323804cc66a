// Twins of prelude/tma.cuh. A load lands at any time after its issue; a store reads shared memory at any time up to
// the wait that covers it.
#pragma once

#include "mbarrier.hpp"

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

inline TensorMap tensor_map(const TensorLayout& layout) {
    if (layout.swizzled && layout.box[0] * 2 > 128) throw Error("tensor_map: a swizzled box is at most 128 bytes wide");
    if ((uintptr_t)layout.base % 16 || layout.box[0] * 2 % 16) throw Error("tensor_map: base and rows in 16 bytes");
    for (u64 stride : layout.strides)
        if (stride % 16) throw Error("tensor_map: strides are multiples of 16 bytes");
    TensorMap map{};
    std::memcpy(&map, &layout, sizeof layout);
    return map;
}

// The 128-byte swizzle: the 16-byte chunk within a 128-byte row is exchanged by the row's number modulo 8.
inline u32 swizzle_128(u32 addr) { return addr ^ (addr >> 7 & 7) << 4; }

inline u32 box_bytes(const TensorLayout& l) { return 2 * l.box[0] * l.box[1] * l.box[2] * l.box[3]; }

// Calls `move(shared, global)` for each element of the box; `global` is null outside the tensor.
template <class Move>
inline void each_element(const TensorLayout& l, u32 addr, const i32 (&corner)[4], Move move) {
    u32 offset = 0;
    u32 i[4];
    for (i[3] = 0; i[3] < l.box[3]; i[3]++)
        for (i[2] = 0; i[2] < l.box[2]; i[2]++)
            for (i[1] = 0; i[1] < l.box[1]; i[1]++)
                for (i[0] = 0; i[0] < l.box[0]; i[0]++, offset += 2) {
                    bool inside = true;
                    u64 bytes = 0;
                    for (u32 d = 0; d < 4; d++) {
                        i64 at = (i64)corner[d] + i[d];
                        inside = inside && at >= 0 && at < l.sizes[d];
                        bytes += (u64)at * (d ? l.strides[d - 1] : 2);
                    }
                    u32 linear = addr + offset, placed = l.swizzled ? swizzle_128(linear) : linear;
                    move((u16*)(smem + (placed - shared_base)), inside ? (u16*)((u8*)l.base + bytes) : nullptr);
                }
}

inline TensorLayout layout_of(const TensorMap* map, u32 addr, const char* operation, At at) {
    machine.maybe_yield();
    if ((uintptr_t)map % 64) machine.fail(std::string(operation) + " with a map that is not 64-byte aligned", at);
    TensorLayout layout;
    std::memcpy(&layout, map, sizeof layout);
    shared_at(addr, box_bytes(layout), 128, operation, at);
    return layout;
}

}  // namespace shim

inline void tma_prefetch(const TensorMap*) {}

inline void tma_load_4d(u32 dst, const TensorMap* map, u32 bar, i32 c0, i32 c1, i32 c2, i32 c3,
                        shim::At at = shim::At::here()) {
    using namespace shim;
    TensorLayout layout = layout_of(map, dst, "tma_load_4d", at);
    mbarrier_at(bar, "tma_load_4d", at);
    auto load = [=] {
        each_element(layout, dst, {c0, c1, c2, c3}, [](u16* to, const u16* from) { *to = from ? *from : 0; });
        mbarrier_complete_tx(bar, box_bytes(layout));
    };
    if (machine.policy.complete == 16) return load();
    machine.loads.push(load);
}

inline void tma_store_4d(const TensorMap* map, u32 src, i32 c0, i32 c1, i32 c2, i32 c3,
                         shim::At at = shim::At::here()) {
    using namespace shim;
    TensorLayout layout = layout_of(map, src, "tma_store_4d", at);
    machine.self().stores.push([=] {
        each_element(layout, src, {c0, c1, c2, c3}, [](const u16* from, u16* to) {
            if (to) *to = *from;
        });
    });
}
inline void tma_store_commit() { shim::machine.self().stores.commit(); }
template <int Pending>
inline void tma_store_wait_read() {
    shim::machine.self().stores.wait(Pending);
}
inline void fence_proxy_async() {}
