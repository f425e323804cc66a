"""Plots a summary that seeds.py wrote: how much of full attention's answers is lost, against density.

    python docs/accuracy/picture.py SUMMARY.json PICTURE.svg

One panel for each length. Large marks are means over the evaluation sets, small ones single sets; a line joins the marks of one
rule with different γ.
"""
import json, sys
from collections import defaultdict
from math import log
from statistics import mean
from xml.sax.saxutils import escape

OWN = "scorer = proxy(sums = exact, scores = native), budget = dynamic(gamma = {}, min_tokens = 512, rows = ratio, order = own, weigh = none)"
LIST = "scorer = proxy(sums = maxima, scores = e4m3), budget = dynamic(gamma = {}, min_tokens = 512, rows = ratio, order = list, weigh = values)"
FLAT = "scorer = proxy(sums = maxima, scores = e4m3), budget = ratio(0.1{})"
# A label, a colour, methods with their own labels, and whether single sets are shown.
SERIES = [
    ("default (γ = 0.6): order of the list, values", "#c1121f", [(LIST.format(g), f"γ = {g}") for g in ("0.5", "0.6", "0.7")], {LIST.format("0.6")}),
    ("the same with stride(q = 2)", "#f4a261", [("stride(q = 2, kv = 1), " + LIST.format("0.6"), "")], set()),
    ("before: the head's own order, γ = 0.9", "#2a6f97", [(OWN.format("0.9"), "")], {OWN.format("0.9")}),
    ("preset = paper", "#6a4c93", [("preset = paper", "")], set()),
    ("ratio(0.1, split = heads)", "#588157", [(FLAT.format(", split = heads, min_tokens = 512"), "")], set()),
    ("ratio(0.1)", "#7f7f7f", [(FLAT.format(""), "")], set()),
]
TITLE = "Answers less those of full attention, against visited tiles (SmolLM2-135M, five evaluation sets, one H200)"
PANEL, LEFT, TOP, GAP = (310, 290), 66, 66, 34
DENSITIES, LOST = (0.04, 0.5), (-0.065, 0.01)


def picture(records):
    found = defaultdict(dict)
    for record in records:
        found[record["length"], record["method"]][record["seed"]] = record
    lengths = sorted({length for length, _ in found})
    parts, width = [], LEFT + len(lengths) * (PANEL[0] + GAP)
    text = lambda x, y, words, more="": parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(words)}</text>')
    line = lambda a, b, more: parts.append(f'<line x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}" {more}/>')
    dot = lambda at, r, more: parts.append(f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="{r}" {more}/>')
    text(LEFT, 26, TITLE, 'font-size="13"')
    for i, length in enumerate(lengths):
        corner = LEFT + i * (PANEL[0] + GAP)

        def at(density, lost):
            right = log(density / DENSITIES[0]) / log(DENSITIES[1] / DENSITIES[0])
            return corner + right * PANEL[0], TOP + (LOST[1] - lost) / (LOST[1] - LOST[0]) * PANEL[1]

        text(corner, TOP - 10, f"{length} tokens, full attention {mean(x['mean'] for x in found[length, 'full'].values()):.3f}", 'font-weight="bold"')
        for density in (0.05, 0.1, 0.2, 0.4):
            ends = at(density, LOST[0]), at(density, LOST[1])
            line(*ends, 'stroke="#eeeeee"')
            text(ends[0][0], ends[0][1] + 16, f"{density:.0%}", 'text-anchor="middle"')
        for lost in range(-60, 11, 10):
            ends = at(DENSITIES[0], lost / 1000), at(DENSITIES[1], lost / 1000)
            line(*ends, 'stroke="#1b1b1b" stroke-width="1.2"' if lost == 0 else 'stroke="#dddddd"')
            if i == 0:
                text(corner - 8, ends[0][1] + 4, f"{lost / 1000:+.2f}".replace("-", "−") if lost else "0", 'text-anchor="end"')
        for _, colour, methods, spread in SERIES:
            points = []
            for method, label in methods:
                sets = found.get((length, method))
                if not sets:
                    continue
                less = {seed: x["mean"] - found[length, "full"][seed]["mean"] for seed, x in sets.items()}
                if method in spread:
                    for seed, x in sets.items():
                        dot(at(x["density"], less[seed]), 2.2, f'fill="{colour}" fill-opacity="0.45"')
                points.append((at(mean(x["density"] for x in sets.values()), mean(less.values())), label))
            for (a, _), (b, _) in zip(points, points[1:]):
                line(a, b, f'stroke="{colour}" stroke-width="1.5"')
            for point, label in points:
                dot(point, 5, f'fill="{colour}" stroke="white"')
                if label:
                    text(point[0] - 6, point[1] - 9, label, f'font-size="9" text-anchor="end" fill="{colour}"')
    y = TOP + PANEL[1] + 40
    for i, (label, colour, *_) in enumerate(SERIES):
        x, row = LEFT + i % 3 * (PANEL[0] + GAP), y + i // 3 * 18
        dot((x + 5, row - 4), 5, f'fill="{colour}"')
        text(x + 16, row, label)
    height = y + 18 + 16
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
                      'font-size="11" fill="#1b1b1b">', '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>\n"])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1]) as source:
        records = json.load(source)
    with open(sys.argv[2], "w") as target:
        target.write(picture(records))
