// Each wrapper's twin against results computed by hand, over seeds.
#pragma once

#include "check.hpp"
#include "kernels/wrappers.cuh"

namespace wrappers_test {

inline void exchange(u64 seed) {
    shim::Buffer<u32> out(16 * 32);
    shim::launch(1, 32, 0, seed, [&] { exchange_kernel(out.data()); });
    u32 in[32], total = 0, flipped_max = 0, flipped_min = ~0u;
    for (u32 i = 0; i < 32; i++) {
        in[i] = i * i + 7;
        total += in[i];
        flipped_max = std::max(flipped_max, in[i] ^ 1), flipped_min = std::min(flipped_min, in[i] ^ 1);
    }
    for (u32 i = 0; i < 32; i++) {
        u32 q = i / 4 * 4;
        float lowest = -(float)in[q];  // in[] grows, so the first of a quad is the largest once negated
        u32 expected[16] = {
            in[i ^ 5], i < 3 ? in[i] : in[i - 3], i > 27 ? in[i] : in[i + 4], in[(i + 9) % 32], 0x49249249, 1, 1,
            total, flipped_max, flipped_min, i % 3 == 0 ? in[i] : 5, (u32)lowest, in[q] + in[q + 1] + in[q + 2] + in[q + 3], flipped_max, total,
            9 + i,
        };
        for (u32 row = 0; row < 16; row++)
            check::that(out[32 * row + i] == expected[row],
                        "exchange row " + std::to_string(row) + " lane " + std::to_string(i));
    }
}

// The format's value nearest to `v`, found by searching all values: ties go to the even pattern.
template <class Format, float (*Widen)(Format)>
inline u16 nearest(double v) {
    u16 best = 0;
    double distance = INFINITY;
    for (u32 bits = 0; bits < 0x8000; bits++) {
        double value = Widen(Format{(u16)bits});
        if (std::isnan(value)) break;
        // Rounding treats infinity as the next power of two.
        if (std::isinf(value)) value = 2 * (double)Widen(Format{(u16)(bits - 1)}) - Widen(Format{(u16)(bits - 2)});
        double d = std::fabs(std::fabs(v) - value);
        if (d < distance || (d == distance && bits % 2 == 0)) best = bits, distance = d;
    }
    return std::signbit(v) ? best | 0x8000 : best;
}

inline void formats() {
    // Widening, against the definition of the formats.
    for (u32 bits = 0; bits < 0x10000; bits++) {
        double sign = bits >> 15 ? -1 : 1;
        int e = bits >> 10 & 31, f = bits & 1023;
        double half = e == 31 ? (f ? NAN : INFINITY) : e ? std::ldexp(1024 + f, e - 25) : std::ldexp(f, -24);
        float got = f16_to_float(f16{(u16)bits});
        check::that(got == sign * half || (std::isnan(got) && std::isnan(half)), "f16_to_float " + std::to_string(bits));
        e = bits >> 7 & 255, f = bits & 127;
        half = e == 255 ? (f ? NAN : INFINITY) : e ? std::ldexp(128 + f, e - 134) : std::ldexp(f, -133);
        got = bf16_to_float(bf16{(u16)bits});
        check::that(got == sign * half || (std::isnan(got) && std::isnan(half)), "bf16_to_float " + std::to_string(bits));
    }
    // Narrowing: random values, exact ties, both edges of the range.
    shim::Random random{5};
    std::vector<float> values = {0.0f, -0.0f, 65504.0f, 65519.9f, 65520.0f, 1e9f, 0x1p-24f, 0x1p-25f, 0x1.8p-24f, 0x1p-14f};
    for (int i = 0; i < 40; i++) {
        values.push_back(shim_bits<float>((u32)(random.next() >> 33) % 0x7f800000));
        values.push_back(std::ldexp(2049.0f + 2 * random.below(1024), (int)random.below(26) - 24));
        values.push_back(-std::ldexp(257.0f + 2 * random.below(128), (int)random.below(26) - 24));
    }
    for (float v : values) {
        check::that(float_to_f16(v).bits == nearest<f16, f16_to_float>(v), "float_to_f16 " + std::to_string(v));
        check::that(float_to_bf16(v).bits == nearest<bf16, bf16_to_float>(v), "float_to_bf16 " + std::to_string(v));
    }
    check::that(std::isnan(f16_to_float(float_to_f16(NAN))) && std::isnan(bf16_to_float(float_to_bf16(NAN))), "NaN stays NaN");
}

inline void convert(u64 seed) {
    shim::Buffer<float> in(32);
    shim::Buffer<u32> out(10 * 32);
    for (u32 i = 0; i < 32; i++) in[i] = (i + 1) * 0.3f;
    in[30] = FLOAT_NEG_INF, in[31] = 0;
    shim::launch(1, 32, 0, seed, [&] { convert_kernel(in.data(), out.data()); });
    auto f = [&](u32 row, u32 i) { return __uint_as_float(out[32 * row + i]); };
    auto close = [](float a, double b) { return std::fabs(a - b) <= 3e-7 * (1 + std::fabs(b)); };
    for (u32 i = 0; i < 30; i++) {
        double v = in[i];
        check::that(close(f(0, i), std::pow(2, v)) && close(f(1, i), std::log(v) / std::log(2)) && close(f(2, i), 1 / v),
                    "approximate functions lane " + std::to_string(i));
        check::that(std::fabs(f(6, i) - v) <= v / 256 && std::fabs(f(7, i) - v) <= v / 2048, "narrowing lane " + std::to_string(i));
    }
    for (u32 i = 0; i < 32; i++) {
        const i32 low = float_to_elem(in[i]).bits, high = float_to_elem(in[(i + 1) % 32]).bits;
        check::that((i32)out[32 * 9 + i] == 5 * low - 2 * high - (i32)i, "dp2a_lo lane " + std::to_string(i));
    }
    check::that(f(0, 30) == 0 && f(1, 31) == FLOAT_NEG_INF && f(2, 31) == FLOAT_INF, "approximate functions at the edges");
    for (u32 i = 0; i < 32; i++) {
        float next = in[(i + 1) % 32];
        check::that(f(4, i) == f(3, i) && f(3, i) == elem_to_float(float_to_elem(in[i])), "lower of a pair");
        check::that(f(5, i) == elem_to_float(float_to_elem(next)), "upper of a pair");
        u32 lo = float_to_bf16(in[i]).bits ^ float_to_f16(next).bits, hi = float_to_bf16(next).bits ^ float_to_f16(in[i]).bits;
        check::that(out[32 * 8 + i] == (lo | hi << 16), "order in packed pairs");
    }
}

inline void memory(u64 seed) {
    shim::Buffer<u32> in(8 * 32), out(16 * 32);
    for (u32 i = 0; i < in.size(); i++) in[i] = i * 30003 + 1;
    shim::launch(1, 32, 512, seed, [&] { memory_kernel(in.data(), out.data()); });
    for (u32 lane = 0; lane < 32; lane++) {
        const u32 *mine = &in[8 * lane], *other = &in[8 * (lane ^ 1)], *got = &out[16 * lane];
        const u32 expected[14] = {other[0], other[0], other[1], other[2], other[0], other[1], other[2],
                                  other[3], mine[4],  mine[5],  mine[6],  mine[7],  mine[0],
                                  other[0] << 16 | other[0] >> 16};
        for (u32 i = 0; i < 14; i++) check::that(got[i] == expected[i], "memory word " + std::to_string(i));
    }
}

inline void reduction(u64 seed) {
    const u32 n = 1000;
    shim::Buffer<u32> in(n), total(5);
    u32 sum = 0, largest = 0;
    shim::Random random{seed};
    for (u32 i = 0; i < n; i++) in[i] = random.below(1u << 30), sum += in[i], largest = std::max(largest, in[i]);
    for (u32 i = 0; i < 5; i++) total[i] = 0;
    shim::launch(4, 256, 8, seed, [&] { reduce_kernel(in.data(), n, total.data()); });
    check::that(total[0] == sum && total[1] == largest && total[2] == 4, "atomics");
    check::that(total[3] == sum && total[4] == largest, "the last block sees every other's sum");
}

inline void handover(u64 seed) {
    const u32 rounds = 9;
    shim::Buffer<u32> out(rounds * 32);
    shim::launch(1, 64, 128, seed, [&] { handover_kernel(out.data(), rounds); });
    for (u32 i = 0; i < out.size(); i++) check::that(out[i] == i / 32 * 100 + i % 32, "handover " + std::to_string(i));
}

inline void product(u64 seed) {
    shim::Buffer<u16> x(64), y(64);
    shim::Buffer<float> out(192);
    shim::Random random{seed};
    // Between 1 and 2 as f16, between 2^-7 and 2 as bf16.
    for (u32 i = 0; i < 64; i++) x[i] = (u16)(0x3c00 + random.below(1024)), y[i] = (u16)(0x3c00 + random.below(1024));
    shim::launch(1, 32, 512, seed, [&] { product_kernel(x.data(), y.data(), out.data()); });
    for (u32 i = 0; i < 64; i++) {
        double in_bf16 = 0, in_f16 = 0, in_elem = 0;
        for (u32 k = 0; k < 8; k++) {
            u16 left = x[i / 8 * 8 + k], right = y[k * 8 + i % 8];
            in_bf16 += (double)bf16_to_float({left}) * bf16_to_float({right});
            in_f16 += (double)f16_to_float({left}) * f16_to_float({right});
            in_elem += (double)elem_to_float({left}) * elem_to_float({right});
        }
        auto close = [](float a, double b) { return std::fabs(a - b) <= 1e-6 * b; };
        check::that(close(out[i], in_bf16) && close(out[64 + i], in_f16) && close(out[128 + i], in_elem),
                    "product element " + std::to_string(i));
    }
}

inline void matrices(u64 seed) {
    shim::Buffer<u32> out(128);
    shim::launch(1, 32, 512, seed, [&] { matrices_kernel(out.data()); });
    // Lane 4 g + t holds columns 2 t and 2 t + 1 of row g, which are word 4 g + t of the matrix.
    for (u32 i = 0; i < 128; i++)
        check::that(out[i] == ((3 - i / 32) << 16 | i % 32), "stored matrices, word " + std::to_string(i));
}

inline void all() {
    formats();
    for (u64 seed = 0; seed < 12; seed++) {
        exchange(seed);
        convert(seed);
        memory(seed);
        reduction(seed);
        handover(seed);
        product(seed);
        matrices(seed);
    }
}

}  // namespace wrappers_test
