"""The liver's vessels: portal branches and hepatic veins, grown at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hcc_utils.demo.textures import Array

Point = npt.NDArray[np.float64]
_EDGE_MM = 1.4


@dataclass(frozen=True)
class Tube:
    """A straight piece of vessel; ends (x, y, z) and radii in mm."""

    start: Point
    end: Point
    wide_mm: float
    narrow_mm: float


def portal(rng: np.random.Generator) -> list[Tube]:
    """
    The portal vein and its branches.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where chance comes from.

    Returns
    -------
    list of Tube
        The trunk first.
    """
    hilum, right, umbilical = (np.array(p) for p in ((-24, -10, 2), (-56, -9, 5), (-4, -42, 12)))
    trunk = [
        Tube(np.array((-2.0, 8.0, -28.0)), hilum, 7.0, 6.5),
        Tube(hilum, right, 6.0, 5.0),
        Tube(hilum, umbilical, 5.5, 4.5),
    ]
    for start, direction, radius in (
        (right, (-0.6, -0.7, 0.4), 4.2),
        (right, (-0.6, 0.7, -0.1), 4.2),
        (right, (-0.5, 0.1, -0.8), 3.6),
        (umbilical, (-0.6, -0.6, -0.4), 3.2),
        (umbilical, (0.9, -0.2, 0.3), 3.6),
    ):
        trunk += _branches(rng, start, np.array(direction), 24, radius, 4)
    return trunk


def hepatic(rng: np.random.Generator) -> list[Tube]:
    """
    The three hepatic veins and their branches.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where chance comes from.

    Returns
    -------
    list of Tube
        Each begins at the vena cava.
    """
    found = []
    for direction in ((-0.9, 0.15, -0.4), (-0.45, -0.8, -0.4), (0.4, -0.85, -0.25)):
        found += _branches(rng, np.array((-21.0, 20.0, 58.0)), np.array(direction), 32, 4.8, 4)
    return found


def paint(
    hu: Array, liver: Array, places: tuple[Array, Array, Array], tubes: list[Tube], with_hu: float
) -> None:
    """
    Nothing; the tubes cover the liver.

    Parameters
    ----------
    hu, liver : numpy.ndarray of float, shape (n_slices, n_rows, n_columns)
        Values in Hounsfield units, changed in place; depth below the liver's surface in mm.
    places : tuple of numpy.ndarray of float, one-dimensional
        z of slices, y of rows, x of columns in mm.
    tubes : list of Tube
        The vessels.
    with_hu : float
        What they measure.
    """
    for tube in tubes:
        low = np.minimum(tube.start, tube.end) - tube.wide_mm - 1
        high = np.maximum(tube.start, tube.end) + tube.wide_mm + 1
        box = tuple(
            slice(*np.searchsorted(axis, (a, b)))
            for axis, a, b in zip(places, low[::-1], high[::-1], strict=True)
        )
        z, y, x = (axis[part] for axis, part in zip(places, box, strict=True))
        if len(z) and len(y) and len(x):
            inside = np.minimum(_depth(tube, z, y, x), liver[box])
            share = np.clip(inside / _EDGE_MM + 0.5, 0, 1)
            hu[box] += share * (np.float32(with_hu) - hu[box])


def _depth(tube: Tube, z: Array, y: Array, x: Array) -> Array:
    """How far inside the tube each place of a grid lies, in mm."""
    along = (tube.end - tube.start).astype(np.float32)
    right = (x - np.float32(tube.start[0]))[None, None, :]
    back = (y - np.float32(tube.start[1]))[None, :, None]
    up = (z - np.float32(tube.start[2]))[:, None, None]
    t = np.clip((right * along[0] + back * along[1] + up * along[2]) / (along @ along), 0, 1)
    squares = (right - t * along[0]) ** 2 + (back - t * along[1]) ** 2 + (up - t * along[2]) ** 2
    radius = np.float32(tube.wide_mm) - t * np.float32(tube.wide_mm - tube.narrow_mm)
    depth: Array = radius - np.sqrt(squares)
    return depth


def _branches(
    rng: np.random.Generator,
    start: Point,
    direction: Point,
    length_mm: float,
    radius_mm: float,
    levels: int,
) -> list[Tube]:
    """A vessel that divides in two, and again, each time shorter, narrower and bent."""
    if levels == 0:
        return []
    end = start + direction / np.linalg.norm(direction) * length_mm * rng.uniform(0.8, 1.2)
    narrow = radius_mm * 0.8
    found = [Tube(start, end, radius_mm, narrow)]
    aside = 0.45 * rng.normal(0, 1, 3)
    for bend in (aside, -aside):
        turned = direction / np.linalg.norm(direction) + bend
        found += _branches(rng, end, turned, length_mm * 0.85, narrow, levels - 1)
    return found
