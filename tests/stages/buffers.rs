//! What a run left, against the reference: its buffers by `proxyattn_oracle::stages`, and its outputs.

use crate::harness::{Memory, Place};
use proxyattn::codegen::cuda::{Scratch, Shape, Tensor};
use proxyattn::codegen::{Dtype, Spec};
use proxyattn::{Element, View};
use proxyattn_oracle::stages::{self, Buffers};
use proxyattn_oracle::{Grid, Heads, Lists, Oracle};

impl stages::Memory for Memory {
    fn bytes(&self, scratch: Scratch) -> Option<&[u8]> {
        self.bytes.get(&scratch.into()).map(Vec::as_slice)
    }
}

/// A configuration on a shape.
pub(crate) fn grid(spec: &Spec, shape: &Shape) -> Grid {
    let Shape { batch, heads, kv_heads, q_len, kv_len } = *shape;
    Grid::new(spec, [batch, heads, kv_heads, q_len, kv_len].map(|number| number as usize))
}

/// The tensors of a run.
pub(crate) struct Tensors<'a> {
    pub(crate) spec: Spec,
    pub(crate) shape: Shape,
    pub(crate) memory: &'a Memory,
}

impl Tensors<'_> {
    /// The reference on the inputs.
    pub(crate) fn oracle<T: Element>(&self) -> Oracle {
        let inputs = [Tensor::Q, Tensor::K, Tensor::V].map(|tensor| self.heads::<T>(tensor, tensor));
        Oracle::of_heads(grid(&self.spec, &self.shape), inputs)
    }

    /// What lies at a place with a tensor's strides.
    fn heads<T: Element>(&self, place: impl Into<Place>, like: Tensor) -> Heads {
        let elements: Vec<T> = self.memory.halves(place).into_iter().map(T::from_bits).collect();
        let [batch, head, token] = self.memory.strides[&like].map(|stride| stride as usize);
        let [heads, tokens] = like.extents().map(|extent| extent.of(&self.spec, &self.shape) as usize);
        let shape = [self.shape.batch as usize, heads, tokens, self.spec.head_dim as usize];
        let view = View::strided(&elements, shape, [batch, head, token, 1]);
        Heads::of(&view.expect("a buffer holds its tensor"))
    }

    /// The output of `dense`, against attention over every block.
    pub(crate) fn dense<T: Element>(&self, oracle: &Oracle) {
        self.output::<T>(Place::OutDense, oracle.attend_all());
    }

    /// The output of `attend`, against attention over the lists' blocks.
    pub(crate) fn attended<T: Element>(&self, oracle: &Oracle, buffers: &Buffers<'_>) {
        self.attended_as::<T>(oracle, &buffers.lists());
    }

    /// The same of lists that are known.
    pub(crate) fn attended_as<T: Element>(&self, oracle: &Oracle, lists: &dyn Lists) {
        self.output::<T>(Tensor::Out.into(), oracle.attend(lists));
    }

    fn output<T: Element>(&self, place: Place, want: Vec<f64>) {
        let got = self.heads::<T>(place, Tensor::Out);
        assert_eq!(got.numbers().len(), want.len(), "{place}");
        let epsilon = if self.spec.dtype == Dtype::F16 { 4e-3 } else { 2e-2 };
        for (i, (got, want)) in got.numbers().iter().zip(&want).enumerate() {
            let (row, dim) = (i / self.spec.head_dim as usize, i % self.spec.head_dim as usize);
            let (head, token) = (row / self.shape.q_len as usize, row % self.shape.q_len as usize);
            assert!(
                (got - want).abs() <= epsilon * (1.0 + want.abs()),
                "{place}: head {head}, token {token}, dim {dim}: {got}, not {want}"
            );
        }
    }
}
