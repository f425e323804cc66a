//! How close outputs are.

use proxyattn_codegen::Dtype;
use proxyattn_runtime::Element;

/// Relative L2 distance of an output to the reference. Rounding to bf16 alone costs 1.7e-3, to f16 2.1e-4.
const fn output_limit(dtype: Dtype) -> f64 {
    match dtype {
        Dtype::F16 => 5e-4,
        Dtype::Bf16 => 2e-3,
    }
}

/// How many times farther a single token may be, whose rounding errors do not average out.
const TOKEN: f64 = 4.0;

/// Relative L2 distance, over everything and of the worst token of `dim` elements.
pub fn distance<T: Element>(got: &[T], expected: &[f64], dim: usize) -> (f64, f64) {
    let got: Vec<f32> = got.iter().map(|got| got.to_f32()).collect();
    distance_of(&got, expected, dim)
}

fn distance_of(got: &[f32], expected: &[f64], dim: usize) -> (f64, f64) {
    assert_eq!(got.len(), expected.len());
    let (mut error, mut norm, mut worst) = (0.0, 0.0, 0.0f64);
    for (got, expected) in got.chunks_exact(dim).zip(expected.chunks_exact(dim)) {
        let e: f64 = got.iter().zip(expected).map(|(&got, e)| (f64::from(got) - e).powi(2)).sum();
        let n: f64 = expected.iter().map(|e| e * e).sum();
        worst = worst.max((e / n).sqrt());
        error += e;
        norm += n;
    }
    ((error / norm).sqrt(), worst)
}

/// Whether an output is as close to the reference as rounding allows.
pub fn output<T: Element>(got: &[T], expected: &[f64], dim: usize) -> Result<f64, String> {
    let (limit, (all, worst)) = (output_limit(T::DTYPE), distance(got, expected, dim));
    if all <= limit && worst <= TOKEN * limit {
        return Ok(all);
    }
    Err(format!(
        "output is {all:.2e} from the reference, its worst token {worst:.2e} (limit {limit:.0e}, ×{TOKEN})"
    ))
}
