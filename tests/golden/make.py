"""Runs the public reference functions on the shared input and writes what they choose: `make.py CHECKOUTS DATA`.

CHECKOUTS holds the repositories, in folders of their names; README.md names the commits. DATA is where the JSON goes. Nothing
of theirs is copied: their functions are imported and called. Needs PyTorch and numpy, no GPU.
"""

import importlib
import json
import math
import sys
import types
from pathlib import Path

import torch

import inputs
import stand_ins

CHECKOUTS, DATA = map(Path, sys.argv[1:3])


def load(repository, path):
    """A module of a repository, by its path: without what its packages import."""
    file = CHECKOUTS / repository / path
    for parent in reversed(Path(path).parents[:-1]):
        name = ".".join(parent.parts)
        if name not in sys.modules:
            sys.modules[name] = stand_ins.Module(name)
            sys.modules[name].__path__ = [str(CHECKOUTS / repository / parent)]
    sys.dont_write_bytecode = True
    return importlib.import_module(".".join(Path(path).with_suffix("").parts))


def write(name, golden):
    lines = [f"  {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in golden.items()]
    (DATA / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def of_mask(mask):
    """Lists `[heads][rows]` of the blocks that a mask `[heads, rows, blocks]` has."""
    return [[row.nonzero().flatten().tolist() for row in head] for head in mask]


def seen(lists):
    """Lists `[heads][rows]` without the blocks after the row's own."""
    return [[[block for block in row if block <= m] for m, row in enumerate(head)] for head in lists]


def sparse_frontier(q, k):
    block = load("sparse-frontier", "sparse_frontier/modelling/attention/minference/block.py")
    density = load("sparse-frontier", "sparse_frontier/modelling/attention/efficient_prefilling.py")
    density = density.BlockSparseAttentionMInference
    counts = [4, 8, 13]
    lengths = [(2048, 64), (4096, 64), (16384, 128)]
    write("sparse_frontier", {
        "lists": {str(n): seen(block._build_block_index(q, k, n, 64, 64)[0].tolist()) for n in counts},
        "sparsity": [[n, size, top, density._calculate_sparsity(n, size, top)]
                     for n, size in lengths for top in (3, 8, 13, 32)],
    })


def minference(q, k):
    block = load("MInference", "minference/ops/block_sparse_flash_attention.py")
    forward = load("MInference", "minference/modules/minference_forward.py")
    forward.vertical_slash_sparse_attention = lambda q, k, v, vertical, slash: (vertical, slash)

    def patterns(vertical, slash):
        layer = types.SimpleNamespace(
            config=types.SimpleNamespace(to_dict=dict),
            head_dim=q.shape[-1],
            best_pattern={h: ("vertical_and_slash", vertical, slash, 1) for h in range(q.shape[1])},
        )
        chosen = [forward.gather_last_q_vertical_slash_topk_v4(layer, q[:, h:h + 1], k[:, h:h + 1], k[:, h:h + 1], h)
                  for h in range(q.shape[1])]
        return [{"vertical": v.flatten().sort().values.tolist(), "slash": s.flatten().sort().values.tolist()}
                for v, s in chosen]

    write("minference", {
        "lists": {str(n): seen(block._build_block_index(q, k, n, 64, 64)[0].tolist()) for n in (1, 2, 4, 5, 11, 12)},
        "vertical_and_slash": {f"{v},{s}": patterns(v, s) for v, s in ((60, 120), (150, 250))},
    })


def xattention(q, k):
    estimate = load("x-attention", "xattn/src/Xattention.py")
    utils = load("x-attention", "xattn/src/utils.py")

    # In the first chunk of queries the code does not force the first block: every row of blocks is a chunk of its own here. And
    # only where keys are padded does a chunk see those before it: the last row is short.
    tokens = q.shape[2] - 16

    def of(stride, threshold):
        sums, mask = estimate.xattn_estimate(
            q[:, :, :tokens], k[:, :, :tokens], 128, stride, threshold=threshold, chunk_size=128, use_triton=False)
        return sums[0], seen(of_mask(mask[0]))

    # The rule alone, on weights that are ours: the softmax, over the blocks that a row sees, of mean queries times mean keys.
    means = [x.double().reshape(1, x.shape[1], -1, 64, x.shape[-1]).mean(-2) for x in (q, k)]
    logits = torch.einsum("bhmd,bhnd->bhmn", *means) / math.sqrt(q.shape[-1])
    future = torch.ones(logits.shape[-2:], dtype=bool).triu(1)
    weights = logits.masked_fill(future, -math.inf).softmax(-1)

    def of_means(share):
        rows = [utils.find_blocks_chunked(weights[:, :, m:m + 1], m, share, None, False, "prefill", True)
                for m in range(weights.shape[2])]
        return seen(of_mask(torch.cat(rows, 2)[0]))

    shares = (0.5, 0.8, 0.9)
    write("xattention", {
        "tokens": tokens,
        "sums": {str(s): [[[float(f"{x:.6g}") for x in row[:m + 1]] for m, row in enumerate(head)]
                          for head in of(s, 0.9)[0].tolist()] for s in (8, 16)},
        "lists": {f"{s},{share}": of(s, share)[1] for s in (8, 16) for share in shares},
        "shares_of_means": {str(share): of_means(share) for share in shares},
    })


def flexprefill(q, k):
    module = load("FlexPrefill", "flex_prefill/ops/flex_prefill_attention.py")
    # The mean over blocks is a GPU kernel there.
    module.triton_bnhd_pool = lambda x, size: x.unflatten(1, (-1, size)).mean(2)
    block, heads = 128, q.shape[1]
    last = torch.einsum("bhid,bhjd->bhij", q[:, :, -block:], k) / math.sqrt(q.shape[-1])
    last[..., -block:].masked_fill_(torch.ones(block, block, dtype=bool).triu(1), -math.inf)
    vertical, slash = module.get_block_vertical_slash_from_qk(last.softmax(-1), block)
    tokens = [x.transpose(1, 2).contiguous() for x in (q, k)]
    blocks = q.shape[2] // block

    def lists(gamma, least, tau):
        chosen = module.get_active_blocks(*tokens, tokens[1], block, gamma, least, blocks, tau)[0]
        of_head = lambda flat: [[i % blocks for i in flat.tolist() if i // blocks == m] for m in range(blocks)]
        return [of_head(chosen[h]) for h in range(heads)]

    # Coverage in tokens, from their functions.
    weights = last.softmax(-1)
    of_tokens = {"vertical": weights.mean(-2), "slash": module.sum_all_diagonal_matrix(weights) / block}
    shares = (0.5, 0.8, 0.9, 0.95)
    mean_q = tokens[0][:, -block:].mean(1, keepdim=True) / math.sqrt(q.shape[-1])
    pooled = torch.einsum("bihd,bjhd->bhij", mean_q, module.triton_bnhd_pool(tokens[1], block)).squeeze(2).softmax(-1)
    rounded = lambda numbers: [[float(f"{x:.6g}") for x in head] for head in numbers[0].tolist()]
    write("flexprefill", {
        "vertical": rounded(vertical),
        # By how many blocks before the diagonal.
        "slash": rounded(slash.flip(-1)),
        "counts": {str(share): {name: (module.score_cover_topk(x, share) // block + 1)[0].tolist()
                                for name, x in of_tokens.items()} for share in shares},
        "divergence": [float(f"{x:.6g}") for x in module.square_root_js_divergence(pooled, vertical)[0].tolist()],
        "lists": {f"{gamma},{least},{tau}": lists(gamma, least, tau)
                  for gamma in (0.5, 0.8, 0.9) for least in (1, 2) for tau in (0, 0.1, 0.25)},
    })


def moba(q, k):
    module = load("MoBA", "moba/moba_naive.py")
    chunk, tokens = 64, q.shape[2]
    # The gate of a token is read off its output: the values say which chunk they are of.
    values = torch.eye(q.shape[-1])[torch.arange(tokens) // chunk][:, None].expand(-1, q.shape[1], -1).contiguous()
    mean = q[0].unflatten(1, (-1, chunk)).mean(2, keepdim=True).expand(-1, -1, chunk, -1).flatten(1, 2)

    def lists(queries, count):
        out = module.moba_attn_varlen_naive(
            queries.transpose(0, 1).contiguous(), k[0].transpose(0, 1).contiguous(), values,
            torch.tensor([0, tokens]), tokens, chunk, count)
        gates = out.transpose(0, 1)[:, chunk - 1::chunk, :tokens // chunk] > 0
        return of_mask(gates)

    write("moba", {"lists": {str(n): lists(mean, n) for n in (3, 6, 12)}})


ALPHAS = [[64, 256, 1024, -512, 0, 2048, 128, 512], [0, 0, -1024, 4096, 192, 320, 8192, 64]]
BETAS = [[0.0, 0.25, 0.0, 0.5, 0.125, 0.0, 0.875, 0.375], [0.0, 1.0, 0.75, 0.0, 0.625, 0.125, 0.0, 0.0]]


def moa(*_):
    module = load("MoA", "MoA/attention/cache_utils.py")
    pattern = load("MoA", "MoA/attention/pattern.py")
    lengths = (1024, 2048, 3000, 8192)

    def of(n, new):
        sizes = module.moa_config_to_cache_config(
            {"alphas": ALPHAS, "betas": BETAS}, n, max_new_token=new, verbose=False)
        return {"sizes": sizes["cache_size"], "sinks": sizes["static_size"]}

    def layout(band):
        # The band of BigBird reaches to both sides of the diagonal, and its global blocks are rows as well: what is not
        # after the diagonal is the layout, without those rows.
        mask = pattern.gen_bigbird_pattern(32, 32, 2 * band - 1, 1, 0)[0].tril()
        return seen(of_mask(mask))[0]

    write("moa", {
        "alphas": ALPHAS,
        "betas": BETAS,
        "spans": {f"{n},{new}": of(n, new) for n in lengths for new in (0, 1024)},
        "layouts": {str(band): layout(band) for band in (1, 2, 5, 16, 32)},
    })


def sparsemm(*_):
    module = load("SparseMM", "sparsemm/sparsemm_utils.py")
    layers, heads, share = 3, 8, 4
    scores = {f"{layer}-{head}": [float(1 + (7 * head + 13 * layer) % 29), float((head * head + layer) % 11)]
              for layer in range(layers) for head in range(heads)}
    module.load_head_score = lambda _: scores

    def budget(capacity, ratio, group):
        return module.SparseMM(
            window_size=32, base_capacity=capacity, ratio=ratio, layer_idx=0, num_hidden_layers=layers, head_score="visual",
            num_attention_heads=heads, num_key_value_groups=group).head_adaptive_capacity.tolist()

    write("sparsemm", {
        "layers": layers,
        "heads": heads,
        "window": 32,
        "scores": [[scores[f"{layer}-{head}"] for head in range(heads)] for layer in range(layers)],
        "budgets": [[capacity, ratio, group, budget(capacity, ratio, group)]
                    for capacity in (64, 256, 2048) for ratio in (0.1, 0.5) for group in (1, share)],
    })


def main():
    stand_ins.install()
    torch.set_grad_enabled(False)
    numbers = inputs.generate()
    q, k = (torch.tensor(x * inputs.UNIT, dtype=torch.float32)[None] for x in numbers)
    write("inputs", {
        "shape": [inputs.HEADS, inputs.TOKENS, inputs.DIM],
        "checksums": [str(inputs.checksum(x)) for x in numbers],
    })
    for paper in (sparse_frontier, minference, xattention, flexprefill, moba, moa, sparsemm):
        paper(q, k)
        print(paper.__name__, flush=True)


main()
