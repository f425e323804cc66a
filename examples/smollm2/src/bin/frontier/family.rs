//! The methods, each at several densities: the one list of them.

use smollm2::{Config, Error, Method, Result};

/// A line of the picture: one method at several densities, from the sparsest on.
struct Line {
    name: &'static str,
    /// The arguments of `#[proxy_attention(…)]`, with `{}` in the place of a value.
    text: &'static str,
    values: &'static [&'static str],
}

/// Shares of a flat budget.
const SHARES: &[&str] = &["0.05", "0.1", "0.2", "0.3"];

const FAMILY: &[Line] = &[
    Line {
        name: "proxy, dynamic (default)",
        text: "budget = dynamic(gamma = {})",
        values: &["0.4", "0.5", "0.6", "0.7", "0.8"],
    },
    Line { name: "proxy, ratio", text: "budget = ratio({})", values: SHARES },
    Line { name: "proxy, ratio over heads", text: "budget = ratio({}, split = heads)", values: SHARES },
    Line {
        name: "ProxyAttn (preset = paper)",
        text: "preset = paper, budget = dynamic({}, rows = absolute, order = own, weigh = none)",
        values: &[
            "gamma = 0.8, min_tokens = 256",
            "gamma = 0.9, min_tokens = 512",
            "gamma = 0.9, min_tokens = 1024",
            "gamma = 0.95, min_tokens = 2048",
        ],
    },
    Line {
        name: "proxy, relative (FlashPrefill's rule)",
        text: "budget = relative({})",
        values: &["0.2", "0.1", "0.05", "0.02"],
    },
    Line {
        name: "proxy, fitted (Tactic's rule)",
        text: "budget = fitted({})",
        values: &["0.5", "0.6", "0.7", "0.8"],
    },
    Line { name: "mean_pool, ratio", text: "scorer = mean_pool, budget = ratio({})", values: SHARES },
    Line {
        name: "mean_pool, top_p",
        text: "scorer = mean_pool, budget = top_p({})",
        values: &["0.3", "0.5", "0.7", "0.85"],
    },
    Line {
        name: "antidiagonal, top_p (XAttention)",
        text: "block = 128, scorer = antidiagonal(stride = 16), budget = top_p({})",
        values: &["0.5", "0.7", "0.8", "0.9"],
    },
    Line {
        name: "vertical_slash, ratio",
        text: "scorer = vertical_slash(last = 64), budget = ratio({})",
        values: SHARES,
    },
    Line {
        name: "vertical_slash, top_p",
        text: "scorer = vertical_slash(last = 64), budget = top_p({})",
        values: &["0.5", "0.7", "0.8", "0.9"],
    },
    Line {
        name: "nearest, ratio (StreamingLLM)",
        text: "scorer = nearest, budget = ratio({})",
        values: SHARES,
    },
];

/// A method with the name of its line.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) line: &'static str,
    pub(crate) method: Method,
}

/// The methods of the lines of these names, of every line if there are none.
///
/// # Errors
/// [`Error::Argument`] for a name that no line has, and as [`Method::parse`].
pub(crate) fn members(names: &[String], config: &Config) -> Result<Vec<Member>> {
    let known = |name: &str| FAMILY.iter().any(|line| line.name == name);
    if let Some(unknown) = names.iter().map(|name| name.trim()).find(|name| !known(name)) {
        let all: Vec<_> = FAMILY.iter().map(|line| line.name).collect();
        return Err(Error::argument("--methods", format!("some of `{}`", all.join("`; `")), unknown));
    }
    let wanted =
        FAMILY.iter().filter(|line| names.is_empty() || names.iter().any(|name| name.trim() == line.name));
    let member = |line: &'static Line, value: &str| {
        Ok(Member { line: line.name, method: Method::parse(&line.text.replace("{}", value), config)? })
    };
    wanted.flat_map(|line| line.values.iter().map(move |value| member(line, value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: Config = Config {
        layers: 30,
        hidden: 576,
        intermediate: 1536,
        heads: 9,
        kv_heads: 3,
        head_dim: 64,
        vocab: 49152,
        context: 8192,
        rope_theta: 1e5,
        rms_eps: 1e-5,
    };

    #[test]
    fn every_line_is_a_method_at_several_densities() {
        let all = members(&[], &CONFIG).unwrap();
        for line in FAMILY {
            assert!(line.values.len() >= 2 && line.text.contains("{}"), "{}", line.name);
            let texts: Vec<_> = all.iter().filter(|member| member.line == line.name).collect();
            assert_eq!(texts.len(), line.values.len());
        }
        let mut texts: Vec<_> = all.iter().map(|member| member.method.to_string()).collect();
        assert!(texts.iter().any(|text| text == "default"), "{texts:?}");
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), all.len(), "two of the methods are one");
        assert_eq!(members(&["proxy, ratio".into()], &CONFIG).unwrap().len(), SHARES.len());
        let refused = members(&["proxy".into()], &CONFIG).unwrap_err().to_string();
        assert!(refused.contains("`proxy, ratio`") && refused.ends_with("got proxy"), "{refused}");
    }
}
