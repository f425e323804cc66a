//! Shapes of tiles: the numbers that the GPU decides.

use super::hopper::HopperTiles;
use super::portable::SCORING_ROWS;
use crate::Spec;
use crate::candidates::Constants;

/// Query rows that a CTA of the attention kernels is made for, where shared memory allows.
const CTA_ROWS: u32 = 128;

/// The numbers of a kernel that depend on the GPU and on nothing that the user declared.
///
/// They are macros of the text with these values as defaults; a launcher that overrides one by `-D` emits with the same
/// [`Tiles`], since grids, threads and shared memory follow from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tiles {
    /// `TILE_HEADS`: query heads of one KV head that share each tile of K and V.
    pub heads: u32,
    /// `TILE_ROWS`: queries of each of them; divides `block(q)`.
    pub rows: u32,
    /// `WARP_ROWS`: queries of one warp, 16 or 32; divides `rows`.
    pub warp_rows: u32,
    /// `TILE_KEYS`: keys in one tile of K and V, a multiple of 16 that divides `block(kv)`.
    pub keys: u32,
    /// `TILE_STAGES`: tiles of K and V in shared memory, at least 2.
    pub stages: u32,
    /// `RING_KEYS`: keys in one tile of the scoring passes, a multiple of 16 that divides `block(kv)`.
    pub ring_keys: u32,
    /// `RING_STAGES`: tiles of keys in shared memory there, at least 2.
    pub ring_stages: u32,
    /// Those of the Hopper kernels.
    pub hopper: HopperTiles,
}

impl Tiles {
    /// What runs on every GPU from Ampere on (no more than 99 KiB of shared memory). `heads_per_kv` is the number of
    /// query heads to a KV head, where it is known; a spec that pins both kinds of heads knows it.
    pub fn portable(spec: &Spec, heads_per_kv: Option<u32>) -> Self {
        let wide = spec.head_dim > 128;
        let cta_rows = if wide { CTA_ROWS / 2 } else { CTA_ROWS };
        let rows = spec.block.q.min(cta_rows);
        let pinned = spec.heads.zip(spec.kv_heads).map(|(heads, kv_heads)| heads / kv_heads);
        // More heads than there are would leave warps idle, and so would a remainder.
        let mut heads = cta_rows / rows;
        while heads_per_kv.or(pinned).is_some_and(|known| !known.is_multiple_of(heads)) {
            heads /= 2;
        }
        Self {
            heads,
            rows,
            warp_rows: if wide { 16 } else { 32 },
            // With 64 keys the output and the scores of 32 rows leave too few registers, but for the narrowest rows.
            keys: spec.block.kv.min(if spec.head_dim > 64 { 32 } else { 64 }),
            stages: if wide { 2 } else { 3 },
            ring_keys: spec.block.kv.min(64),
            ring_stages: 3,
            hopper: HopperTiles::of(spec),
        }
    }

    /// Whether kernels of these tiles exist for `spec`.
    pub fn fit(&self, spec: &Spec) -> bool {
        let keys = |keys: u32| keys > 0 && keys.is_multiple_of(16) && spec.block.kv.is_multiple_of(keys);
        self.heads > 0
            && matches!(self.warp_rows, 16 | 32)
            && self.rows > 0
            && spec.block.q.is_multiple_of(self.rows)
            && self.rows.is_multiple_of(self.warp_rows)
            && self.threads() <= 1024
            && keys(self.keys)
            && keys(self.ring_keys)
            && self.stages >= 2
            && self.ring_stages >= 2
            && (!HopperTiles::exist_for(spec) || self.hopper.fit(spec))
    }

    /// The macros and their values.
    pub fn macros(&self) -> Vec<(&'static str, u32)> {
        let mut macros = vec![
            ("TILE_HEADS", self.heads),
            ("TILE_ROWS", self.rows),
            ("WARP_ROWS", self.warp_rows),
            ("TILE_KEYS", self.keys),
            ("TILE_STAGES", self.stages),
            ("RING_KEYS", self.ring_keys),
            ("RING_STAGES", self.ring_stages),
        ];
        macros.extend(self.hopper.macros());
        macros
    }

    /// These tiles with other values for some macros, or `None` if there is no macro of such a name.
    pub fn with(mut self, constants: &Constants) -> Option<Self> {
        for &(name, value) in constants {
            let field = match name {
                "TILE_HEADS" => &mut self.heads,
                "TILE_ROWS" => &mut self.rows,
                "WARP_ROWS" => &mut self.warp_rows,
                "TILE_KEYS" => &mut self.keys,
                "TILE_STAGES" => &mut self.stages,
                "RING_KEYS" => &mut self.ring_keys,
                "RING_STAGES" => &mut self.ring_stages,
                name => self.hopper.field(name)?,
            };
            *field = value;
        }
        Some(self)
    }

    /// The macros whose values differ from those of `other`.
    pub(crate) fn changed(&self, other: &Self) -> Vec<(&'static str, u32)> {
        let pairs = self.macros().into_iter().zip(other.macros());
        pairs.filter(|(mine, theirs)| mine != theirs).map(|(mine, _)| mine).collect()
    }

    /// Threads of a CTA of the attention kernels.
    pub(crate) fn threads(&self) -> u32 {
        self.heads * (self.rows / self.warp_rows) * 32
    }

    /// Bytes of shared memory of the attention kernels.
    pub(crate) fn attend_bytes(&self, spec: &Spec) -> u32 {
        (self.heads * self.rows + 2 * self.stages * self.keys) * spec.head_dim * 2
    }

    /// Bytes of shared memory of the scoring passes: the queries, and then the ring in their place.
    pub(crate) fn ring_bytes(&self, spec: &Spec) -> u32 {
        (self.ring_stages * self.ring_keys).max(SCORING_ROWS) * spec.head_dim * 2
    }
}
