"""
The lesion's outline from one seed and a rough diameter.

From the seed, rays go out in all directions; along each, the surface lies where the tissue stops
looking like the lesion's core and begins to look like what surrounds it, where the values change,
and not far from where the diameter says. Neighbouring rays agree (semi-global matching). So the
lesion is one piece without holes, and cannot run into the rest of the liver. A bright rim around
the whole (a capsule) belongs to it. Where it is wrong, a place on the true edge draws the surface
there, and its neighbourhood with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from hcc_utils import checks
from hcc_utils.imaging.headers import Header, ImagingError
from hcc_utils.imaging.marks import Mask
from hcc_utils.imaging.rules import SAME_PLACE_MM
from hcc_utils.imaging.series import Series

Array: TypeAlias = npt.NDArray[np.floating[Any]]
Marks: TypeAlias = npt.NDArray[np.bool_]

ALGORITHM = "Radial surface from a seed and a diameter"
LARGEST_MM = 300.0
TISSUE_HU = (10.0, 220.0)  # of smoothed slices: neither fat and air nor bone
FAINT_HU = 8.0  # a difference that an eye would not trust

_POLAR, _AROUND, _STEPS = 18, 36, 56  # rays from pole to pole and around, places along each
_NEAREST, _FARTHEST = 0.05, 1.9  # along a ray, in units of the rough radius
_USUAL, _SPREAD = 0.8, 0.18  # where a surface lies, in the same units
_CLOSE_MM = 4.0  # around what is sampled
_BINS_HU = np.arange(-200.0, 401.0, 4.0)

# chosen on 78 phantoms of the demo's hospitals A and B (60 patients each of seeds 7 and 8), on no
# real patient
_PRIOR, _REGION, _EDGE, _SMOOTH = 4.0, 16.0, 2.0, 200.0
_EDGE_HU_PER_MM = 4.0
_MOST_CERTAIN, _NO_TISSUE = 2.0, 8.0
_CORE, _SHELL = 0.75, 1.3
_SHELL_MM = 12.0
_RIM_HU, _RIM_MM, _BEYOND_RIM_MM = 3.0, 5.0, 8.0
_ROUNDS = 3
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
        The pixels of one piece without holes; at most `_FARTHEST` times the diameter wide.

    Raises
    ------
    InputError
        If the diameter is none, the seed lies outside the image or in no soft tissue, a place on
        the edge lies out of reach, or two slices lie at one place.
    """
    _require_diameter(diameter_mm)
    space = _Space.around(series, seed, diameter_mm / 2)
    sampled = space.sampled()
    _require_tissue(series, seed, sampled.hu)
    surface, contrast_hu = _surface(sampled, diameter_mm / 2)
    masks = space.masks(_corrected(surface, space.places(edge)) * diameter_mm / 2)
    if not masks:
        raise ImagingError(
            "nothing_marked",
            f"{series.patient_id}: {diameter_mm:g} mm around the seed hold no pixel's centre. "
            "Give a larger diameter.",
        )
    return Contour(masks=masks, contrast_hu=contrast_hu, note=_note(masks, series, contrast_hu))


class _Sampled(NamedTuple):
    """Along each ray: smoothed values in HU, those of the pixels, and whether an image is there."""

    hu: Array  # (_POLAR, _AROUND, _STEPS)
    sharp_hu: Array
    there: Marks


@dataclass(frozen=True)
class _Space:
    """The slices around a seed, and where each lies from it: right, down, along, in mm."""

    series: Series
    headers: Sequence[Header]
    offsets_mm: Array  # (n_slices, 3), of each slice's first pixel
    spacing_mm: tuple[float, float]  # between rows, between columns
    radius_mm: float

    @classmethod
    def around(cls, series: Series, seed: Pixel, radius_mm: float) -> _Space:
        """The slices that rays can reach."""
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
        near = np.abs(offsets[:, 2]) <= _FARTHEST * radius_mm + _CLOSE_MM
        near |= np.abs(offsets[:, 2]) <= np.partition(np.abs(offsets[:, 2]), 1)[1] * 1.5
        kept = [header for header, is_near in zip(series.slices, near, strict=True) if is_near]
        return cls(series, kept, offsets[near], (float(spacing[0]), float(spacing[1])), radius_mm)

    def sampled(self) -> _Sampled:
        """What the rays meet, slightly smoothed."""
        places = _directions() * (_along() * self.radius_mm)  # right, down, along
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
            ndimage.map_coordinates(each, at, order=1, mode="nearest")
            for each in (self._smoothed(read), np.stack(read))
        )
        return _Sampled(smoothed, sharp, there)

    def places(self, pixels: Sequence[Pixel]) -> Array:
        """Where pixels lie from the seed, in units of the radius; shape (n_pixels, 3)."""
        return np.array([self._place(pixel) for pixel in pixels]).reshape(-1, 3)

    def _place(self, pixel: Pixel) -> Array:
        """Right, down, along; refused where no ray comes."""
        for header, offset in zip(self.headers, self.offsets_mm, strict=True):
            right, down = pixel.column * self.spacing_mm[1], pixel.row * self.spacing_mm[0]
            place: Array = (offset + np.array([right, down, 0.0])) / self.radius_mm
            near = 0 < np.linalg.norm(place) <= _FARTHEST
            if header.sop_instance_uid == pixel.sop_instance_uid and near:
                return place
        raise ImagingError(
            "edge_out_of_reach",
            f"{self.series.patient_id}: the place on the edge (row {pixel.row}, column "
            f"{pixel.column}) is the seed, or farther from it than {_FARTHEST:g} times "
            f"{self.radius_mm:g} mm. Click the edge, or give a larger diameter.",
        )

    def masks(self, surface_mm: Array) -> dict[str, Mask]:
        """The pixels of each slice whose centres lie within a surface."""
        padded = _over_the_poles(surface_mm, 1)
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
            at = [polar * _POLAR / np.pi + 0.5, around * _AROUND / (2 * np.pi)]
            mask[np.ix_(rows, columns)] = far < ndimage.map_coordinates(padded, at, order=1)
        return mask

    def _within(self, along_mm: Array) -> Marks:
        """Whether heights lie on the slices, or within half of the usual step beyond them."""
        heights = self.offsets_mm[:, 2]
        half = float(np.median(np.diff(heights))) / 2 if len(heights) > 1 else 0.0
        within: Marks = (along_mm >= heights[0] - half) & (along_mm <= heights[-1] + half)
        return within

    def _smoothed(self, read: Sequence[Array]) -> Array:
        """Slices with their noise averaged, in the plane, over a share of the radius."""
        sigma = [(1 + 0.04 * self.radius_mm) / spacing for spacing in self.spacing_mm]
        return np.stack([ndimage.gaussian_filter(hu, sigma) for hu in read])


def _surface(sampled: _Sampled, radius_mm: float) -> tuple[Array, float]:
    """The surface's distance along each ray, in units of the radius; the contrast in HU."""
    along = _along()
    hu = sampled.hu
    tissue = sampled.there & (hu > TISSUE_HU[0]) & (hu < TISSUE_HU[1])
    weights = np.broadcast_to(_polar_weights()[:, None, None] * along**2, hu.shape)
    step = along[1] - along[0]
    slope = np.gradient(hu.clip(0, 200), step * radius_mm, axis=2)
    fixed = 0.5 * _PRIOR * ((along - _USUAL) / _SPREAD) ** 2
    fixed = fixed - _EDGE * np.tanh(np.abs(slope) / _EDGE_HU_PER_MM)
    surface = np.full(hu.shape[:2], _USUAL)
    contrast_hu = 0.0
    for _ in range(_ROUNDS):
        core = tissue & (along < _CORE * surface[..., None])
        shell = tissue & (along > _SHELL * surface[..., None])
        shell &= along < _SHELL * surface[..., None] + _SHELL_MM / radius_mm
        if not (core.any() and shell.any()):
            break
        contrast_hu = _mean(hu, weights, core) - _mean(hu, weights, shell)
        alike = np.log(_density(hu, weights, core) / _density(hu, weights, shell))
        bins = np.clip(((hu - _BINS_HU[0]) / np.diff(_BINS_HU)[0]).astype(int), 0, len(alike) - 1)
        evidence = np.where(tissue, alike.clip(-_MOST_CERTAIN, _MOST_CERTAIN)[bins], -_NO_TISSUE)
        cost = fixed - _REGION * step * np.cumsum(evidence, axis=2)
        surface = _rounded(along[_agreed(cost, step).argmin(axis=2)])
    return surface + _rim_mm(sampled, tissue, surface, radius_mm) / radius_mm, contrast_hu


def _rim_mm(
    sampled: _Sampled,
    tissue: Marks,
    surface: Array,
    radius_mm: float,
) -> float:
    """How far beyond the surface a rim is brightest, on average all around; 0 without one."""
    step = (_FARTHEST - _NEAREST) / (_STEPS - 1)
    beyond_mm = np.arange(0, _BEYOND_RIM_MM + 0.1, 0.5)
    weights = np.broadcast_to(_polar_weights()[:, None], surface.shape)
    means = []
    for each in beyond_mm:
        place = np.rint((surface + each / radius_mm - _NEAREST) / step).astype(int)
        place = place.clip(0, _STEPS - 1)[..., None]
        hu = np.take_along_axis(sampled.sharp_hu, place, axis=2)[..., 0]
        counts = weights * np.take_along_axis(tissue, place, axis=2)[..., 0]
        means.append(float((hu * counts).sum() / max(counts.sum(), 1e-9)))
    near = beyond_mm <= min(_RIM_MM, 0.35 * radius_mm)
    brightest = int(np.argmax(np.where(near, means, -np.inf)))
    outside = float(np.mean(np.array(means)[beyond_mm >= _RIM_MM + 1]))
    return float(beyond_mm[brightest]) if means[brightest] > outside + _RIM_HU else 0.0


def _corrected(surface: Array, edge: Array) -> Array:
    """The surface, drawn to places on the edge: its errors there, spread by kriging."""
    far = np.linalg.norm(edge, axis=1)
    rays, towards = _directions().reshape(3, -1).T, edge / far[:, None]
    missed = far - surface.ravel()[(rays @ towards.T).argmax(axis=0)]
    known = _covariance(towards, towards) + _UNSURE * np.eye(len(far))
    drawn = surface.ravel() + _covariance(rays, towards) @ np.linalg.solve(known, missed)
    corrected: Array = drawn.reshape(surface.shape).clip(_NEAREST, _FARTHEST)
    return corrected


def _covariance(some: Array, others: Array) -> Array:
    """How far the surface's errors in two directions go together."""
    angle = np.arccos(np.clip(some @ others.T, -1, 1))
    together: Array = np.exp(-0.5 * (angle / _NEIGHBOURS) ** 2) + _EVERYWHERE
    return together


def _directions() -> Array:
    """Right, down, along of each ray, shape (3, _POLAR, _AROUND, 1); the poles lie along."""
    polar = ((np.arange(_POLAR) + 0.5) * np.pi / _POLAR)[:, None]
    around = (np.arange(_AROUND) * 2 * np.pi / _AROUND)[None, :]
    flat = np.sin(polar)
    right, down = flat * np.cos(around), flat * np.sin(around)
    return np.stack([right, down, np.cos(polar) + 0 * around])[..., None]


def _polar_weights() -> Array:
    """The solid angle of each row of rays, but for a factor."""
    weights: Array = np.sin((np.arange(_POLAR) + 0.5) * np.pi / _POLAR)
    return weights


def _along() -> Array:
    """The places along a ray, in units of the rough radius."""
    return np.linspace(_NEAREST, _FARTHEST, _STEPS)


def _span(pixels: Array, size: int) -> slice:
    """The rows (or columns) that rays touch, of `size`."""
    low = int(np.floor(pixels.min())) - int(_CLOSE_MM)
    high = int(np.ceil(pixels.max())) + int(_CLOSE_MM)
    return slice(min(max(low, 0), size - 1), max(min(high + 1, size), 1))


def _mean(values: Array, weights: Array, where: Marks) -> float:
    return float(np.average(values[where], weights=weights[where]))


def _density(values: Array, weights: Array, where: Marks) -> Array:
    """How often each bin's values occur, smoothed; never quite 0."""
    counts, _ = np.histogram(
        values[where].clip(_BINS_HU[0], _BINS_HU[-1] - 1), _BINS_HU, weights=weights[where]
    )
    share = ndimage.gaussian_filter1d(counts / counts.sum(), 2) + 1e-3
    density: Array = share / share.sum()
    return density


def _agreed(cost: Array, step: float) -> Array:
    """Each ray's cost with what its neighbours in the four directions ask of it."""
    places = np.arange(cost.shape[2]) * step
    bend = _SMOOTH * (places[:, None] - places[None, :]) ** 2
    n_around = cost.shape[1]
    ring = np.concatenate([cost.transpose(1, 0, 2)] * 2)  # twice around, so that the seam is none
    forth = _swept(ring, bend)[n_around:]
    back = _swept(ring[::-1], bend)[n_around:][::-1]
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


def _over_the_poles(surface: Array, rows: int) -> Array:
    """The surface with the rows that lie beyond each pole: those opposite."""
    opposite = np.roll(surface, _AROUND // 2, axis=1)
    return np.concatenate([opposite[:rows][::-1], surface, opposite[-rows:][::-1]])


def _rounded(surface: Array) -> Array:
    """The surface, its steps smoothed."""
    level = ndimage.gaussian_filter1d(surface, 0.7, axis=1, mode="wrap")
    rounded: Array = ndimage.gaussian_filter1d(_over_the_poles(level, 3), 0.7, axis=0)[3:-3]
    return rounded


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
    if not TISSUE_HU[0] <= around <= TISSUE_HU[1]:
        raise ImagingError(
            "seed_outside_tissue",
            f"{series.patient_id}: around the seed (row {seed.row}, column {seed.column}) lie "
            f"{around:.0f} HU; a lesion has {TISSUE_HU[0]:g} to {TISSUE_HU[1]:g}. "
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
