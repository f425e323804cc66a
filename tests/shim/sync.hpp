// Twins of prelude/sync.cuh.
#pragma once

#include "at.hpp"
#include "cuda.hpp"

void sync_threads(shim::At at = shim::At::here());
void sync_warp(shim::At at = shim::At::here());
void named_barrier_sync(u32 id, u32 threads, shim::At at = shim::At::here());
void named_barrier_arrive(u32 id, u32 threads, shim::At at = shim::At::here());

// Fibers share one processor and grids follow one another, so these order nothing that is not ordered already.
inline void fence_gpu() {}
inline void grid_dependency_wait() {}
inline void grid_dependency_launch() {}

u32 atomic_add_global(u32* p, u32 v, shim::At at = shim::At::here());
u32 atomic_max_global(u32* p, u32 v, shim::At at = shim::At::here());
u32 atomic_add_shared(u32 addr, u32 v, shim::At at = shim::At::here());
u32 atomic_max_shared(u32 addr, u32 v, shim::At at = shim::At::here());
