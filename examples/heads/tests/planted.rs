//! Layers whose answer is known, because it was planted.

use heads::{Error, Layer, Options, Report};
use proxyattn::View;

/// 64 blocks, eight of which each topic has: the default budget's floor is eight.
const TOKENS: usize = 4096;
const DIM: usize = 64;
/// Topics; the blocks of 64 tokens are about them in turn.
const TOPICS: usize = 8;

/// Keys that say which topic their block is about, the same for every KV head.
fn keys(kv_heads: usize) -> Vec<f32> {
    let mut keys = vec![0.0; kv_heads * TOKENS * DIM];
    for (token, key) in keys.chunks_exact_mut(DIM).enumerate() {
        key[token % TOKENS / 64 % TOPICS] = 1.0;
    }
    keys
}

/// Heads whose queries all look for one topic, more or less eagerly.
fn queries(wanted: &[(usize, f32)]) -> Vec<f32> {
    let head = |&(topic, eager): &(usize, f32)| {
        let mut query = [0.0; DIM];
        query[topic] = 8.0 * eager; // the scale is 1/8
        query.repeat(TOKENS)
    };
    wanted.iter().flat_map(head).collect()
}

fn add<'a>(report: &'a mut Report, kv_heads: usize, wanted: &[(usize, f32)]) -> &'a Layer {
    let (q, k) = (queries(wanted), keys(kv_heads));
    let q = View::bhsd(&q, [1, wanted.len(), TOKENS, DIM]).unwrap();
    report.add_layer("planted", q, View::bhsd(&k, [1, kv_heads, TOKENS, DIM]).unwrap()).unwrap()
}

/// One proxy for two topics visits an eighth more blocks than one for each, of as short a context.
fn report() -> Report {
    Report::new(Options { keep: 0.2, growth: 0.05, rows: 4, ..Options::default() }).unwrap()
}

/// The choice for KV heads of which each has two heads that look for the topic given.
fn choice(topics: &[usize]) -> (usize, Option<usize>, Vec<f64>) {
    let wanted: Vec<_> = topics.iter().flat_map(|&topic| [(topic, 10.0); 2]).collect();
    let mut report = report();
    let layer = add(&mut report, topics.len(), &wanted);
    let shares = layer.visited.iter().map(|visited| visited.share).collect();
    (layer.groups, layer.flat, shares)
}

#[test]
fn identical_heads_share_one_proxy() {
    let mut report = report();
    let layer = add(&mut report, 2, &[(3, 10.0); 4]);
    let far = &layer.overlap.far;
    assert_eq!((far.same_group, far.other_group), (Some(1.0), Some(1.0)));
    assert!(far.pairs.iter().flatten().all(|&overlap| overlap == 1.0));
    assert_eq!((layer.overlap.all.other_group, layer.overlap.blocks.other_group), (Some(1.0), Some(1.0)));
    assert_eq!((layer.groups, layer.flat), (1, Some(1)));
    assert_eq!(layer.visited[0].heads, layer.visited[1].heads);
    assert!(layer.regrets.iter().all(|regret| regret.p95.abs() < 1e-6), "{:?}", layer.regrets);
    assert!(layer.specialists.is_empty());
    assert_eq!(report.recommendation().unwrap().attribute, "#[proxy_attention(head_dim = 64, groups = 1)]");
}

#[test]
fn heads_that_look_elsewhere_need_a_proxy_for_each_kv_head() {
    let wanted: Vec<_> = [2, 4, 6].into_iter().flat_map(|topic| [(topic, 10.0); 2]).collect();
    let mut report = report();
    let layer = add(&mut report, 3, &wanted);
    let far = &layer.overlap.far;
    assert_eq!((far.same_group, far.other_group), (Some(1.0), Some(0.0)));
    assert_eq!((far.pairs[0][1], far.pairs[1][2], far.pairs[5][0]), (1.0, 0.0, 0.0));
    assert_eq!((layer.groups, layer.flat), (3, Some(3)));
    let [one, three] = &layer.regrets[..] else { panic!("{:?}", layer.regrets) };
    assert_eq!((one.groups, three.groups), (1, 3));
    assert!(one.p95 > 0.3 && three.p95.abs() < 1e-6, "{one:?} {three:?}");
    assert_eq!(report.recommendation().unwrap().attribute, "#[proxy_attention(head_dim = 64)]");
}

#[test]
fn the_fewest_proxies_that_do_are_chosen() {
    assert_eq!(choice(&[5, 5, 5, 5]).0, 1);
    let (groups, flat, visited) = choice(&[2, 2, 6, 6]);
    assert_eq!((groups, flat), (2, Some(2)), "{visited:?}");
    let (groups, flat, visited) = choice(&[2, 6, 2, 6]);
    assert_eq!((groups, flat), (4, Some(4)), "{visited:?}");
    assert_eq!(visited.len(), 3, "1, 2 and 4");
}

/// The last row alone: its 64 blocks are all visible, block 0 and block 63 come first in every list.
fn last_row(options: Options, wanted: &[(usize, f32)]) -> Layer {
    let mut report = Report::new(Options { rows: 1, ..options }).unwrap();
    add(&mut report, 3, wanted).clone()
}

#[test]
fn a_head_for_which_the_order_is_bad_visits_more_blocks() {
    let mut wanted = [(3, 10.0); 6];
    wanted[4] = (6, 10.0);
    wanted[5] = (6, 10.0);
    let layer = last_row(Options::default(), &wanted);
    let [one, three] = &layer.visited[..] else { panic!("{:?}", layer.visited) };
    assert_eq!((one.groups, three.groups), (1, 3));
    // Five of a topic's eight blocks hold 0.6 of the mass. They follow the two that come first, and with one proxy all eight
    // of topic 3.
    let [floor, behind] = [8.0 / 64.0, (2.0 + 8.0 + 5.0) / 64.0];
    assert_eq!(three.heads, [floor; 6]);
    assert_eq!(one.heads, [floor, floor, floor, floor, behind, behind]);
    assert!((one.share - (4.0 * floor + 2.0 * behind) / 6.0).abs() < 1e-12);
    assert_eq!(layer.groups, 3);

    // The share grows by 7/24.
    let with = |growth| last_row(Options { growth, ..Options::default() }, &wanted).groups;
    assert_eq!((with(0.29), with(0.3)), (3, 1));
}

#[test]
fn what_a_flat_budget_loses_and_what_the_default_visits_are_told_apart() {
    // A tenth of 64 blocks, seven, are not enough for two topics; the floor is eight.
    let wanted = [(3, 10.0), (3, 10.0), (3, 10.0), (3, 10.0), (6, 10.0), (6, 10.0)];
    let layer = last_row(Options { growth: 0.3, ..Options::default() }, &wanted);
    assert_eq!((layer.groups, layer.flat), (1, Some(3)), "{:?}", layer.regrets);
}

#[test]
fn the_layer_that_needs_most_decides() {
    let mut report = report();
    add(&mut report, 2, &[(3, 10.0); 4]);
    add(&mut report, 2, &[(2, 10.0), (2, 10.0), (6, 10.0), (6, 10.0)]);
    let recommendation = report.recommendation().unwrap();
    assert_eq!((recommendation.groups, recommendation.flat), (2, Some(2)));
    let layers = ["#[proxy_attention(head_dim = 64, groups = 1)]", "#[proxy_attention(head_dim = 64)]"];
    assert!(
        report
            .text()
            .unwrap()
            .contains("one proxy per KV head: fewer visit over 5% more blocks in some layer")
    );
    assert_eq!(recommendation.layers, layers);
    assert_eq!(recommendation.attribute, layers[1]);
}

#[test]
fn a_specialist_is_named() {
    let mut wanted = [(2, 10.0); 6];
    wanted[4] = (6, 4.0);
    let mut report = report();
    let layer = add(&mut report, 2, &wanted);
    let named: Vec<usize> = layer.specialists.iter().map(|specialist| specialist.head).collect();
    assert_eq!(named, [4], "{:?}", layer.regrets);
    assert!(layer.specialists[0].regret > 0.1);
    assert_eq!(layer.overlap.far.pairs[4][3], 0.0);
    assert!(report.text().unwrap().contains("specialists of planted: head 4 ("));
}

#[test]
fn where_nothing_is_within_the_bound_one_proxy_per_kv_head_is_the_choice() {
    let mut report = report();
    add(&mut report, 1, &[(2, 10.0), (6, 10.0), (4, 10.0)]);
    let layer = &report.layers()[0];
    assert_eq!((layer.groups, layer.flat), (1, None));
    assert_eq!(layer.overlap.far.other_group, None, "one KV head");
    let recommendation = report.recommendation().unwrap();
    assert_eq!((recommendation.groups, recommendation.flat), (1, None));
    assert_eq!(recommendation.attribute, "#[proxy_attention(head_dim = 64)]");
    assert!(report.text().unwrap().contains("flat budgets: no choice keeps the regret"));
}

#[test]
fn curves_rise_to_everything_and_none_is_above_the_best() {
    let mut report = report();
    let layer = add(&mut report, 2, &[(2, 1.0), (3, 0.5), (4, 2.0), (6, 0.1)]);
    let curves = &layer.curves;
    for lines in [&curves.best, &curves.own, &curves.kv_head, &curves.shared] {
        for (head, line) in lines.iter().enumerate() {
            assert_eq!(line.len(), curves.shares.len());
            assert!(line.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9), "{line:?}");
            assert!((line[line.len() - 1] - 1.0).abs() < 1e-4, "{line:?}");
            assert!(line.iter().zip(&curves.best[head]).all(|(mass, best)| *mass <= best + 1e-6));
        }
    }
}

#[test]
fn what_cannot_be_measured_is_refused_by_name() {
    let option = |options| Report::new(options).unwrap_err().to_string();
    assert_eq!(
        option(Options { keep: 0.0, ..Options::default() }),
        "`keep`: expected a share above 0 and up to 1, got 0"
    );
    for (growth, got) in [(-0.1, "-0.1"), (f64::INFINITY, "inf"), (f64::NAN, "NaN")] {
        assert_eq!(
            option(Options { growth, ..Options::default() }),
            format!("`growth`: expected a number from 0 on, got {got}")
        );
    }
    assert_eq!(
        option(Options { regret: f64::NAN, ..Options::default() }),
        "`regret`: expected a share from 0 to 1, got NaN"
    );
    assert_eq!(option(Options { rows: 0, ..Options::default() }), "`rows`: expected at least 1, got 0");
    assert_eq!(
        option(Options { scale: Some(-1.0), ..Options::default() }),
        "`scale`: expected a positive number, got -1"
    );
    assert!(matches!(report().recommendation(), Err(Error::Empty)));
    assert!(matches!(report().json(), Err(Error::Empty)));

    let mut report = report();
    let mut zeros = |q: [usize; 4], k: [usize; 4]| {
        let (a, b) = (vec![0.0f32; q.iter().product()], vec![0.0f32; k.iter().product()]);
        let added = report.add_layer("l", View::bhsd(&a, q).unwrap(), View::bhsd(&b, k).unwrap());
        added.map(drop).map_err(|error| error.to_string())
    };
    let mut refused = |q, k| zeros(q, k).unwrap_err();
    assert_eq!(
        refused([2, 4, 512, 64], [2, 2, 512, 64]),
        "l: `q`: expected one sequence (axis 0), got shape [2, 4, 512, 64]"
    );
    assert_eq!(
        refused([1, 4, 512, 64], [1, 2, 512, 96]),
        "l: `k`: expected the head_dim of q, 64, got shape [1, 2, 512, 96]"
    );
    assert_eq!(
        refused([1, 4, 512, 64], [1, 3, 512, 64]),
        "l: `kv_heads`: expected a divisor of heads = 4, got 3"
    );
    assert!(refused([1, 4, 512, 80], [1, 2, 512, 80]).contains("head_dim"));
    assert_eq!(
        refused([1, 4, 255, 64], [1, 2, 255, 64]),
        "l: `k`: expected at least 256 tokens (axis 2), for 128 far tokens besides the first block and a window of \
         64, got 255"
    );
    zeros([1, 4, 256, 64], [1, 2, 256, 64]).unwrap();
    assert_eq!(
        zeros([1, 2, 512, 64], [1, 2, 512, 64]).unwrap_err(),
        "l: `q`: expected 4 heads of 64 as in l, got shape [1, 2, 512, 64]"
    );

    let (mut q, k) = (vec![0.0f32; 4 * 512 * 64], vec![0.0f32; 2 * 512 * 64]);
    q[(3 * 512 + 7) * 64 + 5] = f32::NAN;
    let q = View::bhsd(&q, [1, 4, 512, 64]).unwrap();
    let error = report.add_layer("l", q, View::bhsd(&k, [1, 2, 512, 64]).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "l: `q`: expected finite values, got NaN or infinity at head 3, token 7");
    assert_eq!(report.layers().len(), 1, "what was refused is not in the report");
}
