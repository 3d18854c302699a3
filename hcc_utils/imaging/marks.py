"""What an ROI marks on one slice, the slices that it names, and the names that mean a lesion."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.config import disable_value_validation

from hcc_utils.imaging.headers import ImagingError
from hcc_utils.imaging.series import Series

SAME_PLACE_MM = 0.1
SAME_DIRECTION = 1e-3
_STEP_DEGREES = 3  # a diameter between two directions is at most 0.04 % longer

Mask = npt.NDArray[np.bool_]
Choice = Callable[[Path, Mapping[int, str], str], dict[int, int]]
"""From an ROI's file, the names in it and what bears them to a number of one's own for each that
is wanted; `lesions` is one."""

_LESION = re.compile(r"(lesion|mass|tumou?r|hcc)s?[\s_#-]*\d*", re.IGNORECASE)


class Mark(NamedTuple):
    """The pixels of one slice that belong to one lesion, perhaps none, and who says so."""

    number: int
    sop_instance_uid: str
    mask: Mask
    roi_source: str


class Reference(NamedTuple):
    """An image that an ROI names, and which of its frames; where it names none, all of them."""

    sop_instance_uid: str
    frames: tuple[int, ...] = ()


def read(path: Path, what: str) -> Any:
    """
    A DICOM object that marks lesions.

    Parameters
    ----------
    path : pathlib.Path
        Its file.
    what : str
        What it should be, for messages.

    Returns
    -------
    pydicom.Dataset
        All of it.

    Raises
    ------
    ImagingError
        If it is not there or is not DICOM.
    """
    if not path.is_file():
        raise ImagingError("no_roi", f"{path} is not there; put the patient's {what} there.", path)
    try:
        with disable_value_validation():
            return pydicom.dcmread(path)
    except Exception as error:  # a damaged file fails in any of pydicom's ways
        raise ImagingError(
            "unreadable_roi", f"{path} cannot be read as DICOM ({error}). Export it again.", path
        ) from error


def reference(item: Any) -> Reference:
    """
    The image that an item of a DICOM sequence names.

    Parameters
    ----------
    item : pydicom.Dataset
        With ReferencedSOPInstanceUID and, for an image of several frames, ReferencedFrameNumber.

    Returns
    -------
    Reference
        Image and frames.
    """
    frames = np.ravel(item.get("ReferencedFrameNumber") or []).astype(int)
    return Reference(str(item.ReferencedSOPInstanceUID), tuple(frames.tolist()))


def named(references: Sequence[Reference], series: Series) -> Iterator[list[str]]:
    """
    The slices to which each reference leads.

    Parameters
    ----------
    references : sequence of Reference
        What an ROI names.
    series : Series
        The series that may hold it.

    Yields
    ------
    list of str
        Their names in `series` (`headers.Header`): one for each frame, and of an enhanced CT
        whose frame is not told all frames. A slice that `series` does not hold is named as well.
    """
    frames: dict[str, dict[int, str]] = {}
    for header in series.slices:
        uid = header.sop_instance_uid.partition("#")[0]
        frames.setdefault(uid, {})[header.frame_number] = header.sop_instance_uid
    for uid, numbers in references:
        there = frames.get(uid, {})
        gone = [f"{uid}#{number}" for number in numbers if number not in there]
        held = [there[number] for number in numbers if number in there] or list(there.values())
        yield gone or held or [uid]


def slices(path: Path, references: Sequence[Reference], series: Series) -> list[str]:
    """
    The one slice to which each reference leads.

    Parameters
    ----------
    path : pathlib.Path
        The ROI, for messages.
    references : sequence of Reference
        What it names.
    series : Series
        The series on which it was drawn.

    Returns
    -------
    list of str
        Their names in `series`.

    Raises
    ------
    ImagingError
        If a reference leads to several frames of an enhanced CT, or `series` does not hold them
        all.
    """
    found = list(named(references, series))
    for one, own in zip(references, found, strict=True):
        if len(own) != 1:
            raise ImagingError(
                "several_frames",
                f"{path} refers to {len(own)} frames of the enhanced CT {one.sop_instance_uid} at "
                "once; one is needed (ReferencedFrameNumber; frame_number in a table of boxes).",
                path,
            )
    series.require(uid for (uid,) in found)
    return [uid for (uid,) in found]


def longest_mm(mask: Mask, spacing_mm: tuple[float, ...] | None) -> float:
    """
    The longest diameter of what is marked on a slice.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (rows, columns)
        True where marked.
    spacing_mm : tuple of float or None
        Between rows and between columns.

    Returns
    -------
    float
        In mm, each pixel counted with its width; 0 where nothing is marked, NaN where the spacing
        is not known.
    """
    if spacing_mm is None:
        return float("nan")
    marked = np.flatnonzero(mask.any(axis=1))
    if not len(marked):
        return 0.0
    # the ends of a diameter are ends of rows
    first, last = mask[marked].argmax(axis=1), mask[marked, ::-1].argmax(axis=1)
    rows, columns = np.tile(marked, 2), np.append(first, mask.shape[1] - 1 - last)
    angles = np.deg2rad(np.arange(0, 180, _STEP_DEGREES))
    down, right = np.sin(angles) * spacing_mm[0], np.cos(angles) * spacing_mm[1]
    along: npt.NDArray[np.float64] = np.outer(down, rows) + np.outer(right, columns)
    # each pixel counts as an ellipse that touches its four edges
    return float((np.ptp(along, axis=1) + np.hypot(down, right)).max())


def lesions(path: Path, names: Mapping[int, str], what: str) -> dict[int, int]:
    """
    Which of the named things are lesions.

    Parameters
    ----------
    path : pathlib.Path
        Their file, for messages.
    names : mapping of int to str
        The name of each by its number. Lesion, mass, tumour and HCC, numbered or not, are
        lesions.
    what : str
        What bears the names, for messages.

    Returns
    -------
    dict of int to int
        The lesion's number (1, 2, ...) by the thing's number, in the order of these.

    Raises
    ------
    ImagingError
        If none is a lesion.
    """
    found = [number for number, name in names.items() if is_lesion(name)]
    if not found:
        raise ImagingError(
            "no_lesion_segment",
            f"{path} has no {what} named lesion, mass, tumour or HCC; it has "
            f"{', '.join(names.values()) or 'none'}. Rename the lesion's {what}.",
            path,
        )
    return {number: lesion for lesion, number in enumerate(sorted(found), start=1)}


def is_lesion(name: str) -> bool:
    """
    Whether a name means a lesion.

    Parameters
    ----------
    name : str
        Of a segment, label, ROI or measurement.

    Returns
    -------
    bool
        True for lesion, mass, tumour and HCC, numbered or not.
    """
    return _LESION.fullmatch(name.strip()) is not None
