// Launching a kernel.
#pragma once

#include "cuda.hpp"

namespace shim {

// Calls `call(kernel)` for every thread of the grid, one CTA after another in an order drawn from the seed.
void launch(dim3 grid, dim3 block, u32 bytes, u64 seed, void (*call)(const void*), const void* kernel);
template <class Kernel>
inline void launch(dim3 grid, dim3 block, u32 bytes, u64 seed, const Kernel& kernel) {
    launch(grid, block, bytes, seed, [](const void* kernel) { (*(const Kernel*)kernel)(); }, &kernel);
}

}  // namespace shim
