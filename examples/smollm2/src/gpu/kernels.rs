//! The kernels of `kernels.cu`, loaded and launched. What is not here is done by cuBLAS and by proxyattn.

use super::failed;
use crate::Config;
use half::bf16;
use proxyattn::cudarc::driver::{
    CudaFunction, CudaSlice, CudaStream, CudaView, CudaViewMut, LaunchConfig, PushKernelArg,
};
use proxyattn::cudarc::nvrtc::Ptx;
use proxyattn::jit::{Jit, Program, Target};
use proxyattn::{CudaDevice, Error, Result};
use std::sync::Arc;

/// Threads of a CTA.
const THREADS: usize = 256;
/// Rows of a CTA where a warp has one.
const WARPS: usize = THREADS / 32;

/// What is compiled for a model of this shape.
pub fn program(config: &Config) -> Program {
    let sizes = [
        ("HIDDEN", config.hidden),
        ("HEADS", config.heads),
        ("KV_HEADS", config.kv_heads),
        ("HEAD_DIM", config.head_dim),
        ("INTERMEDIATE", config.intermediate),
        ("VOCAB", config.vocab),
        ("THREADS", THREADS),
    ];
    let program = Program::new("smollm2", include_str!("kernels.cu"));
    let program = program.option(format!("-DEPS={:e}f", config.rms_eps as f32));
    sizes.iter().fold(program, |program, (name, value)| program.option(format!("-D{name}={value}u")))
}

/// The kernels, ready on a stream.
pub(super) struct Kernels {
    stream: Arc<CudaStream>,
    config: Config,
    embed: CudaFunction,
    rms_norm: CudaFunction,
    rotate: CudaFunction,
    silu_mul: CudaFunction,
    argmax: CudaFunction,
}

impl Kernels {
    /// From the cache, or compiled now.
    pub(super) fn load(config: &Config, device: &CudaDevice) -> Result<Self> {
        let stream = device.stream();
        let (major, minor) = device.capability();
        let (jit, program, target) = (Jit::global()?, program(config), Target::new(major, minor));
        let load = || {
            let image = Ptx::from_binary(jit.cubin(&program, target)?.bytes().to_vec());
            stream.context().load_module(image).map_err(failed("cuModuleLoadData"))
        };
        let module = load().or_else(|error| match error {
            Error::Cuda { .. } => {
                // If the driver rejects a cubin from the cache, discard it and compile again, once.
                jit.discard(&program, target);
                load()
            }
            other => Err(other),
        })?;
        let function = |name| module.load_function(name).map_err(failed("cuModuleGetFunction"));
        Ok(Self {
            stream: stream.clone(),
            config: *config,
            embed: function("embed")?,
            rms_norm: function("rms_norm")?,
            rotate: function("rotate")?,
            silu_mul: function("silu_mul")?,
            argmax: function("argmax")?,
        })
    }

    /// `x [tokens, hidden]` = the rows of `table [vocab, hidden]` that `tokens` name, each below `vocab`.
    pub(super) fn embed(
        &self,
        tokens: &CudaView<'_, u32>,
        table: &CudaSlice<bf16>,
        x: &mut CudaViewMut<'_, f32>,
    ) -> Result<()> {
        let Config { hidden, vocab, .. } = self.config;
        let rows = tokens.len();
        holds("table", table.len(), vocab * hidden)?;
        holds("x", x.len(), rows * hidden)?;
        let rows_u32 = count(rows)?;
        let mut launch = self.stream.launch_builder(&self.embed);
        launch.arg(tokens).arg(table).arg(x).arg(&rows_u32);
        // SAFETY: the kernel reads `rows` tokens and, for each, a row of the table, which has one for every token of the
        // vocabulary (the caller has checked the tokens); it writes `rows` rows of `x`. The lengths were checked above.
        unsafe { launch.launch(warps(rows)?) }.map_err(failed("cuLaunchKernel"))?;
        Ok(())
    }

    /// `out [rows, hidden]` = `x [rows, hidden]`, each row divided by its root mean square, times `weight [hidden]`.
    pub(super) fn rms_norm(
        &self,
        x: &CudaView<'_, f32>,
        weight: &CudaSlice<f32>,
        out: &mut CudaViewMut<'_, bf16>,
    ) -> Result<()> {
        let hidden = self.config.hidden;
        let rows = x.len() / hidden;
        holds("x", x.len(), rows * hidden)?;
        holds("weight", weight.len(), hidden)?;
        holds("out", out.len(), rows * hidden)?;
        let rows_u32 = count(rows)?;
        let mut launch = self.stream.launch_builder(&self.rms_norm);
        launch.arg(x).arg(weight).arg(out).arg(&rows_u32);
        // SAFETY: the kernel reads `rows` rows of `x` and one of `weight`, and writes `rows` rows of `out`: the lengths
        // were checked above.
        unsafe { launch.launch(warps(rows)?) }.map_err(failed("cuLaunchKernel"))?;
        Ok(())
    }

    /// Applies RoPE to the queries in `qkv [rows, heads + 2·kv_heads, head_dim]`, and writes the keys, turned, and the
    /// values to `k` and `v` `[kv_heads, capacity, head_dim]`, from position `first` on. `turns [capacity, head_dim/2, 2]`
    /// has the cosine and sine of each position and pair.
    pub(super) fn rotate(
        &self,
        qkv: &mut CudaViewMut<'_, bf16>,
        turns: &CudaSlice<f32>,
        (k, v): (&mut CudaSlice<bf16>, &mut CudaSlice<bf16>),
        first: usize,
    ) -> Result<()> {
        let config = &self.config;
        let heads = config.heads + 2 * config.kv_heads;
        let (rows, capacity) = (qkv.len() / (heads * config.head_dim), turns.len() / config.head_dim);
        holds("qkv", qkv.len(), rows * heads * config.head_dim)?;
        holds("turns", turns.len(), capacity * config.head_dim)?;
        holds("k", k.len(), config.kv_width() * capacity)?;
        holds("v", v.len(), config.kv_width() * capacity)?;
        if first + rows > capacity {
            return Err(Error::Shape {
                arg: "first",
                expected: format!("a position at which {rows} more tokens fit into {capacity}"),
                got: first.to_string(),
            });
        }
        let threads = rows * heads * (config.head_dim / 4);
        let (rows, first, capacity) = (count(rows)?, count(first)?, count(capacity)?);
        let mut launch = self.stream.launch_builder(&self.rotate);
        launch.arg(qkv).arg(turns).arg(k).arg(v).arg(&rows).arg(&first).arg(&capacity);
        // SAFETY: the kernel reads and writes `rows` rows of `qkv`, and touches positions `first .. first + rows` of
        // `turns`, `k` and `v`, which have `capacity` of them: the lengths were checked above.
        unsafe { launch.launch(elements(threads)?) }.map_err(failed("cuLaunchKernel"))?;
        Ok(())
    }

    /// `out [rows, intermediate]` = `silu(gate) · up`, of `gate_up [rows, 2, intermediate]`.
    pub(super) fn silu_mul(
        &self,
        gate_up: &CudaView<'_, bf16>,
        out: &mut CudaViewMut<'_, bf16>,
    ) -> Result<()> {
        let width = self.config.intermediate;
        let rows = gate_up.len() / (2 * width);
        holds("gate_up", gate_up.len(), rows * 2 * width)?;
        holds("out", out.len(), rows * width)?;
        let rows_u32 = count(rows)?;
        let mut launch = self.stream.launch_builder(&self.silu_mul);
        launch.arg(gate_up).arg(out).arg(&rows_u32);
        // SAFETY: the kernel reads `rows` rows of `gate_up` and writes as many of `out`: the lengths were checked above.
        unsafe { launch.launch(elements(rows * (width / 4))?) }.map_err(failed("cuLaunchKernel"))?;
        Ok(())
    }

    /// `next [rows]` = where each row of `logits [rows, vocab]` is largest; of equals the lowest. `u32::MAX` where it is
    /// nowhere above −∞, as among NaN.
    pub(super) fn argmax(&self, logits: &CudaView<'_, f32>, next: &mut CudaViewMut<'_, u32>) -> Result<()> {
        let vocab = self.config.vocab;
        let rows = next.len();
        holds("logits", logits.len(), rows * vocab)?;
        let rows_u32 = count(rows)?;
        let mut launch = self.stream.launch_builder(&self.argmax);
        launch.arg(logits).arg(next).arg(&rows_u32);
        // SAFETY: the kernel reads `rows` rows of `logits` and writes as many numbers: the length was checked above.
        unsafe { launch.launch(warps(rows)?) }.map_err(failed("cuLaunchKernel"))?;
        Ok(())
    }
}

/// Refuses a buffer of another length than the kernel's.
fn holds(arg: &'static str, got: usize, expected: usize) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(Error::Shape { arg, expected: format!("{expected} elements"), got: got.to_string() })
}

/// A number as kernels count.
fn count(number: usize) -> Result<u32> {
    u32::try_from(number).map_err(|_| Error::Overflow {
        arg: "rows",
        what: "a 32-bit count",
        limit: u32::MAX.into(),
        got: number.to_string(),
    })
}

/// A warp for each row.
fn warps(rows: usize) -> Result<LaunchConfig> {
    elements(rows.div_ceil(WARPS) * THREADS)
}

/// A thread for each element. The index of every thread fits 32 bits.
fn elements(threads: usize) -> Result<LaunchConfig> {
    let ctas = threads.div_ceil(THREADS).max(1);
    count(ctas * THREADS)?;
    Ok(LaunchConfig {
        grid_dim: (count(ctas)?, 1, 1),
        block_dim: (THREADS as u32, 1, 1),
        shared_mem_bytes: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_covers_every_row_once() {
        assert_eq!(warps(1).unwrap().grid_dim, (1, 1, 1));
        assert_eq!(warps(8).unwrap().grid_dim, (1, 1, 1));
        assert_eq!(warps(9).unwrap().grid_dim, (2, 1, 1));
        assert_eq!(elements(257).unwrap().grid_dim, (2, 1, 1));
        assert!(elements(1 << 32).unwrap_err().to_string().contains("32-bit"));
    }
}
