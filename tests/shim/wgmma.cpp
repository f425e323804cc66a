// Each warp of the group computes its sixteen rows when the product lands: any time between its issue and the wait that
// covers it, in order of issue.

#include "group.hpp"

#include <array>

#include "convert.hpp"
#include "descriptor.hpp"
#include "warp.hpp"

namespace shim {

template <class Element, float (*Widen)(Element)>
static void issue(GroupSlot& slot, u32 n, bool transposed, const char* operation, At at) {
    machine.collective(operation, at, slot, [=](GroupSlot* (&lanes)[32]) {
        bool in_registers = lanes[0]->a != nullptr;
        std::array<std::array<float, 16>, 16> fragment{};
        std::array<float*, 32> d;
        for (u32 lane = 0; lane < 32; lane++) {
            const GroupSlot& mine = *lanes[lane];
            d[lane] = mine.d;
            if (mine.b_descriptor != lanes[0]->b_descriptor || mine.a_descriptor != lanes[0]->a_descriptor ||
                mine.accumulate != lanes[0]->accumulate)
                machine.fail(std::string(operation) + ": operands differ between lanes", at);
            for (u32 i = 0; in_registers && i < 8; i++) {
                u32 pair = mine.a[i / 2], row = lane / 4 + i / 2 % 2 * 8, k = lane % 4 * 2 + i / 4 * 8 + i % 2;
                fragment[row][k] = Widen({(u16)(i % 2 ? pair >> 16 : pair)});
            }
        }
        u32 row0 = machine.thread_id() / 32 % 4 * 16;
        Operand b(lanes[0]->b_descriptor, operation, at);
        Operand a = in_registers ? b : Operand(lanes[0]->a_descriptor, operation, at);
        // Checked at issue, while there is a thread to name.
        for (u32 k = 0; k < 16; k++) {
            for (u32 col = 0; col < n; col++)
                shared_at(transposed ? b.mn_major(col, k) : b.k_major(col, k), 2, 2, operation, at);
            for (u32 row = 0; !in_registers && row < 16; row++)
                shared_at(a.k_major(row0 + row, k), 2, 2, operation, at);
        }
        bool accumulate = lanes[0]->accumulate != 0;
        auto element_at = [](u32 addr) { return Widen(load<Element>(smem + (addr - shared_base))); };
        auto product = [=]() mutable {
            for (u32 row = 0; !in_registers && row < 16; row++)
                for (u32 k = 0; k < 16; k++) fragment[row][k] = element_at(a.k_major(row0 + row, k));
            for (u32 col = 0; col < n; col++) {
                float column[16];
                for (u32 k = 0; k < 16; k++) column[k] = element_at(transposed ? b.mn_major(col, k) : b.k_major(col, k));
                for (u32 row = 0; row < 16; row++) {
                    float sum = 0;
                    for (u32 k = 0; k < 16; k++) sum += fragment[row][k] * column[k];
                    float& out = d[row % 8 * 4 + col % 8 / 2][col / 8 * 4 + row / 8 * 2 + col % 2];
                    out = accumulate ? out + sum : sum;
                }
            }
        };
        Queue& products = machine.warps[machine.thread_id() / 32].products;
        products.push(product);
        if (machine.policy.complete == 16) products.land_all();
    });
}

void wgmma(GroupSlot& slot, bf16, u32 n, bool transposed, const char* operation, At at) {
    issue<bf16, bf16_to_float>(slot, n, transposed, operation, at);
}
void wgmma(GroupSlot& slot, f16, u32 n, bool transposed, const char* operation, At at) {
    issue<f16, f16_to_float>(slot, n, transposed, operation, at);
}

// Runs `act` once for the warp.
template <class Act>
static void once_per_warp(const char* operation, At at, Act act) {
    int nothing = 0;
    machine.collective(operation, at, nothing, [&](int* (&)[32]) { act(machine.warps[machine.thread_id() / 32]); });
}

void wgmma_wait(u32 pending, At at) {
    once_per_warp("wgmma_wait", at, [=](Warp& warp) { warp.products.wait(pending); });
}
void meet(const char* operation, At at) { once_per_warp(operation, at, [](Warp&) {}); }

}  // namespace shim

void wgmma_commit(shim::At at) {
    shim::once_per_warp("wgmma_commit", at, [](shim::Warp& warp) { warp.products.commit(); });
}
bool elect_one(shim::At at) {
    shim::meet("elect_one", at);
    return lane_id() == 0;
}
