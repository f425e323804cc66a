// Runs CUDA kernel bodies on the CPU, without a GPU or its toolkit, to test numerics and synchronisation.
//
// A harness defines ELEM_BF16 or ELEM_F16, includes this file where the device text has its prelude, then the
// kernel text, is linked with shim.cpp, and calls
//
//     shim::launch(grid, block, shared_bytes, seed, [&] { kernel(arguments...); });
//
// which throws shim::Error when the kernel deadlocks, diverges where it must not, or leaves its shared memory. The
// seed draws the order of threads and CTAs and the moment at which asynchronous copies land.
//
// Conditions on kernel text: PTX only through the prelude's wrappers; dynamic shared memory only, declared in
// `extern "C"` kernels as `extern __shared__ __align__(1024) u8 smem[];`; no namespace-scope variables; whole warps
// (block sizes are multiples of 32); no waiting for another CTA.
//
// Not modelled: speed, bank conflicts, registers, missing fences between writes of one thread and reads of another
// (memory here is sequentially consistent), and interleaving inside a stretch without wrapper calls.
#pragma once

#include "cuda.hpp"
#include "memory.hpp"
#include "convert.hpp"
#include "async.hpp"
#include "mma.hpp"
#include "warp.hpp"
#include "../../templates/prelude/elem.cuh"
#include "sync.hpp"
#include "mbarrier.hpp"
#include "tma.hpp"
#include "wgmma.hpp"
#include "e4m3.hpp"
#include "launch.hpp"
