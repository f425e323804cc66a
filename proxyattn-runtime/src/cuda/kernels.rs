//! The kernels of a configuration, loaded.

use super::CudaDevice;
use super::calls::Call;
use super::lanes::Lanes;
use super::pipelines::{Picked, Pipelines};
use super::workspace::{BUFFERS, Layout, Workspace};
use crate::jit::{Jit, Program};
use crate::problem::MAX_TOKENS;
use crate::tune::{Choice, Tune, Tuned};
use crate::{Error, Plan, Result, once};
use proxyattn_codegen::cuda::{MAX_GROUP_HEADS, Module, Shape, Unit, UnitId, candidates, emit, tunable};
use proxyattn_codegen::{Arch, Spec};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak, mpsc};
use std::thread::ScopedJoinHandle;

/// What a tuner may choose between for a unit: values of some of its open constants.
type Choices = Vec<Vec<(&'static str, u32)>>;

/// The kernels of one configuration on one device.
pub(crate) struct Kernels {
    pub(super) device: CudaDevice,
    pub(super) spec: Spec,
    pub(super) name: &'static str,
    pub(super) arch: Arch,
    /// The texts, and the buffers between kernels.
    pub(super) module: Module,
    /// What a tuner may choose between, for each unit that has candidates.
    pub(super) candidates: Vec<(UnitId, Choices)>,
    /// Whether records are used.
    tuned: bool,
    /// Every kernel with its default tiles, in the order in which they run.
    pub(super) default: Vec<Arc<Call>>,
    /// The same with the tiles that records name, by bucket.
    pipelines: RwLock<Arc<Pipelines>>,
    /// Their memory. Calls on one stream may share it: the next one's kernels begin after the last one's have ended.
    pub(super) workspace: Mutex<Workspace>,
    /// Streams for what runs beside.
    pub(super) lanes: Lanes,
}

/// Kernels that somebody holds. The same configuration on the same stream is loaded once.
static LOADED: Mutex<Vec<Weak<Kernels>>> = Mutex::new(Vec::new());

impl Kernels {
    /// Those that are loaded already, or else from the cache, or compiled now.
    pub(crate) fn shared(
        name: &'static str,
        spec: &Spec,
        device: &CudaDevice,
        tune: Tune,
    ) -> Result<Arc<Self>> {
        let tuned = tune != Tune::Off;
        let held = |loaded: &[Weak<Self>]| {
            let mut alive = loaded.iter().filter_map(Weak::upgrade);
            alive.find(|kernels| kernels.device == *device && kernels.spec == *spec && kernels.tuned == tuned)
        };
        let lock = || LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kernels) = held(&lock()) {
            return Ok(kernels);
        }
        let kernels = Arc::new(Self::load(name, spec, device, tuned)?); // unlocked: a compilation takes seconds
        let mut loaded = lock();
        loaded.retain(|other| other.strong_count() > 0);
        loaded.push(Arc::downgrade(&kernels));
        Ok(kernels)
    }

    /// From the cache, or compiled now. On Hopper these are the portable kernels where the compiler is older than Hopper's
    /// own, and the configuration is declared for them.
    fn load(name: &'static str, spec: &Spec, device: &CudaDevice, tuned: bool) -> Result<Self> {
        // A configuration that leaves Hopper out has portable kernels for it.
        let arch = if spec.arch.contains(device.arch()) { device.arch() } else { Arch::Sm80 };
        if !spec.arch.contains(arch) {
            return Err(Error::Unavailable {
                what: format!("`{name}` on {}", device.name()),
                why: format!(
                    "it is declared for arch({}), and this GPU runs the kernels of {arch}",
                    spec.arch
                ),
                help: format!("add {arch} to `arch`, or use Device::cpu()"),
            });
        }
        let load = |arch| Self::of_family(arch, name, spec, device, tuned);
        let first = match load(arch) {
            Err(error) if arch != Arch::Sm80 && spec.arch.contains(Arch::Sm80) => error,
            loaded => return loaded,
        };
        let known = Jit::global()?.compiler(&Program::empty(), device.target(arch));
        let Err(too_old @ Error::NvrtcTarget { .. }) = known else { return Err(first) };
        let portable = load(Arch::Sm80).map_err(|error| match error {
            // What Hopper's own kernels want is enough for both.
            Error::NvrtcTarget { .. } | Error::JitDenied { .. } => first,
            other => other,
        })?;
        let told =
            format_args!("the portable kernels, which are slower, run on {}: {too_old}", device.name());
        once::warn(format!("portable {too_old}"), &told);
        Ok(portable)
    }

    /// Those of one family.
    fn of_family(
        arch: Arch,
        name: &'static str,
        spec: &Spec,
        device: &CudaDevice,
        tuned: bool,
    ) -> Result<Self> {
        let module = emit(spec, arch);
        let mut kernels = Self {
            device: device.clone(),
            spec: *spec,
            name,
            arch,
            module,
            candidates: tunable(spec, arch)
                .into_iter()
                .map(|unit| (unit, candidates(spec, arch, unit)))
                .collect(),
            tuned,
            default: Vec::new(),
            pipelines: RwLock::default(),
            workspace: Mutex::default(),
            lanes: Lanes::default(),
        };
        let units: Vec<_> = kernels.module.units.iter().collect();
        let loaded = side_by_side(&units, |unit: &&Unit| kernels.load_unit(unit, &[]), &mut |_| ());
        let mut loaded: Vec<Arc<Call>> = loaded.into_iter().collect::<Result<Vec<_>>>()?.concat();
        loaded.sort_by_key(|call| call.kernel.id);
        kernels.default = loaded;
        if tuned {
            kernels.adopt(&kernels.recorded(&[])?);
        }
        Ok(kernels)
    }

    /// The family that runs: Hopper's, or the portable one.
    pub(crate) fn arch(&self) -> Arch {
        self.arch
    }

    /// The kernels of a plan's bucket.
    pub(super) fn pick(&self, plan: &Plan) -> Picked<'_> {
        let pipelines = self.pipelines.read().unwrap_or_else(PoisonError::into_inner).clone();
        Picked::new(pipelines, plan, &self.default)
    }

    /// Uses other pipelines from now on.
    pub(super) fn replace(&self, pipelines: Pipelines) {
        *self.pipelines.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pipelines);
    }

    /// Which records are in use.
    pub(crate) fn told(&self) -> Tuned {
        self.pipelines.read().unwrap_or_else(PoisonError::into_inner).told.clone()
    }

    /// Which records decide the tiles of a plan's kernels.
    pub(crate) fn choices_of(&self, plan: &Plan) -> Vec<Choice> {
        self.pipelines.read().unwrap_or_else(PoisonError::into_inner).choices(plan)
    }

    /// The kernels that a plan runs, in order: `dense` alone, or everything else. Which tiles they have makes no
    /// difference here.
    fn calls(&self, plan: &Plan) -> impl Iterator<Item = &Call> {
        let dense = plan.is_dense();
        self.default.iter().map(|call| &**call).filter(move |call| call.runs(dense))
    }

    /// Whether a plan's kernels read tensors through tensor maps.
    pub(super) fn maps(&self, plan: &Plan) -> bool {
        self.calls(plan).any(|call| call.kernel.takes_maps())
    }

    /// Where the buffers that a plan's kernels use lie in the workspace.
    pub(crate) fn layout(&self, plan: &Plan) -> Layout {
        let shape = Shape::from(plan.problem());
        let used = |scratch| self.calls(plan).any(|call| call.kernel.scratch().any(|used| used == scratch));
        let bytes = |scratch| self.module.buffer(scratch).map_or(0, |known| known.bytes(&self.spec, &shape));
        Layout::new(|scratch| if used(scratch) { bytes(scratch) } else { 0 })
    }

    /// Refuses a problem that fits the kernel's configuration but not the GPU.
    pub(super) fn check(&self, plan: &Plan, calls: &[Arc<Call>]) -> Result<()> {
        let (problem, shape) = (plan.problem(), Shape::from(plan.problem()));
        let limits = [
            ("batch", "the grid", problem.batch as u64, 65_535),
            ("heads", "the grid", problem.heads as u64, 65_535),
            ("heads", "a group's share of a CTA", plan.heads_per_group() as u64, MAX_GROUP_HEADS),
            ("kv_len", "32-bit key positions", problem.kv_len as u64, MAX_TOKENS as u64),
        ];
        for (arg, what, got, limit) in limits {
            if got > limit {
                return Err(Error::Overflow { arg, what, limit, got: got.to_string() });
            }
        }
        // No buffer is larger than this, and there are fewer of them than what is left of 64 bits.
        let (rows, blocks) = (shape.rows(&self.spec), shape.blocks(&self.spec));
        let largest = [shape.batch, shape.heads, rows, blocks.max(self.spec.head_dim.into())];
        let largest: u128 = largest.into_iter().map(u128::from).product();
        let (bytes, limit) = (largest * u128::from(self.spec.block.q) * 4, u64::MAX / BUFFERS as u64 / 2);
        if bytes > limit.into() {
            let got = format!("up to {bytes} for a buffer");
            return Err(Error::Overflow { arg: "kv_len", what: "the workspace", limit, got });
        }
        for Call { kernel, .. } in calls.iter().map(|call| &**call).filter(|call| call.runs(plan.is_dense()))
        {
            let (bytes, limit) = (kernel.shared_bytes(&self.spec, &shape), self.device.shared_bytes());
            if bytes > limit {
                let (what, got) =
                    ("the shared memory of a CTA", format!("{bytes} for {} keys", problem.kv_len));
                return Err(Error::Overflow { arg: "kv_len", what, limit, got });
            }
            let [ctas, ..] = kernel.ctas(&self.spec, &shape, self.device.multiprocessors());
            let limit = i32::MAX as u64;
            if ctas > limit {
                let got = format!("{ctas} CTAs for {} queries", problem.q_len);
                return Err(Error::Overflow { arg: "q_len", what: "the grid", limit, got });
            }
        }
        Ok(())
    }
}

/// Does each piece of work on a thread of its own: units are compiled side by side, since most of a first load is a few
/// attention kernels. `done` hears, on this thread, how many are.
pub(super) fn side_by_side<T: Sync, R: Send>(
    work: &[T],
    run: impl Fn(&T) -> R + Sync,
    done: &mut dyn FnMut(usize),
) -> Vec<R> {
    std::thread::scope(|scope| {
        let (run, (tell, ended)) = (&run, mpsc::channel());
        let start = |piece| {
            let tell = tell.clone();
            scope.spawn(move || {
                let result = run(piece);
                let _ = tell.send(()); // somebody listens until all have ended
                result
            })
        };
        let threads: Vec<_> = work.iter().map(start).collect();
        drop(tell);
        ended.iter().enumerate().for_each(|(before, ())| done(before + 1));
        let join = |thread: ScopedJoinHandle<'_, _>| thread.join().unwrap_or_else(|e| resume_unwind(e));
        threads.into_iter().map(join).collect()
    })
}
