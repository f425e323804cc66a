//! The CPU runner against a plain loop, on a small random model.

use crate::tiny;
use half::bf16;
use smollm2::eval::{Context, Deadline, Question, Recall, ask};
use smollm2::{Cpu, Detail, Error, Inputs, Method, Observer, Runner, Visits, generate};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn runner(capacity: usize) -> Cpu {
    Cpu::new(Arc::new(tiny::weights()), capacity).unwrap()
}

#[test]
fn full_attention_is_a_plain_loop() {
    let tokens = tiny::tokens(150);
    let mut runner = runner(150);
    let full = Method::full(runner.config());
    let step = runner.step(&tokens, &full, 0..150, &mut ()).unwrap();
    let logits = tiny::plain(&tiny::weights(), &tokens);
    let mut compared = 0;
    for (logits, &next) in logits.iter().zip(&step.next) {
        let (best, margin) = tiny::best(logits);
        // Rounding decides between tokens that are nearly as likely.
        if margin > 0.05 {
            assert_eq!(next, best);
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared} of 150 tokens have a clear winner");
}

#[test]
fn chunks_are_as_one_step() {
    let tokens = tiny::tokens(300);
    let mut runner = runner(300);
    let full = Method::full(runner.config());
    let mut whole = KeyCopies::default();
    let at_once = runner.step(&tokens, &full, 0..300, &mut whole).unwrap().next;
    runner.truncate(0).unwrap();
    let mut parts = KeyCopies::default();
    let mut next = Vec::new();
    for chunk in [0..1, 1..200, 200..300] {
        assert_eq!(runner.cached(), chunk.start);
        let all = 0..chunk.len();
        next.extend(runner.step(&tokens[chunk], &full, all, &mut parts).unwrap().next);
    }
    let layers = runner.config().layers;
    assert_eq!((whole.0.len(), parts.0.len()), (layers, 3 * layers));
    let last = parts.0.split_off(2 * layers);
    for (whole, part) in whole.0.iter().flatten().zip(last.iter().flatten()) {
        assert!((whole.to_f32() - part.to_f32()).abs() <= 0.02 * whole.to_f32().abs().max(1.0));
    }
    let equal = at_once.iter().zip(&next).filter(|(a, b)| a == b).count();
    assert!(equal >= 295, "{equal} of 300");

    // What was dropped leaves nothing behind.
    runner.truncate(200).unwrap();
    runner.step(&tiny::tokens(9), &full, 0..0, &mut ()).unwrap();
    runner.truncate(200).unwrap();
    let again = runner.step(&tokens[200..], &full, 0..100, &mut ()).unwrap();
    assert_eq!(again.next, next[200..]);
}

/// The keys that each layer saw.
#[derive(Default)]
struct KeyCopies(Vec<Vec<bf16>>);

impl Observer for KeyCopies {
    fn detail(&self, _: usize) -> Detail {
        Detail::Inputs
    }

    fn inputs(&mut self, _: usize, inputs: &Inputs<'_>) {
        assert_eq!(inputs.v.shape(), inputs.k.shape());
        let [_, heads, tokens, _] = inputs.k.shape();
        let rows = (0..heads).flat_map(|head| (0..tokens).map(move |token| (head, token)));
        let keys = rows.flat_map(|(head, token)| inputs.k.row(0, head, token)).copied();
        self.0.push(keys.collect());
    }
}

/// Takes its time.
struct Slow;

impl Observer for Slow {
    fn detail(&self, _: usize) -> Detail {
        Detail::Visits
    }

    fn visits(&mut self, _: usize, _: Visits) {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_time_of_an_observer_is_not_the_steps() {
    let mut runner = runner(8);
    let config = *runner.config();
    let begun = Instant::now();
    let step = runner.step(&[1, 2], &Method::full(&config), 0..0, &mut Slow).unwrap();
    let slept = Duration::from_millis(20) * config.layers as u32;
    assert!(step.times.total() + slept <= begun.elapsed());
    assert!(step.times.attention > Duration::ZERO && step.times.rest > Duration::ZERO);
}

#[test]
fn a_sparse_method_visits_less_and_says_so() {
    let tokens = tiny::tokens(1024);
    let mut runner = runner(1024);
    let config = *runner.config();
    let mut read = |text: &str| {
        let mut observer = Recall::new(config.layers, true, || ());
        runner.truncate(0).unwrap();
        runner.step(&tokens, &Method::parse(text, &config).unwrap(), 0..0, &mut observer).unwrap();
        observer
    };
    let full = read("full");
    // 16 rows of 1 to 16 blocks, two heads.
    assert!(full.visits.iter().all(|&visits| visits == Visits { visited: 272, visible: 272 }));
    assert!(full.recall.iter().all(|recall| (recall - 1.0).abs() < 1e-6), "{:?}", full.recall);
    let sparse = read("budget = top_k(blocks = 4), keep(sink = 0)");
    // Rows of 1, 2 and 3 blocks, and thirteen of 4.
    assert!(sparse.visits.iter().all(|&visits| visits == Visits { visited: 116, visible: 272 }));
    assert!(sparse.recall.iter().all(|&recall| recall > 0.2 && recall < 0.99), "{:?}", sparse.recall);
}

#[test]
fn questions_are_scored_at_the_end_of_the_context() {
    let mut runner = runner(256);
    let full = Method::full(runner.config());
    let context = tiny::tokens(128);
    // What the model itself says is the right answer; one token off, the item of that token is wrong.
    let question = vec![7, 3, 9];
    let prompt = [&context[..], &question].concat();
    let answer = generate(&mut runner, &prompt, &full, (4, u32::MAX), &mut (), &mut |_| ()).unwrap().tokens;
    let items = vec![Some(0), Some(0), Some(1), Some(1)];
    let right = Question { question, answer, items };
    let mut wrong = right.clone();
    wrong.answer[3] = (wrong.answer[3] + 1) % 64;
    let context =
        Context { task: "single", index: 0, tokens: context, questions: vec![right.clone(), wrong, right] };
    let asked = ask(&mut runner, &context, &full, Deadline(None), &mut ()).unwrap();
    assert_eq!(asked.scores, [1.0, 0.5, 1.0]);
    let over = Deadline(Some(std::time::Instant::now()));
    assert_eq!(ask(&mut runner, &context, &full, over, &mut ()).unwrap().scores, [0.0; 0]);
}

#[test]
fn steps_that_make_no_sense_are_refused() {
    let mut runner = runner(64);
    let config = *runner.config();
    let full = Method::full(&config);
    let mut refused = |tokens: &[u32], method: &Method, asked| {
        let error = runner.step(tokens, method, asked, &mut ()).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error}");
        assert_eq!(runner.cached(), 0);
        error.to_string()
    };
    assert_eq!(refused(&[], &full, 0..0), "`tokens`: expected at least one token, got none");
    assert_eq!(refused(&[64], &full, 0..0), "`tokens`: expected tokens below the vocabulary's 64, got 64");
    assert_eq!(refused(&[1, 2], &full, 1..3), "`asked`: expected a range of the 2 tokens, got 1..3");
    assert!(refused(&[1; 65], &full, 0..0).contains("at most 64 tokens"));
    let mut other = full;
    other.spec.head_dim = 128;
    assert!(refused(&[1], &other, 0..0).contains("`head_dim`"));
    assert!(runner.truncate(1).unwrap_err().to_string().contains("at most the 0 cached"));
    assert!(Cpu::new(Arc::new(tiny::weights()), 0).is_err());
    let mut weights = tiny::weights();
    weights.layers[1].down.rows -= 1;
    let error = Cpu::new(Arc::new(weights), 1).err().unwrap().to_string();
    assert!(error.contains("layer 1 down"), "{error}");
}
