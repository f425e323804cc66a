//! The stages of a prefill.

named! {
    /// A stage of the pipeline, in the order in which they run.
    pub enum Stage {
        /// Inputs are checked and laid out, proxy heads averaged.
        Pool = "pool",
        /// Proxy queries against proxy keys, max-pooled over blocks.
        Score = "score",
        /// Each head's own last queries: how many blocks it needs.
        Budget = "budget",
        /// Rankings and lists.
        Select = "select",
        /// Attention over the lists.
        Attend = "attend",
    }
}
