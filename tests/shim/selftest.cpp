// Self-tests of the shim, for the element type given by -DELEM_BF16 or -DELEM_F16. Prints what the planted bugs were
// caught by; exits with 1 if anything failed. The argument is the number of seeds for the matrix products.

#include <cstdlib>

#include "check.hpp"
#include "test_detectors.hpp"
#include "test_gemm.hpp"
#include "test_hopper.hpp"
#include "test_wrappers.hpp"

int main(int count, char** arguments) {
    u64 seeds = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 24;
    wrappers_test::all();
    detectors_test::all();
    gemm_test::all(seeds);
    hopper_test::all(seeds);
    std::printf("%d failures\n", check::failures);
    return check::failures ? 1 : 0;
}
