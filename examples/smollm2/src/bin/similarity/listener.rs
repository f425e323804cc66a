//! From a running model to the report.

use heads::Report;
use indicatif::ProgressBar;
use smollm2::{Detail, Inputs, Observer};

/// Measures each layer while the model waits.
pub(crate) struct Listener<'a> {
    /// All, where there are none.
    pub(crate) wanted: &'a [usize],
    pub(crate) report: Report,
    /// What went wrong first; no layer is looked at after that.
    pub(crate) failed: Option<heads::Error>,
    pub(crate) progress: ProgressBar,
}

impl Observer for Listener<'_> {
    fn detail(&self, layer: usize) -> Detail {
        let wanted = self.wanted.is_empty() || self.wanted.contains(&layer);
        if wanted && self.failed.is_none() { Detail::Inputs } else { Detail::Nothing }
    }

    fn inputs(&mut self, layer: usize, inputs: &Inputs<'_>) {
        let added = self.report.add_layer(&format!("layer {layer}"), inputs.q, inputs.k);
        self.failed = added.err();
    }

    fn done(&mut self, _: usize) {
        self.progress.inc(1);
    }
}
