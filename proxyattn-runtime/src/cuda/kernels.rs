//! A configuration's kernels on a device, and what its calls share.

use super::device::{CudaDevice, failed};
use super::launch::{Lanes, Launch, Layout, Workspace, check_stages};
use super::load::Loader;
use super::tune::{Recorded, TunedKernels, Tuner, warm_up};
use crate::jit::{Jit, Program};
use crate::layer::Layer;
use crate::tune::{Record, Source, Tune};
use crate::{Error, Plan, RawArgs, Result, Stage, once};
use cudarc::driver::{CudaStream, sys::CUstream};
use proxyattn_codegen::{Arch, Spec};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The kernels of one configuration on one device.
pub(crate) struct CudaKernels {
    loader: Loader,
    /// Which kernels run for a plan.
    tuned: TunedKernels,
    /// Whether tuning records are used.
    uses_records: bool,
    /// Calls on one stream share it: the kernels of the next one begin after those of the last one have ended.
    workspace: Mutex<Workspace>,
    lanes: Lanes,
}

/// Kernels that are in use. The same configuration on the same stream is loaded once.
static LOADED: Mutex<Vec<Weak<CudaKernels>>> = Mutex::new(Vec::new());

impl CudaKernels {
    /// Those that are loaded already, or else from the cache, or compiled now.
    pub(crate) fn shared(
        name: &'static str,
        spec: &Spec,
        device: &CudaDevice,
        tune: Tune,
    ) -> Result<Arc<Self>> {
        let uses_records = tune != Tune::Off;
        let known = |loaded: &[Weak<Self>]| {
            loaded.iter().filter_map(Weak::upgrade).find(|kernels| {
                let Loader { device: of, spec: given, .. } = &kernels.loader;
                of == device && given == spec && kernels.uses_records == uses_records
            })
        };
        let lock = || LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kernels) = known(&lock()) {
            return Ok(kernels);
        }
        let kernels = Arc::new(Self::load(name, spec, device, uses_records)?); // unlocked: a compilation takes seconds
        let mut loaded = lock();
        loaded.retain(|other| other.strong_count() > 0);
        loaded.push(Arc::downgrade(&kernels));
        Ok(kernels)
    }

    /// The kernels of the GPU's own family. On Hopper these are the portable ones where the compiler is older than
    /// Hopper, if the configuration is declared for them.
    fn load(name: &'static str, spec: &Spec, device: &CudaDevice, uses_records: bool) -> Result<Self> {
        // A configuration that leaves Hopper out has portable kernels for it.
        let arch = if spec.arch.contains(device.arch()) { device.arch() } else { Arch::Sm80 };
        if !spec.arch.contains(arch) {
            return Err(Error::Unavailable {
                what: format!("`{name}` on {}", device.name()),
                why: format!(
                    "it is declared for arch({}), and this GPU runs the kernels of {arch}",
                    spec.arch
                ),
                help: format!("add {arch} to `arch`; or use Device::cpu()"),
            });
        }
        let load = |arch| Self::of_family(Loader::new(name, spec, arch, device), uses_records);
        let first = match load(arch) {
            Err(error) if arch != Arch::Sm80 && spec.arch.contains(Arch::Sm80) => error,
            loaded => return loaded,
        };
        let known = Jit::global()?.compiler(&Program::empty(), device.target(arch));
        let Err(too_old @ Error::NvrtcTarget { .. }) = known else { return Err(first) };
        let portable = load(Arch::Sm80).map_err(|error| match error {
            // A compiler that is new enough for Hopper's own kernels is new enough for both.
            Error::NvrtcTarget { .. } | Error::JitDenied { .. } => first,
            other => other,
        })?;
        let message =
            format_args!("the portable kernels, which are slower, run on {}: {too_old}", device.name());
        once::warn(format!("portable {too_old}"), &message);
        Ok(portable)
    }

    fn of_family(loader: Loader, uses_records: bool) -> Result<Self> {
        let tuned = TunedKernels::new(loader.load_all()?);
        if uses_records {
            tuned.adopt(&loader, &Recorded::read(&loader, &[])?);
        }
        Ok(Self { loader, tuned, uses_records, workspace: Mutex::default(), lanes: Lanes::default() })
    }

    /// The family that runs: Hopper's, or the portable one.
    pub(crate) fn arch(&self) -> Arch {
        self.loader.arch
    }

    pub(crate) fn device(&self) -> &CudaDevice {
        &self.loader.device
    }

    /// The stream that the device's work is ordered by.
    pub(super) fn stream(&self) -> &Arc<CudaStream> {
        self.loader.device.stream()
    }

    /// A plan's kernels, if they can run its problem.
    pub(super) fn launch<'a>(&'a self, plan: &'a Plan, layer: Option<&'a Layer>) -> Result<Launch<'a>> {
        Launch::new(&self.loader, &self.lanes, self.tuned.pick(plan), plan, layer)
    }

    /// The kernel that follows lists from outside, if it can run a plan's problem.
    pub(super) fn launch_over_lists<'a>(&'a self, plan: &'a Plan) -> Result<Launch<'a>> {
        Launch::over_lists(&self.loader, &self.lanes, &self.tuned.pick(plan), plan)
    }

    /// The memory between kernels, for one call at a time.
    pub(super) fn workspace(&self) -> MutexGuard<'_, Workspace> {
        self.workspace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the buffers that a plan's kernels use lie in the workspace.
    pub(crate) fn layout(&self, plan: &Plan) -> Layout {
        Layout::of(&self.loader, plan, &self.tuned.default)
    }

    /// Enqueues stages of a plan's kernels, on addresses that have not been checked.
    ///
    /// # Safety
    /// As [`Attention::launch_stages_raw`](crate::Attention::launch_stages_raw).
    pub(crate) unsafe fn launch_raw(
        &self,
        plan: &Plan,
        args: &RawArgs,
        stream: CUstream,
        stages: &[Stage],
        layer: Option<&Layer>,
    ) -> Result<()> {
        check_stages(plan, stages)?;
        let launch = self.launch(plan, layer)?;
        launch.check(args)?;
        self.device().bind()?;
        // SAFETY: the caller promises valid memory and a stream of this context, which is current now.
        unsafe { launch.run(args, stream, stages) }
    }

    /// Which kernels run for a plan, and by which records.
    pub(crate) fn tuned(&self) -> &TunedKernels {
        &self.tuned
    }

    pub(crate) fn tuner<'a>(&'a self, layer: Option<&'a Layer>) -> Tuner<'a> {
        Tuner { loader: &self.loader, kernels: &self.tuned, lanes: &self.lanes, layer }
    }

    /// Every record that applies here, in full.
    pub(crate) fn records(&self) -> Result<Vec<(Record, Source)>> {
        Recorded::read(&self.loader, &[]).map(|recorded| recorded.records)
    }

    /// Launches the kernels of these plans once, on a short context, and reserves the largest workspace.
    pub(crate) fn warmup(&self, plans: &[Plan], layer: Option<&Layer>) -> Result<()> {
        let mut bytes = 0;
        for plan in plans {
            let launch = self.launch(plan, layer)?;
            bytes = bytes.max(launch.layout.bytes());
            warm_up(&self.tuner(layer), plan)?;
        }
        self.device().bind()?;
        self.workspace().reserve(self.stream(), bytes)?;
        self.stream().synchronize().map_err(failed("cuStreamSynchronize"))
    }
}
