"""What an ROI marks on one slice, the slices that it names, and the names that mean a lesion."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.config import disable_value_validation

from hcc_utils.imaging import integrity
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


class Named(NamedTuple):
    """The images that an ROI names, and the series that it names as a whole."""

    images: frozenset[Reference]
    series: frozenset[str] = frozenset()


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
        data = path.read_bytes()
        integrity.require_dicom(data)
        with disable_value_validation():
            return pydicom.dcmread(BytesIO(data))
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


def named(references: Iterable[Reference], series: Series) -> list[str]:
    """
    The slices to which references lead.

    Parameters
    ----------
    references : iterable of Reference
        What an ROI names.
    series : Series
        The series that may hold it.

    Returns
    -------
    list of str
        Their names in `series` (`headers.Header`), each once: one for each frame, and of an
        enhanced CT whose frame is not told all frames. What `series` does not hold is named too.
    """
    images = _images(series)
    return list(dict.fromkeys(uid for one in references for uid in _led(one, images)))


def slices(path: Path, references: Sequence[Sequence[Reference]], series: Series) -> list[str]:
    """
    The one slice to which the references of each mark lead.

    Parameters
    ----------
    path : pathlib.Path
        The ROI, for messages.
    references : sequence of sequence of Reference
        The images that each of its marks names: at least one, and several of several acquisitions
        at one place, of which `series` may be one.
    series : Series
        The series on which it was drawn.

    Returns
    -------
    list of str
        Their names in `series`.

    Raises
    ------
    ImagingError
        If a mark leads to several slices of `series`, or to none.
    """
    images = _images(series)
    there = {uid for frames in images.values() for uid in frames.values()}
    found = []
    for own in references:
        led = [uid for one in own for uid in _led(one, images)]
        held = [uid for uid in led if uid in there]
        if len(held) > 1:
            raise ImagingError(
                "several_slices",
                f"{path} refers to {len(held)} slices at once, such as {held[0]} and {held[1]}; "
                "one is needed. Of two acquisitions in one series name one (acquisition_number in "
                "the manifest's series_rule); of an enhanced CT name the frame "
                "(ReferencedFrameNumber, or frame_number in a table of boxes).",
                path,
            )
        found.append((held or led)[0])
    series.require(found)
    return found


def require_series(path: Path, series_instance_uids: Collection[str], series: Series) -> None:
    """
    Nothing, where an ROI that names no slice may lie on a series.

    Parameters
    ----------
    path : pathlib.Path
        The ROI, for messages.
    series_instance_uids : collection of str
        The series that it names as a whole, perhaps none.
    series : Series
        The series on which it should lie.

    Raises
    ------
    ImagingError
        If it names others.
    """
    if series_instance_uids and series.series_instance_uid not in series_instance_uids:
        raise ImagingError(
            "unresolved_reference",
            f"{path} was drawn on the series {', '.join(series_instance_uids)}, not on "
            f"{series.series_instance_uid}. Name that series in the manifest.",
            path,
        )


def _images(series: Series) -> dict[str, dict[int, str]]:
    """By SOPInstanceUID and frame number, the slices' names."""
    images: dict[str, dict[int, str]] = {}
    for header in series.slices:
        uid = header.sop_instance_uid.partition("#")[0]
        images.setdefault(uid, {})[header.frame_number] = header.sop_instance_uid
    return images


def _led(one: Reference, images: Mapping[str, Mapping[int, str]]) -> list[str]:
    """The slices to which a reference leads, whether they are there or not."""
    frames = images.get(one.sop_instance_uid, {})
    if not one.frames:
        return list(frames.values()) or [one.sop_instance_uid]
    return [frames.get(number, f"{one.sop_instance_uid}#{number}") for number in one.frames]


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
        If none is a lesion, or one has no name.
    """
    nameless = [number for number, name in names.items() if not name.strip()]
    if nameless:
        raise ImagingError(
            "no_lesion_segment",
            f"{path} has {len(nameless)} {what}(s) without a name, so that nothing tells whether "
            f"they are lesions. Name each {what} or remove it.",
            path,
        )
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


def require_drawn(path: Path, names: Mapping[int, str], drawn: Collection[int]) -> None:
    """
    Nothing, where every outline belongs to something named, and every lesion has an outline.

    Parameters
    ----------
    path : pathlib.Path
        Their file, for messages.
    names : mapping of int to str
        The name of each thing by its number.
    drawn : collection of int
        The numbers that outlines name.

    Raises
    ------
    ImagingError
        If there are outlines, and one names a number that is not there, or none names a lesion's.
    """
    if not drawn:
        return
    unknown = [
        f"an outline names number {number}, which is not there"
        for number in dict.fromkeys(drawn)
        if number not in names
    ]
    undrawn = [
        f"{name} has no outline"
        for number, name in names.items()
        if is_lesion(name) and number not in drawn
    ]
    if unknown or undrawn:
        raise ImagingError(
            "unresolved_reference",
            f"{path}: {'; '.join(unknown + undrawn)}. Draw it or remove it, and export it again.",
            path,
        )
