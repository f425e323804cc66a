//! A GPU, with the stream that work is ordered by.

use super::driver;
use super::failed::failed;
use super::refusals::{loading, no_such_device, opening};
use crate::jit::{Compiler, Nvrtc, Program, Target};
use crate::{Error, Result};
use cudarc::driver::{CudaContext, CudaStream, result, sys::CUdevice_attribute as Attribute};
use cudarc::nvrtc::Ptx;
use proxyattn_codegen::Arch;
use std::sync::Arc;

/// The oldest compute capability that has kernels.
const OLDEST: (u8, u8) = (8, 0);
/// The compute capability that has kernels of its own.
const HOPPER: (u8, u8) = (9, 0);

/// The family of kernels that GPUs of a capability run: Hopper's own on Hopper, the portable one on others from Ampere
/// on.
pub(super) fn arch_of(capability: (u8, u8)) -> Option<Arch> {
    match capability {
        HOPPER => Some(Arch::Sm90a),
        _ if capability >= OLDEST => Some(Arch::Sm80),
        _ => None,
    }
}

/// A CUDA device and a stream on it. Cheap to clone.
///
/// ```no_run
/// use proxyattn::Device;
///
/// if let Device::Cuda(gpu) = Device::cuda(0)? {
///     println!("{}, compute capability {:?}", gpu.name(), gpu.capability());
///     gpu.stream().synchronize().expect("the stream");
/// }
/// # Ok::<(), proxyattn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CudaDevice {
    stream: Arc<CudaStream>,
    name: Arc<str>,
    capability: (u8, u8),
    shared_bytes: u64,
    multiprocessors: u64,
    l2_bytes: u64,
    driver: Arc<str>,
}

impl CudaDevice {
    /// The device of that ordinal, with a stream of its own.
    ///
    /// # Errors
    /// [`Error::DriverNotFound`] or [`Error::Unavailable`] without a usable driver, [`Error::Cuda`] if the driver refuses the device.
    pub(crate) fn new(ordinal: usize) -> Result<Self> {
        driver::probe()?;
        result::init().map_err(opening("cuInit"))?;
        let count = result::device::get_count().map_err(opening("cuDeviceGetCount"))?;
        if i32::try_from(ordinal).map_or(true, |ordinal| ordinal >= count) {
            return Err(no_such_device(ordinal, count));
        }
        let context = CudaContext::new(ordinal).map_err(opening("opening the device"))?;
        let stream = context.new_stream().map_err(failed("cuStreamCreate"))?;
        Self::from_stream(stream)
    }

    /// The device of a stream of the caller's; everything runs on that stream.
    ///
    /// # Errors
    /// As [`Device::cuda`](crate::Device::cuda), and [`Error::Unavailable`] for a GPU older than compute capability 8.0.
    pub fn from_stream(stream: Arc<CudaStream>) -> Result<Self> {
        driver::probe()?;
        let context = stream.context();
        let number = |attribute, call| context.attribute(attribute).map_err(failed(call));
        let major = number(
            Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
            "reading the compute capability",
        )?;
        let minor = number(
            Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            "reading the compute capability",
        )?;
        let shared = number(
            Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
            "reading the shared memory of a block",
        )?;
        let multiprocessors = number(
            Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT,
            "reading the number of multiprocessors",
        )?;
        let l2 = number(Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, "reading the size of the L2 cache")?;
        let driver = driver::version()?.into();
        let name: Arc<str> = context.name().map_err(failed("cuDeviceGetName"))?.into();
        let capability = (u8::try_from(major).unwrap_or(0), u8::try_from(minor).unwrap_or(0));
        if capability < OLDEST {
            return Err(Error::Unavailable {
                what: format!("CUDA on {name}"),
                why: format!("its compute capability is {major}.{minor}, and kernels exist from 8.0 on"),
                help: "use a GPU of the Ampere generation or later; or use Device::cpu()".into(),
            });
        }
        if capability == HOPPER {
            driver::encode_tiled()?;
        }
        let count = |n: i32| u64::try_from(n).unwrap_or(0);
        let (shared_bytes, multiprocessors, l2_bytes) = (count(shared), count(multiprocessors), count(l2));
        Ok(Self { stream, name, capability, shared_bytes, multiprocessors, l2_bytes, driver })
    }

    /// The stream that everything of this device is ordered by.
    pub fn stream(&self) -> &Arc<CudaStream> {
        &self.stream
    }

    /// The GPU's name, as the driver has it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Compute capability: major, minor.
    pub fn capability(&self) -> (u8, u8) {
        self.capability
    }

    /// The family of kernels that runs here. Older GPUs are not opened.
    pub(crate) fn arch(&self) -> Arch {
        arch_of(self.capability).unwrap_or(Arch::Sm80)
    }

    /// The family of kernels that runs here with this compiler. To find out, an empty kernel is compiled for the GPU and
    /// loaded. It is the portable family on Hopper, too, where the compiler is older than Hopper's own.
    ///
    /// # Errors
    /// The errors of loading a kernel here: [`Error::NvrtcTarget`] and its kin, [`Error::CubinRefused`],
    /// [`Error::Cuda`].
    pub fn rehearse(&self, nvrtc: &Nvrtc) -> Result<Arch> {
        let portable = !nvrtc.knows(self.target(self.arch())) && nvrtc.knows(self.target(Arch::Sm80));
        let arch = if portable { Arch::Sm80 } else { self.arch() };
        let (program, target) = (Program::empty(), self.target(arch));
        let image = Ptx::from_binary(nvrtc.compile(&program, target)?.bytes().to_vec());
        self.bind()?;
        let refused = |error| loading(error, &program, target, &self.driver, Some(nvrtc.identity()));
        self.stream.context().load_module(image).map_err(refused)?;
        Ok(arch)
    }

    /// What cubins are compiled for.
    pub(crate) fn target(&self, arch: Arch) -> Target {
        let target = Target::new(self.capability.0, self.capability.1);
        if arch == Arch::Sm90a { target.specific() } else { target }
    }

    /// Makes the context current on this thread, which every call of the driver needs. It also returns an error that
    /// cudarc met earlier and could not report, as in a `drop`.
    pub(crate) fn bind(&self) -> Result<()> {
        self.stream.context().bind_to_thread().map_err(failed("cuCtxSetCurrent, or a call before it,"))
    }

    /// Multiprocessors of the GPU.
    pub(crate) fn multiprocessors(&self) -> u64 {
        self.multiprocessors
    }

    /// Bytes of the L2 cache.
    pub(crate) fn l2_bytes(&self) -> u64 {
        self.l2_bytes
    }

    /// The driver's version.
    pub(crate) fn driver(&self) -> &str {
        &self.driver
    }

    /// The most dynamic shared memory that a CTA may have, in bytes.
    pub(crate) fn shared_bytes(&self) -> u64 {
        self.shared_bytes
    }
}

impl PartialEq for CudaDevice {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.stream, &other.stream)
    }
}

impl Eq for CudaDevice {}
