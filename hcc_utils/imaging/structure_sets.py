"""RT structure sets: what closed planar contours mark on the slices that they were drawn on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hcc_utils.imaging import contours, marks
from hcc_utils.imaging.contours import ON_THE_PATH_PIXELS, Points
from hcc_utils.imaging.headers import Header, ImagingError, axes
from hcc_utils.imaging.marks import SAME_PLACE_MM, Choice, Mark, Named, Reference
from hcc_utils.imaging.series import Series

_STORAGE = "1.2.840.10008.5.1.4.1.1.481.3"
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")


def marked(path: Path, series: Series, chosen: Choice = marks.lesions) -> Iterator[Mark]:
    """
    What the contours of each lesion mark on each slice.

    Parameters
    ----------
    path : pathlib.Path
        An RT structure set.
    series : Series
        The series on which it was drawn.
    chosen : Choice, default `marks.lesions`
        What is wanted of it.

    Yields
    ------
    Mark
        One for each slice with contours of an ROI that is wanted; its source is "rtstruct" where
        they name the slice and "rtstruct_by_position" where only their position tells it.

    Raises
    ------
    ImagingError
        If it is no structure set, no ROI is a lesion, or a contour is not closed, does not lie
        on exactly one slice of the series, or has another frame of reference.
    """
    dataset = _read(path)
    rois = {int(roi.ROINumber): roi for roi in dataset.get("StructureSetROISequence", [])}
    names = {number: str(roi.get("ROIName", "")) for number, roi in rois.items()}
    wanted = chosen(path, names, "ROI")
    drawn: dict[tuple[int, str], list[Points]] = {}
    by_position = set()
    _require_one_outline_each(path, dataset)
    everything = list(_contours(dataset))
    marks.require_drawn(path, names, [number for number, _ in everything])
    outlines = [one for one in everything if one[0] in wanted]
    named = [images for _, contour in outlines if (images := _images(contour))]
    if len(named) < len(outlines):
        marks.require_series(path, _named_series(dataset), series)
    uids = iter(marks.slices(path, named, series))
    for number, contour in outlines:
        points, is_named = _points(path, contour), bool(_images(contour))
        uid = next(uids) if is_named else _at(path, points, series)
        header = series.slice(uid)
        _require_same_frame(path, rois[number], header)
        drawn.setdefault((number, uid), []).append(_pixels(path, points, header))
        if not is_named:
            by_position.add((number, uid))
    for (number, uid), found in drawn.items():
        header = series.slice(uid)
        mask = contours.filled(found, header.rows, header.columns)
        source = "rtstruct_by_position" if (number, uid) in by_position else "rtstruct"
        yield Mark(wanted[number], uid, mask, source)


def references(path: Path) -> Named:
    """
    The images to which a structure set refers.

    Parameters
    ----------
    path : pathlib.Path
        An RT structure set.

    Returns
    -------
    Named
        Those that its contours name or, where they name none, those of the series that it names
        as a whole; and these.
    """
    dataset = _read(path)
    named = {image for _, contour in _contours(dataset) for image in _images(contour)}
    named = named or {image for one in _series(dataset) for image in _images(one)}
    return Named(frozenset(named), _named_series(dataset))


def _read(path: Path) -> Any:
    """The dataset, where it is a structure set."""
    dataset = marks.read(path, "RTSTRUCT")
    if dataset.get("SOPClassUID") != _STORAGE:
        raise ImagingError(
            "not_a_structure_set",
            f"{path} is not an RT structure set (Modality: {dataset.get('Modality', 'none')}). "
            "Export the outline as RTSTRUCT, or name its form in the manifest.",
            path,
        )
    return dataset


def _require_one_outline_each(path: Path, dataset: Any) -> None:
    """Refuse two sets of contours for one ROI: one of them is another's."""
    numbers = Counter(int(one.ReferencedROINumber) for one in dataset.get("ROIContourSequence", []))
    twice = [number for number, count in numbers.items() if count > 1]
    if twice:
        raise ImagingError(
            "unresolved_reference",
            f"{path}: several sets of contours name ROI number {twice[0]} (ReferencedROINumber). "
            "Export the outline once more.",
            path,
        )


def _contours(dataset: Any) -> Iterator[tuple[int, Any]]:
    """Every contour, with the number of its ROI."""
    for roi in dataset.get("ROIContourSequence", []):
        for contour in roi.get("ContourSequence", []):
            yield int(roi.ReferencedROINumber), contour


def _images(item: Any) -> list[Reference]:
    """The images that a contour, or a structure set's series, names."""
    return [marks.reference(image) for image in item.get("ContourImageSequence") or []]


def _series(dataset: Any) -> list[Any]:
    """The series that the structure set names as a whole."""
    return [
        series
        for frame in dataset.get("ReferencedFrameOfReferenceSequence") or []
        for study in frame.get("RTReferencedStudySequence") or []
        for series in study.get("RTReferencedSeriesSequence") or []
    ]


def _named_series(dataset: Any) -> frozenset[str]:
    """Their SeriesInstanceUIDs."""
    return frozenset(str(one.SeriesInstanceUID) for one in _series(dataset))


def _points(path: Path, contour: Any) -> Points:
    """A closed contour's corners in mm, patient axes."""
    kind = str(contour.get("ContourGeometricType", "none"))
    numbers = np.array([float(value) for value in contour.get("ContourData") or []])
    if kind not in _CLOSED or len(numbers) % 3 or len(numbers) < 9:
        raise ImagingError(
            "no_closed_contour",
            f"{path}: a lesion has a contour that is not closed and planar "
            f"(ContourGeometricType: {kind}; {len(numbers)} coordinates). Outline the lesion "
            "slice by slice, and remove points and open lines.",
            path,
        )
    return numbers.reshape(-1, 3)


def _at(path: Path, points: Points, series: Series) -> str:
    """The one slice at the position of a contour that names none."""
    first = series.slices[0]
    heights = np.array([h.position_mm for h in series.slices]) @ axes(first)[:, 2]
    height = float(np.median(points @ axes(first)[:, 2]))
    near = np.flatnonzero(np.abs(heights - height) <= SAME_PLACE_MM)
    if len(near) != 1:
        nearest = float(heights[np.abs(heights - height).argmin()])
        raise ImagingError(
            "unresolved_reference",
            f"{path}: a contour names no image, and {len(near)} slices lie within "
            f"{SAME_PLACE_MM} mm of it: it is at {height:.2f} mm along the normal, the nearest "
            f"slice at {nearest:.2f} mm. Export the outline with references to the CT's slices.",
            path,
        )
    return series.slices[int(near[0])].sop_instance_uid


def _require_same_frame(path: Path, roi: Any, header: Header) -> None:
    """Refuse contours whose coordinates are counted from another origin."""
    frame = str(roi.get("ReferencedFrameOfReferenceUID", "none"))
    if frame != header.frame_of_reference_uid:
        raise ImagingError(
            "other_frame_of_reference",
            f"{path}: the lesion's FrameOfReferenceUID is {frame}, that of the slice "
            f"{header.sop_instance_uid} is {header.frame_of_reference_uid or 'none'}. Give the "
            "outline that was drawn on this CT.",
            path,
        )


def _pixels(path: Path, points: Points, header: Header) -> Points:
    """Corners as (row, column) of the slice, where they lie on it."""
    column, row, off_mm = np.linalg.solve(axes(header), (points - np.array(header.position_mm)).T)
    within = np.array([(header.rows,), (header.columns,)]) / 2 + ON_THE_PATH_PIXELS
    centre = np.array([(header.rows - 1,), (header.columns - 1,)]) / 2
    off_image = np.abs(np.stack([row, column]) - centre) > within
    if np.abs(off_mm).max() > SAME_PLACE_MM or off_image.any():
        raise ImagingError(
            "other_grid",
            f"{path}: a contour does not lie on the slice {header.sop_instance_uid} (it leaves "
            f"its plane by {np.abs(off_mm).max():.2f} mm; {off_image.any(axis=0).sum()} of "
            f"{len(points)} points are beyond its edge). Give the outline that was drawn on this "
            "CT.",
            path,
        )
    return np.column_stack([row, column])
