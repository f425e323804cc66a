#include "async.hpp"

#include "access.hpp"

void cp_async_16(u32 dst, const void* src, u32 bytes_valid, shim::At at) {
    using namespace shim;
    machine.maybe_yield();
    u8* to = shared_at(dst, 16, 16, "cp_async_16", at);
    global_at(src, 16, "cp_async_16", at);
    if (bytes_valid > 16) machine.fail("cp_async_16 of " + std::to_string(bytes_valid) + " valid bytes", at);
    auto copy = [=] {
        std::memcpy(to, src, bytes_valid);
        std::memset(to + bytes_valid, 0, 16 - bytes_valid);
    };
    if (machine.policy.complete == 16) return copy();
    machine.self().copies.push(copy);
}

void cp_async_commit() {
    shim::machine.maybe_yield();
    shim::machine.self().copies.commit();
}

void shim::cp_async_wait(u32 pending) {
    machine.maybe_yield();
    machine.self().copies.wait(pending);
}
