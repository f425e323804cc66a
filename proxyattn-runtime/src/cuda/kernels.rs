//! The kernels of a configuration, loaded.

use super::{CudaDevice, failed};
use crate::jit::{Jit, Program};
use crate::{Error, Plan, Problem, Result};
use core::ops::Range;
use cudarc::driver::{CudaFunction, CudaModule, CudaSlice, sys::CUfunction_attribute_enum as Attribute};
use cudarc::nvrtc::Ptx;
use proxyattn_codegen::Spec;
use proxyattn_codegen::cuda::{Entry, Module, Shape, emit};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What a workspace, and each buffer in it, begins on a multiple of, in bytes.
pub(super) const ALIGNMENT: u64 = 256;

/// The kernels of one configuration on one device.
pub(crate) struct Kernels {
    pub(super) device: CudaDevice,
    pub(super) spec: Spec,
    pub(super) module: Module,
    /// One for each entry of the module.
    functions: Vec<CudaFunction>,
    /// Buffers between kernels, grown to the largest problem so far. Calls on one stream may share them: the next
    /// one's kernels begin after the last one's have ended.
    pub(super) workspace: Mutex<Option<CudaSlice<u8>>>,
}

/// Kernels that somebody holds. The same configuration on the same stream is loaded once.
static LOADED: Mutex<Vec<Weak<Kernels>>> = Mutex::new(Vec::new());

impl Kernels {
    /// Those that are loaded already, or else from the cache, or compiled now.
    pub(crate) fn shared(name: &'static str, spec: &Spec, device: &CudaDevice) -> Result<Arc<Self>> {
        let held = |loaded: &[Weak<Self>]| {
            let mut alive = loaded.iter().filter_map(Weak::upgrade);
            alive.find(|kernels| kernels.device == *device && kernels.spec == *spec)
        };
        let lock = || LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kernels) = held(&lock()) {
            return Ok(kernels);
        }
        let kernels = Arc::new(Self::load(name, spec, device)?); // unlocked: a compilation takes seconds
        let mut loaded = lock();
        loaded.retain(|other| other.strong_count() > 0);
        loaded.push(Arc::downgrade(&kernels));
        Ok(kernels)
    }

    /// From the cache, or compiled now.
    fn load(name: &'static str, spec: &Spec, device: &CudaDevice) -> Result<Self> {
        let arch = device.arch();
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
        let module = emit(spec, arch);
        let program = Program::new(name, module.source());
        let jit = Jit::global()?;
        let loaded = Self::load_cubin(jit, &program, device).or_else(|first| {
            // A cubin from the cache that the driver refuses is thrown away and made anew, once.
            jit.discard(&program, device.target());
            Self::load_cubin(jit, &program, device).map_err(|_| first)
        })?;
        let functions =
            module.entries.iter().map(|entry| function(&loaded, entry, device)).collect::<Result<_>>()?;
        Ok(Self { device: device.clone(), spec: *spec, module, functions, workspace: Mutex::default() })
    }

    fn load_cubin(jit: &Jit, program: &Program, device: &CudaDevice) -> Result<Arc<CudaModule>> {
        let cubin = jit.cubin(program, device.target())?;
        let image = Ptx::from_binary(cubin.bytes().to_vec());
        device.stream().context().load_module(image).map_err(failed("cuModuleLoadData"))
    }

    /// The entries with their functions, in the order in which they run.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&Entry, &CudaFunction)> {
        self.module.entries.iter().zip(&self.functions)
    }

    /// Bytes of the buffers between kernels, each on a multiple of 256.
    pub(crate) fn workspace_bytes(&self, plan: &Plan) -> u64 {
        if plan.is_dense() {
            return 0;
        }
        let shape = shape(plan.problem());
        self.layout(&shape).last().map_or(0, |(_, range)| range.end.next_multiple_of(ALIGNMENT))
    }

    /// The buffers between kernels by name, and where each lies in the workspace, in bytes.
    pub(super) fn layout(&self, shape: &Shape) -> impl Iterator<Item = (&'static str, Range<u64>)> {
        self.module.buffers.iter().scan(0u64, move |end, buffer| {
            let start = end.next_multiple_of(ALIGNMENT);
            *end = start + buffer.bytes(&self.spec, shape);
            Some((buffer.name, start..*end))
        })
    }

    /// Refuses a problem that fits the kernel's configuration but not the GPU.
    pub(super) fn check(&self, plan: &Plan) -> Result<()> {
        let (problem, shape) = (plan.problem(), shape(plan.problem()));
        let limits = [
            ("batch", "the grid", problem.batch as u64, 65_535),
            ("heads", "the grid", problem.heads as u64, 65_535),
            ("heads", "a group's share of a CTA", plan.heads_per_group() as u64, 256),
            ("kv_len", "32-bit key positions", problem.kv_len as u64, 1 << 30),
        ];
        for (arg, what, got, limit) in limits {
            if got > limit {
                return Err(Error::Overflow { arg, what, limit, got: got.to_string() });
            }
        }
        for (entry, _) in self.entries().filter(|(entry, _)| runs(entry, plan)) {
            let (bytes, limit) = (entry.shared_bytes(&shape), self.device.shared_bytes());
            if bytes > limit {
                let got = format!("{bytes} for {} keys", problem.kv_len);
                return Err(Error::Overflow {
                    arg: "kv_len",
                    what: "the shared memory of a CTA",
                    limit,
                    got,
                });
            }
        }
        Ok(())
    }
}

/// Whether a plan runs an entry: `dense` alone, or everything else.
pub(super) fn runs(entry: &Entry, plan: &Plan) -> bool {
    (entry.name == "dense") == plan.is_dense()
}

/// A problem in the numbers of codegen.
pub(super) fn shape(problem: &Problem) -> Shape {
    Shape {
        batch: problem.batch as u64,
        heads: problem.heads as u64,
        kv_heads: problem.kv_heads as u64,
        q_len: problem.q_len as u64,
        kv_len: problem.kv_len as u64,
    }
}

fn function(module: &Arc<CudaModule>, entry: &Entry, device: &CudaDevice) -> Result<CudaFunction> {
    let function = module.load_function(&entry.symbol).map_err(failed("cuModuleGetFunction"))?;
    // What a longer problem needs beyond the fixed part is not known yet; the device's limit covers every one.
    let wanted = if entry.shared.per_block > 0 { device.shared_bytes() } else { entry.shared.fixed.into() };
    if wanted > 48 << 10 {
        let bytes = i32::try_from(wanted).unwrap_or(i32::MAX);
        function
            .set_attribute(Attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes)
            .map_err(failed("cuFuncSetAttribute"))?;
    }
    Ok(function)
}
