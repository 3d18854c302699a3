"""DICOM segmentations: what each frame marks on the slice that it refers to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hcc_utils.imaging import marks
from hcc_utils.imaging.headers import Header, ImagingError
from hcc_utils.imaging.marks import SAME_DIRECTION, SAME_PLACE_MM, Mark
from hcc_utils.imaging.series import Series

_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"

_Groups = tuple[Any, Any]  # a frame's own attributes, and those that all frames share


def marked(path: Path, series: Series) -> Iterator[Mark]:
    """
    What each frame of a lesion marks.

    Parameters
    ----------
    path : pathlib.Path
        A BINARY segmentation.
    series : Series
        The series that was segmented.

    Yields
    ------
    Mark
        One for each frame whose segment is a lesion.

    Raises
    ------
    ImagingError
        If it is no BINARY segmentation, no segment is a lesion, or a frame does not lie on
        exactly one slice of the series.
    """
    dataset = _read(path)
    labels = {int(s.SegmentNumber): str(s.SegmentLabel) for s in dataset.SegmentSequence}
    lesions = marks.lesions(path, labels, "segment")
    masks = dataset.pixel_array.reshape(-1, int(dataset.Rows), int(dataset.Columns))
    frames = list(_frames(path, dataset))
    series.require(uid for segment, uid, _ in frames if segment in lesions)
    for mask, (segment, uid, groups) in zip(masks, frames, strict=True):
        if segment in lesions:
            _require_same_grid(path, groups, series.slice(uid), mask.shape)
            yield Mark(lesions[segment], uid, mask.astype(bool), "seg")


def references(path: Path) -> frozenset[str]:
    """
    The slices to which a segmentation refers.

    Parameters
    ----------
    path : pathlib.Path
        A BINARY segmentation.

    Returns
    -------
    frozenset of str
        Their SOPInstanceUIDs.
    """
    return frozenset(uid for _, uid, _ in _frames(path, _read(path)))


def _read(path: Path) -> Any:
    """The dataset, where it is a BINARY segmentation."""
    dataset = marks.read(path, "SEG")
    kind = str(dataset.get("SegmentationType", "none"))
    if dataset.get("SOPClassUID") != _STORAGE or kind != "BINARY":
        raise ImagingError(
            "not_a_segmentation",
            f"{path} is not a BINARY DICOM segmentation (SegmentationType: {kind}). "
            "Export the outline as a binary SEG, or give a table of boxes.",
            path,
        )
    return dataset


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
        same &= _near(position.ImagePositionPatient, header.position_mm, SAME_PLACE_MM)
    if orientation is not None:
        turned = orientation.ImageOrientationPatient
        same &= _near(turned, header.orientation, SAME_DIRECTION)
    if measures is not None:
        same &= _near(measures.PixelSpacing, header.pixel_spacing_mm, SAME_DIRECTION)
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
