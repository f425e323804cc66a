// All that a warpgroup does: one stage after the other, and tile after tile.

// A part is what a warpgroup does for one output: the `stages` stages of part `number`, in one phase or several. `next(part,
// phase)` goes on to the next part and its first phase, or to a tile without a part: without stages. `again(part, phase)`
// goes on to the part's next phase; `mask(s, part, at)` hides what the rows do not see of the stage at a place of the list;
// `store(flash, sum, part)` begins to store the rows.
template <class Part, bool Several, class Next, class Again, class Mask, class Store>
__device__ __forceinline__ void flash_stream(u32 wg, const Next& next, const Again& again, const Mask& mask,
                                             const Store& store) {
    Flash flash;
    float s[STAGE_KEYS / 2], factor[2];
    u32 odd[STAGE_KEYS / 16][4], even[STAGE_KEYS / 16][4]; // weights: while one is multiplied, the other is written
    bool storing = false;                                  // whether the last part's output may still be leaving
    Part part;
    Phase phase = {};
    bool more = next(part, phase);
    u32 rest = 0;      // stages of the part after the one whose weights are known
    bool begun, last;  // whether it is not the part's first, and whether its last
    Slot value;        // of that stage's values
    Slot key;          // of the keys of the stage that follows
    u64 queries, keys; // operands of its product
    u32 seen = 0;      // of the ring
    const u64 ring = wgmma_descriptor(ring_at(0), 16, 1024);
    const u64 ring_values = wgmma_descriptor(ring_at(0), STAGE_KEYS * ROW_BYTES, 1024);
    // Marked warp-uniform here, so that the compiler computes them here and not where they are needed at once.
    auto find = [&](u32 index, bool wanted) -> Slot {
        const Slot slot = slot_in(phase, index, seen, wanted);
        return Slot{slot.index, slot.full, uniform(slot.parity)};
    };
    auto find_keys = [&](bool wanted) {
        key = find(phase.key, wanted);
        const u64 operand = descriptor_at(ring, key.index * STAGE_BYTES);
        keys = (operand & 0xffffffff00000000ull) | uniform((u32)operand);
    };
    // The stage that follows becomes the one at hand.
    auto follow = [&]() {
        rest -= 1;
        last = all_sync(rest == 0);
        value = find(phase.value, true);
        phase.key = key_slot_after(phase.key, phase.key_step);
        phase.value = value_slot_after(phase.value, phase.value_step);
        phase.left -= 1;
        phase.at += 1;
        phase.in_turn = phase.both;
        find_keys(phase.left > 0);
    };
    auto renew = [&]() {
        if (!Several || __builtin_expect(phase.left > 0, true) || last) return;
        again(part, phase);
        find_keys(true);
    };
    auto store_finish = [&]() {
        if (storing) output_left(query_slot(part.number - 1, wg));
        storing = false;
    };
    auto begin_part = [&]() {
        begun = false;
        rest = part.stages;
        find_keys(true);
    };
    auto queries_wait = [&]() {
        const u32 slot = query_slot(part.number, wg);
        mbarrier_wait(barrier_at(QUERIES_FULL + slot), parity_of(part.number, QUERY_SLOTS));
        queries = wgmma_descriptor(uniform(queries_at(slot)), 16, 1024);
    };
    // The weights of a part's first stage.
    auto begin = [&](u32 (&weights)[STAGE_KEYS / 16][4]) {
        flash_start(flash);
        raise(flash, s, factor);
        weigh(flash, s, weights, flash.sum);
    };
    auto finish = [&](const float (&sum)[2], const Part& done) {
        store(flash, sum, done);
        if (done.tile != part.tile) work_release(done.tile);
        storing = true;
    };
    auto start_keys = [&]() {
        stage_wait(key);
        multiply_keys(s, queries, keys);
    };
    // Where both warpgroups begin together, the second waits until the first one's keys are multiplied: so they go on half a
    // stage apart, one with its weights while the other has the tensor cores.
    auto await_turn = [&]() {
        if (phase.begins) named_barrier_sync(TURN_BARRIER + wg, 2 * WG_THREADS);
    };
    auto pass_turn = [&](u32 by, bool begins) {
        if (begins && wg == by) named_barrier_arrive(TURN_BARRIER + 1 - wg, 2 * WG_THREADS);
    };
    auto start_values = [&](const u32 (&p)[STAGE_KEYS / 16][4], Slot slot, bool accumulate) {
        stage_wait(slot);
        multiply_values(flash, p, descriptor_at(ring_values, slot.index * STAGE_BYTES), accumulate);
    };
    auto end_values = [&](Slot slot) {
        wgmma_wait<0>();
        hold_output(flash);
        release(RING_EMPTY + slot.index);
    };
    auto end_keys = [&](Slot slot) {
        wgmma_hold(s);
        release(RING_EMPTY + slot.index);
    };
    // On to the part's next stage: the product of its keys, and that of this one's values, whose weights are `p`.
    auto step = [&](const u32 (&p)[STAGE_KEYS / 16][4], u32 (&weights)[STAGE_KEYS / 16][4]) {
        const Slot its_keys = key, values = value;
        const bool turn = phase.in_turn, accumulate = begun;
        begun = true;
        if (PING_PONG && turn) named_barrier_sync(TURN_BARRIER + wg, 2 * WG_THREADS);
        const u32 at = phase.at;
        stage_wait(key);
        const u64 operand = keys;
        multiply_keys(s, queries, operand, follow);
        start_values(p, values, accumulate);
        if (PING_PONG && turn) named_barrier_arrive(TURN_BARRIER + 1 - wg, 2 * WG_THREADS);
        store_finish();
        wgmma_wait<1>();
        end_keys(its_keys);
        mask(s, part, at);
        float added[2];
        weigh(flash, s, weights, added);
        // One wait for each way: ahead of a branch, the compiler would move it before the exponentials, and they would run
        // after the values instead of beside them.
        if (__builtin_expect(above_headroom(added), false)) {
            end_values(values);
            raise(flash, s, factor);
            rescale(flash, factor);
            weigh(flash, s, weights, added);
        } else {
            end_values(values);
        }
        flash.sum[0] += added[0];
        flash.sum[1] += added[1];
        renew();
    };
    // On to another part: the product of its first keys, and that of this one's last values, whose weights are `even`. False
    // where nothing follows on: then no product is in flight any more.
    auto cross = [&]() -> bool {
        const Part done = part;
        const Slot values = value;
        const bool accumulate = begun;
        store_finish();
        more = next(part, phase);
        // A warpgroup that waits for keys while it holds values must not hold up what comes between.
        if (QUERY_SLOTS == 1 || !more || part.stages == 0 || !part.joined) {
            start_values(even, values, accumulate);
            end_values(values);
            finish(flash.sum, done);
            return false;
        }
        begin_part();
        queries_wait();
        const Slot its_keys = key;
        const bool begins = phase.begins;
        await_turn();
        start_keys();
        start_values(even, values, accumulate);
        pass_turn(1, begins);
        wgmma_wait<1>();
        end_keys(its_keys);
        pass_turn(0, begins);
        mask(s, part, phase.at);
        follow();
        const float sum[2] = {flash.sum[0], flash.sum[1]};
        begin(odd);
        end_values(values);
        finish(sum, done);
        renew();
        return true;
    };

    // So that there is one text for the end of a part, whichever registers its weights are in.
    auto copy = [&](u32 (&to)[STAGE_KEYS / 16][4], const u32 (&from)[STAGE_KEYS / 16][4]) {
#pragma unroll
        for (u32 i = 0; i < STAGE_KEYS / 16; ++i)
#pragma unroll
            for (u32 j = 0; j < 4; ++j) to[i][j] = from[i][j] | rest; // which is 0: were they equal, ptxas would join them
    };

    if (WARPGROUPS == 2 && wg == 1) named_barrier_arrive(TURN_BARRIER, 2 * WG_THREADS);
    while (more) {
        if (part.stages == 0) {
            work_release(part.tile);
            more = next(part, phase);
            continue;
        }
        // No product is in flight: the first one is waited for.
        if (QUERY_SLOTS == 1) store_finish();
        begin_part();
        queries_wait();
        const Slot its_keys = key;
        const bool begins = phase.begins;
        await_turn();
        start_keys();
        pass_turn(1, begins);
        store_finish();
        wgmma_wait<0>();
        end_keys(its_keys);
        pass_turn(0, begins);
        mask(s, part, phase.at);
        follow();
        begin(odd);
        renew();
        bool joined;
        do {
            for (;;) {
                if (last) {
                    copy(even, odd);
                    break;
                }
                step(odd, even);
                if (last) break;
                step(even, odd);
            }
            joined = cross();
        } while (joined);
    }
    if (WARPGROUPS == 2 && wg == 0) named_barrier_sync(TURN_BARRIER, 2 * WG_THREADS); // the turn that nobody takes
    if (storing) output_left(query_slot(part.number, wg));
}
