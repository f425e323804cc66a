// Twins of prelude/memory.cuh.
#pragma once

#include "at.hpp"
#include "cuda.hpp"

// The array behind `extern __shared__ __align__(1024) u8 smem[]` in a kernel.
extern "C" {
extern __thread u8 smem[];
}

u32 smem_u32(const void* p, shim::At at = shim::At::here());
u32x4 ld_global_v4(const void* p, shim::At at = shim::At::here());
u32x4 ld_global_nc_v4(const void* p, shim::At at = shim::At::here());
u32 ld_global_nc_u32(const void* p, shim::At at = shim::At::here());
void st_global_v4(void* p, u32x4 v, shim::At at = shim::At::here());
void st_global_v2(void* p, u32x2 v, shim::At at = shim::At::here());
void st_global_u32(void* p, u32 v, shim::At at = shim::At::here());
u32x4 ld_shared_v4(u32 addr, shim::At at = shim::At::here());
u32 ld_shared_u32(u32 addr, shim::At at = shim::At::here());
u16 ld_shared_u16(u32 addr, shim::At at = shim::At::here());
float ld_shared_f32(u32 addr, shim::At at = shim::At::here());
void st_shared_v4(u32 addr, u32x4 v, shim::At at = shim::At::here());
void st_shared_u32(u32 addr, u32 v, shim::At at = shim::At::here());
void st_shared_u16(u32 addr, u16 v, shim::At at = shim::At::here());
void st_shared_f32(u32 addr, float v, shim::At at = shim::At::here());
