//! The head-similarity report of a running model.

#[path = "../src/bin/similarity/listener.rs"]
mod listener;
#[allow(dead_code)] // the plain loops are for the tests of the runner
mod tiny;

use heads::{Layer, Options, Report};
use indicatif::ProgressBar;
use listener::Listener;
use smollm2::{Cpu, Detail, Inputs, Method, Observer, Runner};
use std::process::Command;
use std::sync::Arc;

fn step(tokens: usize, observer: &mut dyn Observer) {
    let mut runner = Cpu::new(Arc::new(tiny::weights()), tokens).unwrap();
    let step = runner.step(&tiny::tokens(tokens), &Method::full(&tiny::CONFIG), 0..0, observer);
    assert!(step.unwrap().next.is_empty());
}

fn listen(tokens: usize, wanted: &[usize]) -> Listener<'_> {
    let report = Report::new(Options::default()).unwrap();
    let mut listener = Listener { wanted, report, failed: None, progress: ProgressBar::hidden() };
    step(tokens, &mut listener);
    listener
}

/// Keeps what the second layer ran on, as f32.
#[derive(Default)]
struct Copies {
    q: Vec<f32>,
    k: Vec<f32>,
}

impl Observer for Copies {
    fn detail(&self, layer: usize) -> Detail {
        if layer == 1 { Detail::Inputs } else { Detail::Nothing }
    }

    fn inputs(&mut self, _: usize, inputs: &Inputs<'_>) {
        for (view, copy) in [(inputs.q, &mut self.q), (inputs.k, &mut self.k)] {
            let [_, heads, tokens, _] = view.shape();
            let rows = (0..heads).flat_map(|head| (0..tokens).map(move |token| (head, token)));
            copy.extend(rows.flat_map(|(head, token)| view.row(0, head, token)).map(|x| x.to_f32()));
        }
    }
}

#[test]
fn every_layer_is_measured_on_what_it_ran_on() {
    let listener = listen(512, &[]);
    assert!(listener.failed.is_none());
    let names: Vec<_> = listener.report.layers().iter().map(|layer| &layer.name[..]).collect();
    assert_eq!(names, ["layer 0", "layer 1"]);

    let mut copies = Copies::default();
    step(512, &mut copies);
    let mut report = Report::new(Options::default()).unwrap();
    let q = proxyattn::View::bhsd(&copies.q, [1, 2, 512, 64]).unwrap();
    let k = proxyattn::View::bhsd(&copies.k, [1, 1, 512, 64]).unwrap();
    let expected: &Layer = report.add_layer("layer 1", q, k).unwrap();
    assert_eq!(&listener.report.layers()[1], expected);
    assert_ne!(listener.report.layers()[0].overlap, expected.overlap);
}

#[test]
fn only_the_layers_that_are_wanted_are_measured() {
    let listener = listen(512, &[1]);
    let names: Vec<_> = listener.report.layers().iter().map(|layer| &layer.name[..]).collect();
    assert_eq!(names, ["layer 1"]);
}

#[test]
fn the_first_failure_is_told() {
    let listener = listen(200, &[]);
    let error = listener.failed.expect("a context without far tokens").to_string();
    assert!(error.starts_with("layer 0: `k`: expected at least 256 tokens"), "{error}");
    assert!(listener.report.layers().is_empty());
}

#[test]
fn bad_arguments_are_refused_in_one_line() {
    let error = |arguments: &str| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_similarity"));
        let output = program.args(arguments.split_whitespace()).output().unwrap();
        assert!(!output.status.success() && output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(
        error("--file a.txt --keep 0"),
        "error: --keep: expected a share above 0 and up to 1, got 0\n"
    );
    let missing = error("--file a.txt --model nowhere.gguf");
    assert!(
        missing.starts_with("error: --model nowhere.gguf: ") && missing.lines().count() == 1,
        "{missing}"
    );
    assert!(error("").contains("--file <FILE>"));
}
