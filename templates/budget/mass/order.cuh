// Blocks in an order, in shared memory, and what the first of them hold together.
#define ORDER_WARPS (ORDER_THREADS / WARP_SIZE)

//@if LIST_ORDER
// Sorts keys, the largest first, equal ones by their blocks, which go with them. Every step compares pairs and moves the
// larger key to the front: what would lie past the last key stays there, and needs no room. A warp has a run of pairs, and
// waits for the others only where a step reaches beyond it.
__device__ __forceinline__ void sort_blocks(u32 keys, u32 blocks, u32 count) {
//@else
// Sorts keys, the largest first. Every step compares pairs and moves the larger key to the front: what would lie past the
// last key stays there, and needs no room. A warp has a run of pairs, and waits for the others only where a step reaches
// beyond it.
__device__ __forceinline__ void sort_keys(u32 keys, u32 count) {
//@end
    u32 all = 2 * WARP_SIZE * ORDER_WARPS;
    while (all < count) all *= 2;
    const u32 run = all / (2 * ORDER_WARPS), begin = warp_id() * run;
    u32 before = 0;
    for (u32 size = 2; size < 2 * count; size *= 2)
        // First each half against the other reversed, then ever shorter pieces against the next.
        for (u32 reach = size; reach > 1; reach /= 2) {
            if (max(before, reach) > 2 * run) sync_threads();
            else sync_warp();
            before = reach;
            for (u32 pair = begin + lane_id(); pair < begin + run; pair += WARP_SIZE) {
                const u32 at = pair & (reach / 2 - 1), base = (pair - at) * 2;
                const u32 first = base + at, second = base + (reach == size ? reach - 1 - at : reach / 2 + at);
                if (second >= count) continue;
                const u32 a = ld_shared_u32(keys + first * 4), b = ld_shared_u32(keys + second * 4);
//@if LIST_ORDER
                const u16 block_a = ld_shared_u16(blocks + first * 2), block_b = ld_shared_u16(blocks + second * 2);
                if (a > b || (a == b && block_a < block_b)) continue;
                st_shared_u16(blocks + first * 2, block_b);
                st_shared_u16(blocks + second * 2, block_a);
//@else
                if (a >= b) continue;
//@end
                st_shared_u32(keys + first * 4, b);
                st_shared_u32(keys + second * 4, a);
            }
        }
    sync_threads();
}

// Goes through the masses in order: of each place, `take` receives its mass, that of the blocks up to it, and the whole.
// `sums` has a word for each warp.
template <class Mass, class Take>
__device__ __forceinline__ void cumulate(u32 sums, u32 count, const Mass& mass_of, const Take& take) {
    const u32 span = (count + ORDER_THREADS - 1) / ORDER_THREADS * WARP_SIZE;
    const u32 begin = warp_id() * span, end = min(begin + span, count);
    u32 own = 0;
    for (u32 place = begin + lane_id(); place < end; place += WARP_SIZE) own += mass_of(place);
    own = redux_add(own);
    if (lane_id() == 0) st_shared_u32(sums + warp_id() * 4, own);
    sync_threads();
    u32 before = 0, whole = 0;
#pragma unroll
    for (u32 w = 0; w < ORDER_WARPS; ++w) {
        const u32 sum = ld_shared_u32(sums + w * 4);
        before += w < warp_id() ? sum : 0;
        whole += sum;
    }
    for (u32 first = begin; first < end; first += WARP_SIZE) {
        const u32 place = first + lane_id(), mass = place < end ? mass_of(place) : 0;
        u32 upto = mass;
#pragma unroll
        for (u32 step = 1; step < WARP_SIZE; step *= 2) {
            const u32 lower = shfl_up(upto, step);
            if (lane_id() >= step) upto += lower;
        }
        if (place < end) take(place, mass, before + upto, whole);
        before += shfl_idx(upto, WARP_SIZE - 1);
    }
}
