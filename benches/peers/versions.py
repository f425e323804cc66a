"""Two builds of proxyattn on one GPU, interleaved in one process: did a change of the kernels make them slower?

    cargo build --release --package proxyattn-peers    # in each of two checkouts
    python benches/peers/versions.py BEFORE.so AFTER.so [--tokens 32768 131072] [--seconds 0.35]

Prints medians of CUDA events of the stages before attend, of attend, of whole calls and of dense, in milliseconds, before and
after, and the share of output elements that are the same to the bit. Inputs are random.
"""
import argparse, datetime, importlib.util, pathlib
import torch

HEADS, KV_HEADS, DIM = 32, 8, 128
BUDGETS = ["BudgetOneProxy", "BudgetAllProxies", "BudgetOneProxyAllKeys", "BudgetDefault"]
CALLS = ["OneProxy5", "Default10"]
BEFORE, ATTEND, ALL = 15, 16, 31


def build(path):
    """A module of its own for each library: `attend.py` keeps the library in a class."""
    spec = importlib.util.spec_from_file_location(path, pathlib.Path(__file__).with_name("attend.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.load(path)
    return module


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("before")
    args.add_argument("after")
    args.add_argument("--tokens", type=int, nargs="+", default=[32768, 131072])
    args.add_argument("--seconds", type=float, default=0.35, help="of interleaved calls for each row")
    args = args.parse_args()
    builds = [build(args.before), build(args.after)]
    print(f"{torch.cuda.get_device_name()}, driver {builds[0].driver()}, {datetime.date.today()}")

    def row(tokens, what, calls, reset=lambda: None):
        before, after = builds[0].medians(calls, reset, seconds=args.seconds)
        print(f"{tokens:>7} {what:<40}{before:>10.4f}{after:>10.4f}{(after / before - 1) * 100:>+8.1f}%", flush=True)

    for tokens in args.tokens:
        torch.manual_seed(tokens)
        q = torch.randn(1, HEADS, tokens, DIM, device="cuda", dtype=torch.bfloat16)
        k = torch.randn(1, KV_HEADS, tokens, DIM, device="cuda", dtype=torch.bfloat16)
        v = torch.randn_like(k)
        print(f"\n{'tokens':>7} {'':<40}{'before':>10}{'after':>10}{'change':>9}")
        for name in BUDGETS + CALLS:
            pair = [module.Ours(name, q, k, v) for module in builds]
            words = [ours.buffer(word, 1) for ours in pair for word in ("units", "tickets")]

            def reset():
                for word in words:
                    word.zero_()

            for ours in pair:
                ours(BEFORE)
            row(tokens, f"{name}: before attend", [lambda ours=ours: ours(BEFORE) for ours in pair], reset)
            stages = {"score": 2, "select": 8} if name in BUDGETS else {"attend": ATTEND, "whole call": ALL}
            for stage, bits in stages.items():
                row(tokens, f"{name}: {stage}", [lambda ours=ours: ours(bits) for ours in pair], reset)
            same = (pair[0](ALL) == pair[1](ALL)).float().mean().item()
            print(f"{'':>8}outputs: {same:.2%} the same")
            del pair, words
            torch.cuda.empty_cache()
        pair = [module.Ours("Dense128", q, k, v) for module in builds]
        row(tokens, "dense", pair)


if __name__ == "__main__":
    main()
