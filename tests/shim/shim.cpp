// What the wrappers do, as one unit: it is compiled once, and linked to every harness.

#include "machine.cpp"
#include "memory.cpp"
#include "async.cpp"
#include "mma.cpp"
#include "warp.cpp"
#include "sync.cpp"
#include "mbarrier.cpp"
#include "tma.cpp"
#include "wgmma.cpp"
#include "e4m3.cpp"
#include "launch.cpp"
