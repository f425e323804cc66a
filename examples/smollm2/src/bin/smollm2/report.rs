//! What is printed.

use core::fmt;
use core::time::Duration;
use indicatif::ProgressBar;
use proxyattn::WhyDense;
use serde_json::json;
use smollm2::{Answer, Detail, Observer, Runner, Visits};

/// The density of each layer, while a bar goes on.
pub(crate) struct Densities {
    visits: Vec<Visits>,
    progress: ProgressBar,
}

impl Densities {
    pub(crate) fn new(layers: usize, progress: ProgressBar) -> Self {
        Self { visits: vec![Visits::default(); layers], progress }
    }

    pub(crate) fn clear(&mut self) {
        self.visits.fill(Visits::default());
    }

    pub(crate) fn layers(&self) -> Vec<f64> {
        self.visits.iter().map(Visits::density).collect()
    }
}

impl Observer for Densities {
    fn detail(&self, _: usize) -> Detail {
        Detail::Visits
    }

    fn visits(&mut self, layer: usize, visits: Visits) {
        self.visits[layer] += visits;
    }

    fn done(&mut self, _: usize) {
        self.progress.inc(1);
    }
}

/// One reading of the prompt, and its answer.
pub(crate) struct Run {
    pub(crate) method: String,
    pub(crate) prompt: usize,
    pub(crate) answer: Answer,
    pub(crate) text: String,
    pub(crate) densities: Vec<f64>,
    /// Why nothing was selected, if nothing was.
    pub(crate) why_dense: Option<WhyDense>,
}

impl Run {
    fn density(&self) -> f64 {
        self.densities.iter().sum::<f64>() / self.densities.len() as f64
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answer { tokens, prefill, decode } = &self.answer;
        writeln!(f, "\n── {}\n{}\n", self.method, self.text.trim())?;
        writeln!(
            f,
            "  first token     {}: attention {}, rest {} ({:.0} tokens/s)",
            time(prefill.total()),
            time(prefill.attention),
            time(prefill.rest),
            self.prompt as f64 / prefill.total().as_secs_f64()
        )?;
        if let Some(more) = tokens.len().checked_sub(1).filter(|&more| more > 0) {
            writeln!(f, "  every other     {}", time(decode.total() / more as u32))?;
        }
        if let Some(why) = self.why_dense {
            return writeln!(f, "  density         100% of the blocks: ran dense, {why}");
        }
        writeln!(f, "  density         {:.1}% of the blocks; per layer", 100.0 * self.density())?;
        for layers in self.densities.chunks(15) {
            let layers: Vec<_> = layers.iter().map(|density| format!("{:3.0}", 100.0 * density)).collect();
            writeln!(f, "                  {}", layers.join(" "))?;
        }
        Ok(())
    }
}

/// The last lines.
pub(crate) fn summary(runs: &[Run], runner: &dyn Runner) -> String {
    let mut out = String::new();
    if let [first, others @ ..] = runs {
        for run in others {
            let ratio = run.answer.prefill.total().as_secs_f64() / first.answer.prefill.total().as_secs_f64();
            out += &format!(
                "time to first token of `{}`: {ratio:.2} × that of `{}`\n",
                run.method, first.method
            );
        }
    }
    if let Some(peak) = runner.peak_memory() {
        out += &format!("peak memory: {:.2} GiB\n", peak as f64 / f64::from(1 << 30));
    }
    out
}

/// Everything, for programs.
pub(crate) fn json(runs: &[Run], prompt: &[u32], runner: &dyn Runner) -> String {
    let runs = runs.iter().map(|run| {
        json!({
            "method": run.method,
            "text": run.text,
            "tokens": run.answer.tokens.len(),
            "first_token_ms": ms(run.answer.prefill.total()),
            "attention_ms": ms(run.answer.prefill.attention),
            "rest_ms": ms(run.answer.prefill.rest),
            "decode_ms": ms(run.answer.decode.total()),
            "why_dense": run.why_dense.map(|why| why.to_string()),
            "density": run.density(),
            "density_by_layer": run.densities,
        })
    });
    let runs: Vec<_> = runs.collect();
    let report = json!({
        "device": runner.device(),
        "prompt_tokens": prompt.len(),
        "peak_bytes": runner.peak_memory(),
        "runs": runs,
    });
    format!("{report}\n")
}

fn ms(time: Duration) -> f64 {
    1e3 * time.as_secs_f64()
}

fn time(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 1.0 => format!("{:.1} ms", 1e3 * s),
        s => format!("{s:.2} s"),
    }
}
