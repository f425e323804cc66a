// Fibers: one per CUDA thread, switched by hand so that a warp can meet at every shuffle.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <new>

#if !defined(__x86_64__) && !defined(SHIM_UCONTEXT)
#define SHIM_UCONTEXT
#endif

#ifdef SHIM_UCONTEXT
#include <ucontext.h>
#else
// Saves the callee-saved registers on the stack in use, its pointer to *from, and continues on the stack `to`.
extern "C" void shim_switch(void** from, void* to);
asm(R"(
    .text
    .type shim_switch, @function
shim_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size shim_switch, .-shim_switch
)");
#endif

namespace shim {

struct Fiber {
#ifdef SHIM_UCONTEXT
    ucontext_t context;
    void start(char* stack, size_t bytes, void (*entry)()) {
        getcontext(&context);
        context.uc_stack.ss_sp = stack;
        context.uc_stack.ss_size = bytes;
        context.uc_link = nullptr;
        makecontext(&context, entry, 0);
    }
    static void change(Fiber& from, Fiber& to) { swapcontext(&from.context, &to.context); }
#else
    void* stack_pointer = nullptr;
    // Lays out the stack as shim_switch leaves it: six registers, then the address to return to. The slot above
    // keeps the stack aligned as after a call.
    void start(char* stack, size_t bytes, void (*entry)()) {
        void** top = (void**)(stack + bytes);
        *--top = nullptr;
        *--top = (void*)entry;
        for (int i = 0; i < 6; i++) *--top = nullptr;
        stack_pointer = top;
    }
    static void change(Fiber& from, Fiber& to) { shim_switch(&from.stack_pointer, to.stack_pointer); }
#endif
};

// One stack per fiber, each above an unmapped page, so that an overflow faults instead of reaching a neighbour.
class Stacks {
    static constexpr size_t guard = 4096, usable = 124 * 1024;
    char* base = nullptr;
    size_t count = 0;

public:
    static constexpr size_t bytes = usable;
    char* at(size_t index) { return base + index * (guard + usable) + guard; }
    void grow(size_t wanted) {
        if (wanted <= count) return;
        if (base) munmap(base, count * (guard + usable));
        void* mapped = mmap(nullptr, wanted * (guard + usable), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (mapped == MAP_FAILED) throw std::bad_alloc();
        base = (char*)mapped;
        count = wanted;
        for (size_t i = 0; i < count; i++) mprotect(base + i * (guard + usable), guard, PROT_NONE);
    }
};

}  // namespace shim
