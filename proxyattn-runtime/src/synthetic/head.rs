//! How one query head spreads its attention.

use super::context::{Context, NOISE};
use super::random::Stream;

/// Positions behind a query over which the attention to recent tokens is summed.
const RECENT: usize = 4096;
/// The golden ratio's fraction: its multiples are evenly spread however many there are.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// What a query head weighs, as logits.
pub(super) struct Head {
    pub(super) index: usize,
    pub(super) kv_head: usize,
    /// Of a token of the wanted topic; the larger, the fewer tokens hold most of the attention.
    pub(super) gain: f64,
    /// Of the first token.
    pub(super) sink: f64,
    /// Of the query's own token, as far as that is due to its position.
    pub(super) recent: f64,
    /// How many of the position's planes take part, fastest first: the more, the farther it reaches.
    pub(super) planes: usize,
    /// Of a needle, which then has most of the attention.
    pub(super) needle: f64,
    /// The topic that this head associates with each.
    pub(super) associated: Vec<usize>,
}

impl Head {
    pub(super) fn new(index: usize, context: &Context) -> Self {
        let config = context.config();
        let mut random = context.random(Stream::Head, [index, 0]);
        // Most heads are sharp, and some of any few are not.
        let start = context.random(Stream::Head, [0, 1]).uniform();
        let blunt = (start + GOLDEN * index as f64).fract().powf(1.5);
        let gain = 9.0 - 8.0 * blunt;
        let (sink, recent) = (random.between(0.2, 0.6), random.between(0.15, 0.5));
        let content = (1.0 - sink) * (1.0 - recent);
        let reach = random.between(8f64.ln(), 200f64.ln()).exp();
        let planes = context.planes_of_reach(reach);
        let log_content = context.log_content(gain);
        let logit = |share: f64| log_content + (share / content).ln();
        let recent = context.recent_logit(planes, logit((1.0 - sink) * recent) - gain);
        let needle = logit(1.0) + 1.5;
        let n = context.topic_count();
        let associated = (0..n).map(|topic| (topic + 1 + random.below(n - 1)) % n).collect();
        let kv_head = index / (config.heads / config.kv_heads);
        Self { index, kv_head, gain, sink: logit(sink), recent, planes, needle, associated }
    }
}

impl Context {
    /// The planes that turn by less than a radian over `reach` tokens, and the faster ones.
    fn planes_of_reach(&self, reach: f64) -> usize {
        let frequencies = &self.frequencies()[..self.position_planes()];
        frequencies.iter().take_while(|&&frequency| frequency * reach >= 1.0).count().max(1)
    }

    /// `ln` of the mean of `exp(logit)` over tokens of the wanted topic, by their content alone.
    fn log_wanted(&self, gain: f64) -> f64 {
        let sum: f64 = self.salience().iter().map(|&salience| (gain * f64::from(salience)).exp()).sum();
        (sum / self.config().tokens as f64).ln()
    }

    /// `ln Σ exp(logit)` over the keys of a context for a query of this gain, by their content alone.
    fn log_content(&self, gain: f64) -> f64 {
        let topics = self.topic_count() as f64;
        // Other topics and the noise are as good as orthogonal: normal, with this variance.
        let variance = gain * gain * (1.0 + 2.0 * NOISE * NOISE) / self.content_dims() as f64;
        let tokens = self.config().tokens as f64;
        let others = tokens * (variance / 2.0).exp();
        let wanted = tokens * self.log_wanted(gain).exp();
        (wanted / topics + others * (1.0 - 1.0 / topics)).ln()
    }

    /// The logit of the query's own position with which recent tokens have `ln Σ exp(logit) = log_share`.
    fn recent_logit(&self, planes: usize, log_share: f64) -> f64 {
        let frequencies = &self.frequencies()[..planes];
        let fall = |distance: usize| {
            let turn = |frequency: &f64| (frequency * distance as f64).cos();
            1.0 - frequencies.iter().map(turn).sum::<f64>() / planes as f64
        };
        let falls: Vec<f64> = (0..RECENT.min(self.config().tokens)).map(fall).collect();
        let spread = |logit: f64| falls.iter().map(|fall| (-logit * fall).exp()).sum::<f64>().ln();
        // The sum falls as the logit grows, slowly: a few steps settle.
        (0..6).fold(log_share, |logit, _| (log_share - spread(logit)).max(0.0) / 2.0 + logit / 2.0)
    }
}
