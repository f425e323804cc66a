// All that a warpgroup does: one stage after the other, and tile after tile.

// A Part is what it does of a tile: the first `stages` of `all` stages that the tile has, in turn with its partner for the
// first `turns` of them; `end` counts the stages up to the end of the tile. `next(part)` goes on to the next tile;
// `mask(s, part, i)` hides what the rows do not see of stage i; `store(flash, sum, tile)` begins to store a tile's rows.
template <class Part, class Next, class Mask, class Store>
__device__ __forceinline__ void flash_stream(u32 wg, const Next& next, const Mask& mask, const Store& store) {
    Flash flash;
    float s[STAGE_KEYS / 2], factor[2];
    u32 odd[STAGE_KEYS / 16][4], even[STAGE_KEYS / 16][4]; // weights: while one is multiplied, the other is written
    u32 stored = NO_SLOT;                                  // where the last output leaves from
    Part part = {};
    part.tile = 0u - 1;
    bool more = next(part);
    u32 i = 0;         // the stage whose weights are known
    bool last;         // whether it is the tile's last
    Slot value;        // of that stage's values
    Slot key;          // of the keys of the stage that follows: they come before those values
    u64 queries, keys; // operands of that stage's product
    auto follow = [&](Slot at) {
        key = Slot{uniform(at.index), uniform(at.parity)};
        value = slot_after(key);
        const u64 operand = wgmma_descriptor(ring_at(at.index), 16, 1024);
        keys = (operand & 0xffffffff00000000ull) | uniform((u32)operand);
    };
    auto queries_wait = [&]() {
        const u32 slot = query_slot(part.tile, wg);
        mbarrier_wait(barrier_at(QUERIES_FULL + slot), parity_of(part.tile, QUERY_SLOTS));
        queries = wgmma_descriptor(uniform(queries_at(slot)), 16, 1024);
    };
    auto begin = [&]() {
        flash_start(flash);
        raise(flash, s, factor);
    };
    auto finish = [&](const float (&sum)[2], u32 tile) {
        store(flash, sum, tile);
        work_release(tile);
        stored = query_slot(tile, wg);
    };
    auto start_keys = [&]() {
        stage_wait(key);
        multiply_keys(s, queries, keys);
    };
    auto start_values = [&](const u32 (&p)[STAGE_KEYS / 16][4], Slot slot, bool accumulate) {
        stage_wait(slot);
        multiply_values(flash, p, ring_at(slot.index), accumulate);
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
    // On to the tile's next stage: the product of its keys, and that of this one's values, whose weights are `p`.
    auto step = [&](const u32 (&p)[STAGE_KEYS / 16][4], u32 (&weights)[STAGE_KEYS / 16][4]) {
        const Slot its_keys = key, values = value;
        const bool turn = i + 1 < part.turns, accumulate = i > 0;
        if (PING_PONG && turn) named_barrier_sync(TURN_BARRIER + wg, 2 * WG_THREADS);
        start_keys();
        // What the stage after that one begins with is made ready while the tensor cores are busy.
        i += 1;
        follow(slot_after(values));
        last = all_sync(i + 1 >= part.stages);
        store_finish(stored);
        start_values(p, values, accumulate);
        if (PING_PONG && turn) named_barrier_arrive(TURN_BARRIER + 1 - wg, 2 * WG_THREADS);
        wgmma_wait<1>();
        end_keys(its_keys);
        mask(s, part, i);
        float added[2];
        weigh(flash, s, weights, added);
        // One wait for each way: ahead of a branch, the compiler would move it before the exponentials, and they would run
        // after the values instead of beside them.
        if (__builtin_expect(any_sync(!(fmaxf(added[0], added[1]) <= HEADROOM)), false)) {
            end_values(values);
            raise(flash, s, factor);
            rescale(flash, factor);
            weigh(flash, s, weights, added);
        } else {
            end_values(values);
        }
        flash.sum[0] += added[0];
        flash.sum[1] += added[1];
    };
    // On to another tile: the last values of this one, and the first keys of that one. False where nothing follows on: then
    // no product is in flight any more.
    auto cross = [&](const u32 (&p)[STAGE_KEYS / 16][4], u32 (&weights)[STAGE_KEYS / 16][4]) -> bool {
        const u32 tile = part.tile;
        const Slot its_keys = key, values = value;
        // The producer wants the slot that an output may still be leaving from before it brings these values.
        store_finish(stored);
        start_values(p, values, i > 0);
        // While its partner goes on alone, a warpgroup must not hold the ring.
        bool joined = QUERY_SLOTS > 1 && part.stages == part.all;
        if (joined) {
            more = next(part);
            joined = more && part.stages > 0;
        }
        if (!joined) {
            end_values(values);
            finish(flash.sum, tile);
            if (part.tile == tile) more = next(part);
            return false;
        }
        i = 0;
        queries_wait();
        start_keys();
        follow(slot_after(values));
        last = all_sync(part.stages == 1);
        end_values(values);
        end_keys(its_keys);
        mask(s, part, 0u);
        const float sum[2] = {flash.sum[0], flash.sum[1]};
        begin();
        weigh(flash, s, weights, flash.sum);
        finish(sum, tile);
        return true;
    };

    if (PING_PONG && wg == 1) named_barrier_arrive(TURN_BARRIER, 2 * WG_THREADS);
    while (more) {
        if (part.stages == 0) {
            store_finish(stored); // the slot is wanted while this warpgroup has no rows
            work_release(part.tile);
            more = next(part);
            continue;
        }
        // No product is in flight: the first one is waited for.
        if (QUERY_SLOTS == 1) store_finish(stored);
        i = 0;
        queries_wait();
        const u32 first = part.end - part.all;
        follow(slot_of(key_use(first)));
        const Slot its_keys = key;
        start_keys();
        store_finish(stored);
        follow(slot_of(key_use(first + 1)));
        last = all_sync(part.stages == 1);
        wgmma_wait<0>();
        end_keys(its_keys);
        mask(s, part, 0u);
        begin();
        weigh(flash, s, even, flash.sum);
        bool joined;
        do {
            bool in_odd = false;
            while (!last) {
                step(even, odd);
                in_odd = last;
                if (last) break;
                step(odd, even);
            }
            joined = in_odd ? cross(odd, even) : cross(even, even);
        } while (joined);
    }
    if (PING_PONG && wg == 0) named_barrier_sync(TURN_BARRIER, 2 * WG_THREADS); // the turn that nobody takes
    store_finish(stored);
}
