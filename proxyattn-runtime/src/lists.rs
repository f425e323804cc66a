//! Block lists from outside: those of a trained gate, of an indexer, of another layer.

mod check;
mod packed;
mod view;

#[doc(hidden)]
pub use packed::Packed;
pub use view::ListView;

pub(crate) use check::selection;

use crate::cuda::Given;
use crate::{Device, Error, Geometry, Plan, Problem, Result, Selection};
use proxyattn_codegen::Spec;

/// Block lists that [`prefill_with`](crate::Attention::prefill_with) follows, ready on a kernel's device.
///
/// They are made once, for one shape, and serve any number of calls: of every kernel on that device which has the same
/// blocks and the same `causal`, whatever its scorer and its budget. There are three ways to make them:
///
/// - [`Attention::lists`](crate::Attention::lists) from block numbers in host memory, which are checked;
/// - [`Attention::lists_of`](crate::Attention::lists_of) from the [`Selection`] of another call, so that a layer visits the
///   blocks that an earlier one has chosen;
/// - [`Attention::lists_on_device`](crate::Attention::lists_on_device) from a GPU's memory, which is not checked.
///
/// ```
/// use proxyattn::prelude::*;
/// use proxyattn::{ListView, Lists};
///
/// #[proxy_attention(head_dim = 64)]
/// struct Layer;
///
/// // 128 tokens: each row of 64 visits its own block alone.
/// let attention = Layer::load(&Device::cpu())?;
/// let problem = Problem { batch: 1, heads: 4, kv_heads: 2, q_len: 128, kv_len: 128 };
/// let lists: Lists = attention.lists(&problem, &ListView::heads_first(&[0, 1], [1, 1, 2, 1])?)?;
/// assert_eq!(lists.selection().expect("checked lists").blocks(0, 3, 1), [1]);
/// # Ok::<(), proxyattn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lists {
    pub(crate) problem: Problem,
    /// Its pins do not count: what is kept is for those to say who make lists.
    pub(crate) geometry: Geometry,
    pub(crate) device: Device,
    pub(crate) form: Form,
}

/// What a backend reads.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    Host(Selection),
    /// And what was copied there, if the lists were ever in host memory.
    Device(Given, Option<Selection>),
}

impl Lists {
    /// The shape that the lists are for.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Where the lists are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The blocks that each head visits; `None` for lists that are in device memory alone.
    pub fn selection(&self) -> Option<&Selection> {
        match &self.form {
            Form::Host(selection) => Some(selection),
            Form::Device(_, selection) => selection.as_ref(),
        }
    }

    /// Refuses a plan of other blocks.
    pub(crate) fn check(&self, plan: &Plan) -> Result<()> {
        fits("lists", (&self.problem, &self.geometry), plan)
    }

    /// The error of a call on a device where the lists are not.
    pub(crate) fn elsewhere(&self, device: &Device) -> Error {
        Error::Layout {
            arg: "lists",
            expected: format!("lists that a kernel on {device} has made"),
            got: format!("lists on {}", self.device),
        }
    }
}

/// Refuses blocks that are not those of a plan.
pub(crate) fn fits(arg: &'static str, (problem, geometry): (&Problem, &Geometry), plan: &Plan) -> Result<()> {
    let wanted = plan.geometry();
    if problem == plan.problem() && geometry.same_blocks(&wanted) {
        return Ok(());
    }
    let tell = |problem: &Problem, geometry: &Geometry| {
        let Problem { batch, heads, kv_heads, q_len, kv_len } = problem;
        format!(
            "batch {batch}, heads {heads}, kv_heads {kv_heads}, q_len {q_len}, kv_len {kv_len} in {}",
            geometry.blocks_text()
        )
    };
    Err(Error::Shape {
        arg,
        expected: format!("lists for {}", tell(plan.problem(), &wanted)),
        got: format!("lists for {}", tell(problem, geometry)),
    })
}

/// The plan of a call over lists, which visits what they say however short the context is.
pub(crate) fn plan(name: &str, spec: &Spec, problem: &Problem) -> Result<Plan> {
    if spec.is_dense() {
        return Err(Error::Unavailable {
            what: format!("following lists with `{name}`"),
            why: format!("`budget = {}` visits every block and has no kernel for lists", spec.budget),
            help: "load it with another budget, whose lists are then not made".into(),
        });
    }
    Plan::new(spec, problem).map(Plan::over_lists)
}
