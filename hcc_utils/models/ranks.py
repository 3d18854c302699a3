"""Processes that torchrun started to train one network together, each on a share of every batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from hcc_utils.models import hardware


def number() -> int:
    """
    How many they are.

    Returns
    -------
    int
        1 where nothing is shared.
    """
    return distributed.get_world_size() if distributed.is_initialized() else 1


def own() -> int:
    """
    Which of them this is.

    Returns
    -------
    int
        From 0, who alone writes files and says how far they are.
    """
    return distributed.get_rank() if distributed.is_initialized() else 0


@contextmanager
def joined() -> Iterator[None]:
    """
    A block in which this process works with the others, if torchrun has started it.

    Yields
    ------
    None
        Nothing.
    """
    if not distributed.is_torchelastic_launched():
        yield
        return
    on_cuda = hardware.device().type == "cuda"
    if on_cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if on_cuda else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def shared(model: nn.Module) -> nn.Module:
    """
    The model with gradients that are the mean over all processes.

    Parameters
    ----------
    model : torch.nn.Module
        Alike in all of them.

    Returns
    -------
    torch.nn.Module
        To be called in the model's place; the weights stay the model's.
    """
    return DistributedDataParallel(model, broadcast_buffers=False) if number() > 1 else model


def mean(values: torch.Tensor) -> torch.Tensor:
    """
    The mean over all processes, to the bit the same in each.

    Parameters
    ----------
    values : torch.Tensor
        This process's.

    Returns
    -------
    torch.Tensor
        Of the same shape.
    """
    if number() == 1:
        return values
    total = values.to(hardware.device(), copy=True)
    distributed.all_reduce(total)
    return (total / number()).to(values)


def wait() -> None:
    """Nothing; all processes have come as far as this."""
    if number() > 1:
        distributed.barrier()
