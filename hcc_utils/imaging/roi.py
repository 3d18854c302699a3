"""Where the lesion is: one box for each slice that it touches, from a segmentation or a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pydicom
from pydicom.config import disable_value_validation

from hcc_utils import checks
from hcc_utils.imaging.headers import Header, ImagingError
from hcc_utils.imaging.series import Series

SOURCES: tuple[str, ...] = ("seg", "boxes")
EDGES: tuple[str, ...] = ("row_min", "row_max", "column_min", "column_max")
COLUMNS: tuple[str, ...] = ("sop_instance_uid", "lesion", *EDGES, "roi_source")

_SEG = "1.2.840.10008.5.1.4.1.1.66.4"
_LESION = re.compile(r"(lesion|mass|tumou?r|hcc)s?[\s_#-]*\d*", re.IGNORECASE)
_SAME_PLACE_MM = 0.1
_SAME_DIRECTION = 1e-3

_Groups = tuple[Any, Any]  # a frame's own attributes, and those that all frames share


def from_seg(path: Path | str, series: Series) -> pd.DataFrame:
    """
    The boxes of the lesions that a DICOM SEG outlines.

    Parameters
    ----------
    path : pathlib.Path or str
        A BINARY segmentation whose frames lie on the slices of `series`. Segments labelled
        lesion, mass, tumour or HCC, numbered or not, are lesions; others are left out.
    series : Series
        The series that was segmented.

    Returns
    -------
    pandas.DataFrame
        One row a slice and lesion, by lesion and along the normal: ``sop_instance_uid``,
        ``lesion`` (1, 2, ... in the order of segments), ``row_min``, ``row_max``,
        ``column_min``, ``column_max`` (inclusive, from 0), ``roi_source``. Frames without a
        marked pixel have none.

    Raises
    ------
    InputError
        If it is no BINARY segmentation, no segment is a lesion, nothing is marked, or a frame
        does not lie on exactly one slice of the series.
    """
    path = Path(path)
    dataset = _segmentation(path)
    lesions = _lesions(path, dataset)
    masks = dataset.pixel_array.reshape(-1, int(dataset.Rows), int(dataset.Columns))
    rows = []
    for mask, (segment, uid, groups) in zip(masks, _frames(path, dataset), strict=True):
        if segment in lesions:
            _require_same_grid(path, groups, series.slice(uid), mask.shape)
            if mask.any():
                rows.append((uid, lesions[segment], *_extent(mask), "seg"))
    if not rows:
        raise ImagingError(
            "nothing_marked", f"{path} marks no pixel as lesion. Draw it and export again.", path
        )
    rows.sort(key=lambda row: (row[1], series.place(row[0])))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def from_boxes(path: Path | str, patient_id: str) -> pd.DataFrame:
    """
    The boxes that a table gives for one patient.

    Parameters
    ----------
    path : pathlib.Path or str
        A CSV file with the columns ``patient_id``, ``sop_instance_uid``, ``row_min``,
        ``row_max``, ``column_min``, ``column_max`` (inclusive, from 0) and, where there are
        several, ``lesion``.
    patient_id : str
        Whose.

    Returns
    -------
    pandas.DataFrame
        One row a slice and lesion, the columns of `from_seg`.

    Raises
    ------
    InputError
        If columns are missing, the patient has no row, or a box is not one.
    """
    path = Path(path)
    if not path.is_file():
        raise ImagingError("no_roi", f"{path} is not there; the manifest names it as ROI.", path)
    table = _table(str(path), path.stat().st_mtime_ns)
    boxes = table[table["patient_id"] == patient_id].copy()
    if boxes.empty:
        raise ImagingError(
            "no_roi", f"{path} has no row for {patient_id}. Add a box for each slice.", path
        )
    edges = boxes[list(EDGES)].apply(pd.to_numeric, errors="coerce")
    wrong = edges.isna().any(axis=1) | (edges % 1 != 0).any(axis=1) | (edges < 0).any(axis=1)
    wrong |= (edges["row_min"] > edges["row_max"]) | (edges["column_min"] > edges["column_max"])
    if wrong.any():
        first = boxes[wrong].iloc[0]
        raise ImagingError(
            "impossible_box",
            f"{path}: {patient_id} has {wrong.sum()} box(es) that are none, first on slice "
            f"{first['sop_instance_uid']}: {first[list(EDGES)].to_dict()}. Edges are whole "
            "numbers from 0, the minimum not above the maximum.",
            path,
        )
    boxes[list(EDGES)] = edges
    boxes["lesion"] = boxes.get("lesion", 1)
    boxes["roi_source"] = "boxes"
    whole = dict.fromkeys((*EDGES, "lesion"), np.int64)
    return boxes[list(COLUMNS)].astype(whole).reset_index(drop=True)


def referenced(path: Path | str, patient_id: str, source: str) -> frozenset[str]:
    """
    The slices to which a patient's ROI refers.

    Parameters
    ----------
    path : pathlib.Path or str
        The segmentation, or the table of boxes.
    patient_id : str
        Whose.
    source : str
        "seg" or "boxes".

    Returns
    -------
    frozenset of str
        Their SOPInstanceUIDs.
    """
    if source == "boxes":
        return frozenset(from_boxes(path, patient_id)["sop_instance_uid"])
    path = Path(path)
    return frozenset(uid for _, uid, _ in _frames(path, _segmentation(path)))


@lru_cache(maxsize=1)
def _table(path: str, _changed: int) -> pd.DataFrame:
    """A centre's table of boxes, read once for all its patients."""
    table = pd.read_csv(path, dtype=str)
    return checks.columns(table, ["patient_id", "sop_instance_uid", *EDGES], name=path)


def _segmentation(path: Path) -> Any:
    """The dataset, where it is a BINARY segmentation."""
    if not path.is_file():
        raise ImagingError("no_roi", f"{path} is not there; put the patient's SEG there.", path)
    try:
        with disable_value_validation():
            dataset = pydicom.dcmread(path)
    except Exception as error:  # a damaged file fails in any of pydicom's ways
        raise ImagingError(
            "unreadable_roi", f"{path} cannot be read as DICOM ({error}). Export it again.", path
        ) from error
    kind = str(dataset.get("SegmentationType", "none"))
    if dataset.get("SOPClassUID") != _SEG or kind != "BINARY":
        raise ImagingError(
            "not_a_segmentation",
            f"{path} is not a BINARY DICOM segmentation (SegmentationType: {kind}). "
            "Export the outline as a binary SEG, or give a table of boxes.",
            path,
        )
    return dataset


def _lesions(path: Path, dataset: Any) -> dict[int, int]:
    """Which segments are lesions: number of the segment, number of the lesion."""
    labels = {int(s.SegmentNumber): str(s.SegmentLabel) for s in dataset.SegmentSequence}
    found = [number for number, label in labels.items() if _LESION.fullmatch(label.strip())]
    if not found:
        raise ImagingError(
            "no_lesion_segment",
            f"{path} has no segment labelled lesion, mass, tumour or HCC; it has "
            f"{', '.join(labels.values())}. Rename the lesion's segment.",
            path,
        )
    return {number: lesion for lesion, number in enumerate(sorted(found), start=1)}


def _frames(path: Path, dataset: Any) -> Iterator[tuple[int, str, _Groups]]:
    """Each frame's segment, the one slice that it refers to, and where to look for the rest."""
    shared = dataset.get("SharedFunctionalGroupsSequence", [{}])[0]
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence, start=1):
        groups = (frame, shared)
        sources = [
            str(source.ReferencedSOPInstanceUID)
            for derivation in frame.get("DerivationImageSequence", [])
            for source in derivation.get("SourceImageSequence", [])
        ]
        if len(sources) != 1:
            raise ImagingError(
                "unresolved_reference",
                f"{path}, frame {number} refers to {len(sources)} images; one is needed. "
                "Export the segmentation on the slices of the CT, not resampled.",
                path,
            )
        segment = _group(groups, "SegmentIdentificationSequence")
        if segment is None:
            raise ImagingError(
                "unresolved_reference",
                f"{path}, frame {number} names no segment. Export it again.",
                path,
            )
        yield int(segment.ReferencedSegmentNumber), sources[0], groups


def _group(groups: _Groups, keyword: str) -> Any:
    """What the frame itself says, or what all frames share; None where neither does."""
    found = next((group.get(keyword) for group in groups if group.get(keyword)), None)
    return found[0] if found else None


def _require_same_grid(path: Path, groups: _Groups, header: Header, shape: tuple[int, ...]) -> None:
    """Refuse a frame whose pixels are not those of the slice it refers to."""
    position = _group(groups, "PlanePositionSequence")
    orientation = _group(groups, "PlaneOrientationSequence")
    measures = _group(groups, "PixelMeasuresSequence")
    same = shape == (header.rows, header.columns)
    if position is not None:
        same &= _near(position.ImagePositionPatient, header.position_mm, _SAME_PLACE_MM)
    if orientation is not None:
        turned = orientation.ImageOrientationPatient
        same &= _near(turned, header.orientation, _SAME_DIRECTION)
    if measures is not None:
        same &= _near(measures.PixelSpacing, header.pixel_spacing_mm, _SAME_DIRECTION)
    if not same:
        raise ImagingError(
            "other_grid",
            f"{path}: a frame does not lie on the pixels of the slice {header.sop_instance_uid} "
            "to which it refers (size, position, orientation or spacing differ). Export the "
            "segmentation on the CT's own slices.",
            path,
        )


def _near(one: Any, other: tuple[float, ...] | None, within: float) -> bool:
    if other is None or len(one) != len(other):
        return False
    return bool(np.allclose([float(v) for v in one], other, rtol=0, atol=within))


def _extent(mask: npt.NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """First and last marked row, first and last marked column."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])
