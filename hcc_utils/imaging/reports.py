"""DICOM structured reports (TID 1500): what planar regions mark on the slices that they name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hcc_utils.imaging import contours, marks
from hcc_utils.imaging.contours import Points
from hcc_utils.imaging.headers import Header, ImagingError
from hcc_utils.imaging.marks import Choice, Mark, Named, Reference
from hcc_utils.imaging.series import Series

_GROUP, _TRACKING, _REGION = "125007", "112039", "111030"  # codes of DICOM PS3.16 TID 1411


def marked(path: Path, series: Series, chosen: Choice = marks.lesions) -> Iterator[Mark]:
    """
    What the regions of each lesion mark on each slice.

    Parameters
    ----------
    path : pathlib.Path
        A structured report with measurement groups of planar regions (TID 1500 and 1411).
    series : Series
        The series that was measured.
    chosen : Choice, default `marks.lesions`
        What is wanted of it.

    Yields
    ------
    Mark
        One for each slice with regions of a lesion, or what else is wanted: of what one tracking
        identifier names.

    Raises
    ------
    ImagingError
        If it holds no measurement group, no tracking identifier is a lesion's, or a lesion's
        region is no closed line on exactly one slice of the series.
    """
    groups = list(_groups(_read(path)))
    names = dict(enumerate(dict.fromkeys(name for name, _ in groups)))
    wanted = chosen(path, names, "tracking identifier")
    numbers = {names[number]: number for number in wanted}
    if any(name in numbers and not regions for name, regions in groups):
        raise ImagingError(
            "no_closed_contour",
            f"{path}: a measurement of a lesion has no region on a slice. Outline it there, or "
            "give the segmentation instead.",
            path,
        )
    regions = [(numbers[name], one) for name, own in groups if name in numbers for one in own]
    uids = marks.slices(path, [[_image(path, region)] for _, region in regions], series)
    drawn: dict[tuple[int, str], list[Points]] = {}
    for (number, region), uid in zip(regions, uids, strict=True):
        drawn.setdefault((number, uid), []).append(_pixels(path, region, series.slice(uid)))
    for (number, uid), found in drawn.items():
        header = series.slice(uid)
        mask = contours.filled(found, header.rows, header.columns)
        yield Mark(wanted[number], uid, mask, "sr")


def references(path: Path) -> Named:
    """
    The images to which a structured report refers.

    Parameters
    ----------
    path : pathlib.Path
        A structured report with measurement groups of planar regions.

    Returns
    -------
    Named
        Those of all its regions.
    """
    groups = _groups(_read(path))
    return Named(frozenset(_image(path, one) for _, regions in groups for one in regions))


def _read(path: Path) -> Any:
    """The dataset, where it is a structured report."""
    dataset = marks.read(path, "SR")
    if dataset.get("Modality") != "SR":
        raise ImagingError(
            "not_a_report",
            f"{path} is not a structured report (Modality: {dataset.get('Modality', 'none')}). "
            "Export the boxes as SR, or name their form in the manifest.",
            path,
        )
    return dataset


def _groups(item: Any) -> Iterator[tuple[str, list[Any]]]:
    """Tracking identifier and regions of each measurement group that has any of both."""
    for inner in item.get("ContentSequence") or []:
        if _code(inner) == _GROUP:
            parts = list(inner.get("ContentSequence") or [])
            said = [str(part.TextValue) for part in parts if _code(part) == _TRACKING]
            name, regions = "".join(said[:1]), [p for p in parts if _code(p) == _REGION]
            if name or regions:
                yield name, regions
        elif "GraphicData" in inner:
            raise ValueError("a region stands in no measurement group")
        else:
            yield from _groups(inner)


def _code(item: Any) -> str:
    """What an item of content is, as a code."""
    named = item.get("ConceptNameCodeSequence")
    return str(named[0].get("CodeValue", "")) if named else ""


def _image(path: Path, region: Any) -> Reference:
    """The one image that a region names."""
    named = [
        marks.reference(image)
        for source in region.get("ContentSequence") or []
        for image in source.get("ReferencedSOPSequence") or []
    ]
    if len(named) != 1:
        raise ImagingError(
            "unresolved_reference",
            f"{path}: a region refers to {len(named)} images; one is needed. Measure on the "
            "slices of the CT, in pixels of the image (SCOORD).",
            path,
        )
    return named[0]


def _pixels(path: Path, region: Any, header: Header) -> Points:
    """A closed line's corners as (row, column), whole numbers at pixel centres."""
    kind = str(region.get("GraphicType", "none"))
    numbers = np.array(region.get("GraphicData") or [], float)
    corners = numbers.reshape(-1, 2)[:, ::-1] if len(numbers) % 2 == 0 else np.empty((0, 2))
    if kind != "POLYLINE" or len(corners) < 4 or not np.array_equal(corners[0], corners[-1]):
        raise ImagingError(
            "no_closed_contour",
            f"{path}: a lesion has a region that is no closed line (GraphicType: {kind}; "
            f"{len(numbers)} coordinates). Draw a rectangle or a polygon.",
            path,
        )
    if corners.min() < 0 or (corners > (header.rows, header.columns)).any():
        raise ImagingError(
            "other_grid",
            f"{path}: a region reaches beyond the slice {header.sop_instance_uid} of "
            f"{header.rows} rows and {header.columns} columns. Give the report on this CT.",
            path,
        )
    inner: Points = corners[:-1] - 0.5  # (0, 0) is the corner of the first pixel [PS3.3 C.18.6]
    return inner
