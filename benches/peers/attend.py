"""Compares block-sparse and dense attention of proxyattn with other libraries on one GPU: same inputs, same lists, one process.

    cargo build --release --package proxyattn-peers
    pip install torch fa3-fwd
    python benches/peers/attend.py [--quick] [--tokens 32768 131072] [--json FILE]

Outputs are checked against each other before anything is timed. A rate counts 4 * D for every visited pair, the block
of the diagonal whole; dense counts half of the square. `ratio` is to FlashAttention-3's dense rate at the same tokens
and head dim, measured in turns with each row: clocks move with the load. Times are medians of CUDA events.
"""
import argparse, ctypes, datetime, json, subprocess, sys
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

HEADS, KV_HEADS = 32, 8
PIPELINES = ["OneProxy5", "OneProxy10", "OneProxy12", "AllProxies5", "AllProxies10", "Default5", "Default10",
             "Measured5", "Measured7", "MeasuredNative5", "MeasuredNative7", "MeasuredExact10",
             "OneProxyPaperBudget", "BudgetOneProxy", "BudgetAllProxies", "BudgetOneProxyAllKeys", "BudgetDefault"]
STAGES = {"pool": 1, "score": 2, "budget": 4, "select": 8, "attend": 16}
BEFORE, ATTEND, ALL = 15, 16, 31


class Call(ctypes.Structure):
    _fields_ = [("sizes", ctypes.c_uint64 * 5), ("tensors", ctypes.c_int64 * 16), ("workspace", ctypes.c_uint64),
                ("workspace_bytes", ctypes.c_uint64), ("stream", ctypes.c_size_t), ("stages", ctypes.c_uint64)]


class Mismatch(Exception):
    """Two contenders, or a contender and the reference, disagree."""


class Ours:
    """One configuration of proxyattn on tensors [batch, heads, tokens, dim]."""
    library = None

    def __init__(self, name, q, k, v):
        lib = Ours.library
        self.handle = lib.peers_open(name.encode())
        if not self.handle:
            raise RuntimeError(lib.peers_error().decode())
        self.out = torch.empty_like(q)
        self.held = (q, k, v)
        call = self.call = Call()
        call.sizes = (q.shape[0], q.shape[1], k.shape[1], q.shape[2], k.shape[2])
        call.tensors = tuple(x for t in (q, k, v, self.out) for x in (t.data_ptr(), *t.stride()[:3]))
        call.workspace_bytes = lib.peers_workspace(self.handle, ctypes.byref(call))
        if call.workspace_bytes == 2**64 - 1:
            raise RuntimeError(lib.peers_error().decode())
        self.workspace = torch.empty(max(call.workspace_bytes, 256), dtype=torch.uint8, device=q.device)
        call.workspace = self.workspace.data_ptr()

    def buffer(self, name, *shape):
        start = Ours.library.peers_buffer(self.handle, ctypes.byref(self.call), name.encode())
        if start == 2**64 - 1:
            raise RuntimeError(f"the workspace of this shape has no buffer {name}")
        count = 1
        for n in shape:
            count *= n
        return self.workspace[start:start + 4 * count].view(torch.int32).view(*shape)

    def __call__(self, stages=ALL):
        self.call.stream = torch.cuda.current_stream().cuda_stream
        self.call.stages = stages
        if Ours.library.peers_launch(self.handle, ctypes.byref(self.call)):
            raise RuntimeError(Ours.library.peers_error().decode())
        return self.out


def load(path):
    lib = Ours.library = ctypes.CDLL(path)
    lib.peers_error.restype = ctypes.c_char_p
    lib.peers_open.restype = ctypes.c_void_p
    lib.peers_open.argtypes = [ctypes.c_char_p]
    lib.peers_workspace.restype = lib.peers_buffer.restype = ctypes.c_uint64
    lib.peers_workspace.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    lib.peers_buffer.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p]
    lib.peers_launch.argtypes = [ctypes.c_void_p, ctypes.c_void_p]


def lists_of(rows, density, kind, device, seed):
    """Lists for one KV head: [rows, rows] blocks and [4, rows] counts. Every list begins with the first run, ascending,
    of which block 0 and the diagonal are part; the segments that larger counts add follow, ascending too."""
    g = torch.Generator(device=device).manual_seed(seed)
    row = torch.arange(rows, device=device)
    visible = row + 1
    share = [1.0] * 4 if kind == "equal" else [0.5, 0.83, 1.17, 1.5]
    share = [share[i] for i in torch.randperm(4, generator=torch.Generator().manual_seed(seed)).tolist()]
    floor = torch.minimum(visible, torch.tensor(2, device=device))
    counts = torch.stack([torch.minimum(torch.maximum((visible * density * s).ceil().long(), floor), visible)
                          for s in share])
    score = torch.rand(rows, rows, generator=g, device=device)
    score[:, 0] = 2.0
    score[row, row] = 3.0
    score.masked_fill_(row[None, :] > row[:, None], -1.0)
    rank = score.argsort(dim=1, descending=True).argsort(dim=1)
    # A block's segment is the number of distinct counts that do not reach it.
    segment = torch.zeros_like(rank)
    for level in counts.sort(dim=0).values:
        segment += (rank >= level[:, None]).long()
    lists = (segment * rows + row[None, :]).argsort(dim=1)
    return lists.int(), counts.int()


def reference(q, k, v, blocks, row, block):
    """One row of blocks of one head, in f32, over the listed blocks."""
    tokens = torch.cat([torch.arange(b * block, (b + 1) * block, device=q.device) for b in blocks])
    first = row * block
    scores = q[first:first + block].float() @ k[tokens].float().T / q.shape[-1] ** 0.5
    scores.masked_fill_(tokens[None, :] > torch.arange(first, first + block, device=q.device)[:, None], -torch.inf)
    return scores.softmax(-1) @ v[tokens].float()


def distance(a, b):
    return ((a.float() - b.float()).norm() / b.float().norm()).item()


def agree(got, want, limit, what):
    error = distance(got, want)
    if not error <= limit:  # a NaN is refused too
        raise Mismatch(f"{what} differs by {error:.1e}, more than {limit:.0e}")


def driver():
    try:
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"


SECONDS = 0.8  # of turns for each row


def medians(calls, before=lambda: None, seconds=None):
    """Medians of calls that take turns, so that they meet the same clocks."""
    seconds = seconds or SECONDS
    for call in calls:
        before()
        call()
    torch.cuda.synchronize()
    times = [[] for _ in calls]
    while len(times[0]) < 5 or (len(times[0]) < 30 and sum(map(sum, times)) < seconds * 1e3):
        for call, mine in zip(calls, times):
            before()
            torch.cuda._sleep(1_000_000)  # the GPU is busy until the host has queued everything
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            call()
            end.record()
            end.synchronize()
            mine.append(begin.elapsed_time(end))
    return [sorted(mine)[len(mine) // 2] for mine in times]


def median(call, before=lambda: None):
    return medians([call], before, seconds=0.2)[0]


def flex_mask(lists, counts, block, tokens):
    """The lists of all heads as a BlockMask: the diagonal is its partial block, the others are full."""
    from torch.nn.attention.flex_attention import BlockMask
    rows = tokens // block
    row = torch.arange(rows, device=lists.device)
    per_head = lists.repeat_interleave(HEADS // KV_HEADS, dim=0)
    kept = torch.arange(rows, device=lists.device)[None, None, :] < counts[:, :, None]
    full = torch.zeros(HEADS, rows, rows, dtype=torch.bool, device=lists.device)
    full.scatter_(2, per_head.long(), kept)
    full[:, row, row] = False
    order = full.to(torch.int8).argsort(dim=2, descending=True, stable=True).int()
    partial = row.int()[None, :, None].expand(HEADS, rows, 1)
    partial = torch.nn.functional.pad(partial, (0, rows - 1)).contiguous()
    ones = torch.ones(1, HEADS, rows, dtype=torch.int32, device=lists.device)
    return BlockMask.from_kv_blocks(ones, partial[None], full.sum(2).int()[None], order[None], BLOCK_SIZE=(block, block),
                                    mask_mod=lambda b, h, i, j: i >= j, seq_lengths=(tokens, tokens))


def main():
    global SECONDS
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--tokens", type=int, nargs="+", default=[8192, 32768, 131072])
    args.add_argument("--dims", type=int, nargs="+", default=[128, 64])
    args.add_argument("--blocks", type=int, nargs="+", default=[64, 128])
    args.add_argument("--densities", type=float, nargs="+", default=[0.05, 0.1, 0.2, 0.3])
    args.add_argument("--kinds", nargs="+", default=["equal", "nested"])
    args.add_argument("--skip", default="", help="of fa3, cudnn, flash, flex, pipelines; by commas")
    args.add_argument("--quick", action="store_true", help="32K tokens, 128 dims, 10%%, uneven lists")
    args.add_argument("--flex-tokens", type=int, default=32768, help="FlexAttention only up to here: its masks take long")
    args.add_argument("--seconds", type=float, default=SECONDS, help="of turns for each row")
    args.add_argument("--pipelines", default=",".join(PIPELINES), help="whole calls: names in peers/ours, by commas")
    args.add_argument("--ours", default="target/release/libproxyattn_peers.so")
    args.add_argument("--json")
    args = args.parse_args()
    SECONDS = args.seconds
    if args.quick:
        args.tokens, args.dims, args.densities, args.kinds = [32768], [128], [0.1], ["nested"]
    skip = set(args.skip.split(","))
    if any(tokens % block for tokens in args.tokens for block in args.blocks):
        sys.exit(f"--tokens {args.tokens}: expected multiples of --blocks {args.blocks}")
    load(args.ours)
    fa3 = None
    if "fa3" not in skip:
        try:
            from fa3_fwd_interface import flash_attn_func as fa3
        except ImportError as error:
            print(f"FlashAttention-3 is absent ({error}): ratios are to cuDNN")
    # Beyond the limit FlexAttention would run unfused, with a warning only: every shape is one compilation.
    torch._dynamo.config.recompile_limit = 1024
    flex = torch.compile(__import__("torch.nn.attention.flex_attention", fromlist=["x"]).flex_attention, dynamic=False)
    print(f"{torch.cuda.get_device_name()}, driver {driver()}, torch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}, "
          f"{datetime.date.today()}")
    records = []

    def report(**record):
        records.append(record)
        cells = [f"{record[key]:>{width}}" if not isinstance(record.get(key), float) else f"{record[key]:>{width}.{digits}f}"
                 for key, width, digits in (("what", 34, 0), ("ms", 10, 3), ("rate", 9, 1), ("ratio", 9, 3)) if key in record]
        print("".join(cells), flush=True)

    for dim in args.dims:
        for tokens in args.tokens:
            torch.manual_seed(tokens + dim)
            q = torch.randn(1, HEADS, tokens, dim, device="cuda", dtype=torch.bfloat16)
            k = torch.randn(1, KV_HEADS, tokens, dim, device="cuda", dtype=torch.bfloat16)
            v = torch.randn_like(k)
            flat = [x.transpose(1, 2).contiguous() for x in (q, k, v)]
            work = 4 * dim * HEADS * tokens * tokens / 2
            print(f"\n{tokens} tokens, {dim} dims{'':>16}{'ms':>10}{'TFLOP/s':>9}{'ratio':>9}")

            def sdpa(backend):
                def run():
                    with sdpa_kernel(backend):
                        return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
                return run

            dense = {}
            if fa3:
                dense["FlashAttention-3"] = lambda: fa3(*flat, causal=True).transpose(1, 2)
            if "cudnn" not in skip:
                dense["torch cuDNN"] = sdpa(SDPBackend.CUDNN_ATTENTION)
            if "flash" not in skip and tokens <= 65536:
                dense["torch flash"] = sdpa(SDPBackend.FLASH_ATTENTION)
            expected = None
            for name in list(dense):
                try:
                    expected = dense[name]()
                    break
                except Exception as failure:
                    print(f"{name}: {repr(failure).splitlines()[0][:150]}")
                    del dense[name]
            if expected is None:
                sys.exit("no dense peer runs here, and there is nothing to check against: install fa3-fwd, or skip fewer")
            yard_name, yard = next(iter(dense.items()))
            own = Ours(f"Dense{dim}", q, k, v)
            own.out.fill_(torch.nan)  # what is not written shows
            dense["proxyattn dense"] = own
            for name, call in dense.items():
                try:
                    agree(call(), expected, 2e-2, f"{name} from {yard_name}")
                    yard_ms, ms = medians([yard, call])
                except Exception as failure:  # a peer that fails does not end the run; proxyattn does
                    if call is own:
                        raise
                    print(f"{name}: {repr(failure).splitlines()[0][:150]}")
                    continue
                report(what=name, tokens=tokens, dim=dim, ms=ms, rate=work / ms / 1e9, ratio=yard_ms / ms)
            del expected, own, dense["proxyattn dense"]

            for block in args.blocks:
                ours = Ours(f"Attend{dim}Block{block}", q, k, v)
                rows = tokens // block
                lists = ours.buffer("lists", KV_HEADS, rows, rows)
                counts = ours.buffer("counts", HEADS, rows)
                runs = ours.buffer("runs", KV_HEADS, rows)
                tickets = ours.buffer("tickets", 1)
                for kind in args.kinds:
                    for density in args.densities:
                        for group in range(KV_HEADS):
                            made, wanted = lists_of(rows, density, kind, q.device, 7 * group + 1)
                            lists[group], counts[4 * group:4 * group + 4] = made, wanted
                            runs[group] = wanted.amin(0)
                        pairs = counts.sum().item() * block * block
                        density_of = pairs / (HEADS * block * block * rows * (rows + 1) / 2)
                        tickets.zero_()
                        ours.out.fill_(torch.nan)
                        out = ours(ATTEND)
                        if out.isnan().any():
                            raise Mismatch(f"attend {block}: NaN, or rows that were not written")
                        for head, row in [(0, 0), (5, 1), (17, rows // 2), (30, rows - 1), (31, rows // 3)]:
                            got = out[0, head, row * block:(row + 1) * block]
                            listed = lists[head // 4, row, :counts[head, row].item()].tolist()
                            want = reference(q[0, head], k[0, head // 4], v[0, head // 4], listed, row, block)
                            agree(got, want, 1e-2, f"attend {block}: head {head}, row {row}, from the reference")
                        yard_ms, ms = medians([yard, lambda: ours(ATTEND)], tickets.zero_)
                        rate = 4 * dim * pairs / ms / 1e9
                        report(what=f"attend {block}, {density:.0%}, {kind}", tokens=tokens, dim=dim, block=block,
                               density=density, visited=density_of, kind=kind, ms=ms, rate=rate, ratio=rate / (work / yard_ms / 1e9))
                        if "flex" not in skip and tokens <= args.flex_tokens:
                            try:
                                mask = flex_mask(lists, counts, block, tokens)
                                options = {"BLOCK_M": 64, "BLOCK_N": 64} if block == 64 else None
                                call = lambda: flex(q, k, v, block_mask=mask, enable_gqa=True, kernel_options=options)
                                agree(call(), out, 1e-2, "FlexAttention from proxyattn")
                                yard_ms, ms = medians([yard, call])
                                rate = 4 * dim * pairs / ms / 1e9
                                report(what="FlexAttention, the same", tokens=tokens, dim=dim, block=block, density=density,
                                       visited=density_of, kind=kind, ms=ms, rate=rate, ratio=rate / (work / yard_ms / 1e9))
                            except Exception as failure:  # a peer that fails does not end the run
                                print(f"FlexAttention: {repr(failure).splitlines()[0][:150]}")
                del ours, lists, counts, runs, tickets
                torch.cuda.empty_cache()

            if "pipelines" in skip or dim != 128:
                continue
            for name in filter(None, args.pipelines.split(",")):
                ours = Ours(name, q, k, v)
                before = median(lambda: ours(BEFORE))
                try:  # what `score` takes its tiles by; a scorer that does not has none
                    reset = ours.buffer("units", 1).zero_
                except RuntimeError:
                    reset = lambda: None
                each = {stage: median(lambda: ours(bit), reset) for stage, bit in STAGES.items() if bit < ATTEND}
                parts = ", ".join(f"{stage} {ms:.3f}" for stage, ms in each.items())
                if not name.startswith("Budget"):
                    yard_ms, whole = medians([yard, ours])
                    counts = ours.buffer("counts", HEADS, tokens // 64)
                    share = counts.sum().item() / (HEADS * (tokens // 64) * (tokens // 64 + 1) / 2)
                    report(what=f"{name}, {share:.1%}: whole call", tokens=tokens, dim=dim, ms=whole, density=share,
                           ratio=yard_ms / whole)
                report(what=f"{name}: before attend", tokens=tokens, dim=dim, ms=before, stages=each)
                print(f"{'':>10}{parts}")
                del ours
                torch.cuda.empty_cache()
    if args.json:
        with open(args.json, "w") as file:
            json.dump(records, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
