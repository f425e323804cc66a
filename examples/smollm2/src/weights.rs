//! The weights, dense and in f32, as both runners take them.

use crate::{Config, Error, Result};

/// A linear map: `rows` outputs of `columns` inputs, row-major. `y = W x`.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub columns: usize,
    /// `[rows, columns]`.
    pub data: Vec<f32>,
}

impl Matrix {
    /// A matrix of these elements.
    ///
    /// # Errors
    /// [`Error::Model`] if their number is not `rows · columns`.
    pub fn new(rows: usize, columns: usize, data: Vec<f32>) -> Result<Self> {
        if rows.checked_mul(columns) != Some(data.len()) {
            let expected = format!("{rows} × {columns} elements");
            return Err(Error::model("matrix", expected, data.len().to_string()));
        }
        Ok(Self { rows, columns, data })
    }

    /// One row.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.columns..][..self.columns]
    }
}

/// One transformer layer. `q` and `k` are in the layout of Hugging Face: RoPE turns element `i` of a head together with
/// element `i + head_dim/2`.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// RMSNorm before attention, `[hidden]`.
    pub attention_norm: Vec<f32>,
    /// `[heads · head_dim, hidden]`.
    pub q: Matrix,
    /// `[kv_heads · head_dim, hidden]`.
    pub k: Matrix,
    /// `[kv_heads · head_dim, hidden]`.
    pub v: Matrix,
    /// `[hidden, heads · head_dim]`.
    pub o: Matrix,
    /// RMSNorm before the MLP, `[hidden]`.
    pub mlp_norm: Vec<f32>,
    /// `[intermediate, hidden]`.
    pub gate: Matrix,
    /// `[intermediate, hidden]`.
    pub up: Matrix,
    /// `[hidden, intermediate]`: `down(silu(gate x) · up x)`.
    pub down: Matrix,
}

/// All weights of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// The shape that they have.
    pub config: Config,
    /// Token embedding and, tied, the output layer: `[vocab, hidden]`.
    pub embedding: Matrix,
    /// The layers, first to last.
    pub layers: Vec<Layer>,
    /// The last RMSNorm, `[hidden]`.
    pub norm: Vec<f32>,
}

impl Weights {
    /// Refuses weights whose shapes are not those of `config`.
    ///
    /// # Errors
    /// [`Error::Model`] that names the tensor.
    pub fn check(&self) -> Result<()> {
        let c = &self.config;
        c.check()?;
        let matrix = |what: String, m: &Matrix, rows: usize, columns: usize| {
            if (m.rows, m.columns, m.data.len()) == (rows, columns, rows * columns) {
                return Ok(());
            }
            Err(Error::model(what, format!("[{rows}, {columns}]"), format!("[{}, {}]", m.rows, m.columns)))
        };
        let vector = |what: String, v: &[f32]| match v.len() == c.hidden {
            true => Ok(()),
            false => Err(Error::model(what, format!("[{}]", c.hidden), format!("[{}]", v.len()))),
        };
        matrix("embedding".into(), &self.embedding, c.vocab, c.hidden)?;
        vector("norm".into(), &self.norm)?;
        if self.layers.len() != c.layers {
            return Err(Error::model("layers", c.layers.to_string(), self.layers.len().to_string()));
        }
        for (i, layer) in self.layers.iter().enumerate() {
            let of = |what: &str| format!("layer {i} {what}");
            vector(of("attention_norm"), &layer.attention_norm)?;
            vector(of("mlp_norm"), &layer.mlp_norm)?;
            matrix(of("q"), &layer.q, c.q_width(), c.hidden)?;
            matrix(of("k"), &layer.k, c.kv_width(), c.hidden)?;
            matrix(of("v"), &layer.v, c.kv_width(), c.hidden)?;
            matrix(of("o"), &layer.o, c.hidden, c.q_width())?;
            matrix(of("gate"), &layer.gate, c.intermediate, c.hidden)?;
            matrix(of("up"), &layer.up, c.intermediate, c.hidden)?;
            matrix(of("down"), &layer.down, c.hidden, c.intermediate)?;
        }
        Ok(())
    }
}
