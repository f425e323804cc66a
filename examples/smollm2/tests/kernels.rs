//! The real NVRTC compiles the GPU runner's kernels, for the model's shape.

use proxyattn::jit::{Compiler, Env, Nvrtc, Target};
use smollm2::{Config, gpu};
use std::path::Path;

/// SmolLM2-135M.
const CONFIG: Config = Config {
    layers: 30,
    hidden: 576,
    intermediate: 1536,
    heads: 9,
    kv_heads: 3,
    head_dim: 64,
    vocab: 49_152,
    context: 8192,
    rope_theta: 1e5,
    rms_eps: 1e-5,
};

#[test]
fn kernels_compile_without_spills() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let library = workspace.join("target/nvrtc/13.0.88/nvidia/cu13/lib/libnvrtc.so.13");
    if !library.exists() {
        let required = std::env::var_os("PROXYATTN_REQUIRE_NVRTC").is_some_and(|value| value == "1");
        assert!(!required, "PROXYATTN_REQUIRE_NVRTC=1, and there is no `{}`", library.display());
        eprintln!("not run: there is no `{}` (`cargo xtask kernels` fetches it)", library.display());
        return;
    }
    let nvrtc = Nvrtc::open(Some(&library), &Env::process()).expect("NVRTC opens");
    for target in [Target::SM_80, Target::new(9, 0), Target::SM_90A] {
        let cubin = nvrtc.compile(&gpu::program(&CONFIG), target).expect("the kernels compile");
        assert!(cubin.bytes().starts_with(b"\x7fELF"));
        for name in ["embed", "rms_norm", "rotate", "silu_mul", "argmax"] {
            let usage = cubin.kernel(name).unwrap_or_else(|| panic!("{target}: no {name} in the log"));
            assert_eq!((usage.spill_stores, usage.spill_loads), (0, 0), "{target}: {name}");
            // A multiprocessor then holds as many threads as it can.
            assert!(usage.registers <= 32, "{target}: {name} takes {} registers", usage.registers);
        }
        assert!(!cubin.log().contains("warning"), "{}", cubin.log());
    }
}
