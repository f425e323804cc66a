//! Layers, one after another, and what they recommend.

use crate::{Error, Layer, Options, Result, input::spec, visited::BUDGET};
use kit::progress::Progress;
use proxyattn::View;
use proxyattn::codegen::{Budget, Spec};
use serde_json::{Value, json};

/// Of the JSON; it changes with the meaning of a key, not when one is added.
pub const SCHEMA: u32 = 2;

/// The measurements of some layers of one model.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use proxyattn::View;
///
/// let (q, k) = (vec![0.5f32; 4 * 512 * 64], vec![0.5f32; 2 * 512 * 64]);
/// let mut report = heads::Report::new(heads::Options::default())?;
/// // Queries and keys after the rotary embedding: [1, heads, tokens, head_dim], any strides.
/// report.add_layer("layer 0", View::bhsd(&q, [1, 4, 512, 64])?, View::bhsd(&k, [1, 2, 512, 64])?)?;
/// assert_eq!(report.recommendation()?.attribute, "#[proxy_attention(head_dim = 64, groups = 1)]");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Report {
    options: Options,
    layers: Vec<Layer>,
    progress: Progress,
}

/// What to write.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Recommendation {
    /// Under the default budget: the fewest proxies with which it visits, in every layer, at most
    /// [`growth`](Options::growth) more blocks than with one proxy per KV head.
    pub groups: usize,
    /// The attribute of one kernel with these proxies for all layers.
    pub attribute: String,
    /// The attributes of a kernel for each layer, in order.
    pub layers: Vec<String>,
    /// Under a flat budget, whose lists do not grow where the order of a proxy is bad for a head: the fewest proxies whose
    /// regret is at most [`regret`](Options::regret) in every layer; `None` where none is.
    pub flat: Option<usize>,
}

impl Report {
    /// A report without layers.
    ///
    /// # Errors
    /// [`Error::Option`] for an option out of its range.
    pub fn new(options: Options) -> Result<Self> {
        options.check()?;
        Ok(Self { options, layers: Vec::new(), progress: Progress::hidden() })
    }

    /// The same, with a bar that shows how far a layer is.
    #[must_use]
    pub fn watched(self, progress: Progress) -> Self {
        Self { progress, ..self }
    }

    /// Measures a layer: its queries `[1, heads, q_len, D]` and keys `[1, kv_heads, kv_len, D]`, after rotary embedding
    /// and QK-norm, of bf16, f16 or f32, in host memory. With `q_len < kv_len` the queries are the end of the context.
    /// On a few cores it takes seconds for 8192 tokens; the tensors are not needed afterwards.
    ///
    /// # Errors
    /// [`Error::Kernel`] for shapes that no kernel runs, [`Error::Layer`] for tensors that are not in host memory, not
    /// of one sequence, not finite, too short to have far tokens, or of other heads than the layers before. The report
    /// stays as it was.
    pub fn add_layer<T: Copy + Into<f32> + Sync>(
        &mut self,
        name: &str,
        q: View<'_, T>,
        k: View<'_, T>,
    ) -> Result<&Layer> {
        if let Some(first) = self.layers.first() {
            let expected = [("q", first.heads, q.shape()), ("k", first.kv_heads, k.shape())];
            for (arg, heads, shape) in expected {
                if [shape[1], shape[3]] != [heads, first.head_dim] {
                    let expected = format!("{heads} heads of {} as in {}", first.head_dim, first.name);
                    let got = format!("shape {shape:?}");
                    return Err(Error::Layer { layer: name.into(), arg, expected, got });
                }
            }
        }
        let layer = Layer::measure(name, q, k, &self.options, &self.progress);
        self.progress.clear();
        self.layers.push(layer?);
        Ok(&self.layers[self.layers.len() - 1])
    }

    /// What was asked for.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The layers, in the order in which they came.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// What to write.
    ///
    /// # Errors
    /// [`Error::Empty`] without layers.
    pub fn recommendation(&self) -> Result<Recommendation> {
        let first = self.layers.first().ok_or(Error::Empty)?;
        let fewest = |fits: fn(&Layer, usize, &Options) -> bool| {
            first.fewest(|candidate| self.layers.iter().all(|layer| fits(layer, candidate, &self.options)))
        };
        let groups = fewest(Layer::is_near).unwrap_or(first.kv_heads);
        Ok(Recommendation {
            groups,
            attribute: self.attribute(first, groups),
            layers: self.layers.iter().map(|layer| self.attribute(layer, layer.groups)).collect(),
            flat: fewest(Layer::is_within),
        })
    }

    /// One proxy per KV head is what the attribute means without `groups`.
    fn attribute(&self, layer: &Layer, groups: usize) -> String {
        let measured = spec(layer.head_dim, &self.options);
        let groups = (groups < layer.kv_heads).then_some(groups as u32);
        let Spec { scorer, budget, .. } = Spec::DEFAULT;
        let spec = Spec { groups, scorer, budget, ..measured };
        match spec.attribute().as_str() {
            "" => "#[proxy_attention]".into(),
            keys => format!("#[proxy_attention({keys})]"),
        }
    }

    /// A report from its [JSON](Self::json), for another picture of it.
    ///
    /// # Errors
    /// [`Error::Stored`] for a text that is no report of this [`SCHEMA`], [`Error::Option`] for options out of their range.
    pub fn from_json(text: &str) -> Result<Self> {
        let Stored { schema, options, layers } =
            serde_json::from_str(text).map_err(|error| Error::Stored(error.to_string()))?;
        if schema != SCHEMA {
            return Err(Error::Stored(format!("expected schema {SCHEMA}, got {schema}")));
        }
        Ok(Self { layers, ..Self::new(options)? })
    }

    /// Everything as JSON: `schema`, `options`, `kernel` (the configuration that was measured; `visited` is the budget of
    /// what is visited, `budget` that of the rest), `recommendation`, and `layers`, whose keys are the fields of [`Layer`].
    /// Figures are rounded to four decimals.
    ///
    /// # Errors
    /// [`Error::Empty`] without layers.
    pub fn json(&self) -> Result<Value> {
        let recommendation = self.recommendation()?;
        let spec = spec(self.layers[0].head_dim, &self.options);
        let mut value = json!({
            "schema": SCHEMA,
            "options": self.options,
            "kernel": {
                "head_dim": spec.head_dim,
                "block": spec.block.kv,
                "stride_q": spec.stride.q,
                "stride_kv": spec.stride.kv,
                "scale": spec.softmax_scale(),
                "budget": spec.budget.to_string(),
                "visited": Budget::Dynamic(BUDGET).to_string(),
            },
            "recommendation": recommendation,
            "layers": self.layers,
        });
        round(&mut value["layers"]);
        Ok(value)
    }
}

/// What is read back of a report's JSON.
#[derive(serde::Deserialize)]
struct Stored {
    schema: u32,
    options: Options,
    layers: Vec<Layer>,
}

/// Rounds every figure to four decimals: the rest is noise, and differs from machine to machine.
fn round(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(round),
        Value::Object(fields) => fields.values_mut().for_each(round),
        Value::Number(number) if number.is_f64() => {
            let rounded = (number.as_f64().unwrap_or_default() * 1e4).round() / 1e4;
            *value = json!(rounded + 0.0); // −0 is 0
        }
        _ => {}
    }
}
