// Twins of prelude/mma.cuh and prelude/stmatrix.cuh.
#pragma once

#include "at.hpp"
#include "cuda.hpp"

void ldmatrix_x4(u32& r0, u32& r1, u32& r2, u32& r3, u32 addr, shim::At at = shim::At::here());
void ldmatrix_x4(u32 (&r)[4], u32 addr, shim::At at = shim::At::here());
void ldmatrix_x4_trans(u32& r0, u32& r1, u32& r2, u32& r3, u32 addr, shim::At at = shim::At::here());
void ldmatrix_x4_trans(u32 (&r)[4], u32 addr, shim::At at = shim::At::here());
void stmatrix_x4(u32 addr, const u32 (&r)[4], shim::At at = shim::At::here());
void mma_m16n8k16_bf16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1, shim::At at = shim::At::here());
void mma_m16n8k16_f16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1, shim::At at = shim::At::here());
