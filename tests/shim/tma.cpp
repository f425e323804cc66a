// A load lands at any time after its issue; a store reads shared memory at any time up to the wait that covers it.

#include "tma.hpp"

#include "access.hpp"

namespace shim {

TensorMap tensor_map(const TensorLayout& layout) {
    if (layout.swizzled && layout.box[0] * 2 > 128) throw Error("tensor_map: a swizzled box is at most 128 bytes wide");
    if ((uintptr_t)layout.base % 16 || layout.box[0] * 2 % 16) throw Error("tensor_map: base and rows in 16 bytes");
    for (u64 stride : layout.strides)
        if (stride % 16) throw Error("tensor_map: strides are multiples of 16 bytes");
    TensorMap map{};
    std::memcpy(&map, &layout, sizeof layout);
    return map;
}

static u32 box_bytes(const TensorLayout& l) { return 2 * l.box[0] * l.box[1] * l.box[2] * l.box[3]; }

// Calls `move(shared, global)` for each element of the box; `global` is null outside the tensor.
template <class Move>
static void each_element(const TensorLayout& l, u32 addr, const i32 (&corner)[4], Move move) {
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

static TensorLayout layout_of(const TensorMap* map, u32 addr, const char* operation, At at) {
    machine.maybe_yield();
    if ((uintptr_t)map % 64) machine.fail(std::string(operation) + " with a map that is not 64-byte aligned", at);
    TensorLayout layout;
    std::memcpy(&layout, map, sizeof layout);
    shared_at(addr, box_bytes(layout), 128, operation, at);
    return layout;
}

}  // namespace shim

void tma_load_4d(u32 dst, const TensorMap* map, u32 bar, i32 c0, i32 c1, i32 c2, i32 c3, shim::At at) {
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

void tma_store_4d(const TensorMap* map, u32 src, i32 c0, i32 c1, i32 c2, i32 c3, shim::At at) {
    using namespace shim;
    TensorLayout layout = layout_of(map, src, "tma_store_4d", at);
    machine.self().stores.push([=] {
        each_element(layout, src, {c0, c1, c2, c3}, [](const u16* from, u16* to) {
            if (to) *to = *from;
        });
    });
}
void tma_store_commit() { shim::machine.self().stores.commit(); }
void shim::tma_store_wait_read(u32 pending) { machine.self().stores.wait(pending); }
