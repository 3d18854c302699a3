"""A network's scores of slices."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.utils import fusion

from hcc_utils import checks
from hcc_utils.models import augmentation, hardware
from hcc_utils.models.network import Network
from hcc_utils.models.settings import Settings

Pixels = npt.NDArray[np.int16]
Rows = npt.NDArray[np.int64]
_CHUNK = 128  # slices scored at a time


def slice_scores(
    model: Network, pixels_hu: Pixels, settings: Settings, rows: Rows | None = None
) -> checks.Floats:
    """
    The network's softmax score of each slice.

    Parameters
    ----------
    model : Network
        A trained network.
    pixels_hu : numpy.ndarray of int16, shape (n_slices, size, size)
        Intensities in Hounsfield units.
    settings : Settings
        The window and the number of threads.
    rows : numpy.ndarray of int, optional
        Which slices; all, where left out. As many as a chunk are read at a time.

    Returns
    -------
    numpy.ndarray of float, shape (n_rows,)
        In [0, 1]; higher is worse.
    """
    hardware.keep_freed_pages()
    model = hardware.placed(_folded(model))
    rows = np.arange(len(pixels_hu)) if rows is None else rows
    chunks = (pixels_hu[rows[start : start + _CHUNK]] for start in range(0, len(rows), _CHUNK))
    with hardware.threads(settings.threads), torch.inference_mode():
        parts = [_chunk_scores(model, torch.from_numpy(chunk), settings) for chunk in chunks]
    return np.concatenate([np.empty(0), *parts])


def _chunk_scores(model: Network, pixels_hu: torch.Tensor, settings: Settings) -> checks.Floats:
    """The scores of as many slices as memory holds at a time."""
    images = augmentation.windowed(pixels_hu, settings)
    score: checks.Floats = model.slice_scores(images).double().cpu().numpy()
    return score


def _folded(model: Network) -> Network:
    """A copy for scoring alone, whose convolutions also do their normalisations' work."""
    model = copy.deepcopy(model).eval()
    for layers in model.modules():
        if isinstance(layers, nn.Sequential):
            for at, (one, following) in enumerate(itertools.pairwise(list(layers))):
                if isinstance(one, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
                    layers[at] = fusion.fuse_conv_bn_eval(one, following)
                    layers[at + 1] = nn.Identity()
    return model
