// The double-buffered product against a plain loop, and the bugs planted in it.
#pragma once

#include "check.hpp"

static int mutant = 0;
#define MUTANT(i) (mutant == (i))
#include "kernels/gemm.cuh"
#undef MUTANT

namespace gemm_test {

struct Shape {
    u32 m, n, k;
};

// Empty where the product is right; else what was wrong with it.
inline std::string run(Shape shape, u64 seed) {
    auto [m, n, k] = shape;
    shim::Buffer<Elem> a(m * k), b(k * n);
    shim::Buffer<float> c(m * n);
    shim::Random random{seed * 977 + m};
    for (u32 i = 0; i < m * k; i++) a[i] = float_to_elem(check::small(random));
    for (u32 i = 0; i < k * n; i++) b[i] = float_to_elem(check::small(random));
    std::string error = check::error_of([&] {
        shim::launch({n / TILE_N, (m + TILE_M - 1) / TILE_M}, 128, GEMM_SMEM, seed,
                     [&] { gemm(a.data(), b.data(), c.data(), m, n, k); });
    });
    if (!error.empty()) return error;
    for (u32 row = 0; row < m; row++) {
        for (u32 col = 0; col < n; col++) {
            float sum = 0;
            for (u32 i = 0; i < k; i++) sum += elem_to_float(a[row * k + i]) * elem_to_float(b[i * n + col]);
            // Every partial sum is a multiple of 1/16 below 2^9, so f32 is exact; NaN compares unequal too.
            if (!(c[row * n + col] == sum))
                return "c[" + std::to_string(row) + "][" + std::to_string(col) + "] = " +
                       std::to_string(c[row * n + col]) + ", expected " + std::to_string(sum);
        }
    }
    return {};
}

constexpr Shape shapes[] = {{128, 64, 128}, {100, 64, 120}, {200, 128, 32}};
inline void all(u64 seeds) {
    mutant = 0;
    for (Shape shape : shapes)
        for (u64 seed = 0; seed < seeds; seed++) {
            std::string error = run(shape, seed);
            check::that(error.empty(), "gemm m=" + std::to_string(shape.m) + " seed=" + std::to_string(seed) + ": " + error);
        }
    static const char* const bugs[] = {
        "zero fill left out", "ldmatrix of A from wrong rows", "quadrants of A swapped", "B not transposed",
        "wrong B fragment", "copies into the stage in use", "missing commit", "wait for one group too few",
        "missing wait", "missing barrier after the wait", "barrier that one warp skips", "product of the wrong stage",
        "missing barrier before reuse", "accumulator rows misplaced",
    };
    for (int i = 0; i < (int)std::size(bugs); i++) {
        mutant = i + 1;
        u32 caught = 0, runs = 0;
        std::string first;
        for (u64 seed = 0; seed < seeds; seed++)
            for (Shape shape : {shapes[0], shapes[1]}) {
                std::string error = run(shape, seed);
                runs++;
                caught += !error.empty();
                if (first.empty()) first = error.substr(0, error.find('\n'));
            }
        mutant = 0;
        check::that(caught > 0, std::string("mutant not caught: ") + bugs[i]);
        std::printf("mutant %2d caught in %2u of %u runs: %-32s %s\n", i + 1, caught, runs, bugs[i], first.c_str());
    }
}

}  // namespace gemm_test
