"""What networks are computed on: device, kind of arithmetic, threads, layout, memory."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from hcc_utils.models.network import Network

_OUT_OF_MEMORY = ("can't allocate memory", "bad_alloc", "could not create a", "could not execute a")


def device() -> torch.device:
    """
    Where networks are computed: CUDA, else MPS, else the CPU.

    Returns
    -------
    torch.device
        The first that is there.
    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def in_bfloat16() -> bool:
    """
    Whether training multiplies in bfloat16: where the processor has instructions for it.

    Returns
    -------
    bool
        Scores are always computed in float32.
    """
    where = device().type
    if where == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    has = torch.cpu.get_capabilities()
    return where == "cpu" and bool(has.get("amx_bf16") or has.get("avx512_bf16"))


@contextmanager
def threads(number: int) -> Iterator[None]:
    """
    A block in which torch computes on so many threads.

    Parameters
    ----------
    number : int
        Threads.

    Yields
    ------
    None
        Nothing; the former number is set again at the end.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def placed(model: Network) -> Network:
    """The network on the device, laid out as its convolutions like it; images follow it."""
    return model.to(device=device(), memory_format=_layout(model))  # type: ignore[call-overload,no-any-return]


def _layout(model: Network) -> torch.memory_format:
    """Channels last, which is faster, except where oneDNN would write beyond its memory."""
    # torch 2.13's does so in the weights' gradient of strided 1 x 1 convolutions with fewer input
    # channels than a vector has numbers: 8 with AVX2, where it was found; 16 with AVX-512
    narrow = any(
        isinstance(layer, nn.Conv2d)
        and layer.kernel_size == (1, 1)
        and layer.stride != (1, 1)
        and layer.in_channels < 16
        for layer in model.modules()
    )
    return torch.contiguous_format if narrow else torch.channels_last


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory was too small; on a processor torch says so in words, oneDNN hardly."""
    kinds = (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, kinds) or any(words in str(error) for words in _OUT_OF_MEMORY)


@functools.cache
def keep_freed_pages() -> None:
    """Tell glibc to keep large freed blocks: asking the kernel anew halves the speed."""
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt"):
        for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 2**28)):  # MMAP_MAX, TRIM, TOP_PAD
            ctypes.CDLL(None).mallopt(option, value)
