"""Hounsfield units of the organs that an ROI outlines beside the lesion: they tell the phase."""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from hcc_utils.imaging import headers, landmarks, marks, roi
from hcc_utils.imaging.headers import Header, ImagingError
from hcc_utils.imaging.marks import Mark, Mask
from hcc_utils.imaging.series import Hounsfield, Series

SLICES = 3  # of each organ: those on which it is largest
INNER_MM = 2.0  # at its margin an organ mixes with its neighbours
_LESION = 0
_ORGANS = ("liver", "portal_vein", "aorta")  # numbered from 1
_NAMES: dict[str, int] = {
    "liver": 1,
    "liver parenchyma": 1,
    "hepar": 1,
    "portal vein": 2,
    "vena portae": 2,
    "portal vein and splenic vein": 2,  # as TotalSegmentator names it
    "aorta": 3,
    "abdominal aorta": 3,
    "aorta abdominalis": 3,
}


def measured(path: Path | str, source: str, series: Series) -> pd.DataFrame:
    """
    Mean Hounsfield units of liver, portal vein and aorta, where an ROI outlines them.

    Parameters
    ----------
    path : pathlib.Path or str
        The patient's ROI, or the table of boxes.
    source : {"seg", "rtstruct", "nifti", "sr", "boxes"}
        Its form.
    series : Series
        The series on which it was drawn.

    Returns
    -------
    pandas.DataFrame
        The columns of `landmarks.measured`. One row for each organ and each of the `SLICES` slices
        on which it is largest, of the pixels that lie `INNER_MM` within its outline and outside
        the lesion's; where it cannot be measured, ``problem`` says why. No row where nothing but
        lesions is named.
    """
    organs: set[int] = set()

    def chosen(_path: Path, names: Mapping[int, str], _what: str) -> dict[int, int]:
        known = {number: what for number, name in names.items() if (what := _known(name)) >= 0}
        organs.update({*known.values()} - {_LESION})
        return known if organs else {}

    lesion: dict[str, Mask] = {}
    outlines: Sequence[tuple[int, Mark | ImagingError]]
    try:
        outlines = _largest(roi.marked(path, source, series, chosen), lesion)
    except ImagingError as error:
        outlines = [(organ, error) for organ in sorted(organs)]
    hu = cache(series.hu)
    return landmarks.table(
        landmarks.entry(
            series.patient_id,
            _ORGANS[organ - 1],
            _z_mm(outline, series),
            partial(_inner, outline, lesion, series, hu),
        )
        for organ, outline in outlines
    )


def _known(name: str) -> int:
    """What a name means: 0 a lesion, from 1 an organ, -1 anything else."""
    if marks.is_lesion(name):
        return _LESION
    plain = re.sub(r"[\s_-]+", " ", name).strip().lower()
    return _NAMES.get(re.sub(r" ?\d+$", "", plain), -1)


def _largest(marked: Iterable[Mark], lesion: dict[str, Mask]) -> list[tuple[int, Mark]]:
    """Each organ on the slices where it is largest; the lesion's pixels are put by."""
    largest: dict[int, list[Mark]] = {}
    for mark in marked:
        if mark.number == _LESION:
            uid = mark.sop_instance_uid
            lesion[uid] = mark.mask | lesion.get(uid, False)
        elif mark.mask.any():
            own = [*largest.get(mark.number, ()), mark]
            largest[mark.number] = heapq.nlargest(
                SLICES, own, lambda one: np.count_nonzero(one.mask)
            )
    return [(organ, mark) for organ in sorted(largest) for mark in largest[organ]]


def _n_pixels(mark: Mark) -> int:
    """How many are marked."""
    return int(np.count_nonzero(mark.mask))


def _z_mm(outline: Mark | ImagingError, series: Series) -> float:
    """The height of an outline."""
    if isinstance(outline, ImagingError):
        return float("nan")
    position = series.slice(outline.sop_instance_uid).position_mm
    return position[2] if position else float("nan")


def _inner(
    outline: Mark | ImagingError,
    lesion: Mapping[str, Mask],
    series: Series,
    hu: Callable[[str], Hounsfield],
) -> tuple[Header, Hounsfield]:
    """The slice of an outline, and the Hounsfield units that are well within it."""
    if isinstance(outline, ImagingError):
        raise outline
    uid = outline.sop_instance_uid
    header = series.slice(uid)
    spacing = np.linalg.norm(headers.axes(header)[:, :2], axis=0)
    own = outline.mask & ~lesion.get(uid, np.False_)
    inner = ndimage.binary_erosion(own, iterations=int(np.ceil(INNER_MM / spacing.min())))
    if not inner.any():
        raise ImagingError(
            "too_thin",
            f"{series.patient_id}: an organ's outline on slice {uid} holds no pixel {INNER_MM:g} "
            "mm within it. Mark the organ in the table of landmarks.",
            header.path,
        )
    return header, hu(uid)[inner]
