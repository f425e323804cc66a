//! The model on a GPU: bf16 matrix products by cuBLAS, attention by proxyattn, and a few kernels for the rest.
//!
//! ```text
//! tokens ─embed─▶ x ┬─norm─ qkv ─rotate─▶ cache, attention ─o─┬─norm─ gate, up ─silu─ down─┬─▶ … ─norm─ logits ─argmax─▶ next
//!                   └──────────────────────────────────── + ──┴──────────────────────── + ─┘
//! ```
//!
//! The residual stream `x` is f32: both sums of a layer are made by the matrix product that ends in them. Everything runs
//! on the default stream, the only one, so that cudarc has nothing to order. cuBLAS and NVRTC are opened at run time; what
//! is missing is an error that says what to install. `PROXYATTN_CUBLAS` names a cuBLAS library, or its directory, where the
//! search does not find one.

mod clock;
mod cublas;
mod forward;
mod kernels;
mod memory;
mod watch;

use crate::{Config, Error, Method, Observer, Result, Runner, Step, check_step, weights};
use clock::{Clock, Part};
use core::ops::Range;
use cublas::Cublas;
use half::bf16;
use kernels::Kernels;
pub use kernels::program;
use memory::{Buffers, Cache, Weights};
use proxyattn::cudarc::driver::{CudaStream, DriverError};
use proxyattn::{Attention, CudaDevice, Device};
use rayon::prelude::*;
use std::sync::Arc;

/// Tokens that go through the linear layers at once: enough to fill a large GPU, and few enough that what lies between two
/// layers takes little memory.
const ROWS: usize = 8192;

/// The model on a GPU, with a KV cache of fixed size.
///
/// The first step with a method compiles and loads its kernels, and cuBLAS loads its own when they are first used: who
/// measures makes a step before.
pub struct Gpu {
    config: Config,
    device: CudaDevice,
    stream: Arc<CudaStream>,
    kernels: Kernels,
    cublas: Cublas,
    /// The attention of every method that was asked for.
    attention: Vec<(Method, Arc<Attention<bf16>>)>,
    weights: Weights,
    buffers: Buffers,
    caches: Vec<Cache>,
    capacity: usize,
    /// Tokens that go through the linear layers at once.
    rows: usize,
    cached: usize,
    /// Bytes that were free on the device before anything was allocated, and the fewest since.
    free: (usize, usize),
}

impl Gpu {
    /// Copies a model to the CUDA device of that ordinal, with room for `capacity` tokens. Matrices become bf16.
    ///
    /// # Errors
    /// [`Error::Model`] for weights that do not fit together, [`Error::Argument`] for a capacity of 0;
    /// [`Error::Attention`] without a usable driver, cuBLAS of CUDA 12 or newer, or NVRTC, and where the GPU refuses
    /// something, memory included.
    pub fn new(weights: &weights::Weights, capacity: usize, ordinal: usize) -> Result<Self> {
        Self::in_pieces(weights, capacity, ordinal, ROWS)
    }

    /// [`new`](Self::new) with another number of tokens that go through the linear layers at once. The results are the
    /// same; time and memory are not.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`Error::Argument`] for no rows.
    pub fn in_pieces(
        weights: &weights::Weights,
        capacity: usize,
        ordinal: usize,
        rows: usize,
    ) -> Result<Self> {
        weights.check()?;
        for (arg, value) in [("capacity", capacity), ("rows", rows)] {
            if value == 0 {
                return Err(Error::argument(arg, "at least 1", "0"));
            }
        }
        let config = weights.config;
        let device = on_the_default_stream(ordinal)?;
        let stream = device.stream().clone();
        stream.context().bind_to_thread().map_err(failed("cuCtxSetCurrent"))?;
        let (free, _) = stream.context().mem_get_info().map_err(failed("cuMemGetInfo"))?;
        let mut gpu = Self {
            kernels: Kernels::load(&config, &device)?,
            cublas: Cublas::new(&stream)?,
            attention: Vec::new(),
            weights: Weights::upload(&stream, weights)?,
            buffers: Buffers::new(&stream, &config, capacity, rows)?,
            caches: memory::caches(&stream, &config, capacity)?,
            config,
            device,
            stream,
            capacity,
            rows,
            cached: 0,
            free: (free, free),
        };
        gpu.wait()?;
        Ok(gpu)
    }

    /// The attention of a method, loaded when it is first asked for.
    fn attention(&mut self, method: &Method) -> Result<Arc<Attention<bf16>>> {
        if let Some((_, attention)) = self.attention.iter().find(|(known, _)| known == method) {
            return Ok(attention.clone());
        }
        let attention = load(&self.device, method)?;
        self.attention.push((*method, attention.clone()));
        Ok(attention)
    }

    /// Waits for the stream, and notes how much memory is left.
    fn wait(&mut self) -> Result<()> {
        self.stream.synchronize().map_err(failed("cuStreamSynchronize"))?;
        let (free, _) = self.stream.context().mem_get_info().map_err(failed("cuMemGetInfo"))?;
        self.free.1 = self.free.1.min(free);
        Ok(())
    }
}

impl Runner for Gpu {
    fn config(&self) -> &Config {
        &self.config
    }

    fn device(&self) -> String {
        format!("{}, {}", Device::Cuda(self.device.clone()), self.cublas.description())
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn cached(&self) -> usize {
        self.cached
    }

    fn prepare(&mut self, methods: &[Method]) -> Result<()> {
        let known = |method: &&Method| self.attention.iter().any(|(known, _)| known == *method);
        let unknown: Vec<Method> = methods.iter().filter(|method| !known(method)).copied().collect();
        let loaded = unknown.par_iter().map(|method| Ok((*method, load(&self.device, method)?)));
        self.attention.extend(loaded.collect::<Result<Vec<_>>>()?);
        Ok(())
    }

    fn truncate(&mut self, tokens: usize) -> Result<()> {
        if tokens > self.cached {
            let expected = format!("at most the {} that are cached", self.cached);
            return Err(Error::argument("tokens", expected, tokens.to_string()));
        }
        self.cached = tokens;
        Ok(())
    }

    fn step(
        &mut self,
        tokens: &[u32],
        method: &Method,
        asked: Range<usize>,
        observer: &mut dyn Observer,
    ) -> Result<Step> {
        check_step(self, tokens, method, &asked)?;
        let attention = self.attention(method)?;
        self.stream.context().bind_to_thread().map_err(failed("cuCtxSetCurrent"))?;
        let mut clock = Clock::start(&self.stream, Part::Rest)?;
        self.embed(tokens)?;
        for layer in 0..self.config.layers {
            self.project(layer, tokens.len())?;
            self.attend(layer, tokens.len(), &attention, &mut clock, observer)?;
            // After the last attention tokens have nothing more to do with each other.
            let last = layer + 1 == self.config.layers;
            self.transform(layer, if last { asked.clone() } else { 0..tokens.len() })?;
            observer.done(layer);
        }
        let next = self.most_likely(asked)?;
        let times = clock.stop()?;
        self.wait()?;
        self.cached += tokens.len();
        Ok(Step { next, times })
    }

    /// What this process has taken, if no other one works on the device.
    fn peak_memory(&self) -> Option<u64> {
        let (before, least) = self.free;
        Some(before.saturating_sub(least) as u64)
    }
}

/// The attention of a method. The method is what runs, however short a question is.
fn load(device: &CudaDevice, method: &Method) -> Result<Arc<Attention<bf16>>> {
    let attention = Attention::load(&method.spec, &Device::Cuda(device.clone()))?;
    Ok(Arc::new(attention.with_dense_below(0)))
}

/// The device with the default stream. As the context's only stream, it needs no events from cudarc to order buffers.
fn on_the_default_stream(ordinal: usize) -> proxyattn::Result<CudaDevice> {
    // Looks for a driver before cudarc does, which panics without one.
    match Device::cuda(ordinal)? {
        Device::Cuda(device) => CudaDevice::from_stream(device.stream().context().default_stream()),
        other => Err(proxyattn::Error::Unavailable {
            what: "CUDA".into(),
            why: format!("device {ordinal} is {other}"),
            help: "use the CPU".into(),
        }),
    }
}

/// A failed driver call.
fn failed(call: &'static str) -> impl Fn(DriverError) -> proxyattn::Error {
    move |error| proxyattn::Error::Cuda { call, code: error.0 as i32, why: error.to_string() }
}
