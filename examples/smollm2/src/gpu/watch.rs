//! What an observer wants to know of a layer. It costs a second run of the layer's attention, which is not timed: the
//! first one leaves nothing but its output.

use super::failed;
use crate::{Detail, Inputs, Observer, Result, Visits};
use half::bf16;
use proxyattn::cudarc::driver::CudaSlice;
use proxyattn::{Attention, Problem, Selection, View};

/// A tensor `[batch, heads, tokens, dim]` in device memory.
#[derive(Clone, Copy)]
pub(super) struct Tensor<'a> {
    pub(super) data: &'a CudaSlice<bf16>,
    pub(super) shape: [usize; 4],
    pub(super) strides: [usize; 4],
}

impl<'a> Tensor<'a> {
    pub(super) fn view(&self) -> proxyattn::Result<View<'a, bf16>> {
        View::cuda(self.data, 0, self.shape, self.strides)
    }

    /// What it reaches of its buffer, in host memory.
    fn download(&self) -> proxyattn::Result<Vec<bf16>> {
        let last: usize = self.shape.iter().zip(self.strides).map(|(size, stride)| (size - 1) * stride).sum();
        let stream = self.data.stream();
        let host = stream.clone_dtoh(&self.data.slice(..last + 1)).map_err(failed("cuMemcpyDtoHAsync"))?;
        stream.synchronize().map_err(failed("cuStreamSynchronize"))?;
        Ok(host)
    }
}

/// Reports the attention that has just run on `inputs` (q, k, v) to an `observer` that asked for this layer.
pub(super) fn layer(
    layer: usize,
    attention: &Attention<bf16>,
    problem: &Problem,
    inputs: [Tensor<'_>; 3],
    observer: &mut dyn Observer,
) -> Result<()> {
    let plan = attention.plan(problem)?;
    let visible = plan.geometry().visible_tiles() * problem.heads as u64;
    let wants_inputs = observer.detail(layer) == Detail::Inputs;
    if plan.is_dense() && !wants_inputs {
        observer.visits(layer, Visits { visited: visible, visible });
        return Ok(());
    }
    let [q, k, v] = inputs;
    let selection = attention.prefill_traced(&q.view()?, &k.view()?, &v.view()?, &())?.selection;
    observer.visits(layer, Visits { visited: visited(&selection), visible });
    if wants_inputs {
        let host = [q.download()?, k.download()?, v.download()?];
        let view = |i: usize| View::strided(&host[i], inputs[i].shape, inputs[i].strides);
        observer.inputs(layer, &Inputs { q: view(0)?, k: view(1)?, v: view(2)?, selection: &selection });
    }
    Ok(())
}

/// Tiles that all heads visit together.
fn visited(selection: &Selection) -> u64 {
    let rows = selection.geometry().rows();
    let heads =
        (0..selection.batch()).flat_map(|batch| (0..selection.heads()).map(move |head| (batch, head)));
    heads.flat_map(|(batch, head)| (0..rows).map(move |row| selection.count(batch, head, row) as u64)).sum()
}
