// Global memory of a test.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstring>
#include <new>

#include "cuda.hpp"

namespace shim {

// Poisoned with NaN, and its last element lies against an unmapped page, so that a read
// or write past the end faults. Elements count in multiples of 16 bytes to keep vector accesses aligned.
template <class T>
class Buffer {
    static constexpr size_t page = 4096;
    size_t count, mapped;
    u8* base;

public:
    explicit Buffer(size_t n) : count(n), mapped(((n * sizeof(T) + 15) / 16 * 16 + page - 1) / page * page + page) {
        void* p = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) throw std::bad_alloc();
        base = (u8*)p;
        std::memset(base, 0xff, mapped - page);
        mprotect(base + mapped - page, page, PROT_NONE);
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { munmap(base, mapped); }
    T* data() { return (T*)(base + mapped - page - (count * sizeof(T) + 15) / 16 * 16); }
    T& operator[](size_t i) { return data()[i]; }
    size_t size() const { return count; }
};

}  // namespace shim
