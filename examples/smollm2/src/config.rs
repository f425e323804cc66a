//! The model's shape.

use crate::{Error, Result};

/// The shape of a Llama-architecture model with tied embeddings, and what its rotations and norms need.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width inside the MLP.
    pub intermediate: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Tokens in the vocabulary.
    pub vocab: usize,
    /// Tokens that the model was made to read.
    pub context: usize,
    /// Base of the rotary frequencies: position `p` turns pair `i` of a head by `p · theta^(−2i/head_dim)`.
    pub rope_theta: f64,
    /// Added to the mean square in RMSNorm.
    pub rms_eps: f64,
}

impl Config {
    /// Width of all query heads together.
    pub fn q_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of all key, or all value, heads together.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// The factor on `q·k`.
    pub fn scale(&self) -> f64 {
        1.0 / (self.head_dim as f64).sqrt()
    }

    /// Refuses a shape that no runner can run.
    ///
    /// # Errors
    /// [`Error::Model`] that names the field.
    pub fn check(&self) -> Result<()> {
        let positive = [
            ("layers", self.layers),
            ("hidden", self.hidden),
            ("intermediate", self.intermediate),
            ("heads", self.heads),
            ("kv_heads", self.kv_heads),
            ("vocab", self.vocab),
            ("context", self.context),
        ];
        for (what, value) in positive {
            if value == 0 {
                return Err(Error::model(what, "at least 1", "0"));
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            let expected = format!("a divisor of heads = {}", self.heads);
            return Err(Error::model("kv_heads", expected, self.kv_heads.to_string()));
        }
        if ![64, 96, 128, 256].contains(&self.head_dim) {
            return Err(Error::model("head_dim", "64, 96, 128 or 256", self.head_dim.to_string()));
        }
        if !(self.rope_theta.is_finite() && self.rope_theta > 1.0) {
            return Err(Error::model("rope_theta", "a finite number above 1", self.rope_theta.to_string()));
        }
        if !(self.rms_eps.is_finite() && self.rms_eps > 0.0) {
            return Err(Error::model("rms_eps", "a positive number", self.rms_eps.to_string()));
        }
        Ok(())
    }
}
