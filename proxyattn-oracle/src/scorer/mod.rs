//! What a block is worth to a row.

pub(crate) mod proxy;

use crate::Oracle;
use proxyattn_codegen::Scorer;

/// Log-scores of the blocks that a row sees; −∞ where no sampled query of the row sees a sampled key.
pub type Scores = Vec<f64>;

impl Oracle {
    /// Log-scores of every row, `[batch · groups, rows]`.
    pub fn scores(&self) -> &[Scores] {
        self.scores.get_or_init(|| match self.spec.scorer {
            Scorer::Proxy(_) => self.scores_by_proxies(&self.proxies()),
        })
    }

    /// Log-scores of a row.
    pub fn row_scores(&self, batch: usize, group: usize, row: usize) -> &Scores {
        &self.scores()[(batch * self.groups + group) * self.rows() + row]
    }
}
