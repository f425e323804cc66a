// What a generated harness and main.cpp know of each other.
#pragma once

// A number of the input: a scalar, a stride, an extent of a grid.
long long number(const char* name);
// A buffer of the input, which `main` writes out again.
char* buffer(const char* name);

struct Launcher {
    const char* kernel;
    void (*launch)();
};
// The harness's, of its unit's kernels; a null name ends them.
extern const Launcher launchers[];
