//! Attention over block lists from outside.

use super::Attention;
use crate::cuda::Given;
use crate::inputs::Inputs;
use crate::lists::{Form, fits, plan, selection};
use crate::{
    AsView, Element, ListView, Lists, Packed, Plan, Problem, RawLists, Result, Selection, Tensor, ViewMut,
    cpu, cuda,
};

impl<T: Element> Attention<T> {
    /// Makes block lists from outside ready for [`prefill_with`](Self::prefill_with): checks them, and on a GPU copies them
    /// there. So the choice of a trained gate, of an indexer or of one's own runs on these kernels.
    ///
    /// A row is a block of `block.q` queries. Its list holds blocks of `block.kv` keys, or of a multiple of that
    /// ([`ListView::granularity`]), in any order, which is the order in which they are visited. Nothing is added: sinks and
    /// local blocks are visited only where a list names them. The list heads are
    ///
    /// - one for all heads, or one for each KV head: then the query heads of a KV head share each block that is loaded, and
    ///   this is as fast as lists of the kernel's own;
    /// - one for each query head: then every head loads its own, which on a GPU takes a launch for each query head of a KV
    ///   head, and up to twice the time for a block.
    ///
    /// ```
    /// use proxyattn::ListView;
    /// use proxyattn::prelude::*;
    /// use proxyattn::synthetic::Synthetic;
    ///
    /// #[proxy_attention(head_dim = 64, heads = 8, kv_heads = 2)]
    /// struct Layer;
    ///
    /// let inputs = Synthetic { tokens: 256, head_dim: 64, ..Synthetic::DEFAULT }.generate()?;
    /// let attention = Layer::load(&Device::cpu())?;
    /// let problem = Problem::of::<Layer, 8, 2>(1, 256, 256);
    ///
    /// // What a gate has chosen, [batch, list heads, rows, most]: for both KV heads, of each of the four rows of 64 queries.
    /// let ids = [
    ///     [[0, -1, -1], [0, 1, -1], [2, 0, -1], [0, 2, 3]],
    ///     [[0, -1, -1], [1, -1, -1], [1, 2, -1], [3, 1, -1]],
    /// ];
    /// let given = ListView::heads_first(ids.as_flattened().as_flattened(), [1, 2, 4, 3])?;
    /// let lists = attention.lists(&problem, &given)?;
    /// let output = attention.prefill_with(&inputs.q, &inputs.k, &inputs.v, &lists)?;
    /// assert_eq!(output.shape(), [1, 8, 256, 64]);
    /// # Ok::<(), proxyattn::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) for numbers of another shape or granularity;
    /// [`Error::Lists`](crate::Error::Lists) for the first list that names a block twice, one that does not exist or that lies
    /// wholly after the row's last query; that lacks a block of the row's own positions
    /// ([`Geometry::diagonal`](crate::Geometry::diagonal)), which the causal rule needs so that every query sees a key; or that
    /// is empty. [`Error::Unavailable`](crate::Error::Unavailable) for a kernel of `budget = all`, which follows no lists.
    /// Then what [`plan`](Self::plan) returns, [`Error::Memory`](crate::Error::Memory) and
    /// [`Error::Cuda`](crate::Error::Cuda).
    pub fn lists(&self, problem: &Problem, given: &ListView<'_>) -> Result<Lists> {
        let plan = self.plan_over_lists(problem)?;
        self.ready(&plan, selection(&plan, given)?)
    }

    /// Makes the lists of another call ready for [`prefill_with`](Self::prefill_with): a layer visits the blocks that an
    /// earlier one has chosen, of the same heads.
    ///
    /// ```
    /// use proxyattn::prelude::*;
    /// use proxyattn::synthetic::Synthetic;
    ///
    /// #[proxy_attention(head_dim = 64, heads = 8, kv_heads = 2)]
    /// struct Layer;
    ///
    /// let inputs = Synthetic { tokens: 1024, head_dim: 64, ..Synthetic::DEFAULT }.generate()?;
    /// let attention = Layer::load(&Device::cpu())?.with_dense_below(0);
    /// let first = attention.prefill_traced(&inputs.q, &inputs.k, &inputs.v, &())?;
    /// let lists = attention.lists_of(first.plan.problem(), &first.selection)?;
    /// let second = attention.prefill_with(&inputs.q, &inputs.k, &inputs.v, &lists)?;
    /// assert_eq!(second.as_slice(), first.output.as_slice());
    /// # Ok::<(), proxyattn::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) for a selection of another shape, of other blocks or of another `causal`; and as
    /// [`lists`](Self::lists).
    pub fn lists_of(&self, problem: &Problem, selection: &Selection) -> Result<Lists> {
        let plan = self.plan_over_lists(problem)?;
        let geometry = *selection.geometry();
        let of = Problem { batch: selection.batch(), heads: selection.heads(), ..*problem };
        fits("selection", (&of, &geometry), &plan)?;
        self.ready(&plan, selection.clone())
    }

    /// Lists that are in a GPU's memory already, in the form that kernels read, without a copy and without a look at them.
    /// With causal attention the first run of a list (all of it, where the heads of a group visit the same) has to end with
    /// the blocks of the row's diagonal ([`Geometry::diagonal`](crate::Geometry::diagonal)): only these are masked, and the
    /// kernel finds them by their place in the list.
    ///
    /// # Safety
    /// For every call that uses the lists, until its kernels have run: the addresses are valid memory of the device's context
    /// for the sizes that [`RawLists`] states, and the work that writes them comes before the call in the device's stream.
    /// There every count is at least 1 and at most `width`, and covers the diagonal of its row if attention is causal; where
    /// `runs` is `None` or the kernel's budget is flat, heads of a group have one count; every listed block is one that the row
    /// sees, is listed once, and the diagonal's are where they have to be.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable) on the CPU and for a kernel of `budget = all`;
    /// [`Error::Layout`](crate::Error::Layout) for groups that do not divide the KV heads, for a width or an address that is
    /// none, and for lists without `runs` where the kernel reads them; what [`plan`](Self::plan) returns.
    pub unsafe fn lists_on_device(&self, problem: &Problem, raw: &RawLists) -> Result<Lists> {
        let device = self.on_gpu("lists_on_device")?.device();
        let plan = self.plan_over_lists(problem)?;
        let given = Given::raw(raw, problem, &self.spec, device)?;
        Ok(self.made(&plan, Form::Device(given, None)))
    }

    /// Attention over lists from outside: what they name is visited, however short the context is, and nothing is pooled,
    /// scored or selected. Otherwise as [`prefill`](Self::prefill).
    ///
    /// # Errors
    /// As [`prefill`](Self::prefill); [`Error::Shape`](crate::Error::Shape) for lists of another shape, and
    /// [`Error::Layout`](crate::Error::Layout) for lists on another device, or that only kernels of another kind of budget can
    /// read.
    pub fn prefill_with(
        &self,
        q: &impl AsView<T>,
        k: &impl AsView<T>,
        v: &impl AsView<T>,
        lists: &Lists,
    ) -> Result<Tensor<T>> {
        let inputs = Inputs::new(q, k, v);
        let plan = self.plan_over_lists(&inputs.problem(&self.spec)?)?;
        let over = self.check_over(&plan, &inputs, lists)?;
        let mut output = Tensor::uninit(inputs.q.shape(), &self.device)?;
        over.run(&mut output.view_mut())?;
        Ok(output)
    }

    /// [`prefill_with`](Self::prefill_with) into a buffer of the caller's, of any strides.
    ///
    /// # Errors
    /// As [`prefill_with`](Self::prefill_with); then nothing is written to `out`.
    pub fn prefill_with_into(
        &self,
        q: &impl AsView<T>,
        k: &impl AsView<T>,
        v: &impl AsView<T>,
        lists: &Lists,
        mut out: ViewMut<'_, T>,
    ) -> Result<()> {
        let inputs = Inputs::new(q, k, v);
        let plan = self.plan_over_lists(&inputs.problem(&self.spec)?)?;
        inputs.check_output(&out)?;
        self.check_over(&plan, &inputs, lists)?.run(&mut out)
    }

    fn plan_over_lists(&self, problem: &Problem) -> Result<Plan> {
        plan(self.name, &self.spec, problem)
    }

    /// Lists of a selection, on the kernel's device.
    fn ready(&self, plan: &Plan, selection: Selection) -> Result<Lists> {
        let form = match &self.kernels {
            None => Form::Host(selection),
            Some(kernels) => {
                let packed = Packed::new(&selection, plan.problem().kv_heads, &self.spec)?;
                Form::Device(Given::upload(&packed, kernels.device())?, Some(selection))
            }
        };
        Ok(self.made(plan, form))
    }

    fn made(&self, plan: &Plan, form: Form) -> Lists {
        Lists { problem: *plan.problem(), geometry: plan.geometry(), device: self.device.clone(), form }
    }

    /// Refuses what the backend cannot run, before memory is allocated.
    fn check_over<'a>(
        &'a self,
        plan: &'a Plan,
        inputs: &'a Inputs<'a, T>,
        lists: &'a Lists,
    ) -> Result<Over<'a, T>> {
        lists.check(plan)?;
        match (&self.kernels, &lists.form) {
            (None, Form::Host(selection)) => Ok(Over::Cpu(cpu::check(plan, inputs)?, selection)),
            (Some(kernels), Form::Device(given, _)) if given.is_on(kernels.device()) => {
                given.check(&self.spec)?;
                Ok(Over::Cuda(cuda::check_over(kernels, plan, inputs, given)?))
            }
            _ => Err(lists.elsewhere(&self.device)),
        }
    }
}

/// A call over lists whose arguments a backend has accepted.
#[expect(clippy::large_enum_variant, reason = "one on the stack of each call")]
enum Over<'a, T> {
    Cpu(cpu::Checked<'a, T>, &'a Selection),
    Cuda((cuda::Checked<'a>, cuda::Borrowed<'a>)),
}

impl<T: Element> Over<'_, T> {
    fn run(self, out: &mut ViewMut<'_, T>) -> Result<()> {
        match self {
            Self::Cpu(checked, selection) => cpu::prefill_over(&checked, selection, out),
            Self::Cuda(checked) => cuda::prefill_over(checked, out),
        }
    }
}
