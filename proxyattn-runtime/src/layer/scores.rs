//! Scores of a model's heads, from a file.

use super::LayerShares;
use crate::{Error, Result};
use std::collections::BTreeMap;

/// The weights of every head of a model, 1 on average.
///
/// ```
/// use proxyattn::HeadShares;
///
/// // As SparseMM writes them: "layer-head" and a score for each of the head's findings. Here two layers of two heads.
/// let scores = r#"{"0-0": [0.5, 0.7], "0-1": [0.2], "1-0": [0.1, 0.1], "1-1": [0.1]}"#;
/// let heads = HeadShares::from_scores(scores, 0.1)?; // a tenth of the blocks is divided evenly
/// let weights = heads.layer(0)?;
/// assert_eq!(heads.layers(), 2);
/// assert!((weights.weights()[0] - (0.1 + 0.9 * 0.6 * 4.0)).abs() < 1e-9);
/// # Ok::<(), proxyattn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct HeadShares {
    /// `[layer][head]`.
    layers: Vec<Vec<f64>>,
}

impl HeadShares {
    /// From the text of a file as `SparseMM` (arXiv 2506.05344) writes it, `{"layer-head": [scores…]}`, with every head of
    /// every layer. A program has the text from `include_str!`, or reads the file.
    ///
    /// A head's score is the mean of its scores, 0 of none. Of the blocks, a share of `even` goes to all heads evenly, the rest
    /// by score: with L layers of H heads, a head whose score is the share s of all scores together has the weight
    /// `even + (1 − even) · s · L · H`. With `even = 0` heads without a score are pruned.
    ///
    /// # Errors
    /// [`Error::Shape`] for a text that is not of that form, that lacks a head or whose scores are all 0, and for `even`
    /// outside of [0, 1].
    pub fn from_scores(json: &str, even: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&even) {
            return Err(Error::Shape {
                arg: "even",
                expected: "a share in [0, 1]".into(),
                got: format!("{even}"),
            });
        }
        let refuse =
            |expected: &str, got: String| Error::Shape { arg: "scores", expected: expected.into(), got };
        let form = r#"JSON of the form {"layer-head": [scores…]}"#;
        let given: BTreeMap<String, Vec<f64>> =
            serde_json::from_str(json).map_err(|error| refuse(form, error.to_string()))?;
        let mut scores = BTreeMap::new();
        for (key, of_head) in &given {
            let place = key.split_once('-').and_then(|(l, h)| Some((l.parse().ok()?, h.parse().ok()?)));
            let place: (usize, usize) = place.ok_or_else(|| refuse(form, format!("the key `{key}`")))?;
            if let Some(score) = of_head.iter().find(|score| !score.is_finite() || **score < 0.0) {
                return Err(refuse("finite scores of at least 0", format!("{score} of `{key}`")));
            }
            let mean =
                if of_head.is_empty() { 0.0 } else { of_head.iter().sum::<f64>() / of_head.len() as f64 };
            if scores.insert(place, mean).is_some() {
                return Err(refuse("each head once", format!("layer {}, head {} twice", place.0, place.1)));
            }
        }
        let most = |of: fn(&(usize, usize)) -> usize| {
            scores.keys().map(of).max().map_or(0, |last| last.saturating_add(1))
        };
        let (layers, heads) = (most(|place| place.0), most(|place| place.1));
        if scores.len() != layers.saturating_mul(heads) || scores.is_empty() {
            return Err(refuse(
                "every head of every layer",
                format!("{} heads, of {layers} layers of {heads} heads", scores.len()),
            ));
        }
        let sum: f64 = scores.values().sum();
        if !(sum > 0.0 && sum.is_finite()) {
            return Err(refuse("some score above 0", format!("scores whose sum is {sum}")));
        }
        let count = scores.len() as f64;
        let weights: Vec<f64> =
            scores.values().map(|score| even + (1.0 - even) * score / sum * count).collect();
        Ok(Self { layers: weights.chunks_exact(heads).map(<[f64]>::to_vec).collect() })
    }

    /// Layers of the model.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// The weights of a layer's heads, for [`AttentionKernel::load_layer`](crate::AttentionKernel::load_layer).
    ///
    /// # Errors
    /// [`Error::Shape`] for a layer that the model has not.
    pub fn layer(&self, layer: usize) -> Result<LayerShares> {
        let weights = self.layers.get(layer).ok_or_else(|| Error::Shape {
            arg: "layer",
            expected: format!("a layer below {}", self.layers.len()),
            got: format!("{layer}"),
        })?;
        LayerShares::new(weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_one_on_average_and_keep_the_order_of_heads() {
        // 11 heads, so that the order of keys as text is not that of heads.
        let text: Vec<String> = (0..22).map(|i| format!(r#""{}-{}": [{i}, {i}]"#, i / 11, i % 11)).collect();
        let heads = HeadShares::from_scores(&format!("{{{}}}", text.join(",")), 0.25).unwrap();
        let all: Vec<f64> = (0..2).flat_map(|layer| heads.layer(layer).unwrap().weights().to_vec()).collect();
        assert!(all.is_sorted() && (all.iter().sum::<f64>() / 22.0 - 1.0).abs() < 1e-12, "{all:?}");
        assert_eq!(all[0], 0.25);
        assert!((all[21] - (0.25 + 0.75 * 21.0 / 231.0 * 22.0)).abs() < 1e-12);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let message = |text: &str, even| HeadShares::from_scores(text, even).unwrap_err().to_string();
        assert!(
            message("[1]", 0.0)
                .starts_with(r#"`scores`: expected JSON of the form {"layer-head": [scores…]}, got "#)
        );
        assert!(message(r#"{"3": [1]}"#, 0.0).ends_with("got the key `3`"));
        assert!(message(r#"{"0-0": [-1]}"#, 0.0).contains("finite scores of at least 0, got -1 of `0-0`"));
        assert!(
            message(r#"{"0-0": [1], "1-1": [1]}"#, 0.0).contains("got 2 heads, of 2 layers of 2 heads"),
            "heads 0-1 and 1-0 are missing"
        );
        assert!(
            message(r#"{"0-0": [1], "0-00": [1]}"#, 0.0)
                .contains("each head once, got layer 0, head 0 twice")
        );
        assert!(message(r#"{"0-0": [0], "0-1": []}"#, 0.5).contains("some score above 0"));
        assert!(message("{}", 0.0).contains("every head of every layer"));
        assert!(message(r#"{"0-0": [1], "0-18446744073709551615": [1]}"#, 0.0).contains("got 2 heads"));
        assert_eq!(message("{}", 1.5), "`even`: expected a share in [0, 1], got 1.5");
        let one = HeadShares::from_scores(r#"{"0-0": [2]}"#, 0.0).unwrap();
        assert_eq!(one.layer(1).unwrap_err().to_string(), "`layer`: expected a layer below 1, got 1");
    }
}
