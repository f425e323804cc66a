//! The shapes of a call's tensors: which problem they describe, and what is said of those that describe none.

use crate::{Error, Problem, Result};
use proxyattn_codegen::Spec;

/// The logical axes, as in a `View`: `[batch, heads, tokens, dim]`.
type Shape = [usize; 4];

/// The shapes of q, k and v, and how their owner writes and mends them.
#[derive(Clone, Copy, Debug)]
pub struct Shapes {
    /// Of q, k and v, with the axes in the order `[batch, heads, tokens, dim]`.
    pub shapes: [Shape; 3],
    /// Writes a shape in the order in which the caller gave it.
    pub written: fn(Shape) -> Shape,
    /// What to do where heads and tokens are swapped.
    pub swap: &'static str,
}

const NAMES: [&str; 3] = ["q", "k", "v"];

fn swapped([batch, heads, tokens, dim]: Shape) -> Shape {
    [batch, tokens, heads, dim]
}

fn describe([q, k, _]: [Shape; 3]) -> Problem {
    let ([batch, heads, q_len, _], [_, kv_heads, kv_len, _]) = (q, k);
    Problem { batch, heads, kv_heads, q_len, kv_len }
}

impl Shapes {
    /// The problem that the shapes describe.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Overflow`], by the name of the tensor, if `spec` cannot run it.
    pub fn problem(&self, spec: &Spec) -> Result<Problem> {
        let (shapes, head_dim) = (self.shapes, spec.head_dim as usize);
        let [q, k, v] = shapes;
        if let Some(i) = shapes.iter().position(|shape| shape[3] != head_dim) {
            return Err(self.refused(i, format!("head_dim {head_dim} as the kernel declares"), ""));
        }
        if k[0] != q[0] {
            return Err(self.refused(1, format!("the batch of q, {}", q[0]), ""));
        }
        if v != k {
            let hint = if v == swapped(k) { self.swap } else { "" };
            return Err(self.refused(2, format!("the shape of k, {:?}", (self.written)(k)), hint));
        }
        let problem = describe(shapes);
        problem.check(spec).map(|()| problem).map_err(|error| self.named(error, spec))
    }

    /// An error about a dimension of the problem, said of the tensor that has it.
    fn named(&self, error: Error, spec: &Spec) -> Error {
        let axis = |arg| match arg {
            "batch" => Some((0, "its batch")),
            "heads" => Some((0, "its heads")),
            "q_len" => Some((0, "its tokens, q_len,")),
            "kv_heads" => Some((1, "its heads, kv_heads,")),
            "kv_len" => Some((1, "its tokens, kv_len,")),
            _ => None,
        };
        match error {
            Error::Shape { arg, expected, got } => match axis(arg) {
                Some((i, noun)) => self.refused(i, format!("{noun} to be {expected}"), self.hint(spec)),
                None => Error::Shape { arg, expected, got },
            },
            Error::Overflow { arg, what, limit, got } => {
                let arg = axis(arg).map_or(arg, |(i, _)| NAMES[i]);
                Error::Overflow { arg, what, limit, got }
            }
            other => other,
        }
    }

    /// What to do, where swapping heads and tokens of all tensors makes a problem that `spec` runs.
    fn hint(&self, spec: &Spec) -> &'static str {
        let fits = describe(self.shapes.map(swapped)).check(spec).is_ok();
        if fits { self.swap } else { "" }
    }

    fn refused(&self, i: usize, expected: String, hint: &str) -> Error {
        let tell = |i: usize| {
            let [_, heads, tokens, _] = self.shapes[i];
            let plural = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
            let what = format!("{} of {}", plural(heads, "head"), plural(tokens, "token"));
            format!("shape {:?}, {what}", (self.written)(self.shapes[i]))
        };
        let other = match i {
            0 => String::new(),
            _ => format!(" (q: {})", tell(0)),
        };
        Error::Shape { arg: NAMES[i], expected, got: format!("{}{other}{hint}", tell(i)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(spec: Spec, [q, k, v]: [Shape; 3]) -> String {
        let shapes = Shapes { shapes: [q, k, v], written: |shape| shape, swap: "; swap them" };
        shapes.problem(&spec).unwrap_err().to_string()
    }

    #[test]
    fn a_swap_is_told_where_it_would_help() {
        // 64 tokens of 8 and of 4 heads, read as heads of tokens.
        let (q, kv) = ([1, 64, 8, 128], [1, 64, 4, 128]);
        assert_eq!(
            refuse(Spec::DEFAULT, [q, kv, kv]),
            "`k`: expected its tokens, kv_len, to be at least q_len = 8, because causal queries are the end of the context \
             (for cross-attention, declare `causal = false`), got shape [1, 64, 4, 128], 64 heads of 4 tokens (q: shape \
             [1, 64, 8, 128], 64 heads of 8 tokens); swap them"
        );
        // With as many KV heads only what the kernel declares tells.
        let declared = Spec { heads: Some(8), ..Spec::DEFAULT };
        assert_eq!(
            refuse(declared, [q, q, q]),
            "`q`: expected its heads to be 8 as the kernel declares, got shape [1, 64, 8, 128], 64 heads of 8 tokens; swap \
             them"
        );
        // Of v alone.
        let told = refuse(Spec::DEFAULT, [swapped(q), swapped(kv), kv]);
        assert!(
            told.starts_with("`v`: expected the shape of k, ") && told.ends_with("; swap them"),
            "{told}"
        );
    }

    #[test]
    fn no_swap_is_told_where_it_would_not_help() {
        let refuse = |q, kv| refuse(Spec::DEFAULT, [q, kv, kv]);
        assert_eq!(
            refuse([1, 8, 64, 128], [1, 3, 64, 128]),
            "`k`: expected its heads, kv_heads, to be a divisor of heads = 8, got shape [1, 3, 64, 128], 3 heads of 64 tokens \
             (q: shape [1, 8, 64, 128], 8 heads of 64 tokens)"
        );
        assert_eq!(
            refuse([2, 1, 0, 128], [2, 1, 64, 128]),
            "`q`: expected its tokens, q_len, to be at least 1, got shape [2, 1, 0, 128], 1 head of 0 tokens"
        );
        assert!(
            refuse([1, 1, 1, 128], [1, 1, 1 << 31, 128]).starts_with("`k`: the number of tokens overflows")
        );
    }

    #[test]
    fn other_mistakes_keep_their_words() {
        let (q, kv) = ([2, 8, 64, 128], [2, 4, 64, 128]);
        let narrow = Spec { head_dim: 64, ..Spec::DEFAULT };
        assert!(
            refuse(narrow, [q, kv, kv])
                .starts_with("`q`: expected head_dim 64 as the kernel declares, got shape [2, 8, 64,")
        );
        assert!(
            refuse(Spec::DEFAULT, [q, [1, 4, 64, 128], kv])
                .starts_with("`k`: expected the batch of q, 2, got shape")
        );
        assert!(
            refuse(Spec::DEFAULT, [q, kv, q])
                .starts_with("`v`: expected the shape of k, [2, 4, 64, 128], got shape")
        );
    }
}
