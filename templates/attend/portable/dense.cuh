// dense: exact attention of each query head over every key that it sees.
//@kernel dense
{
    const Place place = flash_place(p.rows, p.heads_per_kv);
    const u32 kv_head = blockIdx.y, batch = blockIdx.z;
    const u32 head_in_tile = warp_id() / WARPS_PER_HEAD;
    const u32 warp_row = warp_id() % WARPS_PER_HEAD * WARP_ROWS;
    const u32 head0 = kv_head * p.heads_per_kv + place.first_head;
    const bool present = place.first_head + head_in_tile < (u32)p.heads_per_kv;

    const Sequence sequence = sequence_of(p);
    const Elem* k = p.k + batch * p.k_batch + kv_head * p.k_head;
    const Elem* v = p.v + batch * p.v_batch + kv_head * p.v_head;
    const u32 q_tile = smem_u32(smem);
#pragma unroll
    for (u32 h = 0; h < TILE_HEADS; ++h) {
        const bool has = place.first_head + h < (u32)p.heads_per_kv;
        const Elem* q = p.q + batch * p.q_batch + (has ? head0 + h : head0) * p.q_head;
        const HeadRows rows = {q, p.q_token, has ? p.q_len : 0};
        copy_rows<TILE_ROWS, TILE_THREADS>(q_tile + h * TILE_ROWS * ROW_BYTES, rows, place.first_query);
    }
//@if FLASH_HOLDS_QUERIES
    cp_async_commit();
//@end
    const i32 limit = sequence.limit(place.first_query + (i32)(warp_row + lane_id() / 4));

    // Whole tiles that every row sees need no mask; those at the end do, and come first.
    const i32 end = sequence.seen(place.first_query + TILE_ROWS - 1);
    const u32 plain = (u32)sequence.seen(place.first_query) / TILE_KEYS;
    const u32 tiles = (u32)(end + TILE_KEYS - 1) / TILE_KEYS;
    const u32 masked = tiles - plain;
    auto first_key = [&](u32 tile) -> i32 {
        return (i32)((tile < masked ? plain + tile : tile - masked) * TILE_KEYS);
    };

    auto load = [&](u32 tile) {
        if (tile < tiles) {
            const u32 stage = stage_address(tile);
            copy_rows<TILE_KEYS, TILE_THREADS>(stage, HeadRows{k, p.k_token, p.kv_len}, first_key(tile));
            copy_rows<TILE_KEYS, TILE_THREADS>(stage + KEY_TILE_BYTES, HeadRows{v, p.v_token, p.kv_len}, first_key(tile));
        }
        cp_async_commit();
    };
    for (u32 tile = 0; tile + 1 < TILE_STAGES; ++tile) load(tile);
    auto turn = [&](u32 tile) {
        cp_async_wait<TILE_STAGES - 2>();
        sync_threads();
        load(tile + TILE_STAGES - 1);
    };

    Flash flash;
    flash_start(flash);
    const u32 q_warp = q_tile + (head_in_tile * TILE_ROWS + warp_row) * ROW_BYTES;
//@if FLASH_HOLDS_QUERIES
    u32 q[WARP_M][ROW_STEPS][4];
    cp_async_wait<TILE_STAGES - 1>();
    sync_threads();
    hold_queries(q, lane_base_a(q_warp));
//@else
    const u32 q = lane_base_a(q_warp);
//@end
    u32 tile = 0;
    for (; tile < masked; ++tile) {
        turn(tile);
        if (present) flash_step<true>(flash, q, stage_address(tile), first_key(tile), limit);
    }
    for (; tile < tiles; ++tile) {
        turn(tile);
        if (present) flash_step<false>(flash, q, stage_address(tile), 0, limit);
    }

    if (!present) return;
    const i32 first = place.first_query + (i32)warp_row;
    Elem* out = p.out + batch * p.out_batch + (head0 + head_in_tile) * p.out_head + first * p.out_token;
    flash_store(flash, q_warp, out, p.out_token, p.q_len - first);
}
