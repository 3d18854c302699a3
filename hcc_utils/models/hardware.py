"""What networks are computed on: device, kind of arithmetic, threads, layout, memory."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

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
    """The network on the device, laid out as its convolutions like it."""
    return model.to(device=device(), memory_format=_layout())  # type: ignore[call-overload,no-any-return]


def laid_out(images: torch.Tensor) -> torch.Tensor:
    """The images, laid out as the convolutions like them."""
    return images.contiguous(memory_format=_layout())


def _layout() -> torch.memory_format:
    """Channels last, which is faster, except where it writes beyond its memory."""
    # torch 2.13's oneDNN corrupts the heap in the backward pass on processors with AVX2 alone
    only_avx2 = torch.backends.cpu.get_cpu_capability() == "AVX2"
    return torch.contiguous_format if device().type == "cpu" and only_avx2 else torch.channels_last


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
