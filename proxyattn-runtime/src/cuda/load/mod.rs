//! From a configuration to functions of the driver: text, cubin, module, kernel.

mod kernel;
mod parallel;

pub(crate) use kernel::{LoadedKernel, of_unit};
pub(crate) use parallel::in_parallel;

use super::device::{CudaDevice, failed, loading};
use crate::jit::{Jit, Program};
use crate::{Error, Result};
use cudarc::driver::{CudaFunction, CudaModule, sys::CUfunction_attribute_enum as Attribute};
use cudarc::nvrtc::Ptx;
use proxyattn_codegen::cuda::{Constants, Kernel, Module, Unit, emit, retiled};
use proxyattn_codegen::{Arch, Spec};
use std::sync::Arc;

/// A configuration's text for one family of kernels, and the device that its units are loaded on.
pub(crate) struct Loader {
    pub(crate) device: CudaDevice,
    pub(crate) spec: Spec,
    pub(crate) name: &'static str,
    pub(crate) arch: Arch,
    /// The texts, and the buffers between kernels.
    pub(crate) module: Module,
}

impl Loader {
    pub(crate) fn new(name: &'static str, spec: &Spec, arch: Arch, device: &CudaDevice) -> Self {
        Self { device: device.clone(), spec: *spec, name, arch, module: emit(spec, arch) }
    }

    /// What is compiled for a unit: its text is always that of the default tiles, and other constants are given to the
    /// compiler.
    pub(crate) fn program(&self, unit: &Unit, constants: &Constants) -> Program {
        let program = Program::new(format!("{}.{}", self.name, unit.id), unit.source())
            .of_attribute(self.spec.attribute());
        constants.iter().fold(program, |program, (name, value)| program.option(format!("-D{name}={value}")))
    }

    /// Every kernel with its default tiles, in the order in which they run.
    pub(crate) fn load_all(&self) -> Result<Arc<[Arc<LoadedKernel>]>> {
        let units: Vec<_> = self.module.units.iter().collect();
        let loaded = in_parallel(&units, |unit: &&Unit| self.load(unit, &[]), &mut |_| ());
        let mut loaded: Vec<Arc<LoadedKernel>> = loaded.into_iter().collect::<Result<Vec<_>>>()?.concat();
        loaded.sort_by_key(|kernel| kernel.table.id);
        Ok(loaded.into())
    }

    /// A unit's kernels with these constants, from the cache or compiled now, in the order in which they run.
    ///
    /// # Errors
    /// [`Error::Unavailable`] for constants that do not fit the configuration or the GPU; errors of the JIT and of the
    /// driver.
    pub(crate) fn load(&self, unit: &Unit, constants: &Constants) -> Result<Vec<Arc<LoadedKernel>>> {
        let tiles = self.module.tiles.with(constants).filter(|tiles| tiles.fit(&self.spec));
        let refused = |why: String| Error::Unavailable {
            what: format!("`{}.{}` with {constants:?}", self.name, unit.id),
            why,
            help: "the default tiles run everywhere".into(),
        };
        let tiles = tiles.ok_or_else(|| refused("these tiles do not fit the configuration".into()))?;
        let kernels = retiled(&self.spec, self.arch, unit.id, &tiles);
        let most = kernels.iter().map(|kernel| kernel.least_shared_bytes(&self.spec)).max();
        let room = self.device.shared_bytes();
        if let Some(bytes) = most.filter(|bytes| *bytes > room && !constants.is_empty()) {
            return Err(refused(format!(
                "a CTA needs {bytes} bytes of shared memory, and this GPU has {room}"
            )));
        }
        let image = self.load_image(&self.program(unit, constants))?;
        let load = |table: &Kernel| {
            let (function, clears) = (self.function(&image, table)?, self.module.clears_before(table.id));
            let beside_score = self.module.beside_score.contains(&table.id);
            Ok(Arc::new(LoadedKernel { table: table.clone(), function, clears, beside_score }))
        };
        kernels.iter().map(load).collect()
    }

    fn function(&self, image: &Arc<CudaModule>, kernel: &Kernel) -> Result<CudaFunction> {
        let function = image.load_function(&kernel.id.symbol()).map_err(failed("cuModuleGetFunction"))?;
        // The length of the longest context is not known yet; the device's limit covers every one.
        let wanted = match kernel.shared.depends_on_shape() {
            true => self.device.shared_bytes(),
            false => kernel.least_shared_bytes(&self.spec),
        };
        if wanted > 48 << 10 {
            let bytes = i32::try_from(wanted).unwrap_or(i32::MAX);
            function
                .set_attribute(Attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes)
                .map_err(failed("cuFuncSetAttribute"))?;
        }
        Ok(function)
    }

    fn load_image(&self, program: &Program) -> Result<Arc<CudaModule>> {
        let (jit, target) = (Jit::global()?, self.device.target(self.arch));
        self.device.bind()?;
        let load = || {
            let image = Ptx::from_binary(jit.cubin(program, target)?.bytes().to_vec());
            let context = self.device.stream().context();
            Ok(context.load_module(image).map_err(|error| {
                let compiler = jit.compiler(program, target).ok(); // none: it was compiled ahead of time
                loading(error, program, target, self.device.driver(), compiler.as_deref())
            }))
        };
        load()?.or_else(|first| {
            // A cubin from the cache that the driver refuses is discarded and compiled again, once.
            jit.discard(program, target);
            load().flatten().map_err(|_| first)
        })
    }
}
