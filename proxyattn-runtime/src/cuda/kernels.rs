//! The kernels of a configuration, loaded.

use super::calls::{Call, position};
use super::workspace::{BUFFERS, Layout, Workspace};
use super::{CudaDevice, failed};
use crate::jit::{Jit, Program, Target};
use crate::{Error, Plan, Problem, Result};
use core::ops::Range;
use cudarc::driver::{CudaFunction, CudaModule, sys::CUfunction_attribute_enum as Attribute};
use cudarc::nvrtc::Ptx;
use proxyattn_codegen::cuda::{Buffer, Entry, Shape, Unit, emit};
use proxyattn_codegen::{Arch, Spec};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::ScopedJoinHandle;

/// The kernels of one configuration on one device.
pub(crate) struct Kernels {
    pub(super) device: CudaDevice,
    pub(super) spec: Spec,
    /// Every kernel, in the order in which they run.
    calls: Vec<Call>,
    /// The buffers between them.
    buffers: Vec<Buffer>,
    /// Their memory. Calls on one stream may share it: the next one's kernels begin after the last one's have ended.
    pub(super) workspace: Mutex<Workspace>,
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
        let module = emit(spec, arch);
        // Units are compiled side by side: most of a first load is the two attention kernels.
        let units: Vec<_> = std::thread::scope(|scope| {
            let load = |unit: &Unit| Self::load_unit(name, unit, device, device.target(arch));
            let threads: Vec<_> = module.units.iter().map(|unit| scope.spawn(move || load(unit))).collect();
            let join = |thread: ScopedJoinHandle<'_, _>| thread.join().unwrap_or_else(|e| resume_unwind(e));
            threads.into_iter().map(join).collect::<Result<_>>()
        })?;
        let function = |entry: &Entry| {
            let unit = module.units.iter().position(|unit| unit.name == entry.unit);
            let unit = unit.unwrap_or_else(|| unreachable!("`{}` is in no unit", entry.name));
            Ok(Call::new(entry, &module.buffers, function(&units[unit], entry, device)?))
        };
        let calls = module.entries.iter().map(function).collect::<Result<_>>()?;
        assert!(module.buffers.len() <= BUFFERS, "too many buffers: {:?}", module.buffers);
        let (device, workspace) = (device.clone(), Mutex::default());
        Ok(Self { device, spec: *spec, calls, buffers: module.buffers, workspace })
    }

    /// One translation unit.
    fn load_unit(name: &str, unit: &Unit, device: &CudaDevice, target: Target) -> Result<Arc<CudaModule>> {
        let program = Program::new(format!("{name}.{}", unit.name), unit.source());
        let jit = Jit::global()?;
        device.bind()?;
        let load = || {
            let image = Ptx::from_binary(jit.cubin(&program, target)?.bytes().to_vec());
            Ok(device.stream().context().load_module(image).map_err(failed("cuModuleLoadData")))
        };
        load()?.or_else(|first| {
            // A cubin from the cache that the driver refuses is thrown away and made anew, once.
            jit.discard(&program, target);
            load().flatten().map_err(|_| first)
        })
    }

    /// The kernels that a plan runs, in order: `dense` alone, or everything else.
    pub(super) fn calls(&self, plan: &Plan) -> impl Iterator<Item = &Call> {
        let dense = plan.is_dense();
        self.calls.iter().filter(move |call| call.dense == dense)
    }

    /// Whether a plan's kernels read tensors through tensor maps.
    pub(super) fn maps(&self, plan: &Plan) -> bool {
        self.calls(plan).any(|call| call.entry.hopper)
    }

    /// Where the buffers that a plan's kernels use lie in the workspace.
    pub(crate) fn layout(&self, plan: &Plan) -> Layout {
        let shape = shape(plan.problem());
        // `dense` is alone in its workspace, and needs no more than where it stands.
        let needed = self.calls(plan).find_map(|call| call.clears);
        Layout::new(|buffer| match self.buffers.get(buffer) {
            Some(known) if !plan.is_dense() || needed == Some(buffer) => known.bytes(&self.spec, &shape),
            _ => 0,
        })
    }

    /// The buffers of a layout by name.
    pub(crate) fn named(&self, layout: &Layout) -> Vec<(&'static str, Range<u64>)> {
        let named = self.buffers.iter().enumerate().map(|(i, buffer)| (buffer.name, layout.range(i)));
        named.filter(|(_, range)| !range.is_empty()).collect()
    }

    /// Where the buffer of a name lies.
    pub(super) fn range(&self, layout: &Layout, name: &str) -> Range<u64> {
        layout.range(position(&self.buffers, name))
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
        // No buffer is larger than this, and there are fewer of them than what is left of 64 bits.
        let (rows, blocks) = (shape.rows(&self.spec), shape.blocks(&self.spec));
        let largest = [shape.batch, shape.heads, rows, blocks.max(self.spec.head_dim.into())];
        let largest: u128 = largest.into_iter().map(u128::from).product();
        let (bytes, limit) = (largest * u128::from(self.spec.block.q) * 4, u64::MAX / BUFFERS as u64 / 2);
        if bytes > limit.into() {
            let got = format!("up to {bytes} for a buffer");
            return Err(Error::Overflow { arg: "kv_len", what: "the workspace", limit, got });
        }
        for Call { entry, .. } in self.calls(plan) {
            let (bytes, limit) = (entry.shared_bytes(&shape), self.device.shared_bytes());
            if bytes > limit {
                let (what, got) =
                    ("the shared memory of a CTA", format!("{bytes} for {} keys", problem.kv_len));
                return Err(Error::Overflow { arg: "kv_len", what, limit, got });
            }
            let ([ctas, ..], limit) = (entry.grid(&shape, self.device.multiprocessors()), i32::MAX as u64);
            if ctas > limit {
                let got = format!("{ctas} CTAs for {} queries", problem.q_len);
                return Err(Error::Overflow { arg: "q_len", what: "the grid", limit, got });
            }
        }
        Ok(())
    }
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
