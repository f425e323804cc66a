//! The tensors of a call: do their shapes describe a problem?

use crate::{AsView, Error, Problem, Result, View, ViewMut};

/// The three inputs of a prefill.
pub struct Inputs<'a, T> {
    pub(crate) q: View<'a, T>,
    pub(crate) k: View<'a, T>,
    pub(crate) v: View<'a, T>,
}

impl<'a, T> Inputs<'a, T> {
    pub(crate) fn new(q: &'a impl AsView<T>, k: &'a impl AsView<T>, v: &'a impl AsView<T>) -> Self {
        Self { q: q.as_view(), k: k.as_view(), v: v.as_view() }
    }

    /// Refuses an output of another shape than that of the queries.
    pub(crate) fn check_output(&self, out: &ViewMut<'_, T>) -> Result<()> {
        if out.shape() == self.q.shape() {
            return Ok(());
        }
        Err(Error::Shape {
            arg: "out",
            expected: format!("the shape of q, {:?}", self.q.shape()),
            got: format!("{:?}", out.shape()),
        })
    }

    /// The problem that the shapes describe, if they describe one.
    pub(crate) fn problem(&self, head_dim: usize) -> Result<Problem> {
        let [batch, heads, q_len, _] = self.q.shape();
        let [_, kv_heads, kv_len, _] = self.k.shape();
        for (arg, view) in [("q", &self.q), ("k", &self.k), ("v", &self.v)] {
            if view.shape()[3] != head_dim {
                let expected = format!("head_dim {head_dim} as the kernel declares");
                return Err(Error::Shape { arg, expected, got: format!("shape {:?}", view.shape()) });
            }
        }
        if self.k.shape()[0] != batch {
            let expected = format!("the batch of q, {batch}");
            return Err(Error::Shape { arg: "k", expected, got: format!("shape {:?}", self.k.shape()) });
        }
        if self.v.shape() != self.k.shape() {
            let expected = format!("the shape of k, {:?}", self.k.shape());
            return Err(Error::Shape { arg: "v", expected, got: format!("shape {:?}", self.v.shape()) });
        }
        Ok(Problem { batch, heads, kv_heads, q_len, kv_len })
    }
}
