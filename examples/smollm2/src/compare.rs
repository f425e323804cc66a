//! How far one runner is from another, layer by layer.

use crate::{Detail, Inputs, Method, Observer, Result, Runner};
use half::bf16;
use proxyattn::View;

/// What two runners made of the same tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// For each layer the relative error of the tested runner's queries, keys and values: the norm of the difference over
    /// the norm of the reference. The keys and values are those of the whole cache.
    pub layers: Vec<[f64; 3]>,
    /// Of how many tokens both hold the same next one most likely.
    pub agreed: usize,
    /// Of how many they were asked.
    pub asked: usize,
}

impl Comparison {
    /// The largest relative error of all layers.
    pub fn worst(&self) -> f64 {
        self.layers.iter().flatten().fold(0.0, |worst: f64, &error| match error.is_nan() {
            true => f64::INFINITY,
            false => worst.max(error),
        })
    }
}

/// Lets both runners read `tokens` by `method` as one step, and asks for the next token after each. Both caches have to be
/// equally long, and are longer afterwards.
///
/// # Errors
/// What [`Runner::step`] refuses.
pub fn compare(
    reference: &mut dyn Runner,
    tested: &mut dyn Runner,
    tokens: &[u32],
    method: &Method,
) -> Result<Comparison> {
    let mut kept = Kept::default();
    let expected = reference.step(tokens, method, 0..tokens.len(), &mut kept)?.next;
    let mut against = Against { kept: kept.layers, errors: Vec::new() };
    let next = tested.step(tokens, method, 0..tokens.len(), &mut against)?.next;
    let agreed = expected.iter().zip(&next).filter(|(a, b)| a == b).count();
    Ok(Comparison { layers: against.errors, agreed, asked: expected.len() })
}

/// Keeps every layer's queries, keys and values.
#[derive(Default)]
struct Kept {
    layers: Vec<[Vec<bf16>; 3]>,
}

impl Observer for Kept {
    fn detail(&self, _: usize) -> Detail {
        Detail::Inputs
    }

    fn inputs(&mut self, _: usize, inputs: &Inputs<'_>) {
        self.layers.push([inputs.q, inputs.k, inputs.v].map(|view| elements(&view)));
    }
}

/// Compares every layer's with what was kept.
struct Against {
    kept: Vec<[Vec<bf16>; 3]>,
    errors: Vec<[f64; 3]>,
}

impl Observer for Against {
    fn detail(&self, _: usize) -> Detail {
        Detail::Inputs
    }

    fn inputs(&mut self, layer: usize, inputs: &Inputs<'_>) {
        let tested = [inputs.q, inputs.k, inputs.v].map(|view| elements(&view));
        let kept = &self.kept[layer];
        self.errors.push([0, 1, 2].map(|i| relative_error(&tested[i], &kept[i])));
    }
}

/// The elements in the order of the axes.
fn elements(view: &View<'_, bf16>) -> Vec<bf16> {
    let [batch, heads, tokens, dim] = view.shape();
    let mut elements = Vec::with_capacity(batch * heads * tokens * dim);
    for (batch, head) in (0..batch).flat_map(|batch| (0..heads).map(move |head| (batch, head))) {
        (0..tokens).for_each(|token| elements.extend_from_slice(view.row(batch, head, token)));
    }
    elements
}

fn relative_error(tested: &[bf16], reference: &[bf16]) -> f64 {
    if tested.len() != reference.len() {
        return f64::INFINITY;
    }
    let pairs = tested.iter().zip(reference).map(|(a, b)| (a.to_f64(), b.to_f64()));
    let (error, norm) =
        pairs.fold((0.0, 0.0), |(error, norm), (a, b)| (error + (a - b).powi(2), norm + b * b));
    (error / norm).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_relative_to_the_reference() {
        let numbers = |values: &[f32]| values.iter().map(|&v| bf16::from_f32(v)).collect::<Vec<_>>();
        assert_eq!(relative_error(&numbers(&[3.0, 4.0]), &numbers(&[3.0, 4.0])), 0.0);
        assert_eq!(relative_error(&numbers(&[3.0, 5.0]), &numbers(&[3.0, 4.0])), 0.2);
        assert!(relative_error(&numbers(&[3.0]), &numbers(&[3.0, 4.0])).is_infinite());
        let comparison = Comparison { layers: vec![[0.1, f64::NAN, 0.0]], ..Comparison::default() };
        assert!(comparison.worst().is_infinite());
    }
}
