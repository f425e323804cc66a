"""The shared input, as integers in eighths: the same numbers as those of inputs.rs.

Queries and keys `[HEADS, TOKENS, DIM]`, each a sum of integers, so that every number is exact in bf16. Four heads, each with a
structure of its own:

0. loud keys: about every two-hundredth draws every query
1. diagonals: queries look for the keys 200, 520, 840 … tokens before
2. topics: segments of 96 tokens about one of six topics, which come back; the others have them more weakly
3. little but noise
"""

import numpy as np

HEADS, TOKENS, DIM = 4, 2048, 64
UNIT = 1 / 8

NOISE_Q, NOISE_K, DIRECTION, LOUD, CODE, TOPIC, TOPIC_OF = range(7)


def number(stream, head, i, j):
    """Thirty-two bits: SplitMix64's mix of where the number stands."""
    at = (np.uint64(stream) << np.uint64(56)) + (np.uint64(head) << np.uint64(48)) \
        + (np.asarray(i, np.uint64) << np.uint64(16)) + np.asarray(j, np.uint64)
    with np.errstate(over="ignore"):
        x = (at + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((x ^ (x >> np.uint64(31))) >> np.uint64(32)).astype(np.int64)


def sign(stream, head, i, j):
    return 1 - 2 * (number(stream, head, i, j) & 1)


def noise(stream, head, i, j):
    return number(stream, head, i, j) % 13 - 6


def head(h):
    """Queries and keys of a head, `[TOKENS, DIM]` each."""
    t, d = np.arange(TOKENS)[:, None], np.arange(DIM)[None, :]
    q, k = noise(NOISE_Q, h, t, d), noise(NOISE_K, h, t, d)
    direction = sign(DIRECTION, h, 0 * t, d)
    # Every head has a sink, and topics.
    strength = (5, 2, 7, 3)[h]
    topic = sign(TOPIC, h, number(TOPIC_OF, h, t // 96, 0 * t) % 6, d)
    q, k = q + 2 * direction + strength * topic, k + 8 * direction * (t < 4) + strength * topic
    if h == 0:
        loud = number(LOUD, h, t, 0 * t) % 211 == 0
        q, k = q + 2 * direction, k + 11 * direction * loud
    if h == 1:
        def code(token):
            return sign(CODE, h, token % 320, d)
        q, k = q + 7 * code(t + 120) + 4 * code(t), k + 7 * code(t)
    return q, k


def generate():
    """Integers `[HEADS, TOKENS, DIM]` of queries and keys."""
    q, k = zip(*(head(h) for h in range(HEADS)))
    return np.stack(q), np.stack(k)


def checksum(numbers):
    """Of integers in their order: a polynomial in 31, modulo 2^64."""
    sum = 0
    for n in numbers.reshape(-1).tolist():
        sum = (sum * 31 + n) % (1 << 64)
    return sum
