// Twins of prelude/async.cuh. A copy is performed at any time between its issue and the wait that covers it.
#pragma once

#include "at.hpp"
#include "cuda.hpp"

namespace shim {
void cp_async_wait(u32 pending);
}

void cp_async_16(u32 dst, const void* src, u32 bytes_valid = 16, shim::At at = shim::At::here());
void cp_async_commit();
template <int Pending>
inline void cp_async_wait() {
    shim::cp_async_wait(Pending);
}
