// The format by its bits, and products of it.

#include "e4m3.hpp"

#include <array>

#include "descriptor.hpp"

float e4m3_to_float(u8 v) {
    const u32 exponent = v >> 3 & 15, mantissa = v & 7;
    if ((v & 0x7f) == 0x7f) return __uint_as_float(0x7fffffff);
    const float magnitude = exponent ? (float)(8 + mantissa) * __uint_as_float((exponent + 127 - 10) << 23) : (float)mantissa * 0x1p-9f;
    return v >> 7 ? -magnitude : magnitude;
}

u8 float_to_e4m3(float v) {
    if (v != v) return 0x7f;
    u8 best = 0;
    float distance = FLOAT_INF;
    const float magnitude = std::fabs(v);
    for (u32 bits = 0; bits < 0x7f; bits++) {
        const float d = std::fabs(magnitude - e4m3_to_float((u8)bits));
        if (d < distance || (d == distance && bits % 2 == 0)) best = (u8)bits, distance = d;
    }
    return std::signbit(v) ? best | 0x80 : best;
}

u32 pack4_e4m3(float a, float b, float c, float d) {
    return float_to_e4m3(a) | (u32)float_to_e4m3(b) << 8 | (u32)float_to_e4m3(c) << 16 | (u32)float_to_e4m3(d) << 24;
}

namespace shim {

void wgmma_e4m3(GroupSlot& slot, u32 n, const char* operation, At at) {
    machine.collective(operation, at, slot, [=](GroupSlot* (&lanes)[32]) {
        std::array<float*, 32> d;
        for (u32 lane = 0; lane < 32; lane++) {
            const GroupSlot& mine = *lanes[lane];
            d[lane] = mine.d;
            if (mine.b_descriptor != lanes[0]->b_descriptor || mine.a_descriptor != lanes[0]->a_descriptor ||
                mine.accumulate != lanes[0]->accumulate)
                machine.fail(std::string(operation) + ": operands differ between lanes", at);
        }
        u32 row0 = machine.thread_id() / 32 % 4 * 16;
        Operand a(lanes[0]->a_descriptor, operation, at), b(lanes[0]->b_descriptor, operation, at);
        // Two elements lie where one of 16 bits does.
        auto element = [](const Operand& of, u32 row, u32 k) -> u32 { return of.k_major(row, k / 2) + k % 2; };
        for (u32 k = 0; k < 32; k++) {
            for (u32 col = 0; col < n; col++) shared_at(element(b, col, k), 1, 1, operation, at);
            for (u32 row = 0; row < 16; row++) shared_at(element(a, row0 + row, k), 1, 1, operation, at);
        }
        bool accumulate = lanes[0]->accumulate != 0;
        auto value = [=](const Operand& of, u32 row, u32 k) {
            return e4m3_to_float(load<u8>(smem + (element(of, row, k) - shared_base)));
        };
        auto product = [=] {
            std::array<std::array<float, 32>, 16> rows;
            for (u32 row = 0; row < 16; row++)
                for (u32 k = 0; k < 32; k++) rows[row][k] = value(a, row0 + row, k);
            for (u32 col = 0; col < n; col++) {
                float column[32];
                for (u32 k = 0; k < 32; k++) column[k] = value(b, col, k);
                for (u32 row = 0; row < 16; row++) {
                    float sum = 0;
                    for (u32 k = 0; k < 32; k++) sum += rows[row][k] * column[k];
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

}  // namespace shim
