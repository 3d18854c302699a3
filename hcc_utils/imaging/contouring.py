"""
The lesion's outline from one seed and a rough diameter.

From the seed, rays go out in all directions (`rays`), and each ends where the lesion's surface most
likely lies. So the lesion is one piece without holes, and cannot run into the rest of the liver.
Where it is wrong, a place on the true edge draws the surface there, and its neighbourhood with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from hcc_utils import checks
from hcc_utils.imaging import rays
from hcc_utils.imaging.headers import Header, ImagingError
from hcc_utils.imaging.marks import Mask
from hcc_utils.imaging.rules import SAME_PLACE_MM
from hcc_utils.imaging.series import Series

Array: TypeAlias = npt.NDArray[np.floating[Any]]
Marks: TypeAlias = npt.NDArray[np.bool_]

ALGORITHM = "Radial surface from a seed and a diameter"
LARGEST_MM = 300.0
FAINT_HU = 8.0  # a difference that an eye would not trust

_CLOSE_MM = 4.0  # around what is sampled
_NEIGHBOURS = 0.5  # radians; how far around a place on the edge the surface is as wrong as there
_EVERYWHERE, _UNSURE = 0.1, 0.25  # variances, in units of that of a neighbourhood's error


class Pixel(NamedTuple):
    """A pixel of a slice, counted from 0."""

    sop_instance_uid: str
    row: int
    column: int


@dataclass(frozen=True, kw_only=True)
class Contour:
    """
    One lesion's outline.

    Parameters
    ----------
    masks : dict of numpy.ndarray of bool
        Its pixels by SOPInstanceUID, of the slices that it touches, along their normal.
    contrast_hu : float
        Mean of its core less that of the tissue around it.
    note : str
        What somebody who looks at it should know; empty where nothing is wrong.
    """

    masks: dict[str, Mask]
    contrast_hu: float
    note: str


def contour(series: Series, seed: Pixel, diameter_mm: float, edge: Sequence[Pixel] = ()) -> Contour:
    """
    The outline of the lesion around a seed.

    Parameters
    ----------
    series : Series
        The CT. Only slices within `diameter_mm` of the seed are read; uneven spacing, gaps and
        tilt are honoured by each slice's own position.
    seed : Pixel
        A pixel about in the lesion's middle.
    diameter_mm : float
        Its longest diameter, roughly.
    edge : sequence of Pixel, default none
        Places on its edge, on any slices, that correct the outline.

    Returns
    -------
    Contour
        The pixels of one piece without holes; at most `rays.FARTHEST` times the diameter wide.

    Raises
    ------
    InputError
        If the diameter is none, the seed lies outside the image or in no soft tissue, a place on
        the edge lies out of reach, or two slices lie at one place.
    """
    _require_diameter(diameter_mm)
    space = Space.around(series, seed, diameter_mm / 2)
    sampled = space.sampled()
    _require_tissue(series, seed, sampled.hu)
    surface = _corrected(rays.surface(sampled, diameter_mm / 2), space.places(edge))
    masks = space.masks(surface * diameter_mm / 2)
    if not masks:
        raise ImagingError(
            "nothing_marked",
            f"{series.patient_id}: {diameter_mm:g} mm around the seed hold no pixel's centre. "
            "Give a larger diameter.",
        )
    contrast_hu = rays.contrast_hu(sampled, surface, diameter_mm / 2)
    return Contour(masks=masks, contrast_hu=contrast_hu, note=_note(masks, series, contrast_hu))


@dataclass(frozen=True)
class Space:
    """
    The slices around a seed.

    Parameters
    ----------
    series : Series
        The CT.
    headers : sequence of Header
        Those of its slices that rays can reach.
    offsets_mm : numpy.ndarray of float, shape (n_slices, 3)
        Right, down, along: where each slice's first pixel lies from the seed.
    spacing_mm : tuple of float
        Between rows, between columns.
    radius_mm : float
        Half of the rough diameter.
    """

    series: Series
    headers: Sequence[Header]
    offsets_mm: Array
    spacing_mm: tuple[float, float]
    radius_mm: float

    @classmethod
    def around(cls, series: Series, seed: Pixel, radius_mm: float) -> Space:
        """
        The slices that rays can reach.

        Parameters
        ----------
        series : Series
            The CT.
        seed : Pixel
            Where the rays begin.
        radius_mm : float
            Half of the rough diameter.

        Returns
        -------
        Space
            Without pixels: those are read by `sampled`.

        Raises
        ------
        InputError
            If the seed lies outside the image, or two slices lie at one place.
        """
        home = series.slice(seed.sop_instance_uid)
        if not (0 <= seed.row < home.rows and 0 <= seed.column < home.columns):
            raise ImagingError(
                "seed_outside_image",
                f"{series.patient_id}: the seed (row {seed.row}, column {seed.column}) lies "
                f"outside the slice's {home.rows} rows and {home.columns} columns. "
                "Click within the image.",
                home.path,
            )
        right, down = np.reshape(np.array(home.orientation), (2, 3))
        axes = np.stack([right, down, np.cross(right, down)])
        spacing = np.array(home.pixel_spacing_mm)
        here = np.array([seed.column * spacing[1], seed.row * spacing[0], 0.0])
        home_mm = axes @ np.array(home.position_mm)
        offsets = np.array([axes @ np.array(h.position_mm) for h in series.slices]) - home_mm - here
        _require_one_slice_a_place(series, offsets[:, 2])
        near = np.abs(offsets[:, 2]) <= rays.FARTHEST * radius_mm + _CLOSE_MM
        near |= np.abs(offsets[:, 2]) <= np.partition(np.abs(offsets[:, 2]), 1)[1] * 1.5
        kept = [header for header, is_near in zip(series.slices, near, strict=True) if is_near]
        return cls(series, kept, offsets[near], (float(spacing[0]), float(spacing[1])), radius_mm)

    def sampled(self) -> rays.Sampled:
        """
        What the rays meet.

        Returns
        -------
        rays.Sampled
            Interpolated between slices and pixels.
        """
        places = rays.directions() * (rays.along() * self.radius_mm)  # right, down, along
        number = np.interp(places[2], self.offsets_mm[:, 2], np.arange(len(self.headers)))
        right, down = (
            np.interp(places[2], self.offsets_mm[:, 2], self.offsets_mm[:, axis]) for axis in (0, 1)
        )
        row = (places[1] - down) / self.spacing_mm[0]
        column = (places[0] - right) / self.spacing_mm[1]
        header = self.headers[0]
        there = (row >= 0) & (row <= header.rows - 1) & (column >= 0)
        there &= (column <= header.columns - 1) & self._within(places[2])
        window = [_span(row, header.rows), _span(column, header.columns)]
        at = [number, row - window[0].start, column - window[1].start]
        read = [
            self.series.hu(header.sop_instance_uid)[tuple(window)].clip(-200, 400)
            for header in self.headers
        ]
        smoothed, sharp = (
            ndimage.map_coordinates(self._smoothed(read, share), at, order=1, mode="nearest")
            for share in (0.04, 0.02)
        )
        return rays.Sampled(smoothed, sharp, there)

    def places(self, pixels: Sequence[Pixel]) -> Array:
        """
        Where pixels lie from the seed.

        Parameters
        ----------
        pixels : sequence of Pixel
            On any slices.

        Returns
        -------
        numpy.ndarray of float, shape (n_pixels, 3)
            Right, down, along, in units of the radius.

        Raises
        ------
        InputError
            If no ray comes there.
        """
        return np.array([self._place(pixel) for pixel in pixels]).reshape(-1, 3)

    def _place(self, pixel: Pixel) -> Array:
        """Right, down, along; refused where no ray comes."""
        for header, offset in zip(self.headers, self.offsets_mm, strict=True):
            right, down = pixel.column * self.spacing_mm[1], pixel.row * self.spacing_mm[0]
            place: Array = (offset + np.array([right, down, 0.0])) / self.radius_mm
            near = 0 < np.linalg.norm(place) <= rays.FARTHEST
            if header.sop_instance_uid == pixel.sop_instance_uid and near:
                return place
        raise ImagingError(
            "edge_out_of_reach",
            f"{self.series.patient_id}: the place on the edge (row {pixel.row}, column "
            f"{pixel.column}) is the seed, or farther from it than {rays.FARTHEST:g} times "
            f"{self.radius_mm:g} mm. Click the edge, or give a larger diameter.",
        )

    def masks(self, surface_mm: Array) -> dict[str, Mask]:
        """
        The pixels of each slice whose centres lie within a surface.

        Parameters
        ----------
        surface_mm : numpy.ndarray of float, shape (rays.POLAR, rays.AROUND)
            How far it lies along each ray.

        Returns
        -------
        dict of numpy.ndarray of bool
            By SOPInstanceUID; without slices that it does not touch.
        """
        padded = rays.over_the_poles(surface_mm, 1)
        padded = np.concatenate([padded, padded[:, :1]], axis=1)
        reach = float(surface_mm.max())
        found = {}
        for header, offset in zip(self.headers, self.offsets_mm, strict=True):
            if abs(offset[2]) < reach:
                mask = self._within_surface(header, offset, padded)
                if mask.any():
                    found[header.sop_instance_uid] = mask
        return found

    def _within_surface(self, header: Header, offset: Array, padded: Array) -> Mask:
        """One slice's pixels; `padded` is the surface with its neighbours beyond the seams."""
        right = offset[0] + np.arange(header.columns) * self.spacing_mm[1]
        down = offset[1] + np.arange(header.rows) * self.spacing_mm[0]
        reach = float(padded.max())
        rows, columns = (np.flatnonzero(np.abs(axis) < reach) for axis in (down, right))
        mask = np.zeros((header.rows, header.columns), bool)
        if len(rows) and len(columns):
            x, y = right[columns][None, :], down[rows][:, None]
            far = np.sqrt(x**2 + y**2 + offset[2] ** 2)
            polar = np.arccos(np.clip(offset[2] / np.maximum(far, 1e-6), -1, 1))
            around = np.arctan2(y, x) % (2 * np.pi)
            at = [polar * rays.POLAR / np.pi + 0.5, around * rays.AROUND / (2 * np.pi)]
            mask[np.ix_(rows, columns)] = far < ndimage.map_coordinates(padded, at, order=1)
        return mask

    def _within(self, along_mm: Array) -> Marks:
        """Whether heights lie on the slices, or within half of the usual step beyond them."""
        heights = self.offsets_mm[:, 2]
        half = float(np.median(np.diff(heights))) / 2 if len(heights) > 1 else 0.0
        within: Marks = (along_mm >= heights[0] - half) & (along_mm <= heights[-1] + half)
        return within

    def _smoothed(self, read: Sequence[Array], share: float) -> Array:
        """Slices with their noise averaged, in the plane, over 1 mm and a share of the radius."""
        sigma = [(1 + share * self.radius_mm) / spacing for spacing in self.spacing_mm]
        return np.stack([ndimage.gaussian_filter(hu, sigma) for hu in read])


def _corrected(surface: Array, edge: Array) -> Array:
    """The surface, drawn to places on the edge: its errors there, spread by kriging."""
    far = np.linalg.norm(edge, axis=1)
    every, towards = rays.directions().reshape(3, -1).T, edge / far[:, None]
    missed = far - surface.ravel()[(every @ towards.T).argmax(axis=0)]
    known = _covariance(towards, towards) + _UNSURE * np.eye(len(far))
    drawn = surface.ravel() + _covariance(every, towards) @ np.linalg.solve(known, missed)
    corrected: Array = drawn.reshape(surface.shape).clip(rays.NEAREST, rays.FARTHEST)
    return corrected


def _covariance(some: Array, others: Array) -> Array:
    """How far the surface's errors in two directions go together."""
    angle = np.arccos(np.clip(some @ others.T, -1, 1))
    together: Array = np.exp(-0.5 * (angle / _NEIGHBOURS) ** 2) + _EVERYWHERE
    return together


def _span(pixels: Array, size: int) -> slice:
    """The rows (or columns) that rays touch, of `size`."""
    low = int(np.floor(pixels.min())) - int(_CLOSE_MM)
    high = int(np.ceil(pixels.max())) + int(_CLOSE_MM)
    return slice(min(max(low, 0), size - 1), max(min(high + 1, size), 1))


def _require_diameter(diameter_mm: float) -> None:
    if not 0 < diameter_mm <= LARGEST_MM:
        raise checks.InputError(
            f"diameter_mm must be above 0 and at most {LARGEST_MM:g}; got {diameter_mm:g}. "
            "Give the lesion's longest diameter in mm."
        )


def _require_one_slice_a_place(series: Series, along_mm: Array) -> None:
    twice = np.flatnonzero(np.diff(along_mm) <= SAME_PLACE_MM)
    if len(twice):
        header = series.slices[int(twice[0])]
        raise ImagingError(
            "duplicate_positions",
            f"{series.patient_id}: two slices lie at the place of {header.sop_instance_uid} (two "
            "acquisitions?). Export the portal-venous one as a series of its own.",
            header.path,
        )


def _require_tissue(series: Series, seed: Pixel, hu: Array) -> None:
    """Refuse a seed whose surroundings are air, fat or bone."""
    around = float(np.median(hu[:, :, :4]))
    if not rays.TISSUE_HU[0] <= around <= rays.TISSUE_HU[1]:
        raise ImagingError(
            "seed_outside_tissue",
            f"{series.patient_id}: around the seed (row {seed.row}, column {seed.column}) lie "
            f"{around:.0f} HU; a lesion has {rays.TISSUE_HU[0]:g} to {rays.TISSUE_HU[1]:g}. "
            "Click its middle.",
            series.slice(seed.sop_instance_uid).path,
        )


def _note(masks: dict[str, Mask], series: Series, contrast_hu: float) -> str:
    """What somebody who looks at the contour should know."""
    said = []
    if abs(contrast_hu) < FAINT_HU:
        said.append(
            f"It hardly differs from the tissue around it ({contrast_hu:+.0f} HU): the contour "
            "follows the diameter that was given more than the image. Check it on every slice."
        )
    ends = {series.slices[0].sop_instance_uid, series.slices[-1].sop_instance_uid}
    if ends & masks.keys():
        said.append("It reaches the first or last slice of the series: part of it may be missing.")
    return " ".join(said)
