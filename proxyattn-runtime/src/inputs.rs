//! The tensors of a call: do their shapes describe a problem?

use crate::layer::Layer;
use crate::shapes::Shapes;
use crate::{AsView, Error, Problem, Result, View, ViewMut};
use proxyattn_codegen::Spec;

/// What to do where heads and tokens look swapped, of tensors whose memory order is `[batch, heads, tokens, dim]`.
const HEADS_FIRST: &str = "; if heads and tokens are swapped, because the memory order is [batch, tokens, heads, head_dim], read \
                           it with `View::bshd`, or make it a `Tensor::from_bshd`";
/// The same of tensors in that other order.
const TOKENS_FIRST: &str = "; if heads and tokens are swapped, because the memory order is [batch, heads, tokens, head_dim], \
                            read it with `View::bhsd`, or make it a `Tensor::from_bhsd`";

/// The three inputs of a prefill.
pub struct Inputs<'a, T> {
    pub(crate) q: View<'a, T>,
    pub(crate) k: View<'a, T>,
    pub(crate) v: View<'a, T>,
    /// The kernel's layer, where the configuration asks for one.
    pub(crate) layer: Option<&'a Layer>,
}

impl<'a, T> Inputs<'a, T> {
    pub(crate) fn new(q: &'a impl AsView<T>, k: &'a impl AsView<T>, v: &'a impl AsView<T>) -> Self {
        Self { q: q.as_view(), k: k.as_view(), v: v.as_view(), layer: None }
    }

    /// For a kernel of this layer.
    pub(crate) fn of_layer(self, layer: Option<&'a Layer>) -> Self {
        Self { layer, ..self }
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

    /// The problem that the shapes describe, if they describe one that `spec` runs.
    pub(crate) fn problem(&self, spec: &Spec) -> Result<Problem> {
        let tensors = [&self.q, &self.k, &self.v];
        let tokens_first = tensors.iter().any(|view| view.strides()[1] < view.strides()[2]);
        Shapes {
            shapes: tensors.map(View::shape),
            written: |shape| shape,
            swap: if tokens_first { TOKENS_FIRST } else { HEADS_FIRST },
        }
        .problem(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor;
    use half::bf16;

    type View4<'a> = fn(&'a [bf16], [usize; 4]) -> Result<View<'a, bf16>>;

    /// What is said of q and k of these shapes, in the order of `view`.
    fn told<'a>(data: &'a [bf16], view: View4<'a>, shapes: [[usize; 4]; 2]) -> String {
        let [q, kv] = shapes.map(|shape| view(data, shape).unwrap());
        let spec = Spec { head_dim: 64, ..Spec::DEFAULT };
        Inputs::new(&q, &kv, &kv).problem(&spec).unwrap_err().to_string()
    }

    #[test]
    fn a_swap_says_what_to_call() {
        // 64 tokens of 8 heads on 4, and what each order of memory makes of the other's shape.
        let data = vec![bf16::ONE; 8 * 64 * 64];
        let bhsd = told(&data, View::bhsd, [[1, 64, 8, 64], [1, 64, 4, 64]]);
        assert!(bhsd.starts_with("`k`: expected its tokens, kv_len, to be at least q_len = 8"), "{bhsd}");
        assert!(bhsd.contains("got shape [1, 64, 4, 64], 64 heads of 4 tokens"), "{bhsd}");
        assert!(bhsd.ends_with("read it with `View::bshd`, or make it a `Tensor::from_bshd`"), "{bhsd}");
        let bshd = told(&data, View::bshd, [[1, 8, 64, 64], [1, 4, 64, 64]]);
        assert!(bshd.ends_with("read it with `View::bhsd`, or make it a `Tensor::from_bhsd`"), "{bshd}");
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        let q = Tensor::<bf16>::zeros([1, 2, 8, 64]).unwrap();
        let mut out = Tensor::zeros([1, 2, 9, 64]).unwrap();
        let error = Inputs::new(&q, &q, &q).check_output(&out.view_mut()).unwrap_err();
        assert_eq!(error.to_string(), "`out`: expected the shape of q, [1, 2, 8, 64], got [1, 2, 9, 64]");
    }
}
