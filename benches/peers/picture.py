"""Plots the output of attend.py: rates per visited pair, relative to FlashAttention-3's dense rate.

    python benches/peers/picture.py OUTPUT_OF_ATTEND.txt PICTURE.svg

Bars are the `ratio` column of uneven lists, for 128 dims and the lengths in LENGTHS. Where the output holds a row more than
once, the first one counts.
"""
import re, sys
from xml.sax.saxutils import escape

LENGTHS = [("32768", "32K tokens", "#2a6f97", "white"), ("131072", "128K tokens", "#89c2d9", "black")]
ROWS = [("dense", [("proxyattn dense", "ours"), ("torch cuDNN", "torch cuDNN"), ("torch flash", "torch flash")])]
for block in (128, 64):
    ours = [(f"attend {block}, {share}%, nested", f"ours, {share}% of the blocks") for share in (5, 10, 20, 30)]
    ROWS.append((f"blocks of {block}", ours + [(f"attend {block}, 10%, nested: flex", "FlexAttention, 10%")]))
TITLE = "Rate for each visited pair; one H100, 32 heads on 8, 128 dims, causal, budgets uneven by half"
LEFT, WIDTH, LIMIT, BAR, GAP = 190, 520, 1.2, 11, 7


def ratios(text):
    """{(tokens, row): ratio} of the rows of 128 dims; FlexAttention's are named after the row of the same lists before."""
    found, tokens, lists = {}, None, ""
    for line in text.splitlines():
        if title := re.match(r"(\d+) tokens, (\d+) dims", line):
            tokens = title[1] if title[2] == "128" else None
        elif (row := re.match(r"\s*(\S.*?)\s+[\d.]+\s+[\d.]+\s+([\d.]+)$", line)) and tokens:
            if row[1].startswith("FlexAttention"):
                name = f"{lists}: flex"
            else:
                name = lists = row[1]
            found.setdefault((tokens, name), float(row[2]))
    return found


def picture(found):
    parts, y = [], 84
    text = lambda x, y, words, more="": parts.append(f'<text x="{x}" y="{y}" {more}>{escape(words)}</text>')
    for heading, rows in ROWS:
        text(LEFT - 170, y + 11, heading, 'font-weight="bold"')
        y += 20
        for name, label in rows:
            have = [(found[tokens, name], *colours) for tokens, _, *colours in LENGTHS if (tokens, name) in found]
            if not have:
                continue
            text(LEFT - 8, y + (BAR * len(have)) / 2 + 4, label, 'text-anchor="end"')
            for ratio, colour, ink in have:
                length = WIDTH * ratio / LIMIT
                parts.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>')
                text(f"{LEFT + length - 4:.1f}", y + BAR - 2, f"{ratio:.2f}", f'font-size="9" text-anchor="end" fill="{ink}"')
                y += BAR
            y += GAP
        y += 10
    one = LEFT + WIDTH / LIMIT
    grid = [f'<line x1="{one:.1f}" y1="72" x2="{one:.1f}" y2="{y}" stroke="#c1121f" stroke-dasharray="4 3"/>',
            f'<text x="{one:.1f}" y="66" text-anchor="middle" fill="#c1121f">FlashAttention-3, dense</text>']
    keys = [f'<text x="20" y="24" font-size="13">{escape(TITLE)}</text>']
    for i, (_, label, colour, _) in enumerate(LENGTHS):
        keys.append(f'<rect x="{LEFT + i * 110}" y="46" width="10" height="10" fill="{colour}"/>'
                    f'<text x="{LEFT + i * 110 + 15}" y="55">{label}</text>')
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 30}" height="{y + 6}" '
                      'font-family="sans-serif" font-size="11" fill="#1b1b1b">',
                      '<rect width="100%" height="100%" fill="white"/>', *keys, *grid, *parts, "</svg>\n"])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1]) as source:
        found = ratios(source.read())
    if not found:
        sys.exit(f"{sys.argv[1]}: no rows of 128 dims; expected what attend.py prints")
    with open(sys.argv[2], "w") as target:
        target.write(picture(found))
