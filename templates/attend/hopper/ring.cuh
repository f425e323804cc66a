// Where queries, keys and values lie. Keys have a ring of stages of STAGE_KEYS tokens, values another: the slots behind
// those of the keys. Queries, and the output in their place, have slots too.
#define QUERY_BYTES (WG_ROWS * HEAD_DIM * 2)
#define STAGE_BYTES (STAGE_KEYS * HEAD_DIM * 2)
#define VALUE_STAGES (STAGES - KEY_STAGES)
#define RING_AT (TILES_AT + QUERY_SLOTS * WARPGROUPS * QUERY_BYTES)

// A waiting warpgroup tells the uses of a barrier apart by their parity, so it must have seen each: stages that others read
// besides have other barriers than those that it reads alone.
#define READERS 3
#define RING_FULL TILE_BARRIERS
#define RING_EMPTY (RING_FULL + READERS * STAGES)
#define QUERIES_FULL (RING_EMPTY + STAGES)
#define QUERIES_EMPTY (QUERIES_FULL + QUERY_SLOTS * WARPGROUPS)

// Named barriers: 0 is the whole CTA's.
#define TURN_BARRIER 1
#define WG_BARRIER (TURN_BARRIER + WARPGROUPS)

// The slots of the n-th keys and of the n-th values.
__device__ __forceinline__ u32 key_slot(u32 n) { return n % KEY_STAGES; }
__device__ __forceinline__ u32 value_slot(u32 n) { return KEY_STAGES + n % VALUE_STAGES; }
// The slot that lies `stages` further on; `stages` is less than the ring's length.
__device__ __forceinline__ u32 key_slot_after(u32 slot, u32 stages) {
    return slot + stages < KEY_STAGES ? slot + stages : slot + stages - KEY_STAGES;
}
__device__ __forceinline__ u32 value_slot_after(u32 slot, u32 stages) {
    return slot + stages < STAGES ? slot + stages : slot + stages - VALUE_STAGES;
}

// A slot that a warpgroup waits for: its full barrier, and the parity of what it waits for.
struct Slot {
    u32 index, full, parity;
};

// A phase is a number of stages that warpgroups go through in step: all on the same ones, as one column, or two of them on
// stages of their own, in turn, as two columns. This is where a warpgroup is in one.
struct Phase {
    u32 key, value;           // slots of the next stage
    u32 key_step, value_step; // to those of the stage after it
    u32 left, at;             // stages, the next one included, and its place in the list
    u32 full, bit;            // the first full barrier, and the first bit of those that the warpgroup has seen
    bool both, begins;        // whether both warpgroups go through it, and whether both begin a part with it
    bool in_turn;             // whether both come from its stage before
};
// A phase that begins with these slots, of which the warpgroup goes through one column with `readers`.
__device__ __forceinline__ Phase phase_of(u32 key, u32 value, u32 stages, u32 from, u32 columns, u32 readers, bool both,
                                          bool begins) {
    return Phase{key,
                 value,
                 columns % KEY_STAGES,
                 columns % VALUE_STAGES,
                 stages,
                 from,
                 RING_FULL + readers * STAGES,
                 (WARPGROUPS == 2 ? min(readers, 1u) : readers) * SEEN_BITS,
                 both,
                 begins,
                 false};
}
// `seen` has a bit for each full barrier, and changes it if the slot is `wanted`.
__device__ __forceinline__ Slot slot_in(const Phase& phase, u32 index, u32& seen, bool wanted) {
    const u32 parity = seen >> (phase.bit + index) & 1;
    seen ^= (u32)wanted << (phase.bit + index);
    return Slot{index, phase.full + index, parity};
}
__device__ __forceinline__ u32 ring_at(u32 index) { return smem_u32(smem) + RING_AT + index * STAGE_BYTES; }

// Of the n-th part that a warpgroup has to do.
__device__ __forceinline__ u32 query_slot(u32 part, u32 wg) { return part % QUERY_SLOTS * WARPGROUPS + wg; }
__device__ __forceinline__ u32 queries_at(u32 slot) { return smem_u32(smem) + TILES_AT + slot * QUERY_BYTES; }

// Every thread of the CTA. `work_writers` lanes write each description of work, `work_readers` warps read it.
__device__ __forceinline__ void barriers_start(u32 work_writers, u32 work_readers) {
    if (threadIdx.x == 0) {
        barriers_init(WORK_FULL, WORK_SLOTS, work_writers);
        barriers_init(WORK_EMPTY, WORK_SLOTS, work_readers);
        barriers_init(RING_FULL, READERS * STAGES, 1);
        barriers_init(RING_EMPTY, STAGES, WARPGROUPS * WG_WARPS);
        barriers_init(QUERIES_FULL, QUERY_SLOTS * WARPGROUPS, 1);
        barriers_init(QUERIES_EMPTY, QUERY_SLOTS * WARPGROUPS, 1);
        fence_mbarrier_init();
    }
    sync_threads();
}

// One lane of the producer: the queries of a warpgroup's n-th part.
__device__ __forceinline__ void load_queries(const TensorMap* map, u32 part, u32 wg, i32 first, u32 head, u32 batch) {
    const u32 slot = query_slot(part, wg), full = barrier_at(QUERIES_FULL + slot);
    mbarrier_wait(barrier_at(QUERIES_EMPTY + slot), parity_of(part, QUERY_SLOTS) ^ 1);
    mbarrier_arrive_expect_tx(full, QUERY_BYTES);
    load_tokens(map, queries_at(slot), WG_ROWS * ROW_BYTES, full, first, head, batch);
}

// Where one who loads keys, or values, is in the ring: the slot of the next stage, and the slot's parity when it is free.
struct Cursor {
    u32 first, behind, slot, parity;
    __device__ __forceinline__ void advance() {
        slot += 1;
        if (slot == behind) {
            slot = first;
            parity ^= 1;
        }
    }
};
__device__ __forceinline__ Cursor cursor_of(bool values) {
    const u32 first = values ? KEY_STAGES : 0, behind = values ? STAGES : KEY_STAGES;
    return Cursor{first, behind, first, 1};
}

// One lane of the producer: waits until the slot is free, and announces its bytes.
__device__ __forceinline__ void stage_begin(const Cursor& next, u32 full) {
    mbarrier_wait(barrier_at(RING_EMPTY + next.slot), next.parity);
    mbarrier_arrive_expect_tx(barrier_at(full), STAGE_BYTES);
}

// One lane of the producer: a box of tokens from `first` on, to the rows from `row` on of a stage.
__device__ __forceinline__ void load_piece(const TensorMap* map, u32 slot, u32 full, u32 row, i32 first, u32 head,
                                           u32 batch) {
    load_tokens(map, ring_at(slot) + row * ROW_BYTES, STAGE_KEYS * ROW_BYTES, barrier_at(full), first, head, batch);
}

// One lane of the producer: arrives in place of a warpgroup that leaves the stage out.
__device__ __forceinline__ void skip_stage(u32 slot) {
#pragma unroll
    for (u32 warp = 0; warp < WG_WARPS; ++warp) mbarrier_arrive(barrier_at(RING_EMPTY + slot));
}

// A consumer: waits until the stage has been loaded.
__device__ __forceinline__ void stage_wait(Slot slot) { mbarrier_wait(barrier_at(slot.full), slot.parity); }
