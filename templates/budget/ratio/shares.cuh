// budget_shares: what the first blocks of a head's list hold of the head's mass, in fractions of 2³²; all of it is one step
// below 1, which no smaller part reaches.
//@kernel budget_shares
{
    const u64 head = ((u64)blockIdx.z * p.groups + blockIdx.y) * p.heads_per_group + blockIdx.x;
    const u32* masses = p.masses + head * p.blocks;
    u32* shares = p.shares + head * p.blocks;
    const ListOrder order = list_order(p, blockIdx.y, blockIdx.z);
    auto mass_of = [&](u32 place) -> u32 { return masses[order.block(place)]; };
    cumulate(order.sums, order.count, mass_of, [&](u32 place, u32, u32 upto, u32 whole) {
        // A head without mass lacks nothing.
        shares[place] = upto == whole ? 0xffffffffu : (u32)(((u64)upto << 32) / whole);
    });
}
