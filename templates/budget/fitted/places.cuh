// Which places of a list of blocks are measured: the first ones, and two windows behind them.
struct Places {
    u32 exact, window; // how many they are
    u32 near, far;     // where the windows begin

    // The i-th of them, and how many they are.
    __device__ __forceinline__ u32 at(u32 i) const {
        if (i < exact) return i;
        return i < exact + window ? near + (i - exact) : far + (i - exact - window);
    }
    __device__ __forceinline__ u32 count() const { return exact + 2 * window; }
};
__device__ __forceinline__ Places places_of(u32 blocks) {
    Places p;
    p.exact = MOST_PINNED + (blocks + 49) / 50;
    p.window = (blocks + 99) / 100;
    p.near = max(p.exact, blocks / 10 - p.window / 2);
    p.far = max(p.near + p.window, blocks * 6 / 10 - p.window / 2);
    // A short list is measured as a whole.
    if (p.far + p.window > blocks) p = {blocks, 0, blocks, blocks};
    return p;
}
