// attend: exact attention of each query head over its blocks, a prefix of its group's list.
//@kernel attend
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

    const u64 group_row = ((u64)batch * p.groups + kv_head / p.kv_heads_per_group) * p.rows + place.row;
    const u32* list = p.lists + group_row * p.blocks;
    u32 own = 0, most = 0;
#pragma unroll
    for (u32 h = 0; h < TILE_HEADS; ++h)
        if (place.first_head + h < (u32)p.heads_per_kv) {
            const u32 count = p.counts[((u64)batch * p.heads + head0 + h) * p.rows + place.row];
            if (h == head_in_tile) own = count;
            most = count > most ? count : most;
        }
    const i32 limit = sequence.limit(place.first_query + (i32)(warp_row + lane_id() / 4));

//@if CAUSAL
    // Blocks of the diagonal are in every head's count and stand together at the end of the list's first run. They
    // come first, token by token; what remains needs no mask.
    const Diagonal diagonal = diagonal_of(sequence, place.row);
    const u32 diagonal_blocks = diagonal.blocks();
    const i32 diagonal_key = (i32)(diagonal.first * BLOCK_KV), tile_end = sequence.seen(place.first_query + TILE_ROWS - 1);
    const u32 masked = tile_end > diagonal_key ? (u32)(tile_end - diagonal_key + TILE_KEYS - 1) / TILE_KEYS : 0;
//@if PER_HEAD
    const u32 run = p.runs[group_row] - diagonal_blocks;
//@else
    const u32 run = most - diagonal_blocks;
//@end
    const u32 own_tiles = present ? masked + (own - diagonal_blocks) * (BLOCK_KV / TILE_KEYS) : 0;
    const u32 tiles = masked + (most - diagonal_blocks) * (BLOCK_KV / TILE_KEYS);
    auto first_key = [&](u32 tile) -> i32 {
        if (tile < masked) return diagonal_key + (i32)(tile * TILE_KEYS);
        const u32 i = (tile - masked) / (BLOCK_KV / TILE_KEYS), part = (tile - masked) % (BLOCK_KV / TILE_KEYS);
        return (i32)(list[i < run ? i : i + diagonal_blocks] * BLOCK_KV + part * TILE_KEYS);
    };
//@else
    const u32 own_tiles = own * (BLOCK_KV / TILE_KEYS);
    const u32 tiles = most * (BLOCK_KV / TILE_KEYS);
    auto first_key = [&](u32 tile) -> i32 {
        const u32 i = tile / (BLOCK_KV / TILE_KEYS), part = tile % (BLOCK_KV / TILE_KEYS);
        return (i32)(list[i] * BLOCK_KV + part * TILE_KEYS);
    };
//@end

    auto load = [&](u32 tile, i32 key) {
        if (tile < tiles) {
            const u32 stage = stage_address(tile);
            copy_rows<TILE_KEYS, TILE_THREADS>(stage, HeadRows{k, p.k_token, p.kv_len}, key);
            copy_rows<TILE_KEYS, TILE_THREADS>(stage + KEY_TILE_BYTES, HeadRows{v, p.v_token, p.kv_len}, key);
        }
        cp_async_commit();
    };
    for (u32 tile = 0; tile + 1 < TILE_STAGES; ++tile) load(tile, tile < tiles ? first_key(tile) : 0);
    // Keys of the tile in turn, and of the one that is copied while that one is worked on: read a turn ahead.
    i32 ahead = TILE_STAGES - 1 < tiles ? first_key(TILE_STAGES - 1) : 0;
    auto turn = [&](u32 tile) {
        cp_async_wait<TILE_STAGES - 2>();
        sync_threads();
        load(tile + TILE_STAGES - 1, ahead);
        if (tile + TILE_STAGES < tiles) ahead = first_key(tile + TILE_STAGES);
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
//@if CAUSAL
    for (; tile < masked; ++tile) {
        turn(tile);
        if (present)
            flash_step<true>(flash, q, stage_address(tile), diagonal_key + (i32)(tile * TILE_KEYS), limit);
    }
    for (; tile < tiles; ++tile) {
        turn(tile);
        if (tile < own_tiles) flash_step<false>(flash, q, stage_address(tile), 0, limit);
    }
//@else
    for (; tile < tiles; ++tile) {
        const i32 key = first_key(tile);
        turn(tile);
        if (tile >= own_tiles) continue;
        if (key + TILE_KEYS > p.kv_len) flash_step<true>(flash, q, stage_address(tile), key, limit);
        else flash_step<false>(flash, q, stage_address(tile), key, limit);
    }
//@end

    if (!present) return;
    const i32 first = place.first_query + (i32)warp_row;
    Elem* out = p.out + batch * p.out_batch + (head0 + head_in_tile) * p.out_head + first * p.out_token;
    flash_store(flash, q_warp, out, p.out_token, p.q_len - first);
}
