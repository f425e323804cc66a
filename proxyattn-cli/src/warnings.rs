//! Prints the library's `tracing` warnings on stderr: an unusable cache, waiting for a lock, kernels that are not the
//! fastest ones.

use crate::style::{WARN, painted};
use crate::width::Width;
use core::fmt::{self, Debug, Write};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Prints warnings and errors from now on.
pub(crate) fn print() {
    // Fails only if a subscriber is already set, that is on a second call.
    let _ = tracing::subscriber::set_global_default(Printer);
}

struct Printer;

impl Subscriber for Printer {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN && metadata.target().starts_with("proxyattn")
    }

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        let text = format!("{} {}", painted(WARN, "warning:"), message.0);
        anstream::eprintln!("{}", Width::stderr().fit(&text, 2));
    }

    // The library has no spans.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The text of an event.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            let written: fmt::Result = write!(self.0, "{value:?}");
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
        }
    }
}
