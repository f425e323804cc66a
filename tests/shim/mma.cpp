// Written from the layouts in the PTX manual: the whole warp meets, then fragments are gathered into matrices, multiplied,
// and scattered.

#include "mma.hpp"

#include "access.hpp"
#include "convert.hpp"

namespace shim {

struct MatrixSlot {
    u32 addr;
    u32 r[4];
};

static void ldmatrix(MatrixSlot& slot, bool transposed, const char* operation, At at) {
    machine.collective(operation, at, slot, [&](MatrixSlot* (&lanes)[32]) {
        for (u32 matrix = 0; matrix < 4; matrix++) {
            u16 m[8][8];
            for (u32 row = 0; row < 8; row++)
                std::memcpy(m[row], shared_at(lanes[8 * matrix + row]->addr, 16, 16, operation, at), 16);
            for (u32 lane = 0; lane < 32; lane++) {
                u32 g = lane / 4, t = lane % 4;
                u32 lo = transposed ? m[2 * t][g] : m[g][2 * t];
                u32 hi = transposed ? m[2 * t + 1][g] : m[g][2 * t + 1];
                lanes[lane]->r[matrix] = lo | hi << 16;
            }
        }
    });
}

static void stmatrix(MatrixSlot& slot, const char* operation, At at) {
    machine.collective(operation, at, slot, [&](MatrixSlot* (&lanes)[32]) {
        for (u32 matrix = 0; matrix < 4; matrix++)
            for (u32 lane = 0; lane < 32; lane++) {
                u32 row = lanes[8 * matrix + lane / 4]->addr;
                std::memcpy(shared_at(row, 16, 16, operation, at) + lane % 4 * 4, &lanes[lane]->r[matrix], 4);
            }
    });
}

struct ProductSlot {
    float* d;
    const u32* a;
    u32 b[2];
};

template <class Element, float (*Widen)(Element)>
static void mma(ProductSlot& slot, const char* operation, At at) {
    machine.collective(operation, at, slot, [](ProductSlot* (&lanes)[32]) {
        float a[16][16], b[16][8];
        for (u32 lane = 0; lane < 32; lane++) {
            u32 g = lane / 4, t = lane % 4;
            for (u32 half = 0; half < 2; half++) {
                auto widen = [&](u32 pair) { return Widen(Element{(u16)(half ? pair >> 16 : pair)}); };
                for (u32 i = 0; i < 4; i++)
                    a[g + i % 2 * 8][2 * t + i / 2 * 8 + half] = widen(lanes[lane]->a[i]);
                for (u32 i = 0; i < 2; i++) b[2 * t + i * 8 + half][g] = widen(lanes[lane]->b[i]);
            }
        }
        for (u32 lane = 0; lane < 32; lane++) {
            for (u32 i = 0; i < 4; i++) {
                u32 row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
                float sum = 0;
                for (u32 k = 0; k < 16; k++) sum += a[row][k] * b[k][column];
                lanes[lane]->d[i] += sum;
            }
        }
    });
}

}  // namespace shim

void ldmatrix_x4(u32& r0, u32& r1, u32& r2, u32& r3, u32 addr, shim::At at) {
    shim::MatrixSlot slot{addr, {}};
    shim::ldmatrix(slot, false, "ldmatrix_x4", at);
    r0 = slot.r[0], r1 = slot.r[1], r2 = slot.r[2], r3 = slot.r[3];
}
void ldmatrix_x4(u32 (&r)[4], u32 addr, shim::At at) {
    ldmatrix_x4(r[0], r[1], r[2], r[3], addr, at);
}
void ldmatrix_x4_trans(u32& r0, u32& r1, u32& r2, u32& r3, u32 addr, shim::At at) {
    shim::MatrixSlot slot{addr, {}};
    shim::ldmatrix(slot, true, "ldmatrix_x4_trans", at);
    r0 = slot.r[0], r1 = slot.r[1], r2 = slot.r[2], r3 = slot.r[3];
}
void ldmatrix_x4_trans(u32 (&r)[4], u32 addr, shim::At at) {
    ldmatrix_x4_trans(r[0], r[1], r[2], r[3], addr, at);
}
void stmatrix_x4(u32 addr, const u32 (&r)[4], shim::At at) {
    shim::MatrixSlot slot{addr, {r[0], r[1], r[2], r[3]}};
    shim::stmatrix(slot, "stmatrix_x4", at);
}
void mma_m16n8k16_bf16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1, shim::At at) {
    shim::ProductSlot slot{d, a, {b0, b1}};
    shim::mma<bf16, bf16_to_float>(slot, "mma_m16n8k16_bf16", at);
}
void mma_m16n8k16_f16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1, shim::At at) {
    shim::ProductSlot slot{d, a, {b0, b1}};
    shim::mma<f16, f16_to_float>(slot, "mma_m16n8k16_f16", at);
}
