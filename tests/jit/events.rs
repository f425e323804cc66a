//! What a server hears of compilations.

use crate::fake::Fake;
use crate::scratch::{Scratch, options};
use proxyattn_runtime::jit::{Jit, Program, Target};
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Keeps the fields of every event of the JIT.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Fields>>>);

/// Names and values.
#[derive(Clone, Debug)]
struct Fields(Vec<(String, String)>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push((field.name().to_owned(), format!("{value:?}")));
    }
}

impl Subscriber for Heard {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        if event.metadata().target() == "proxyattn::jit" {
            let mut fields = Fields(Vec::new());
            event.record(&mut fields);
            self.0.lock().unwrap().push(fields);
        }
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn a_compilation_is_an_event_and_a_hit_is_none() {
    let scratch = Scratch::new("events");
    let heard = Heard::default();
    // For all threads: with a subscriber of this one alone, whether it hears depends on who compiles first.
    tracing::subscriber::set_global_default(heard.clone()).unwrap();
    for _ in 0..2 {
        let jit = Jit::with_compiler(options(&scratch.path("cache")), Fake::default()).unwrap();
        jit.cubin(&Program::new("heard", "text of a kernel"), Target::SM_90A).unwrap();
    }
    let mut heard = heard.0.lock().unwrap().clone();
    heard.retain(|event| event.0.contains(&("unit".to_owned(), "heard".to_owned())));
    let [event] = &heard[..] else { panic!("{heard:?}") };
    let field = |name: &str| event.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(field("message"), Some("JitCompiled"));
    assert_eq!((field("unit"), field("arch")), (Some("heard"), Some("sm_90a")));
    assert!(field("seconds").unwrap().parse::<f64>().unwrap() >= 0.0);
}
