// Kernels with a bug that has a name: the shim must say which thread did what, where.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include "check.hpp"

namespace detectors_test {

inline u32 base() { return smem_u32(smem); }

inline void all() {
    for (u64 seed = 0; seed < 6; seed++) {
        auto warp = [&](auto kernel) { return [=] { shim::launch(1, 32, 256, seed, kernel); }; };
        auto block = [&](auto kernel) { return [=] { shim::launch(1, 128, 256, seed, kernel); }; };

        check::throws("half a block at a barrier", {"deadlock", "threads 0..63 wait in sync_threads 0 at test_detectors.hpp:",
                      "threads 64..127 returned", "barrier 0: 64 of 128"},
                      block([] { if (threadIdx.x < 64) sync_threads(); }));
        check::throws("a barrier nobody arrives on", {"deadlock", "named_barrier_sync 3", "wait in sync_threads"},
                      block([] { warp_id() == 0 ? named_barrier_sync(3, 64) : sync_threads(); }));
        check::throws("barrier with two counts", {"named_barrier_sync 1 for", "others meet there for"},
                      block([] { named_barrier_sync(1, warp_id() ? 96 : 128); }));
        check::throws("barrier count of lanes", {"no multiple of 32"}, block([] { named_barrier_sync(1, 100); }));
        check::throws("sixteen barriers", {"barriers are 0..15"}, block([] { named_barrier_sync(16, 128); }));
        check::throws("shuffle in half a warp", {"shfl_xor"},
                      warp([] { if (lane_id() < 16) shfl_xor(1u, 1); }));
        check::throws("shuffle against vote", {"the warp diverged", "ballot", "shfl_xor", "warp 0 lane"},
                      warp([] { if (lane_id() % 2) shfl_xor(1u, 1); else ballot(true); }));
        check::throws("two shuffles in two branches", {"the warp diverged"}, warp([] {
                          if (lane_id() % 2) shfl_xor(1u, 1);
                          else shfl_xor(2u, 1);
                      }));
        check::throws("address past the end", {"outside the 256 bytes"}, warp([] { st_shared_u32(base() + 256, 0); }));
        check::throws("address straddling the end", {"ld_shared_v4 of 16 bytes at shared offset 256"},
                      warp([] { ld_shared_v4(base() + 256); }));
        check::throws("address below the start", {"shared offset -16"}, warp([] { ld_shared_v4(base() - 16); }));
        check::throws("unaligned shared access", {"not a multiple of 16"}, warp([] { ld_shared_v4(base() + 8); }));
        check::throws("unaligned ldmatrix row", {"ldmatrix_x4 at shared offset 2"}, warp([] {
                          u32 r[4];
                          ldmatrix_x4(r, base() + 2);
                      }));
        check::throws("unaligned stmatrix row", {"stmatrix_x4 at shared offset 2"}, warp([] {
                          u32 r[4] = {};
                          stmatrix_x4(base() + 2, r);
                      }));
        check::throws("unaligned global access", {"ld_global_v4", "not a multiple of 16"}, warp([] {
                          alignas(16) u32 local[8] = {};
                          ld_global_v4(local + 1);
                      }));
        check::throws("global copy from shared memory", {"pointer into shared memory"}, warp([] {
                          cp_async_16(base() + 16, smem);
                      }));
        check::throws("a write past the end by pointer", {"wrote 3 bytes past the end"}, warp([] {
                          if (lane_id() == 0) smem[259] = 1;
                      }));
        check::throws("a pointer that is not shared", {"smem_u32"}, warp([] {
                          int local = 0;
                          smem_u32(&local);
                      }));
    }
    check::throws("a block of 48 threads", {"multiple of 32"}, [] { shim::launch(1, 48, 0, 0, [] {}); });
    check::throws("too much shared memory", {"limit"}, [] { shim::launch(1, 32, 1u << 18, 0, [] {}); });

    // A global access past the end faults; the handler names the thread and ends the process, here a child.
    std::fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        (void)!freopen("/dev/null", "w", stderr);
        shim::Buffer<u32> words(64);
        shim::launch(1, 32, 0, 0, [&] { words[33 + lane_id()] = 1; });
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    check::that(WIFEXITED(status) && WEXITSTATUS(status) == 70, "a write past the end of a buffer");

    // Shared memory starts as NaN, for every block anew.
    shim::launch(3, 32, 64, 1, [] {
        check::that(std::isnan(ld_shared_f32(base())) && !(bf16_to_float({(u16)ld_shared_u32(base())}) == 0), "poison");
        sync_warp();
        st_shared_f32(base(), 1.0f);
    });

    // Seeds change who goes first and when a copy lands, and one seed always gives the same run.
    std::vector<u32> firsts, blocks;
    u32 landed = 0;
    for (u64 seed = 0; seed < 40; seed++) {
        u32 first[2], block[2];
        for (u32 again = 0; again < 2; again++) {
            first[again] = block[again] = ~0u;
            shim::launch(5, 128, 16, seed, [&] {
                if (block[again] == ~0u) block[again] = blockIdx.x;
                if (first[again] == ~0u) first[again] = threadIdx.x;
            });
        }
        check::that(first[0] == first[1] && block[0] == block[1], "a seed repeats");
        firsts.push_back(first[0]), blocks.push_back(block[0]);
        shim::Buffer<u32> word(4);
        word[0] = 5;
        shim::launch(1, 32, 16, seed, [&] {
            if (lane_id() == 0) cp_async_16(base(), word.data());
            sync_warp();
            if (lane_id() == 0) landed += ld_shared_u32(base()) == 5;
            cp_async_wait<0>();
        });
    }
    auto distinct = [](std::vector<u32> v) {
        std::sort(v.begin(), v.end());
        return std::unique(v.begin(), v.end()) - v.begin();
    };
    check::that(distinct(firsts) > 10 && distinct(blocks) == 5, "seeds vary the order");
    check::that(landed > 4 && landed < 36, "copies land early for some seeds and late for others");
}

}  // namespace detectors_test
