//! Plans a call from its shapes, without data and without allocation.

use crate::dense_below::{WhyDense, is_short};
use crate::{Error, Geometry, Problem, Result};
use proxyattn_codegen::Spec;

/// How a kernel runs one [`Problem`].
///
/// ```
/// use proxyattn::codegen::Spec;
/// use proxyattn::{Plan, Problem, WhyDense};
///
/// let problem = Problem { batch: 1, heads: 32, kv_heads: 8, q_len: 900, kv_len: 900 };
/// let plan = Plan::new(&Spec::DEFAULT, &problem)?;
/// assert_eq!((plan.groups(), plan.heads_per_group(), plan.is_dense()), (8, 4, false));
/// assert_eq!(plan.dense_below(1024).why_dense(), Some(WhyDense::Short { below: 1024 }));
/// # Ok::<(), proxyattn::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    spec: Spec,
    problem: Problem,
    groups: usize,
    dense: Option<WhyDense>,
}

impl Plan {
    /// The plan of a kernel of `spec`, dense only if the configuration keeps every block; whether selection pays off is not
    /// considered.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Overflow`] for a shape that the kernel cannot run, [`Error::Spec`] for a
    /// configuration that breaks a rule.
    pub fn new(spec: &Spec, problem: &Problem) -> Result<Self> {
        if !spec.is_valid() {
            return Err(Error::Spec { kernel: "plan", violations: spec.violations() });
        }
        problem.check(spec)?;
        let groups = spec.groups.map_or(problem.kv_heads, |groups| groups as usize);
        let mut plan = Self { spec: *spec, problem: *problem, groups, dense: None };
        plan.dense = match spec.is_dense() {
            true => Some(WhyDense::Declared),
            false => plan.keeps_every_block().then_some(WhyDense::Kept),
        };
        Ok(plan)
    }

    /// The same plan, but dense if its problem is [shorter](crate::dense_below) than a context of `tokens` tokens; 0 disables
    /// this. [`Attention::plan`](crate::Attention::plan) returns such plans.
    pub fn dense_below(mut self, tokens: usize) -> Self {
        if self.dense.is_none() && is_short(&self.spec, &self.problem, tokens) {
            self.dense = Some(WhyDense::Short { below: tokens });
        }
        self
    }

    /// The same plan, but over lists from outside, which alone decide what is visited.
    pub(crate) fn over_lists(self) -> Self {
        Self { dense: None, ..self }
    }

    /// Whether the budget's minimum covers every row, so that no block can be dropped whatever the scores are.
    fn keeps_every_block(&self) -> bool {
        let geometry = self.geometry();
        // Any share of a layer's, where there is one: that of a pruned head is set apart.
        let least = usize::from(self.spec.budget.of_layer().is_some());
        // The last row drops blocks first, so for a long context the first check ends the loop.
        (0..geometry.rows())
            .rev()
            .all(|row| geometry.count(&self.spec.budget, least, row) == geometry.visible(row))
    }

    /// The configuration.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The shape.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The block geometry.
    pub fn geometry(&self) -> Geometry {
        Geometry::new(&self.spec, &self.problem)
    }

    /// Number of proxy heads.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Whether every block is visited, and nothing is pooled, scored or selected.
    pub fn is_dense(&self) -> bool {
        self.dense.is_some()
    }

    /// Why every block is visited; `None` for a plan that selects.
    pub fn why_dense(&self) -> Option<WhyDense> {
        self.dense
    }

    /// Query heads that share one ranking.
    pub fn heads_per_group(&self) -> usize {
        self.problem.heads / self.groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxyattn_codegen::{Budget, Keep};

    const PROBLEM: Problem = Problem { batch: 1, heads: 32, kv_heads: 8, q_len: 4096, kv_len: 4096 };

    #[test]
    fn bad_problems_are_refused_by_name() {
        let refuse = |spec: Spec, problem: Problem| Plan::new(&spec, &problem).unwrap_err().to_string();
        let d = Spec::DEFAULT;
        assert_eq!(refuse(d, Problem { batch: 0, ..PROBLEM }), "`batch`: expected at least 1, got 0");
        assert_eq!(refuse(d, Problem { q_len: 0, ..PROBLEM }), "`q_len`: expected at least 1, got 0");
        let longer = refuse(d, Problem { kv_len: 4095, ..PROBLEM });
        assert!(
            longer.contains("at least q_len = 4096") && longer.contains("declare `causal = false`"),
            "{longer}"
        );
        let both = Spec { causal: false, ..d };
        Plan::new(&both, &Problem { kv_len: 4095, ..PROBLEM }).unwrap();
        assert!(
            refuse(both, Problem { q_len: 1 << 31, ..PROBLEM })
                .starts_with("`q_len`: the number of tokens overflows")
        );
        assert!(refuse(d, Problem { kv_heads: 5, ..PROBLEM }).contains("a divisor of heads = 32"));
        assert!(
            refuse(Spec { groups: Some(3), ..d }, PROBLEM).contains("multiple of the kernel's groups = 3")
        );
        assert!(refuse(Spec { heads: Some(16), ..d }, PROBLEM).contains("16 as the kernel declares"));
        assert!(refuse(d, Problem { kv_len: 1 << 31, ..PROBLEM }).contains("overflows"));
        assert!(refuse(d, Problem { batch: usize::MAX / 8, ..PROBLEM }).contains("overflows"));
    }

    #[test]
    fn a_configuration_that_breaks_a_rule_has_no_plan() {
        let stride = proxyattn_codegen::Stride { q: 0, kv: 1 };
        let error = Plan::new(&Spec { stride, ..Spec::DEFAULT }, &PROBLEM).unwrap_err();
        assert!(matches!(error, Error::Spec { .. }), "{error}");
    }

    #[test]
    fn short_contexts_run_dense() {
        let dense =
            |spec: Spec, n| Plan::new(&spec, &Problem { q_len: n, kv_len: n, ..PROBLEM }).unwrap().is_dense();
        assert!(dense(Spec::DEFAULT, 512) && !dense(Spec::DEFAULT, 577));
        assert!(dense(Spec::PAPER, 2048) && !dense(Spec::PAPER, 2113));
        assert!(dense(Spec { budget: Budget::All, ..Spec::DEFAULT }, 100_000));
        assert!(dense(Spec { budget: Budget::ratio(0.5), ..Spec::DEFAULT }, 128));
        assert!(!dense(Spec { budget: Budget::ratio(0.5), ..Spec::DEFAULT }, 2048));

        // Not causal: the last row keeps all three blocks (sink, local, diagonal), the row before only two.
        let keep = Keep { sink: 1, local: 1 };
        let spec = Spec { causal: false, keep, budget: Budget::ratio(0.5), ..Spec::DEFAULT };
        let problem = Problem { q_len: 65, kv_len: 129, ..PROBLEM };
        assert!(!Plan::new(&spec, &problem).unwrap().is_dense());
    }

    #[test]
    fn a_dense_plan_says_why() {
        let why = |spec: Spec, n, below| {
            let plan = Plan::new(&spec, &Problem { q_len: n, kv_len: n, ..PROBLEM }).unwrap();
            plan.dense_below(below).why_dense()
        };
        let all = Spec { budget: Budget::All, ..Spec::DEFAULT };
        assert_eq!(why(all, 1024, 4096), Some(WhyDense::Declared));
        assert_eq!(why(Spec::DEFAULT, 512, 4096), Some(WhyDense::Kept));
        assert_eq!(why(Spec::DEFAULT, 4095, 4096), Some(WhyDense::Short { below: 4096 }));
        assert_eq!(why(Spec::DEFAULT, 4096, 4096), None);
        assert_eq!(why(Spec::DEFAULT, 1024, 0), None);
    }
}
