// What the self-tests share: counting failures, catching what a kernel is caught for, random inputs.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "machine.hpp"
#include "buffer.hpp"
#include "shim.hpp"

namespace check {

inline int failures = 0;

inline void that(bool holds, const std::string& what) {
    if (holds) return;
    failures++;
    std::printf("FAILED %s\n", what.c_str());
}

// The message of the error that `run` throws, or nothing.
template <class Run>
inline std::string error_of(Run run) {
    try {
        run();
    } catch (const shim::Error& error) {
        return error.what();
    }
    return {};
}

// Fails unless `run` throws an error that contains every one of `parts`.
template <class Run>
inline void throws(const std::string& what, const std::vector<std::string>& parts, Run run) {
    std::string error = error_of(run);
    bool all = !error.empty();
    for (const std::string& part : parts) all = all && error.find(part) != std::string::npos;
    that(all, what + ": the detector said '" + error + "'");
}

// Small integers and quarters: exact in both formats, and so are their products.
inline float small(shim::Random& random) { return ((int)random.below(17) - 8) * 0.25f; }

}  // namespace check
