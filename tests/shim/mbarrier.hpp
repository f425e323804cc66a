// Twins of prelude/mbarrier.cuh.
#pragma once

#include "at.hpp"
#include "cuda.hpp"

void mbarrier_init(u32 bar, u32 count, shim::At at = shim::At::here());
void mbarrier_arrive(u32 bar, shim::At at = shim::At::here());
void mbarrier_arrive_if(bool predicate, u32 bar, shim::At at = shim::At::here());
void mbarrier_arrive_expect_tx(u32 bar, u32 bytes, shim::At at = shim::At::here());
// Sleeps until the phase has ended, so that a loop around it cannot spin for ever: a wait in vain is a deadlock.
bool mbarrier_try_wait(u32 bar, u32 parity, shim::At at = shim::At::here());
void mbarrier_wait(u32 bar, u32 parity, shim::At at = shim::At::here());
inline void fence_mbarrier_init() {}
