//! Spans of a model's heads, from a file.

use super::LayerShares;
use crate::{Error, Result};
use proxyattn_codegen::Share;
use serde::Deserialize;

/// The span of a head, for kernels of `budget = spans(…)`: of a call over `kv_len` keys it is `alpha + ⌊beta · kv_len⌋` tokens.
///
/// ```
/// use proxyattn::{HeadSpan, LayerShares};
///
/// // A window that stays, and one of an eighth of the context.
/// let layer = LayerShares::from_spans(&[HeadSpan { alpha: 1024, beta: 0.0 }, HeadSpan { alpha: 0, beta: 0.125 }])?;
/// assert_eq!(layer.spans().len(), 2);
/// # Ok::<(), proxyattn::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadSpan {
    /// Tokens of a span that does not grow; below 0, growth begins late.
    pub alpha: i32,
    /// Tokens for each key, in [0, 1], to the nearest millionth.
    pub beta: f64,
}

impl HeadSpan {
    /// As the kernels' buffer has it.
    pub(super) fn words(self) -> [u32; 2] {
        [self.alpha.cast_unsigned(), Share::of(self.beta).millionths()]
    }

    /// The tokens of a span of these words; 0 of less.
    pub(super) fn tokens([alpha, beta]: [u32; 2], kv_len: usize) -> usize {
        let grown = u128::from(beta) * kv_len as u128 / u128::from(Share::WHOLE);
        let tokens = i128::from(alpha.cast_signed()) + grown.cast_signed();
        usize::try_from(tokens).unwrap_or(0)
    }
}

/// The spans of every head of a model.
///
/// ```
/// use proxyattn::HeadSpans;
///
/// // As `MoA` writes them, here of two layers of two heads.
/// let plan = r#"{"alphas": [[1024, -1024], [0, 128]], "betas": [[0, 0.5], [0.25, 0]]}"#;
/// let heads = HeadSpans::from_moa(plan)?;
/// assert_eq!((heads.layers(), heads.layer(0)?.spans()[1].alpha), (2, -1024));
/// # Ok::<(), proxyattn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct HeadSpans {
    /// `[layer][head]`.
    layers: Vec<Vec<HeadSpan>>,
}

/// A file of `MoA`'s, `[layer][head]`.
#[derive(Deserialize)]
struct Plan {
    alphas: Vec<Vec<f64>>,
    betas: Vec<Vec<f64>>,
}

impl HeadSpans {
    /// From the text of a plan as `MoA` (arXiv 2406.14909) writes it, `{"alphas": [layer][head], "betas": [layer][head]}`, of
    /// query heads. A program has the text from `include_str!`, or reads the file.
    ///
    /// `MoA` adds the tokens that it is going to generate to the keys, and rounds up to blocks of 64 tokens, where a kernel
    /// rounds up to its own blocks.
    ///
    /// # Errors
    /// [`Error::Shape`] for a text that is not of that form, with an α that is no whole number of 32 bits or a β outside of
    /// [0, 1].
    pub fn from_moa(json: &str) -> Result<Self> {
        let refuse =
            |expected: &str, got: String| Error::Shape { arg: "plan", expected: expected.into(), got };
        let form = r#"JSON of the form {"alphas": [layer][head], "betas": [layer][head]}"#;
        let Plan { alphas, betas } =
            serde_json::from_str(json).map_err(|error| refuse(form, error.to_string()))?;
        let heads = |rows: &[Vec<f64>]| rows.iter().map(Vec::len).collect::<Vec<_>>();
        if alphas.is_empty() || heads(&alphas) != heads(&betas) {
            return Err(refuse(
                "an α and a β for each head of each layer",
                format!("{:?} and {:?} heads of layers", heads(&alphas), heads(&betas)),
            ));
        }
        let of_head = |(&alpha, &beta): (&f64, &f64)| {
            let whole = alpha as i32; // saturates
            if f64::from(whole) != alpha {
                return Err(refuse("whole numbers of tokens as alphas", format!("{alpha}")));
            }
            Ok(HeadSpan { alpha: whole, beta })
        };
        let of_layer = |(alphas, betas): (&Vec<f64>, &Vec<f64>)| -> Result<Vec<HeadSpan>> {
            let spans = alphas.iter().zip(betas).map(of_head).collect::<Result<Vec<_>>>()?;
            LayerShares::from_spans(&spans)?; // refuses what a layer would
            Ok(spans)
        };
        let layers = alphas.iter().zip(&betas).map(of_layer).collect::<Result<_>>()?;
        Ok(Self { layers })
    }

    /// Layers of the model.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// The spans of a layer's heads, for [`AttentionKernel::load_layer`](crate::AttentionKernel::load_layer).
    ///
    /// # Errors
    /// [`Error::Shape`] for a layer that the model has not.
    pub fn layer(&self, layer: usize) -> Result<LayerShares> {
        let spans = self.layers.get(layer).ok_or_else(|| Error::Shape {
            arg: "layer",
            expected: format!("a layer below {}", self.layers.len()),
            got: format!("{layer}"),
        })?;
        LayerShares::from_spans(spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_grow_with_the_context() {
        let tokens = |alpha, beta, kv_len| HeadSpan::tokens(HeadSpan { alpha, beta }.words(), kv_len);
        assert_eq!([0, 1000, 100_000].map(|n| tokens(-512, 0.75, n)), [0, 238, 74_488]);
        assert_eq!([0, 10].map(|n| tokens(64, 0.7, n)), [64, 71]);
        assert_eq!(tokens(i32::MIN, 1.0, 7), 0);
        assert!(tokens(i32::MAX, 1.0, u32::MAX as usize) > u32::MAX as usize);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let message = |text: &str| HeadSpans::from_moa(text).unwrap_err().to_string();
        assert!(
            message("[1]").starts_with(r#"`plan`: expected JSON of the form {"alphas": "#),
            "{}",
            message("[1]")
        );
        assert!(message(r#"{"alphas": [[1], [1]], "betas": [[1]]}"#).contains("got [1, 1] and [1] heads"));
        assert!(message(r#"{"alphas": [], "betas": []}"#).contains("an α and a β for each head"));
        assert!(message(r#"{"alphas": [[0.5]], "betas": [[0]]}"#).ends_with("alphas, got 0.5"));
        assert!(message(r#"{"alphas": [[1e12]], "betas": [[0]]}"#).contains("whole numbers of tokens"));
        assert!(message(r#"{"alphas": [[0]], "betas": [[1.5]]}"#).ends_with("got 1.5 of head 0"));
        assert!(message(r#"{"alphas": [[]], "betas": [[]]}"#).contains("a span for each query head"));
        let one = HeadSpans::from_moa(r#"{"alphas": [[1]], "betas": [[0]]}"#).unwrap();
        assert_eq!(one.layer(1).unwrap_err().to_string(), "`layer`: expected a layer below 1, got 1");
    }
}
