"""The lesion's slices: cropped around its box, resized, in Hounsfield units."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcc_utils import checks
from hcc_utils.imaging import roi as rois
from hcc_utils.imaging.headers import Header, ImagingError
from hcc_utils.imaging.rules import SAME_PLACE_MM, along_normal
from hcc_utils.imaging.series import Hounsfield, Series

Pixels = npt.NDArray[np.int16]

AIR_HU = -300
INSIDE_BODY = 0.5

COLUMNS: tuple[str, ...] = (
    "patient_id",
    "lesion",
    "series_instance_uid",
    "sop_instance_uid",
    "frame_number",
    "slice_z_mm",
    "pixel_spacing_mm",
    *rois.EDGES,
    "roi_source",
    "longest_mm",
)


@dataclass(frozen=True)
class LesionSlices:
    """Slices of one patient: `table` has one row, `pixels_hu` one picture for each."""

    table: pd.DataFrame
    pixels_hu: Pixels


class Cut(NamedTuple):
    """How slices are cut otherwise: moved in the CT's own pixels, resized otherwise, noisier."""

    down_pixels: int = 0
    right_pixels: int = 0
    kernel: str = "linear"
    noise_hu: float = 0.0


def lesion_slices(
    series: Series,
    roi: pd.DataFrame,
    margin_pixels: int = 5,
    size: int = 128,
    *,
    margin_mm: float | None = None,
    watch: Callable[[Header, Hounsfield], None] | None = None,
) -> LesionSlices:
    """
    The slices that the lesion touches, cropped around its box and resized.

    Parameters
    ----------
    series : Series
        The series on which the ROI was drawn.
    roi : pandas.DataFrame
        One row a slice and lesion, as `roi.from_seg` and `roi.from_boxes` give it.
    margin_pixels : int, default 5
        How far the box is widened on each side, in the CT's own pixels; clipped at the image's
        edge.
    size : int, default 128
        Rows and columns of what comes back.
    margin_mm : float, optional
        The margin as a length instead, rounded to whole pixels: the paper's 5 pixels taken for so
        many mm on every scanner.
    watch : callable, optional
        Called with each slice and all of its pixels as they are read: nothing is read twice to be
        judged.

    Returns
    -------
    LesionSlices
        ``.pixels_hu``, int16, shape (n_slices, size, size), Hounsfield units rounded to whole
        ones and not below -1024; ``.table``, one row a slice by lesion and along the normal, the
        columns of slices.csv, with the box before it was widened.

    Raises
    ------
    InputError
        If a slice of the ROI is not in the series, lies outside the image or comes twice, its
        pixels cannot be read, or a lesion lies in air: on average over its boxes, fewer than
        half of the pixels are above `AIR_HU`; or if a margin in mm is asked of a slice that tells
        no pixel spacing.

    Notes
    -----
    The crop alone is resized: nothing outside it is looked at. Linear interpolation between
    pixel centres, where the pixel i covers [i, i + 1] and the edges of the crop fall on the
    edges of the result (not on the centres of its corner pixels); beyond the outermost centres
    the outermost value goes on. Where the crop is larger than `size` the linear kernel is
    widened by the same factor, so that noise and edges are averaged, not aliased.
    """
    checks.columns(roi, rois.COLUMNS, name="roi")
    if roi.empty:
        raise ImagingError("no_roi", f"{series.patient_id}: the ROI is empty. Draw it first.")
    if min(margin_pixels, margin_mm or 0) < 0 or size < 1:
        raise checks.InputError(
            f"margin_pixels and margin_mm must be 0 or more and size 1 or more; got "
            f"{margin_pixels}, {margin_mm} and {size}."
        )
    series.require(roi["sop_instance_uid"])
    places = [series.place(uid) for uid in roi["sop_instance_uid"]]
    boxes = roi.assign(place=places).sort_values(["lesion", "place"], ignore_index=True)
    _require_one_box_a_place(series, boxes)
    rows, tissue, pixels = [], [], np.empty((len(boxes), size, size), np.int16)
    for number, box in enumerate(boxes.to_dict("records")):
        hu = _hu(series, box)
        if watch is not None:
            watch(series.slice(box["sop_instance_uid"]), hu)
        rows.append(_row(series, box))
        tissue.append(float((_crop(hu, box, (0, 0)) > AIR_HU).mean()))
        margin = _margin(series.slice(box["sop_instance_uid"]), margin_pixels, margin_mm)
        pixels[number] = _whole(_resized(_crop(hu, box, margin), size))
    _require_inside_body(series, boxes.assign(tissue=tissue))
    return LesionSlices(pd.DataFrame(rows, columns=list(COLUMNS)), pixels)


def recut(
    series: Series,
    table: pd.DataFrame,
    cuts: Sequence[Cut],
    *,
    margin_pixels: int = 5,
    margin_mm: float | None = None,
    size: int = 128,
) -> Pixels:
    """
    Slices that were cut before, cut again in several ways, each image read once.

    Parameters
    ----------
    series : Series
        From which they were cut.
    table : pandas.DataFrame
        Their rows of slices.csv, one patient's.
    cuts : sequence of Cut
        How; ``Cut()`` is as `lesion_slices` cuts. A box is not moved beyond the image's edge.
        "nearest" takes the pixel in which a centre lies, "cubic" is Keys' kernel (a = -1/2),
        widened like the linear one. The noise is white and normal, on the CT's own pixels, and
        for one slice the same draw at every SD.
    margin_pixels, margin_mm, size
        As `lesion_slices` took them.

    Returns
    -------
    numpy.ndarray of int16, shape (n_cuts, n_slices, size, size)
        Hounsfield units.

    Raises
    ------
    InputError
        If a slice cannot be read any more.
    """
    pixels = np.empty((len(cuts), len(table), size, size), np.int16)
    boxes = zip(places(series, table), table.to_dict("records"), strict=True)
    for number, (place, box) in enumerate(boxes):
        header = series.slices[place]
        hu = series.hu(header.sop_instance_uid)
        margin = _margin(header, margin_pixels, margin_mm)
        for which, cut in enumerate(cuts):
            crop = _crop(hu, _moved(box, cut, hu.shape), margin)
            if cut.noise_hu:
                noise = np.random.default_rng(number).standard_normal(crop.shape, np.float32)
                crop = crop + np.float32(cut.noise_hu) * noise
            pixels[which, number] = _whole(_resized(crop, size, cut.kernel))
    return pixels


def places(series: Series, table: pd.DataFrame) -> list[int]:
    """
    The ranks of a table's slices along the normal.

    Parameters
    ----------
    series : Series
        From which they were cut.
    table : pandas.DataFrame
        Rows of slices.csv.

    Returns
    -------
    list of int
        One a row.

    Raises
    ------
    ImagingError
        If the series holds no such slice.
    """
    # slices.csv keeps file and frame apart, where a series names a slice by both
    place = {
        (header.sop_instance_uid.partition("#")[0], header.frame_number): number
        for number, header in enumerate(series.slices)
    }
    keys = list(zip(table["sop_instance_uid"], table["frame_number"], strict=True))
    series.require(uid for uid, frame in keys if (uid, frame) not in place)
    return [place[key] for key in keys]


def mapped(file: IO[bytes], size: int) -> Pixels:
    """
    The pictures that were written to a file, read where they are looked at.

    Parameters
    ----------
    file : file object
        Open for reading and writing, holding int16 pictures one after the other; it may be closed
        afterwards, and a temporary one lives as long as the array.
    size : int
        Rows and columns of a picture.

    Returns
    -------
    numpy.ndarray of int16, shape (n_slices, size, size)
        Memory-mapped, where there is any.
    """
    file.flush()
    if not os.fstat(file.fileno()).st_size:
        return np.empty((0, size, size), np.int16)
    return np.memmap(file, np.int16, "r+").reshape(-1, size, size)


def margins(
    spacing_mm: npt.ArrayLike, margin_pixels: int, margin_mm: float | None
) -> npt.NDArray[np.int_]:
    """
    How far boxes are widened, in pixels.

    Parameters
    ----------
    spacing_mm : array_like of float
        Distances between pixels.
    margin_pixels : int
        The margin where none is given in mm.
    margin_mm : float or None
        The margin as a length.

    Returns
    -------
    numpy.ndarray of int
        One for each distance.
    """
    spacing = np.asarray(spacing_mm, float)
    pixels = np.full(spacing.shape, margin_pixels) if margin_mm is None else margin_mm / spacing
    whole: npt.NDArray[np.int_] = np.rint(pixels).astype(int)
    return whole


def _margin(header: Header, pixels: int, length_mm: float | None) -> tuple[int, int]:
    """How far a box is widened up and down, and to its sides, in pixels."""
    if length_mm is not None and header.pixel_spacing_mm is None:
        raise ImagingError(
            "no_position",
            f"{header.path} lacks PixelSpacing, so that a margin of {length_mm:g} mm cannot be "
            "kept. Give the margin in pixels, or export the file once more.",
            header.path,
        )
    down, right = margins(header.pixel_spacing_mm or (1.0, 1.0), pixels, length_mm)
    return int(down), int(right)


def _require_one_box_a_place(series: Series, boxes: pd.DataFrame) -> None:
    """Refuse an ROI that marks one lesion twice at one place: once in each of two phases."""
    for lesion, own in boxes.groupby("lesion"):
        along = along_normal([series.slices[place] for place in own["place"]])
        twice = np.flatnonzero(np.diff(along) <= SAME_PLACE_MM)
        if len(twice):
            uid = own["sop_instance_uid"].iloc[twice[0]]
            raise ImagingError(
                "duplicate_positions",
                f"{series.patient_id}: lesion {lesion} has two boxes at the place of slice {uid}. "
                "Keep the box of the portal-venous acquisition.",
                series.slice(uid).path,
            )


def _require_inside_body(series: Series, boxes: pd.DataFrame) -> None:
    """Refuse a lesion that lies in air: its boxes are swapped, mirrored or another patient's."""
    # over all slices: below the dome of the liver a true box may hold much lung on one of them
    for lesion, share in boxes.groupby("lesion")["tissue"].mean().items():
        if share < INSIDE_BODY:
            own = boxes[boxes["lesion"] == lesion]
            worst = series.slice(own.loc[own["tissue"].idxmin(), "sop_instance_uid"])
            raise ImagingError(
                "outside_body",
                f"{series.patient_id}: lesion {lesion} lies in air: {share:.0%} of its boxes' "
                f"pixels are above {AIR_HU} HU, at least {INSIDE_BODY:.0%} must be; the fewest on "
                f"slice {worst.sop_instance_uid}. Check that rows and columns are not swapped or "
                "counted from another corner, and that the ROI is this patient's.",
                worst.path,
            )


def _row(series: Series, box: dict[str, Any]) -> dict[str, Any]:
    """A slice's row: whose, where from, which box."""
    header = series.slice(box["sop_instance_uid"])
    position, spacing = header.position_mm, header.pixel_spacing_mm
    return box | {
        "patient_id": series.patient_id,
        "series_instance_uid": series.series_instance_uid,
        "sop_instance_uid": header.sop_instance_uid.partition("#")[0],
        "frame_number": header.frame_number,
        "slice_z_mm": position[2] if position else np.nan,
        "pixel_spacing_mm": spacing[0] if spacing else np.nan,
    }


def _hu(series: Series, box: dict[str, Any]) -> npt.NDArray[np.float32]:
    """The pixels of the slice on which a box lies."""
    header = series.slice(box["sop_instance_uid"])
    if box["row_max"] >= header.rows or box["column_max"] >= header.columns:
        edges = {edge: box[edge] for edge in rois.EDGES}
        raise ImagingError(
            "box_outside_image",
            f"{series.patient_id}: the box {edges} on slice {header.sop_instance_uid} reaches "
            f"beyond its {header.rows} rows and {header.columns} columns. "
            "Check that it was drawn on this image.",
            header.path,
        )
    return series.hu(header.sop_instance_uid)


def _crop(
    hu: npt.NDArray[np.float32], box: dict[str, Any], margin: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """The widened box's pixels."""
    down, right = margin
    return hu[
        max(box["row_min"] - down, 0) : box["row_max"] + down + 1,
        max(box["column_min"] - right, 0) : box["column_max"] + right + 1,
    ]


def _moved(box: dict[str, Any], cut: Cut, shape: tuple[int, ...]) -> dict[str, Any]:
    """The box as far away as the cut says, and still within the image."""
    moved = dict(box)
    for side, by, length in zip(("row", "column"), cut[:2], shape, strict=True):
        low, high = f"{side}_min", f"{side}_max"
        within = min(max(by, -box[low]), length - 1 - box[high])
        moved |= {low: box[low] + within, high: box[high] + within}
    return moved


def _resized(
    crop: npt.NDArray[np.float32], size: int, kernel: str = "linear"
) -> npt.NDArray[np.float32]:
    """The crop with `size` rows and columns."""
    return _rows_resized(_rows_resized(crop, size, kernel).T, size, kernel).T


def _rows_resized(crop: npt.NDArray[np.float32], size: int, kernel: str) -> npt.NDArray[np.float32]:
    """The crop with `size` rows: weighted sums of the few that each one touches."""
    # not a matrix product: its threads would fight with those of the other processes
    touched, weights = _taps(len(crop), size, kernel)
    resized = np.zeros((size, crop.shape[1]), np.float32)
    for row, weight in zip(touched.T, weights.T, strict=True):
        resized += weight[:, None] * crop[row]
    return resized


@lru_cache(maxsize=512)
def _taps(
    length: int, size: int, kernel: str
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Which of `length` pixels each of `size` touches, and their weights."""
    step = length / size
    centres = (np.arange(size)[:, None] + 0.5) * step
    if kernel == "nearest":
        return np.floor(centres).astype(np.intp), np.ones((size, 1), np.float32)
    half, weight_at = _KERNELS[kernel]
    unit = max(step, 1.0)  # of distance: where pixels are lost, the kernel is as wide as a step
    reach = half * unit
    touched = np.floor(centres - reach) + np.arange(int(np.ceil(2 * reach)) + 1)
    weight = weight_at(np.abs(touched + 0.5 - centres) / unit)
    weight[(touched < 0) | (touched >= length)] = 0
    weights = (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)
    return touched.clip(0, length - 1).astype(np.intp), weights


def _tent(distance: checks.Floats) -> checks.Floats:
    """The linear kernel: 1 at the centre, 0 from a distance of 1."""
    return np.maximum(1 - distance, 0)


def _keys(distance: checks.Floats) -> checks.Floats:
    """Keys' cubic kernel with a = -1/2: 1 at the centre, below 0 from 1 to 2, then 0."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.where(distance < 1, near, np.where(distance < 2, far, 0))


_KERNELS = {"linear": (1, _tent), "cubic": (2, _keys)}


def _whole(hu: npt.NDArray[np.float32]) -> Pixels:
    """Rounded, and held within 16 bits where metal exceeds them."""
    limits = np.iinfo(np.int16)
    whole: Pixels = np.rint(hu).clip(limits.min, limits.max).astype(np.int16)
    return whole
