//! The shared input: the same numbers as those of `inputs.py`, which says what is in them.

use half::bf16;
use proxyattn::Tensor;
use std::sync::LazyLock;

pub(crate) const HEADS: usize = 4;
pub(crate) const TOKENS: usize = 2048;
pub(crate) const DIM: usize = 64;
const UNIT: f32 = 1.0 / 8.0;

/// What a number is for, as it goes into its place.
#[derive(Clone, Copy)]
enum Stream {
    NoiseQ,
    NoiseK,
    Direction,
    Loud,
    Code,
    Topic,
    TopicOf,
}

/// Thirty-two bits: `SplitMix64`'s mix of where the number stands.
fn number(stream: Stream, head: usize, i: usize, j: usize) -> i64 {
    let at = ((stream as u64) << 56) + ((head as u64) << 48) + ((i as u64) << 16) + j as u64;
    let x = at.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) >> 32) as i64
}

fn sign(stream: Stream, head: usize, i: usize, j: usize) -> i64 {
    1 - 2 * (number(stream, head, i, j) & 1)
}

/// A number of the query and of the key of a token.
fn pair(h: usize, t: usize, d: usize) -> [i64; 2] {
    let noise = |stream| number(stream, h, t, d) % 13 - 6;
    let direction = sign(Stream::Direction, h, 0, d);
    let topic_of = number(Stream::TopicOf, h, t / 96, 0) % 6;
    let topic = [5, 2, 7, 3][h] * sign(Stream::Topic, h, topic_of as usize, d);
    let sink = if t < 4 { 8 * direction } else { 0 };
    let (q, k) = (noise(Stream::NoiseQ) + 2 * direction + topic, noise(Stream::NoiseK) + sink + topic);
    match h {
        0 => {
            let loud = number(Stream::Loud, h, t, 0) % 211 == 0;
            [q + 2 * direction, if loud { k + 11 * direction } else { k }]
        }
        1 => {
            let code = |token: usize| sign(Stream::Code, h, token % 320, d);
            [q + 7 * code(t + 120) + 4 * code(t), k + 7 * code(t)]
        }
        _ => [q, k],
    }
}

/// Of queries and of keys, `[HEADS, TOKENS, DIM]`.
static NUMBERS: LazyLock<[Vec<i64>; 2]> = LazyLock::new(|| {
    [0, 1].map(|which| {
        let places = (0..HEADS * TOKENS * DIM).map(|i| (i / (TOKENS * DIM), i / DIM % TOKENS, i % DIM));
        places.map(|(h, t, d)| pair(h, t, d)[which]).collect()
    })
});

/// Queries and keys of the first tokens.
pub(crate) fn first(tokens: usize) -> [Tensor<bf16>; 2] {
    NUMBERS.each_ref().map(|numbers| {
        let of_heads = numbers.chunks(TOKENS * DIM).flat_map(|head| &head[..tokens * DIM]);
        let numbers = of_heads.map(|&n| bf16::from_f32(n as f32 * UNIT)).collect();
        Tensor::from_bhsd(numbers, [1, HEADS, tokens, DIM]).expect("as many numbers as the shape says")
    })
}

#[test]
fn numbers_are_those_of_the_reference() {
    let about = crate::verify::data("inputs");
    assert_eq!(about["shape"], serde_json::json!([HEADS, TOKENS, DIM]));
    for (numbers, expected) in NUMBERS.iter().zip(about["checksums"].as_array().expect("two checksums")) {
        let sum = numbers.iter().fold(0u64, |sum, &n| sum.wrapping_mul(31).wrapping_add_signed(n));
        assert_eq!(sum.to_string(), expected.as_str().expect("text"));
        assert!(numbers.iter().all(|&n| bf16::from_f32(n as f32 * UNIT).to_f32() == n as f32 * UNIT));
    }
}
