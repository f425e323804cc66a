"""PyTorch's CPU `scaled_dot_product_attention` on a file of attention inputs: one line out for each line in.

    python sdpa.py FILE.safetensors THREADS

f32, causal, grouped-query. Prints `ready VERSION`, then the milliseconds of one call for every line read.
"""

import sys
import time

import torch
from safetensors.torch import load_file


def main() -> None:
    path, threads = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(threads)
    tensors = load_file(path)
    q, k, v = (tensors[name].float() for name in "qkv")
    with torch.inference_mode():
        print("ready", torch.__version__, flush=True)
        for _ in sys.stdin:
            begun = time.perf_counter()
            torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
            print((time.perf_counter() - begun) * 1e3, flush=True)


main()
