"""
Rays from a seed in all directions, and where along each a lesion's surface most likely lies.

For each place on a ray stands what speaks for the surface there (`evidence`): that what lies before
it looks like the lesion's core and not like its surroundings, how the brightness changes over a few
millimetres to both sides, and how far out surfaces usually lie. A network of six hidden units
(surface_weights.csv) makes it a chance for each place of the ray, fitted by
``benchmarks/outline.py`` on phantoms of the demo's hospitals A and B, on no real patient.
Neighbouring rays then agree (semi-global matching), so that the surface has no jumps.
"""

from __future__ import annotations

import csv
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Array: TypeAlias = npt.NDArray[np.floating[Any]]
Marks: TypeAlias = npt.NDArray[np.bool_]

POLAR, AROUND, STEPS = 18, 36, 56  # rays from pole to pole and around, places along each
NEAREST, FARTHEST = 0.05, 1.9  # along a ray, in units of the rough radius
TISSUE_HU = (10.0, 220.0)  # of smoothed slices: neither fat and air nor bone
RISES_MM = (-4.5, -3.0, -1.5, 0.0, 1.5, 3.0, 4.5)  # from the surface outwards
WEIGHTS = Path(__file__).with_name("surface_weights.csv")
EVIDENCE = (
    "lesion_like",
    *(f"{kind}_at_{place:g}_mm" for kind in ("rise", "change") for place in RISES_MM),
    *(f"far{power}{given}" for given in ("", "_large", "_polar") for power in (1, 2, 3)),
)

_USUAL, _SPREAD, _LARGE_MM = 0.8, 0.3, 30.0
_RISE_MM, _RISE_HU = 3.0, 15.0
_CORE, _SHELL = 0.6, 1.04  # in units of the rough radius
_SHELL_MM = 12.0
_MOST_CERTAIN, _NO_TISSUE = 2.0, 8.0
_BEND = 60.0
_BINS_HU = np.arange(-200.0, 401.0, 4.0)


class Sampled(NamedTuple):
    """Along each ray: values in HU, smoothed much and little, and whether an image is there."""

    hu: Array  # (POLAR, AROUND, STEPS)
    sharp_hu: Array
    there: Marks

    @property
    def tissue(self) -> Marks:
        """Where neither air nor bone nor nothing is."""
        tissue: Marks = self.there & (self.hu > TISSUE_HU[0]) & (self.hu < TISSUE_HU[1])
        return tissue


def surface(sampled: Sampled, radius_mm: float) -> Array:
    """
    How far the surface lies along each ray.

    Parameters
    ----------
    sampled : Sampled
        What the rays meet.
    radius_mm : float
        Half of the rough diameter.

    Returns
    -------
    numpy.ndarray of float, shape (POLAR, AROUND)
        In units of the radius.
    """
    seen = evidence(sampled, radius_mm)
    direct, hidden, offset, out = _weights()
    cost = _agreed(-(seen @ direct + np.tanh(seen @ hidden + offset) @ out))
    chance = np.exp(cost.min(axis=2, keepdims=True) - cost)
    return _rounded((chance * along()).sum(axis=2) / chance.sum(axis=2))


def evidence(sampled: Sampled, radius_mm: float) -> Array:
    """
    What speaks for the surface at each place of each ray.

    Parameters
    ----------
    sampled : Sampled
        What the rays meet.
    radius_mm : float
        Half of the rough diameter.

    Returns
    -------
    numpy.ndarray of float, shape (POLAR, AROUND, STEPS, len(EVIDENCE))
        In the order of `EVIDENCE`.
    """
    rises = np.tanh(_rises_hu(sampled, radius_mm) / _RISE_HU)
    seen = [_lesion_like(sampled, radius_mm)[..., None], rises, np.abs(rises), _far(radius_mm)]
    return np.concatenate(seen, axis=3)


def contrast_hu(sampled: Sampled, surface: Array, radius_mm: float) -> float:
    """
    Mean of what lies within a surface less that of the tissue around it.

    Parameters
    ----------
    sampled : Sampled
        What the rays meet.
    surface : numpy.ndarray of float, shape (POLAR, AROUND)
        In units of the radius.
    radius_mm : float
        Half of the rough diameter.

    Returns
    -------
    float
        In HU; 0 where one of the two holds no tissue.
    """
    core, shell = _core_and_shell(sampled, surface / _USUAL, radius_mm)
    if not (core.any() and shell.any()):
        return 0.0
    core_hu, shell_hu = (
        np.average(sampled.hu[where], weights=_volumes()[where]) for where in (core, shell)
    )
    return float(core_hu - shell_hu)


def directions() -> Array:
    """
    Right, down, along of each ray; the poles lie along.

    Returns
    -------
    numpy.ndarray of float, shape (3, POLAR, AROUND, 1)
        Of length 1.
    """
    polar = ((np.arange(POLAR) + 0.5) * np.pi / POLAR)[:, None]
    around = (np.arange(AROUND) * 2 * np.pi / AROUND)[None, :]
    flat = np.sin(polar)
    right, down = flat * np.cos(around), flat * np.sin(around)
    return np.stack([right, down, np.cos(polar) + 0 * around])[..., None]


def along() -> Array:
    """
    The places along a ray.

    Returns
    -------
    numpy.ndarray of float, shape (STEPS,)
        In units of the rough radius.
    """
    return np.linspace(NEAREST, FARTHEST, STEPS)


def solid_angles() -> Array:
    """
    What each ray stands for.

    Returns
    -------
    numpy.ndarray of float, shape (POLAR, 1)
        In proportion to its share of the sphere.
    """
    angles: Array = np.sin((np.arange(POLAR) + 0.5) * np.pi / POLAR)[:, None]
    return angles


def over_the_poles(surface: Array, rows: int) -> Array:
    """
    A surface with the rows that lie beyond each pole: those opposite.

    Parameters
    ----------
    surface : numpy.ndarray of float, shape (POLAR, AROUND)
        Any values of the rays.
    rows : int
        How many to add on each side.

    Returns
    -------
    numpy.ndarray of float, shape (POLAR + 2 rows, AROUND)
        The same values, and theirs.
    """
    opposite = np.roll(surface, AROUND // 2, axis=1)
    return np.concatenate([opposite[:rows][::-1], surface, opposite[-rows:][::-1]])


def _lesion_like(sampled: Sampled, radius_mm: float) -> Array:
    """How much more what lies before each place looks like the core than like the shell."""
    core, shell = _core_and_shell(sampled, np.ones((POLAR, AROUND)), radius_mm)
    if not (core.any() and shell.any()):
        return np.zeros(sampled.hu.shape)
    alike = np.log(_density(sampled.hu, core) / _density(sampled.hu, shell))
    bins = ((sampled.hu - _BINS_HU[0]) / np.diff(_BINS_HU)[0]).astype(int)
    each = alike.clip(-_MOST_CERTAIN, _MOST_CERTAIN)[bins.clip(0, len(alike) - 1)]
    sums: Array = np.cumsum(np.where(sampled.tissue, each, -_NO_TISSUE), axis=2) * _step()
    return sums


def _core_and_shell(sampled: Sampled, surface: Array, radius_mm: float) -> tuple[Marks, Marks]:
    """Tissue well within and just beyond a surface; 1 stands for the usual one."""
    far = along() / surface[..., None]
    core = sampled.tissue & (far < _CORE)
    beyond = (along() - _SHELL * surface[..., None]) * radius_mm
    return core, sampled.tissue & (beyond > 0) & (beyond < _SHELL_MM)


def _rises_hu(sampled: Sampled, radius_mm: float) -> Array:
    """How much brighter it gets within 3 mm around places before and behind each place."""
    level = ndimage.gaussian_filter1d(sampled.sharp_hu.clip(0, 200), 0.7, axis=1, mode="wrap")
    level = ndimage.gaussian_filter1d(level, 0.7, axis=0, mode="nearest")
    half = _RISE_MM / 2
    places = np.arange(RISES_MM[0] - half, RISES_MM[-1] + half + 0.1, half)
    values = np.stack([_shifted(level, each / radius_mm) for each in places], axis=-1)
    return values[..., 2:] - values[..., :-2]


def _shifted(values: Array, by: float) -> Array:
    """What stands farther out along each ray, by a length in units of the radius."""
    place = (np.arange(STEPS) + by / _step()).clip(0, STEPS - 1)
    low = np.floor(place).astype(int).clip(0, STEPS - 2)
    part = place - low
    shifted: Array = values[..., low] * (1 - part) + values[..., low + 1] * part
    return shifted


def _far(radius_mm: float) -> Array:
    """Powers of how far out each place is, alone and by the lesion's size and the ray's height."""
    far = ((along() - _USUAL) / _SPREAD)[:, None] ** np.arange(1, 4)
    height = directions()[2, ..., None] ** 2 - 1 / 3
    each = [far, far * np.log(radius_mm / _LARGE_MM), far * height]
    return np.concatenate([np.broadcast_to(one, (POLAR, AROUND, STEPS, 3)) for one in each], axis=3)


def _weights() -> tuple[Array, Array, Array, Array]:
    """Of the evidence for the surface, and for the hidden units; their offsets; and of these."""
    with WEIGHTS.open(encoding="utf-8") as file:
        rows = {name: [*map(float, each)] for name, *each in islice(csv.reader(file), 1, None)}
    seen = np.array([rows[each] for each in EVIDENCE])
    return seen[:, 0], seen[:, 1:], np.array(rows["offset"][1:]), np.array(rows["surface"][1:])


def _step() -> float:
    return (FARTHEST - NEAREST) / (STEPS - 1)


def _volumes() -> Array:
    """What each place stands for, in proportion to its share of space."""
    return np.broadcast_to(solid_angles()[..., None] * along() ** 2, (POLAR, AROUND, STEPS))


def _density(values: Array, where: Marks) -> Array:
    """How often each bin's values occur, smoothed; never quite 0."""
    counts, _ = np.histogram(
        values[where].clip(_BINS_HU[0], _BINS_HU[-1] - 1), _BINS_HU, weights=_volumes()[where]
    )
    share = ndimage.gaussian_filter1d(counts / counts.sum(), 2) + 1e-3
    density: Array = share / share.sum()
    return density


def _agreed(cost: Array) -> Array:
    """Each ray's cost with what its neighbours in the four directions ask of it."""
    bend = _BEND * (along()[:, None] - along()[None, :]) ** 2
    ring = np.concatenate([cost.transpose(1, 0, 2)] * 2)  # twice around, so that the seam is none
    forth = _swept(ring, bend)[AROUND:]
    back = _swept(ring[::-1], bend)[AROUND:][::-1]
    up, down = _swept(cost, bend), _swept(cost[::-1], bend)[::-1]
    agreed: Array = (forth + back).transpose(1, 0, 2) + up + down - 3 * cost
    return agreed


def _swept(cost: Array, bend: Array) -> Array:
    """The least cost of each place along the first axis, given all rows before."""
    swept = cost.copy()
    for row in range(1, len(cost)):
        least = (swept[row - 1][:, :, None] + bend).min(axis=1)
        swept[row] += least - least.min(axis=1, keepdims=True)
    return swept


def _rounded(surface: Array) -> Array:
    """The surface, its steps smoothed."""
    level = ndimage.gaussian_filter1d(surface, 0.7, axis=1, mode="wrap")
    rounded: Array = ndimage.gaussian_filter1d(over_the_poles(level, 3), 0.7, axis=0)[3:-3]
    return rounded
