// Operands of a scoring pass in the element type: rows of 64 elements, what is wider in halves.
#define OPERAND_BYTES 2

// One thread: starts copying a box of rows, from `first` on.
__device__ __forceinline__ void load_operands(const TensorMap* map, u32 to, u32 rows, u32 full, i32 first, u32 head, u32 batch) {
    load_tokens(map, to, rows * ROW_BYTES, full, first, head, batch);
}

// Starts the products of 64 rows and a stage.
__device__ __forceinline__ void multiply_operands(float (&s)[STAGE_KEYS / 2], u64 queries, u64 keys) {
    multiply_keys(s, queries, keys);
}
