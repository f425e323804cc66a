// Launching a kernel: the grid loop and the fault handler.

#include "launch.hpp"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <numeric>

#include "access.hpp"

namespace shim {

// A fault cannot be continued from: it says who caused it and ends the process.
static void on_fault(int) {
    static char text[512];
    int n = std::snprintf(text, sizeof text,
                          "shim: %s accessed memory outside every buffer (or overflowed its stack)\n",
                          machine.who().c_str());
    (void)!write(2, text, (size_t)n);
    _exit(70);
}

// Handlers need a stack of their own, since the fault may be an overflow of a fiber's.
static void catch_faults() {
    static char alternate[64 * 1024];
    stack_t stack{};
    stack.ss_sp = alternate;
    stack.ss_size = sizeof alternate;
    sigaltstack(&stack, nullptr);
    struct sigaction action{};
    action.sa_handler = on_fault;
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGSEGV, &action, nullptr);
    sigaction(SIGBUS, &action, nullptr);
}

void launch(dim3 grid, dim3 block, u32 bytes, u64 seed, void (*call)(const void*), const void* kernel) {
    u32 threads = block.volume();
    if (threads == 0 || threads > 1024 || threads % 32)
        throw Error("launch: a block of " + std::to_string(threads) + " threads; expected a multiple of 32 up to 1024");
    if (grid.volume() == 0) throw Error("launch: an empty grid");
    if (bytes > shared_limit)
        throw Error("launch: " + std::to_string(bytes) + " bytes of shared memory; the limit is " +
                    std::to_string(shared_limit));
    catch_faults();
    machine.random.state = seed;
    machine.policy = Policy::draw(machine.random);
    gridDim = grid;
    blockDim = block;
    shared_bytes = bytes;
    std::vector<u32> order(grid.volume());
    std::iota(order.begin(), order.end(), 0);
    for (u32 i = (u32)order.size(); i > 1; i--) std::swap(order[i - 1], order[machine.random.below(i)]);
    for (u32 cta : order) {
        blockIdx = {cta % grid.x, cta / grid.x % grid.y, cta / (grid.x * grid.y)};
        poison_shared();
        machine.start_cta([=] { call(kernel); });
        machine.run_cta();
        check_canary();
    }
}

}  // namespace shim
