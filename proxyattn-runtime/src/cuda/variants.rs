//! A unit with some tiles, loaded: the text is always the default's, and its constants are given to the compiler.

use super::calls::Call;
use super::refusals::loading;
use super::{Kernels, failed};
use crate::jit::{Jit, Program};
use crate::{Error, Result};
use cudarc::driver::{CudaFunction, CudaModule, sys::CUfunction_attribute_enum as Attribute};
use cudarc::nvrtc::Ptx;
use proxyattn_codegen::cuda::{Constants, Kernel, Unit, UnitId, retiled};
use std::sync::Arc;

impl Kernels {
    /// What is compiled for a unit with these constants in place of its defaults.
    pub(super) fn program(&self, unit: &Unit, constants: &Constants) -> Program {
        let program = Program::new(format!("{}.{}", self.name, unit.id), unit.source())
            .of_attribute(self.spec.attribute());
        constants.iter().fold(program, |program, (name, value)| program.option(format!("-D{name}={value}")))
    }

    /// A unit's kernels with these constants: those at hand for the default tiles, or else as [`load_unit`](Self::load_unit).
    pub(super) fn unit(&self, unit: &Unit, constants: &Constants) -> Result<Vec<Arc<Call>>> {
        match constants.is_empty() {
            true => Ok(of_unit(&self.default, unit.id)),
            false => self.load_unit(unit, constants),
        }
    }

    /// A translation unit with these constants, from the cache or compiled now; its kernels in their order.
    ///
    /// # Errors
    /// [`Error::Unavailable`] for constants that do not fit the configuration or the GPU; what the JIT and the driver
    /// say.
    pub(super) fn load_unit(&self, unit: &Unit, constants: &Constants) -> Result<Vec<Arc<Call>>> {
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
        let module = self.load_image(&self.program(unit, constants))?;
        let call =
            |kernel: &Kernel| Ok(Arc::new(Call::new(kernel, &self.module, self.function(&module, kernel)?)));
        kernels.iter().map(call).collect()
    }

    fn function(&self, module: &Arc<CudaModule>, kernel: &Kernel) -> Result<CudaFunction> {
        let function = module.load_function(&kernel.id.symbol()).map_err(failed("cuModuleGetFunction"))?;
        // What a longer problem needs is not known yet; the device's limit covers every one.
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
            // A cubin from the cache that the driver refuses is thrown away and made anew, once.
            jit.discard(program, target);
            load().flatten().map_err(|_| first)
        })
    }
}

/// Those of a unit among some kernels.
pub(super) fn of_unit(calls: &[Arc<Call>], unit: UnitId) -> Vec<Arc<Call>> {
    calls.iter().filter(|call| call.kernel.unit == unit).cloned().collect()
}
