// budget_order: the blocks of a group's list of the last row that are measured, in the order of the list.
//@kernel budget_order
{
    const ListOrder order = list_order(p, blockIdx.x, blockIdx.y);
    const Places places = places_of(order.count);
    u32* sampled = p.sampled + ((u64)blockIdx.y * p.groups + blockIdx.x) * p.sampled_blocks;
    for (u32 i = threadIdx.x; i < places.count(); i += ORDER_THREADS) sampled[i] = order.block(places.at(i));
}
