"""
The target lesion: its shape and its inside.

What the image latent does was set once, by plausibility, before any network saw a picture.
Four channels each follow it with a correlation of .9 (`LOADING`), independent beyond it:

==========  ====================================================  ======  ======  ======
channel     what it changes                                       at -2   at 0    at +2
==========  ====================================================  ======  ======  ======
margin      SD of the surface's roughness, share of the radius    .015    .05     .15
texture     SD of the tissue's mottling, HU                       2.0     6.0     18
necrosis    share of the inside that enhances little (35 HU)      .00     .07     .50
halo        drop of attenuation in the rim of liver outside, HU   3       8       22
==========  ====================================================  ======  ======  ======

The table's factors are drawn whatever the latent is: ``fusion_lesion`` two lobes grown together,
``invasive_shape`` fingers into the liver, ``capsule`` a bright rim (with gaps where non-intact),
``capsule_breakthrough`` a bud beyond the rim, ``corona_low_attenuation`` a further drop of 22 HU
outside, ``mosaic`` compartments with septa, ``nodule_in_nodule`` a brighter inner nodule,
``enhancement_ratio`` the tissue's mean. ``corona_enhancement`` is not drawn: it fades before the
portal phase.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from hcc_utils.checks import Bools
from hcc_utils.demo.anatomy import Ellipsoid, Habitus, cover
from hcc_utils.demo.textures import Array, smooth_field

Patient: TypeAlias = Mapping[str, Any] | pd.Series

LOADING = 0.9
NECROSIS_HU = 35.0
_THICKEST_MM, _DEEPEST_MM = 116.0, 110.0  # what a liver holds across a lesion's longest axis
_NECROSIS_FROM_MM = 15.0
_CAPSULE_REACH_MM = 6.0  # farther out lie only specks that are no part of the lesion


@dataclass(frozen=True)
class Look:
    """What the image latent does to a lesion."""

    margin: float
    texture_hu: float
    necrosis_above: float
    halo_hu: float


def look(image_latent: float, rng: np.random.Generator) -> Look:
    """
    The latent's visible effects, each with noise of its own.

    Parameters
    ----------
    image_latent : float
        Standard normal over patients; higher looks more aggressive.
    rng : numpy.random.Generator
        Where chance comes from.

    Returns
    -------
    Look
        The four channels (the module's table).
    """
    own = np.sqrt(1 - LOADING**2) * rng.standard_normal(4)
    margin, texture, necrosis, halo = (LOADING * image_latent + own).tolist()
    return Look(
        margin=min(0.05 * float(np.exp(0.55 * margin)), 0.18),
        texture_hu=min(6 * float(np.exp(0.55 * texture)), 25),
        necrosis_above=1.5 - 0.75 * necrosis,
        halo_hu=min(8 * float(np.exp(0.5 * halo)), 30),
    )


class Lesion:
    """One lesion around (0, 0, 0); shapes in units of its radius, which makes its diameter true."""

    def __init__(self, patient: Patient, image_latent: float, rng: np.random.Generator) -> None:
        self._patient = patient
        self.diameter_mm = float(patient["diameter_mm"])
        self.look = look(image_latent, rng)
        self._lobes = self._draw_lobes(rng)
        self._rough = smooth_field(rng, 0.45, 1.6)
        self._mottle, self._soft = smooth_field(rng, 0.22, 0.9), smooth_field(rng, 0.5, 1.8)
        self._gaps = smooth_field(rng, 0.9, 2.5)
        self._fingers = (
            self._draw_buds(rng, 5, 0.20) if has(self._patient, "invasive_shape") else []
        )
        self._breach = (
            self._draw_buds(rng, 1, 0.34) if has(self._patient, "capsule_breakthrough") else []
        )
        self._cells = rng.uniform(-0.9, 0.9, (16, 3)).astype(np.float32)
        self._cells_hu = rng.normal(0, 14, 16).astype(np.float32)
        inner = tuple(rng.uniform(-0.28, 0.28, 3).tolist())
        self._nodule = Ellipsoid(inner, (0.40, 0.34, 0.34), float(rng.uniform(0, 180)))
        self.radius_mm = self.diameter_mm / self._extent()

    @property
    def half_height_mm(self) -> float:
        """How far its lobes reach up and down; the same whatever its look."""
        return max(lobe.axes[2] for lobe in self._lobes) * self.diameter_mm / 2

    def depth(self, z: Array, y: Array, x: Array) -> Array:
        """
        How far inside the lesion each place of a grid lies.

        Parameters
        ----------
        z, y, x : numpy.ndarray of float, one-dimensional
            Places in mm from the lesion's centre.

        Returns
        -------
        numpy.ndarray of float, shape (len(z), len(y), len(x))
            In mm, negative outside.
        """
        r = np.float32(self.radius_mm)
        depth: Array = r * self._body(z / r, y / r, x / r, [*self._fingers, *self._breach])
        return depth

    def paint(
        self,
        hu: Array,
        depth: Array,
        liver: Array,
        places: tuple[Array, Array, Array],
        habitus: Habitus,
    ) -> None:
        """
        Nothing; the lesion, its rim and its halo cover the liver.

        Parameters
        ----------
        hu, depth, liver : numpy.ndarray of float, shape (n_slices, n_rows, n_columns)
            Values in Hounsfield units, changed in place; depth inside the lesion, and below the
            liver's surface, in mm.
        places : tuple of numpy.ndarray of float, one-dimensional
            z, y, x of the box in mm from the lesion's centre.
        habitus : Habitus
            The liver's and the contrast's values.
        """
        z, y, x = (axis / np.float32(self.radius_mm) for axis in places)
        within: Array = np.clip(liver / np.float32(2), 0, 1)
        wide = 5.0
        drop = self.look.halo_hu + 22 * has(self._patient, "corona_low_attenuation")
        hu -= within * drop * np.exp(-np.square((depth + 0.4 * wide) / (0.6 * wide)))
        cover(hu, depth, self._tissue(z, y, x, depth, habitus))
        near: Array = within * (depth > -_CAPSULE_REACH_MM)
        self._paint_capsule(hu, (z, y, x), near, habitus)

    def _tissue(self, z: Array, y: Array, x: Array, depth: Array, habitus: Habitus) -> Array:
        """The inside's values."""
        given = self._patient.get("enhancement_ratio")
        ratio = min(max(float(given), 0.8), 3.0) if given is not None and pd.notna(given) else 1.57
        mean_hu = 50 + 21 * habitus.iodine * ratio
        hu = np.float32(mean_hu) + np.float32(self.look.texture_hu) * self._mottle(z, y, x)
        if has(self._patient, "mosaic"):
            hu += self._mosaic(z, y, x)
        if has(self._patient, "nodule_in_nodule"):
            inner = self._nodule.depth(x[None, None, :], y[None, :, None], z[:, None, None])
            cover(hu, inner * self.radius_mm, hu + 30)
        if self.diameter_mm >= _NECROSIS_FROM_MM:
            dead = np.clip((self._soft(z, y, x) - self.look.necrosis_above) * 3 + 0.5, 0, 1)
            dead *= np.clip(depth / self.radius_mm * 8 - 0.6, 0, 1)
            hu += dead * (NECROSIS_HU - hu)
        return hu

    def _mosaic(self, z: Array, y: Array, x: Array) -> Array:
        """Compartments of different values, with brighter septa between them."""
        shape = (len(z), len(y), len(x))
        hu = np.zeros(shape, np.float32)
        nearest: Array = np.full(shape, np.inf, np.float32)
        second: Array = nearest.copy()
        for cell, value in zip(self._cells, self._cells_hu, strict=True):
            across = (y - cell[1])[None, :, None] ** 2
            square = (z - cell[0])[:, None, None] ** 2 + across + (x - cell[2])[None, None, :] ** 2
            nearer = square < nearest
            np.minimum(second, square, out=second)
            second[nearer] = nearest[nearer]
            hu[nearer] = value
            np.minimum(nearest, square, out=nearest)
        gap: Array = np.sqrt(second) - np.sqrt(nearest)
        septum: Array = np.clip(1 - gap / np.float32(0.07), 0, 1)
        mosaic: Array = hu + septum * (22 - hu)
        return mosaic

    def _paint_capsule(
        self, hu: Array, places: tuple[Array, Array, Array], within: Array, habitus: Habitus
    ) -> None:
        """A rim brighter than liver and lesion; with gaps where it is not intact."""
        capsule = self._patient.get("capsule")
        if capsule not in ("intact", "non_intact"):
            return
        wide = float(np.clip(0.08 * self.radius_mm, 1.5, 2.6))
        depth = self._body(*places, self._fingers) * np.float32(self.radius_mm)
        rim = within * np.exp(-np.square((depth - 0.3 * wide) / (0.65 * wide)))
        if capsule == "non_intact":
            rim *= np.clip(3 * self._gaps(*places) + 0.5, 0, 1)
        hu += rim * (np.float32(habitus.liver_hu + 32) - hu)

    def _body(self, z: Array, y: Array, x: Array, buds: list[Ellipsoid]) -> Array:
        """Depth inside in units of the radius, of the lobes, their roughness and buds."""
        grid = x[None, None, :], y[None, :, None], z[:, None, None]
        lobes = [lobe.depth(*grid) for lobe in self._lobes]
        body = lobes[0]
        for lobe in lobes[1:]:
            body = _grown_together(body, lobe)
        body = body + np.float32(self.look.margin) * self._rough(z, y, x)
        for bud in buds:
            body = _grown_together(body, bud.depth(*grid))
        return body

    def _draw_lobes(self, rng: np.random.Generator) -> list[Ellipsoid]:
        """One lobe, or two for a fusion lesion; a huge lesion lies along the liver's long axis."""
        long = 0.5 * self.diameter_mm
        wide = min(rng.uniform(0.80, 1.0), 0.5 * _THICKEST_MM / long)
        high = min(rng.uniform(0.75, 0.95), 0.5 * _DEEPEST_MM / long)
        size = np.clip((self.diameter_mm - 60) / 60, 0, 1)
        turn = float((1 - size) * rng.uniform(-90, 90) + size * rng.normal(-25, 4))
        if not has(self._patient, "fusion_lesion"):
            return [Ellipsoid((0, 0, 0), (1, wide, high), turn)]
        along = np.array((np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))))
        large, small = rng.uniform(0.58, 0.66), rng.uniform(0.44, 0.52)
        ends = []
        for size, side in ((large, -1), (small, 1)):
            x, y = (side * (1 - size) * along).tolist()
            axes = (size, min(size, wide), min(size, high))
            ends.append(Ellipsoid((x, y, 0), axes, turn))
        return ends

    def _draw_buds(self, rng: np.random.Generator, number: int, size: float) -> list[Ellipsoid]:
        """Small ellipsoids on the surface, pointing outwards."""
        found = []
        for _ in range(number):
            angle, lift = rng.uniform(0, 2 * np.pi), rng.uniform(-0.4, 0.4)
            lobe = self._lobes[int(rng.integers(len(self._lobes)))]
            turn = np.deg2rad(lobe.degrees)
            u, v = lobe.axes[0] * np.cos(angle), lobe.axes[1] * np.sin(angle)
            x = lobe.centre[0] + np.cos(turn) * u - np.sin(turn) * v
            y = lobe.centre[1] + np.sin(turn) * u + np.cos(turn) * v
            outwards = float(np.rad2deg(np.arctan2(y - lobe.centre[1], x - lobe.centre[0])))
            place = (float(x), float(y), lift * lobe.axes[2])
            found.append(Ellipsoid(place, (size, 0.6 * size, 0.7 * size), outwards))
        return found

    def _extent(self) -> float:
        """The longest diameter in planes through its middle third, in units of the radius."""
        axis = np.linspace(-2, 2, 161, dtype=np.float32)
        planes = np.array((-0.3, -0.15, 0, 0.15, 0.3), np.float32)
        masks = self._body(planes, axis, axis, [*self._fingers, *self._breach]) > 0
        return max(map(longest, masks)) * float(axis[1] - axis[0])


def has(patient: Patient, flag: str) -> bool:
    """
    Whether the table says so.

    Parameters
    ----------
    patient : Mapping or pandas.Series
        One row.
    flag : str
        A column of True and False.

    Returns
    -------
    bool
        False where it is missing.
    """
    value = patient.get(flag)
    return bool(pd.notna(value)) and bool(value)


def longest(mask: Bools) -> float:
    """
    The longest diameter of what is marked.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (n_rows, n_columns)
        True where marked.

    Returns
    -------
    float
        In pixels, each pixel counted as a disc one wide; 0 where nothing is marked.
    """
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return 0.0
    angles = np.deg2rad(np.arange(0, 180, 3))
    along = np.outer(np.cos(angles), columns) + np.outer(np.sin(angles), rows)
    return float(np.ptp(along, axis=1).max()) + 1


def _grown_together(one: Array, other: Array) -> Array:
    """The greater of two depths, the crease between them filled."""
    near = np.clip(0.25 - np.abs(one - other), 0, None)
    joined: Array = np.maximum(one, other) + near * near
    return joined
