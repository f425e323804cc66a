"""Stand-ins for what the reference repositories import and the functions that are called do not use: GPU kernels, engines.

`install()` makes every module of `NAMES` importable without it being there, and lets tensors that are sent to the GPU stay.
"""

import importlib.abc
import importlib.machinery
import sys
import types

import torch

NAMES = {
    "block_sparse_attn", "datasets", "einops", "flash_attn", "gurobipy", "matplotlib", "minference.cuda",
    "pandas", "seaborn", "sparse_frontier.modelling.attention.minference.minference", "tqdm", "transformers", "triton", "vllm",
    "vllm_flash_attn", "tilelang", "tiny_api_cuda",
}


class Meta(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything

    def __getitem__(cls, of):
        return Anything

    def __call__(cls, *args, **kwargs):
        if cls is not Anything:
            return super().__call__(*args, **kwargs)
        # A decorator leaves the function as it is.
        return args[0] if len(args) == 1 and callable(args[0]) else Anything


class Anything(metaclass=Meta):
    """A name that may be imported, called, inherited from, and asked for any attribute."""


class Module(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        parts = name.split(".")
        if any(".".join(parts[:n]) in NAMES for n in range(1, len(parts) + 1)):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return Module(spec.name)

    def exec_module(self, module):
        if module.__name__ == "einops":
            # The only pattern that is used: two axes become one.
            module.rearrange = lambda x, pattern: x.flatten(1, 2)
        if module.__name__ in ("transformers.utils", "transformers.utils.import_utils"):
            module.is_flash_attn_2_available = module._is_package_available = lambda *_: False


def on_the_cpu(function):
    """A tensor function that leaves the GPU out."""
    def call(*args, **kwargs):
        if kwargs.get("device") == "cuda":
            kwargs["device"] = "cpu"
        return function(*("cpu" if isinstance(a, str) and a == "cuda" else a for a in args), **kwargs)
    return call


def with_numbers(condition, x, y):
    """`where`, for versions of PyTorch that take no plain numbers."""
    if not isinstance(x, torch.Tensor):
        x = torch.tensor(x, dtype=y.dtype)
    if not isinstance(y, torch.Tensor):
        y = torch.tensor(y, dtype=x.dtype)
    return WHERE(condition, x, y)


WHERE = torch.where


def install():
    sys.meta_path.insert(0, Finder())
    torch.Tensor.to = on_the_cpu(torch.Tensor.to)
    for name in ("arange", "zeros", "ones", "full"):
        setattr(torch, name, on_the_cpu(getattr(torch, name)))
    torch.where = with_numbers
    torch.Tensor.where = lambda x, condition, y: with_numbers(condition, x, y)
