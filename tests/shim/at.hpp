// A place in the kernel text; as a default argument it is the caller's.
#pragma once

namespace shim {

struct At {
    const char* file;
    int line;
    static At here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
};

}  // namespace shim
