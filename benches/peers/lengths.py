"""Times whole calls at lengths from 1K to 512K tokens: FlashAttention-3's dense kernel, proxyattn's, and the default pipeline
with every stage at a tenth and a twentieth of the blocks. One sequence, 32 query heads on 8 KV heads, 128 dims, bf16, causal.

    cargo build --release --package proxyattn-peers
    pip install torch fa3-fwd
    python benches/peers/lengths.py lengths.json

Of random inputs, whose mass is even, the measured budget is its gamma, and the least number of tokens (512) comes on top: the
density of each call is read back and stored. Contenders take turns; times are medians of CUDA events, in milliseconds.
"""
import argparse, datetime, json, sys
import torch
from attend import HEADS, KV_HEADS, Ours, agree, driver, load, medians

SPARSE = {"a tenth": "Measured10", "a twentieth": "Measured5"}
SPARSE_FROM = 4096  # below, `prefill` runs dense


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("json")
    args.add_argument("--tokens", type=int, nargs="+", default=[2**n for n in range(10, 20)])
    args.add_argument("--seconds", type=float, default=0.5, help="of turns for each length and contender")
    args.add_argument("--ours", default="target/release/libproxyattn_peers.so")
    args = args.parse_args()
    load(args.ours)
    from fa3_fwd_interface import flash_attn_func as fa3
    print(f"{torch.cuda.get_device_name()}, driver {driver()}, torch {torch.__version__}, {datetime.date.today()}\n")
    print(f"{'tokens':>8}{'what':>18}{'density':>9}{'ms':>11}{'speed-up':>10}")
    records = []
    for tokens in args.tokens:
        torch.manual_seed(tokens)
        q = torch.randn(1, HEADS, tokens, 128, device="cuda", dtype=torch.bfloat16)
        k = torch.randn(1, KV_HEADS, tokens, 128, device="cuda", dtype=torch.bfloat16)
        v = torch.randn_like(k)
        flat = [x.transpose(1, 2).contiguous() for x in (q, k, v)]
        theirs = lambda: fa3(*flat, causal=True)
        dense = Ours("Dense128", q, k, v)
        agree(dense(), theirs().transpose(1, 2), 2e-2, f"dense at {tokens} tokens")
        calls = {"FlashAttention-3": theirs, "dense": dense}
        density = {"FlashAttention-3": 1.0, "dense": 1.0}
        if tokens >= SPARSE_FROM:
            for what, name in SPARSE.items():
                ours = calls[what] = Ours(name, q, k, v)
                ours.out.fill_(torch.nan)  # what is not written shows
                if ours().isnan().any():
                    sys.exit(f"{what} at {tokens} tokens: NaN, or rows that were not written")
                rows = tokens // 64
                visited = ours.buffer("counts", HEADS, rows).sum().item()
                density[what] = visited / (HEADS * rows * (rows + 1) / 2)
        times = dict(zip(calls, medians(list(calls.values()), seconds=args.seconds * len(calls))))
        for what, ms in times.items():
            records.append({"tokens": tokens, "what": what, "density": round(density[what], 5), "ms": round(ms, 5)})
            print(f"{tokens:>8}{what:>18}{density[what]:>9.3f}{ms:>11.3f}{times['FlashAttention-3'] / ms:>10.2f}", flush=True)
        del calls, dense, flat, q, k, v, theirs
        torch.cuda.empty_cache()
    with open(args.json, "w") as file:
        json.dump(records, file, indent=1)


if __name__ == "__main__":
    main()
