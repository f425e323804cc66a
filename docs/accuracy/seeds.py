"""Sums up what `accuracy --json` measured on several evaluation sets of each length.

    python docs/accuracy/seeds.py SUMMARY.json TABLES.txt RECORDS-LENGTH-SEED.json...

A task's score is the mean over all its questions of one set, a set's mean weighs the tasks equally, and density is visited
tiles / visible tiles. Methods that have not read every task are left out.
"""
import json, re, sys
from collections import defaultdict
from statistics import mean

TASKS = ["single", "multikey", "multikey_dense", "vt", "multivalue", "multiquery", "copy", "fwe"]
SCORER = "scorer = proxy(sums = exact, scores = native)"
# The program that measured had these defaults; they are spelled out here.
SPELLED = {
    "default": f"{SCORER}, budget = dynamic(gamma = 0.9, min_tokens = 512, rows = ratio, order = own, weigh = none)",
    "stride = 4, budget = dynamic(gamma = 0.95, min_tokens = 2048, rows = absolute, order = own, weigh = none)": "preset = paper",
}


def spelled(method):
    method = SPELLED.get(method, method)
    return f"{SCORER}, {method}" if method.startswith("budget") else method


def read(paths):
    """{(length, method, seed): {"mean", "density", "tasks"}}"""
    scores, tiles = defaultdict(list), defaultdict(lambda: [0, 0])
    for path in paths:
        length, seed = map(int, re.search(r"-(\d+)-(\d+)\.json$", path).groups())
        with open(path) as source:
            records = json.load(source)
        for record in records:
            if record["length"] != length or len(record["scores"]) != record["questions"]:
                sys.exit(f"{path}: expected whole contexts of {length} tokens, got {record}")
            key = length, spelled(record["method"]), seed
            scores[(*key, record["task"])] += record["scores"]
            tiles[key][0] += record["visited"]
            tiles[key][1] += record["visible"]
    found = {}
    for key, (visited, visible) in tiles.items():
        tasks = {task: mean(scores[(*key, task)]) for task in TASKS if (*key, task) in scores}
        if len(tasks) == len(TASKS):
            found[key] = {"mean": mean(tasks.values()), "density": visited / visible, "tasks": tasks}
    return found


def tables(found):
    lines, seeds = [], sorted({seed for *_, seed in found})
    for length in sorted({length for length, *_ in found}):
        methods = list(dict.fromkeys(method for l, method, _ in found if l == length))
        of = lambda method, value: mean(value(found[length, method, seed]) for seed in seeds)
        drop = lambda method, task: of(method, lambda x: x["tasks"][task]) - of("full", lambda x: x["tasks"][task])
        lines += [f"{length} tokens: means over the evaluation sets {', '.join(map(str, seeds))}", ""]
        names = [task.replace("_", " ") for task in TASKS]
        lines += [f"| | {' | '.join(names)} | mean | against full | worst task against full | density |", "|---" * 13 + "|"]
        for method in methods:
            worst = min(TASKS, key=lambda task: drop(method, task))
            cells = [f"{of(method, lambda x: x['tasks'][task]):.3f}" for task in TASKS]
            lost = of(method, lambda x: x["mean"]) - of("full", lambda x: x["mean"])
            cells += [f"{of(method, lambda x: x['mean']):.4f}"]
            cells += ["", "", "1"] if method == "full" else [
                f"{lost:+.4f}".replace("-", "−"), f"{worst.replace('_', ' ')} {drop(method, worst):+.3f}".replace("-", "−"),
                f"{of(method, lambda x: x['density']):.4f}"]
            lines.append(f"| `{method}` | {' | '.join(cells)} |")
        lines += ["", f"{length} tokens: mean at density, by evaluation set", ""]
        lines += [f"| | {' | '.join(map(str, seeds))} |", "|---" * (1 + len(seeds)) + "|"]
        for method in methods:
            each = [found[length, method, seed] for seed in seeds]
            cells = [f"{x['mean']:.3f}" + ("" if method == "full" else f" at {x['density']:.3f}") for x in each]
            lines.append(f"| `{method}` | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    found = read(sys.argv[3:])
    # In the order in which methods were measured, full attention first.
    order = {method: i for i, method in enumerate(dict.fromkeys(["full", *(method for _, method, _ in found)]))}
    found = dict(sorted(found.items(), key=lambda item: (item[0][0], order[item[0][1]], item[0][2])))
    short = lambda x: {task: short(y) for task, y in x.items()} if isinstance(x, dict) else round(x, 6)
    lines = [json.dumps({"length": length, "method": method, "seed": seed, **short(value)})
             for (length, method, seed), value in found.items()]
    with open(sys.argv[1], "w") as target:
        target.write("[\n" + ",\n".join(lines) + "\n]\n")
    with open(sys.argv[2], "w") as target:
        target.write(tables(found))
