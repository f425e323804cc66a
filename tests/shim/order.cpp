// The order of tiles in templates/attend/hopper/order.cuh, against what it promises: each row of each sequence comes once, the longest
// rows of a sequence first, and at the end the shortest rows of all sequences, as many as see so many bytes of keys and values.

#include "check.hpp"

#define HEAD_DIM 128
#include "../../templates/attend/hopper/order.cuh"

static void visit(u32 sequences, u32 rows, u32 kv_len, u32 last) {
    const std::string what = std::to_string(sequences) + " sequences, " + std::to_string(rows) + " rows, " +
                             std::to_string(kv_len) + " keys: ";
    const u32 alone = rows - last, all = sequences * rows;
    std::vector<u32> next(sequences, rows); // of each sequence, the row after the one that is to come
    for (u32 n = 0; n < all; n++) {
        const Line line = line_of(n, sequences, rows, kv_len);
        if (line.sequence >= sequences || line.row >= rows) return check::that(false, what + "a tile that there is not");
        check::that(line.row + 1 == next[line.sequence]--, what + "a row that is not its sequence's next");
        const bool together = n >= sequences * alone;
        check::that(line.row < last ? together : !together, what + "a row in the wrong half");
        const u32 expected = together ? (n - sequences * alone) % sequences : n / alone;
        check::that(line.sequence == expected, what + "a sequence that is not its turn");
    }
    for (u32 rest : next) check::that(rest == 0, what + "rows that never come");
}

int main() {
    visit(8, 512, 32768, 64);    // 4096 keys of each of 8 sequences are 16 MB
    visit(8, 128, 8192, 64);
    visit(8, 1024, 131072, 32);
    visit(8, 16, 1024, 16);      // all of them
    visit(8, 64, 4096, 64);      // just
    visit(1, 5, 300, 5);
    visit(3, 100, 100000, 10);   // 10922 keys
    visit(8, 8, 131072, 0);      // a chunk at the end of a long context: no row is short
    visit(40000, 2, 128, 0);     // no key of each
    visit(1, 1, 1, 1);
    std::printf("%d failures\n", check::failures);
    return check::failures ? 1 : 0;
}
