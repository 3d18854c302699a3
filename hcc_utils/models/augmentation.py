"""Slices as a network sees them: windowed, and in training moved and made noisy."""

from __future__ import annotations

import torch
from torch.nn import functional

from hcc_utils.models import hardware
from hcc_utils.models.settings import Settings


def windowed(pixels_hu: torch.Tensor, settings: Settings) -> torch.Tensor:
    """
    Slices on the display window's scale.

    Parameters
    ----------
    pixels_hu : torch.Tensor, shape (n, size, size)
        Intensities in Hounsfield units.
    settings : Settings
        The window.

    Returns
    -------
    torch.Tensor of float32, shape (n, 1, size, size)
        In [0, 1], on the device.
    """
    images = pixels_hu.to(hardware.device()).float().unsqueeze(1)
    return images.sub_(settings.window_low_hu).div_(settings.window_width_hu).clamp_(0, 1)


def augmented(
    images: torch.Tensor, settings: Settings, noisy: torch.Tensor | None = None
) -> torch.Tensor:
    """
    Images rotated, sheared, zoomed, shifted and made noisy, each by a draw of its own.

    Parameters
    ----------
    images : torch.Tensor, shape (n, 1, size, size)
        Windowed slices.
    settings : Settings
        The ranges.
    noisy : torch.Tensor of bool, shape (n,), optional
        Which of them are the paper's noisy copies; without it noise is drawn at the settings'
        rate, and since no label is known here it cannot become a cue for the outcome.

    Returns
    -------
    torch.Tensor, shape (n, 1, size, size)
        Beyond an edge its pixels are repeated.
    """
    n, size = len(images), images.shape[-1]
    grid = _grid(_moves(n, settings).to(images), size)
    images = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    if noisy is None:
        noisy = torch.rand(n) < settings.noise_rate
    noise = settings.noise_sd * torch.randn(int(noisy.sum()), *images.shape[1:])
    images[noisy] += noise.to(images)
    return images


def _moves(n: int, settings: Settings) -> torch.Tensor:
    """Affine matrices, shape (n, 2, 3), in the coordinates of grid_sample (the side is 2)."""
    turn = torch.deg2rad(settings.rotation_degrees * _between_minus_one_and_one(n))
    shear = settings.shear * _between_minus_one_and_one(n)
    zoom = 1 + settings.zoom * _between_minus_one_and_one(n)
    cosine, sine = torch.cos(turn), torch.sin(turn)
    first = torch.stack([cosine, shear * cosine - sine], dim=1)
    second = torch.stack([sine, shear * sine + cosine], dim=1)
    linear = torch.stack([first, second], dim=1) / zoom[:, None, None]
    shift = 2 * settings.shift_share * (2 * torch.rand(n, 2, 1) - 1)
    return torch.cat([linear, shift], dim=2)


def _grid(moves: torch.Tensor, size: int) -> torch.Tensor:
    """What functional.affine_grid gives, as a product of thin matrices: a tenth of its time."""
    across = (2 * torch.arange(size).to(moves) + 1) / size - 1
    along_x = across[:, None] * moves[:, None, :, 0] + moves[:, None, :, 2]
    along_y = moves[:, None, :, 1].expand_as(along_x)
    rows = torch.stack([across, torch.ones_like(across)], dim=1)
    columns = torch.stack([along_y, along_x], dim=1).flatten(2)
    return (rows @ columns).view(-1, size, size, 2)


def _between_minus_one_and_one(n: int) -> torch.Tensor:
    """Uniform draws."""
    return 2 * torch.rand(n) - 1
