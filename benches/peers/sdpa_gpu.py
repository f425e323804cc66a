"""PyTorch's dense attention on a GPU, at the shape of `cargo bench --bench gpu`.

    python sdpa_gpu.py [TOKENS ...]

B = 1, 32 query heads on 8 KV heads, 128 dims, bf16, causal; the median of 9 calls by CUDA events.
"""

import sys

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

BACKENDS = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}


def milliseconds(call) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    call()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end)


def main() -> None:
    torch.manual_seed(0)
    for tokens in [int(arg) for arg in sys.argv[1:]] or [8192, 32768]:
        q = torch.randn(1, 32, tokens, 128, device="cuda", dtype=torch.bfloat16)
        k = torch.randn(1, 8, tokens, 128, device="cuda", dtype=torch.bfloat16)
        v = torch.randn_like(k)
        for name, backend in BACKENDS.items():
            with sdpa_kernel(backend):

                def call():
                    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)

                for _ in range(3):
                    call()
                median = sorted(milliseconds(call) for _ in range(9))[4]
            rate = 4 * 128 * 32 * tokens**2 / 2 / median / 1e9
            print(f"{tokens} {name}: {median:.3f} ms, {rate:.0f} TFLOP/s", flush=True)


main()
