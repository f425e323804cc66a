// TMA, mbarriers and wgmma against a plain loop, and the bugs planted in them.
#pragma once

#include "check.hpp"

static int hopper_mutant = 0;
#define MUTANT(i) (hopper_mutant == (i))
#include "kernels/hopper.cuh"
#undef MUTANT

namespace hopper_test {

typedef void (*Kernel)(TensorMap, TensorMap, TensorMap, u32);
struct Form {
    const char* name;
    Kernel kernel;
    int major;
};
constexpr Form forms[] = {
    {"ss, b K-major", hopper_ss_k, B_K_MAJOR},           {"ss, b MN-major", hopper_ss_mn, B_MN_MAJOR},
    {"rs, b MN-major", hopper_rs_mn, B_MN_MAJOR},        {"ss, n64", hopper_ss_k_halves, B_K_MAJOR},
    {"rs, n64", hopper_rs_mn_halves, B_MN_MAJOR},
};

// A map of a dense row-major matrix, boxes of 64 columns.
inline TensorMap matrix(shim::Buffer<Elem>& data, u32 rows, u32 cols, u32 box_rows) {
    u64 bytes = (u64)rows * cols * 2;
    return shim::tensor_map({(u16*)data.data(), {cols * 2ull, bytes, bytes}, {cols, rows, 1, 1}, {64, box_rows, 1, 1}, 1});
}

// Empty where the product is right; else what was wrong with it.
inline std::string run(const Form& form, u32 m, u32 k, u64 seed) {
    const u32 n = 128;
    bool mn = form.major == B_MN_MAJOR;
    shim::Buffer<Elem> a(m * k), b(k * n), c(m * n);
    shim::Random random{seed * 31 + k};
    for (u32 i = 0; i < m * k; i++) a[i] = float_to_elem(check::small(random));
    for (u32 i = 0; i < k * n; i++) b[i] = float_to_elem(check::small(random));
    TensorMap a_map = matrix(a, m, k, 64), c_map = matrix(c, m, n, 64);
    TensorMap b_map = mn ? matrix(b, k, n, 64) : matrix(b, n, k, 128);
    std::string error = check::error_of([&] {
        shim::launch((m + 63) / 64, 256, HOPPER_SMEM, seed, [&] { form.kernel(a_map, b_map, c_map, k); });
    });
    if (!error.empty()) return error;
    for (u32 row = 0; row < m; row++) {
        for (u32 col = 0; col < n; col++) {
            float sum = 0;
            for (u32 i = 0; i < k; i++)
                sum += elem_to_float(a[row * k + i]) * elem_to_float(b[mn ? i * n + col : col * k + i]);
            // Sums are exact in f32, so that both sides round the same number.
            float got = elem_to_float(c[row * n + col]), expected = elem_to_float(float_to_elem(sum));
            if (!(got == expected))
                return "c[" + std::to_string(row) + "][" + std::to_string(col) + "] = " + std::to_string(got) +
                       ", expected " + std::to_string(expected);
        }
    }
    return {};
}

// Values, by the definition of the format, and products.
inline void eighths(u64 seed) {
    for (u32 bits = 0; bits < 0x100; bits++) {
        int e = bits >> 3 & 15, f = bits & 7;
        double value = (bits & 0x7f) == 0x7f ? NAN : std::ldexp(e ? 8 + f : f, (e ? e : 1) - 10) * (bits >> 7 ? -1 : 1);
        float got = e4m3_to_float((u8)bits);
        check::that(got == value || (std::isnan(got) && std::isnan(value)), "e4m3 " + std::to_string(bits));
    }
    const float ties[] = {0x1p-10f, 0x1.8p-9f, 17.0f, 19.0f, 464.0f, 1e9f, 447.0f};
    const u8 rounded[] = {0, 2, 0x58, 0x5a, 0x7e, 0x7e, 0x7e};
    for (u32 i = 0; i < 7; i++) {
        check::that(float_to_e4m3(ties[i]) == rounded[i], "e4m3 of " + std::to_string(ties[i]));
        check::that(float_to_e4m3(-ties[i]) == (rounded[i] | 0x80), "e4m3 of -" + std::to_string(ties[i]));
    }
    shim::Buffer<float> a(64 * 128), b(128 * 128), c(2 * 64 * 128);
    shim::Random random{seed};
    auto fill = [&](shim::Buffer<float>& x, u32 count) {
        for (u32 i = 0; i < count; i++) x[i] = ((i32)random.below(2001) - 1000) * 0x1p-6f;
    };
    fill(a, 64 * 128), fill(b, 128 * 128);
    shim::launch(1, 128, (64 + 128) * 128, seed, [&] { e4m3_kernel(a.data(), b.data(), c.data()); });
    auto value = [](float x) { return (double)e4m3_to_float(float_to_e4m3(x)); };
    for (u32 i = 0; i < 64 * 128; i++) {
        double sum = 0;
        for (u32 k = 0; k < 128; k++) sum += value(a[i / 128 * 128 + k]) * value(b[i % 128 * 128 + k]);
        check::that(std::fabs(c[i] - sum) <= 1e-3 && c[64 * 128 + i] == c[i], "e4m3 product " + std::to_string(i));
    }
}

inline void all(u64 seeds) {
    eighths(seeds);
    for (const Form& form : forms)
        for (u64 seed = 0; seed < seeds; seed += 2) {
            // The second shape has tails in both directions, and uses each slot more than once.
            std::string error = run(form, 64, 128, seed) + run(form, 72, 328, seed + 1);
            check::that(error.empty(), std::string("wgmma ") + form.name + " seed=" + std::to_string(seed) + ": " + error);
        }
    static const char* const bugs[] = {
        "missing wait for full", "missing wait for empty", "wrong parity for empty", "short expect_tx",
        "wrong arrival count", "missing wgmma wait", "leading and stride swapped", "store before all have written",
        "operands overwritten while read",
    };
    for (int i = 0; i < (int)std::size(bugs); i++) {
        hopper_mutant = 20 + i;
        u32 caught = 0, runs = 0;
        std::string first;
        for (u64 seed = 0; seed < seeds; seed++) {
            std::string error = run(forms[1 + seed % 2], 64, 328, seed);
            runs++;
            caught += !error.empty();
            if (first.empty()) first = error.substr(0, error.find('\n'));
        }
        hopper_mutant = 0;
        check::that(caught > 0, std::string("mutant not caught: ") + bugs[i]);
        std::printf("mutant %2d caught in %2u of %u runs: %-32s %s\n", 20 + i, caught, runs, bugs[i], first.c_str());
    }
}

}  // namespace hopper_test
