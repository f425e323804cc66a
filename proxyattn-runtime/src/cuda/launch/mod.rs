//! From a plan and addresses to kernels in a stream. Nothing here allocates, waits or copies; a stream beside the caller's
//! is made once.

mod args;
mod given;
mod lanes;
mod layout;
mod limits;
mod params;
mod pruned;
mod selection;
mod tensor_map;
mod tensors;
mod workspace;

pub use args::{RawArgs, RawLists, RawTensor};
pub(crate) use given::{Borrowed, Given};
pub(crate) use lanes::Lanes;
pub(crate) use layout::Layout;
pub(crate) use limits::check_stages;
pub(crate) use selection::read_selection;
pub(crate) use tensors::{borrow, borrow_mut};
pub(crate) use workspace::Workspace;

use super::load::{LoadedKernel, Loader};
use crate::layer::Layer;
use crate::{Plan, Result, Stage};
use cudarc::driver::sys::CUstream;
use params::{Params, Sources};
use proxyattn_codegen::cuda::Shape;
use std::sync::Arc;

/// A plan's kernels, which can run its problem, and where the buffers between them lie.
pub(crate) struct Launch<'a> {
    loader: &'a Loader,
    lanes: &'a Lanes,
    kernels: Arc<[Arc<LoadedKernel>]>,
    pub(crate) plan: &'a Plan,
    pub(crate) layout: Layout,
    layer: Option<&'a Layer>,
    /// Whether the kernels read tensors through tensor maps.
    maps: bool,
}

impl<'a> Launch<'a> {
    /// Refuses a problem that fits the kernels' configuration but not the GPU.
    pub(crate) fn new(
        loader: &'a Loader,
        lanes: &'a Lanes,
        kernels: Arc<[Arc<LoadedKernel>]>,
        plan: &'a Plan,
        layer: Option<&'a Layer>,
    ) -> Result<Self> {
        limits::check(loader, plan, &kernels)?;
        layer.map_or(Ok(()), |layer| layer.check(plan.problem().heads))?;
        let layout = Layout::of(loader, plan, &kernels);
        let mut running = kernels.iter().filter(|kernel| kernel.runs(plan.is_dense()));
        let maps = running.any(|kernel| kernel.table.takes_maps());
        Ok(Self { loader, lanes, kernels, plan, layout, layer, maps })
    }

    /// Of attention alone, over lists that are not in the workspace.
    pub(crate) fn over_lists(
        loader: &'a Loader,
        lanes: &'a Lanes,
        kernels: &[Arc<LoadedKernel>],
        plan: &'a Plan,
    ) -> Result<Self> {
        let attend = kernels.iter().filter(|kernel| kernel.table.id.stage() == Stage::Attend);
        let launch = Self::new(loader, lanes, attend.cloned().collect(), plan, None)?;
        Ok(Self { layout: launch.layout.without_lists(), ..launch })
    }

    /// Refuses a tensor that the kernels cannot read.
    pub(crate) fn check_tensor(&self, arg: &'static str, tensor: &RawTensor) -> Result<()> {
        tensor.check(arg, self.maps)
    }

    /// Refuses tensors that the kernels cannot read, and a workspace that is too small.
    pub(crate) fn check(&self, args: &RawArgs) -> Result<()> {
        args.check(self.layout.bytes(), self.maps)
    }

    /// Enqueues the kernels of these stages.
    ///
    /// # Safety
    /// The addresses in `args` are valid on the device for the plan's problem until the stream has run the kernels,
    /// nothing else writes to them meanwhile, and the stream belongs to the device's context, which is current.
    pub(crate) unsafe fn run(&self, args: &RawArgs, stream: CUstream, stages: &[Stage]) -> Result<()> {
        // SAFETY: as the caller promises; the launch's own kernels have been checked for the plan.
        unsafe { self.run_other(&self.kernels, args, stream, stages) }?;
        if stages.contains(&Stage::Attend) {
            // SAFETY: as the caller promises.
            unsafe { self.zero_pruned(args, stream) }?;
        }
        Ok(())
    }

    /// The same with some of the configuration's kernels, of any tiles that fit the GPU.
    ///
    /// What of the budget needs nothing of the scorer's runs on a [lane](Lanes) of its own, beside `pool` and `score`, and is
    /// enqueued first: behind all CTAs of the others it would find no free multiprocessor. Without a lane the kernels run one
    /// after the other, with the same result. Either way `stream` orders everything when this returns.
    ///
    /// # Safety
    /// As [`run`](Self::run).
    pub(crate) unsafe fn run_other(
        &self,
        kernels: &[Arc<LoadedKernel>],
        args: &RawArgs,
        stream: CUstream,
        stages: &[Stage],
    ) -> Result<()> {
        let wanted = |kernel: &LoadedKernel, turns: &[Turn]| {
            kernel.runs(self.plan.is_dense())
                && stages.contains(&kernel.table.id.stage())
                && turns.contains(&Turn::of(kernel))
        };
        let sources = Sources {
            loader: self.loader,
            spec: &self.loader.spec,
            shape: Shape::from(self.plan.problem()),
            layout: &self.layout,
            args,
            lists: None,
            layer: self.layer.map_or(0, Layer::address),
        };
        let mut params = Params::EMPTY;
        let mut enqueue = |on: CUstream, turns: &[Turn]| {
            let mut kernels = kernels.iter().filter(|kernel| wanted(kernel, turns));
            // SAFETY: the caller vouches for the addresses and its stream, and a lane's stream is used only between fork
            // and join.
            kernels.try_for_each(|kernel| unsafe { sources.launch(kernel, &mut params, on) })
        };

        let any = |turn: Turn| kernels.iter().any(|kernel| wanted(kernel, &[turn]));
        let lane = if any(Turn::Beside) && any(Turn::Meanwhile) {
            // SAFETY: the caller vouches for the stream, and the context is current.
            unsafe { self.lanes.take(self.loader.device.stream().context(), stream) }
                .inspect_err(|error| tracing::debug!("stages run one after the other: {error}"))
                .ok()
        } else {
            None
        };
        let Some(lane) = lane else { return enqueue(stream, Turn::ALL) };
        // SAFETY: as for `take`.
        unsafe { lane.fork(stream) }?;
        let launched =
            enqueue(lane.stream(), &[Turn::Beside]).and_then(|()| enqueue(stream, &[Turn::Meanwhile]));
        // Launched work is joined even where something failed: the caller's stream has to order it.
        // SAFETY: as for `take`.
        let joined = unsafe { lane.join(stream) };
        if joined.is_ok() {
            self.lanes.give_back(lane);
        }
        launched.and(joined)?;
        enqueue(stream, &[Turn::After])
    }
}

/// When a kernel runs, where there is a lane.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// On the lane.
    Beside,
    /// On the caller's stream meanwhile.
    Meanwhile,
    /// When both are done.
    After,
}

impl Turn {
    const ALL: &[Turn] = &[Turn::Beside, Turn::Meanwhile, Turn::After];

    fn of(kernel: &LoadedKernel) -> Self {
        match kernel.table.id.stage() {
            Stage::Pool | Stage::Score => Turn::Meanwhile,
            Stage::Budget if kernel.beside_score => Turn::Beside,
            Stage::Budget | Stage::Select | Stage::Attend => Turn::After,
        }
    }
}
