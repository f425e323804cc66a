// One sequence. Queries are the last tokens of a context: query 0 stands at key `offset`. Below 0, there are more queries
// than keys, and none stands at a key.
struct Sequence {
    i32 offset, kv_len;

    __device__ __forceinline__ i32 position(i32 token) const { return offset + token; }

    // How many keys a query sees, from the first on; of a query past the last one, more than there are.
    __device__ __forceinline__ i32 limit(i32 token) const {
//@if CAUSAL
        return position(token) + 1;
//@else
        return kv_len;
//@end
    }

    // The same, but no more than there are.
    __device__ __forceinline__ i32 seen(i32 token) const { return min(limit(token), kv_len); }
};

template <class Params>
__device__ __forceinline__ Sequence sequence_of(const Params& p) {
    return Sequence{p.kv_len - p.q_len, p.kv_len};
}
