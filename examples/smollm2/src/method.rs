//! How a chunk of tokens attends.

use crate::{Config, Error, Result};
use core::fmt;
use proc_macro2::{LexError, TokenStream};
use proxyattn::codegen::{Budget, Dtype, Spec};
use proxyattn::{Plan, Problem, WhyDense};
use proxyattn_attribute::{Errors, arguments, read};

/// How the tokens of one [`step`](crate::Runner::step) attend to the cache and to each other: always causal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Method {
    /// The kernel's configuration; with `budget = all` attention is full.
    pub spec: Spec,
}

impl Method {
    /// Full attention.
    pub fn full(config: &Config) -> Self {
        Self { spec: Spec { budget: Budget::All, head_dim: config.head_dim as u32, ..Spec::DEFAULT } }
    }

    /// `full`, or `#[proxy_attention(…)]` or its arguments; `default` and nothing at all are the default configuration.
    /// `head_dim` is the model's, given or not.
    ///
    /// # Errors
    /// [`Error::Configuration`] with every mistake, [`Error::Argument`] for a configuration that this model cannot have.
    pub fn parse(text: &str, config: &Config) -> Result<Self> {
        let text = text.trim();
        let invalid = |messages| Error::Configuration { text: text.to_owned(), messages };
        let written = match text {
            "full" => return Ok(Self::full(config)),
            "default" => "",
            other => other,
        };
        let lexed = |text: &str| text.parse().map_err(|error: LexError| invalid(vec![error.to_string()]));
        // A head_dim of one's own is left for the parser, and then has to be the model's.
        let given = written.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "head_dim");
        let before = if given { String::new() } else { format!("head_dim = {},", config.head_dim) };
        let mut tokens: TokenStream = lexed(&before)?;
        tokens.extend(arguments(lexed(written)?));
        let mut errors = Errors::default();
        let spec = read(tokens, &mut errors).spec;
        if !errors.is_empty() {
            return Err(invalid(
                errors.iter().map(|error| error.to_string().replace("\nhelp: ", "; ")).collect(),
            ));
        }
        let method = Self { spec };
        method.check(config)?;
        Ok(method)
    }

    /// Whether every block is visited by configuration.
    pub fn is_full(&self) -> bool {
        self.spec.is_dense()
    }

    /// Why the first `tokens` tokens of a context attend to every block; `None` where blocks are selected.
    ///
    /// # Errors
    /// [`Error::Attention`] for no tokens, or more than a kernel takes.
    pub fn why_dense(&self, config: &Config, tokens: usize) -> Result<Option<WhyDense>> {
        let Config { heads, kv_heads, .. } = *config;
        let problem = Problem { batch: 1, heads, kv_heads, q_len: tokens, kv_len: tokens };
        Ok(Plan::new(&self.spec, &problem)?.why_dense())
    }

    /// Refuses what a runner of this model cannot run: runners keep q, k and v in bf16, attend causally, and have the
    /// model's heads.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the key.
    pub fn check(&self, config: &Config) -> Result<()> {
        let Spec { head_dim, dtype, causal, groups, heads, kv_heads, .. } = self.spec;
        if head_dim as usize != config.head_dim {
            let expected = format!("the model's {}", config.head_dim);
            return Err(Error::argument("head_dim", expected, head_dim.to_string()));
        }
        if dtype != Dtype::Bf16 {
            return Err(Error::argument(
                "dtype",
                "bf16, in which the model's keys are cached",
                dtype.to_string(),
            ));
        }
        if !causal {
            return Err(Error::argument("causal", "true for a language model", "false"));
        }
        for (key, given, model) in [("heads", heads, config.heads), ("kv_heads", kv_heads, config.kv_heads)] {
            if let Some(given) = given
                && given as usize != model
            {
                return Err(Error::argument(key, format!("the model's {model}"), given.to_string()));
            }
        }
        if let Some(groups) = groups
            && !config.kv_heads.is_multiple_of(groups as usize)
        {
            let expected = format!("a divisor of the model's {} KV heads", config.kv_heads);
            return Err(Error::argument("groups", expected, groups.to_string()));
        }
        Ok(())
    }
}

/// The methods of a list that is separated by `;`.
///
/// # Errors
/// As [`Method::parse`].
pub fn methods(list: &str, config: &Config) -> Result<Vec<Method>> {
    list.split(';').map(|text| Method::parse(text, config)).collect()
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_full() {
            return f.write_str("full");
        }
        // The head width is the model's: it says nothing about the method.
        let text = Spec { head_dim: Spec::DEFAULT.head_dim, ..self.spec }.attribute();
        f.write_str(if text.is_empty() { "default" } else { &text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: Config = Config {
        layers: 1,
        hidden: 192,
        intermediate: 64,
        heads: 9,
        kv_heads: 3,
        head_dim: 64,
        vocab: 32,
        context: 128,
        rope_theta: 1e4,
        rms_eps: 1e-5,
    };

    #[test]
    fn text_and_method_are_each_others() {
        for text in ["full", "default", "budget = ratio(0.1)", "groups = 1, stride = 4"] {
            let method = Method::parse(text, &CONFIG).unwrap();
            assert_eq!(method.to_string(), text);
            assert_eq!(method.spec.head_dim, 64);
        }
        assert_eq!(Method::parse("", &CONFIG).unwrap(), Method::parse("default", &CONFIG).unwrap());
        assert!(Method::parse("budget = all", &CONFIG).unwrap().is_full());
        assert!(Method::parse("head_dim = 64, block = 128", &CONFIG).is_ok());
        let pasted = Method::parse("#[proxy_attention(groups = 1)]", &CONFIG).unwrap();
        assert_eq!(pasted.to_string(), "groups = 1");
    }

    #[test]
    fn short_prompts_are_dense_and_say_why() {
        let why = |text: &str, tokens| {
            Method::parse(text, &CONFIG)
                .unwrap()
                .why_dense(&CONFIG, tokens)
                .unwrap()
                .map(|why| why.to_string())
        };
        assert_eq!(why("full", 8000).as_deref(), Some("`budget = all` visits every block"));
        assert_eq!(
            why("default", 14).as_deref(),
            Some("the context is so short that the budget keeps every block")
        );
        assert_eq!(why("default", 8000), None);
    }

    #[test]
    fn what_the_model_cannot_have_is_refused() {
        let refused = |text: &str| Method::parse(text, &CONFIG).unwrap_err().to_string();
        assert_eq!(refused("head_dim = 128"), "`head_dim`: expected the model's 64, got 128");
        assert!(refused("dtype = f16").contains("expected bf16"));
        assert!(refused("causal = false").contains("`causal`: expected true"));
        assert_eq!(refused("groups = 2"), "`groups`: expected a divisor of the model's 3 KV heads, got 2");
        assert!(refused("heads = 8, kv_heads = 1").contains("the model's 9"));
        assert!(refused("stride(q = 5)").contains("5 does not divide 64"), "{}", refused("stride(q = 5)"));
        assert!(refused("blok = 1, dtype = f64").contains("unknown key `blok`"));
        assert!(refused("block(q = 64").contains("the configuration"));
    }
}
