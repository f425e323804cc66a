//@if LIST_ORDER
// budget_counts: how many blocks of a head's list, from its first on, hold what is wanted of the head's mass.
//@else
// budget_counts: the fewest blocks of a head that hold what is wanted of its mass.
//@end
//@kernel budget_counts
{
//@if LIST_ORDER
    const u64 head = ((u64)blockIdx.z * p.groups + blockIdx.y) * p.heads_per_group + blockIdx.x;
    const u32* masses = p.masses + head * p.blocks;
    const ListOrder order = list_order(p, blockIdx.y, blockIdx.z);
    auto mass_of = [&](u32 place) -> u32 { return masses[order.block(place)]; };
    const u32 sums = order.sums, count = order.count;
//@else
    const u64 head = (u64)blockIdx.y * p.heads + blockIdx.x;
    const u32* masses = p.masses + head * p.blocks;
    const u32 words = smem_u32(smem), sums = words + ORDER_SUMS * 4, keys = words + ORDER_KEYS * 4, count = p.blocks;
    for (u32 block = threadIdx.x; block < count; block += ORDER_THREADS) st_shared_u32(keys + block * 4, masses[block]);
    sync_threads();
    sort_keys(keys, count);
    auto mass_of = [&](u32 place) -> u32 { return ld_shared_u32(keys + place * 4); };
//@end
    cumulate(sums, count, mass_of, [&](u32 place, u32 mass, u32 upto, u32 whole) {
        const u32 wanted = (u32)(((u64)whole * GAMMA_MILLIONTHS + 999999) / 1000000);
        // The one place at which it is reached.
        if (upto >= wanted && (place == 0 || upto - mass < wanted)) p.measured[head] = place + 1;
    });
}
