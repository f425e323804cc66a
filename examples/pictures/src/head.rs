//! A head of the bundled layer, under the default configuration.

use crate::Result;
use half::bf16;
use kit::chart::{HeadTiles, OneHead};
use kit::input::{self, Input};
use kit::mass::BlockMass;
use kit::progress::Progress;
use proxyattn::codegen::Spec;
use proxyattn::{AsView, Attention, Device, Problem, Selection};
use std::path::Path;

/// What the kernel visits of the bundled layer, and where its attention is.
pub(crate) struct Bundled {
    selection: Selection,
    mass: BlockMass,
    tokens: [usize; 2],
}

impl Bundled {
    /// Runs the layer on the CPU.
    pub(crate) fn run() -> Result<Self> {
        let path =
            Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../data/smollm2-layer13-4096.safetensors"));
        let Input::Bf16(input) = input::read(path)? else {
            return Err("the bundled layer: expected bf16".into());
        };
        let [batch, heads, q_len, head_dim] = input.q.shape();
        let [_, kv_heads, kv_len, _] = input.k.shape();
        let spec = Spec { head_dim: head_dim as u32, ..Spec::DEFAULT };
        let attention: Attention<bf16> = Attention::load(&spec, &Device::cpu())?;
        let plan = attention.plan(&Problem { batch, heads, kv_heads, q_len, kv_len })?;
        let trace = attention.prefill_traced(&input.q, &input.k, &input.v, &())?;
        let geometry = plan.geometry();
        let rows = (0..geometry.rows()).collect();
        let (q, k) = (input.q.as_view(), input.k.as_view());
        let scale = plan.spec().softmax_scale();
        let mass = BlockMass::compute(&q, &k, &geometry, rows, scale, &Progress::hidden());
        Ok(Self { selection: trace.selection, mass, tokens: [q_len, kv_len] })
    }

    /// The share of a head's attention in the blocks that it visits, averaged over rows.
    fn recall(&self, head: usize) -> f64 {
        let rows = self.mass.rows();
        let of_row = |&row: &usize| -> f64 {
            let shares = self.mass.row(head, row);
            self.selection.blocks(0, head, row).iter().map(|&block| f64::from(shares[block as usize])).sum()
        };
        rows.iter().map(of_row).sum::<f64>() / rows.len() as f64
    }

    /// The picture, with the head large that misses most.
    pub(crate) fn picture(&self) -> OneHead<'_> {
        let heads: Vec<_> = (0..self.selection.heads())
            .map(|head| (head.to_string(), self.selection.head_density(0, head), self.recall(head)))
            .collect();
        let mut order: Vec<usize> = (0..heads.len()).collect();
        order.sort_by(|&a, &b| heads[a].2.total_cmp(&heads[b].2));
        let recall = heads.iter().map(|head| head.2).sum::<f64>() / heads.len() as f64;
        OneHead {
            title: format!(
                "{:.0}% of the tiles hold {:.0}% of the attention",
                100.0 * self.selection.density(),
                100.0 * recall
            ),
            subject: vec![format!(
                "Layer 13 of SmolLM2-135M reading {} tokens; the default configuration; a tile is 64 queries × 64 keys",
                self.tokens[0]
            )],
            head: order[0],
            heads,
            tiles: self,
        }
    }
}

impl HeadTiles for Bundled {
    fn tiles(&self) -> [usize; 2] {
        let geometry = self.selection.geometry();
        [geometry.rows(), geometry.blocks()]
    }

    fn tokens(&self) -> [usize; 2] {
        self.tokens
    }

    fn visible(&self, row: usize) -> usize {
        self.selection.geometry().visible(row)
    }

    fn mass(&self, head: usize, row: usize, block: usize) -> f32 {
        self.mass.row(head, row)[block]
    }

    fn is_visited(&self, head: usize, row: usize, block: usize) -> bool {
        self.selection.blocks(0, head, row).contains(&(block as u32))
    }
}
