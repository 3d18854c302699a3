"""DICOM segmentations: what each frame marks on the slice that it refers to."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hcc_utils.imaging import marks
from hcc_utils.imaging.headers import Header, ImagingError
from hcc_utils.imaging.marks import (
    SAME_DIRECTION,
    SAME_PLACE_MM,
    Choice,
    Mark,
    Mask,
    Named,
    Reference,
)
from hcc_utils.imaging.series import Series

_STORAGE = {
    "BINARY": "1.2.840.10008.5.1.4.1.1.66.4",
    "FRACTIONAL": "1.2.840.10008.5.1.4.1.1.66.4",
    "LABELMAP": "1.2.840.10008.5.1.4.1.1.66.7",
}
HALF = 0.5

_Groups = tuple[Any, Any]  # a frame's own attributes, and those that all frames share


class _Frame(NamedTuple):
    """Whose frame it is (None: of all segments), its images, and where to look for the rest."""

    segment: int | None
    references: tuple[Reference, ...]
    groups: _Groups


def marked(path: Path, series: Series, chosen: Choice = marks.lesions) -> Iterator[Mark]:
    """
    What each frame of a lesion marks.

    Parameters
    ----------
    path : pathlib.Path
        A segmentation: BINARY, FRACTIONAL or LABELMAP. In a FRACTIONAL one, of probability or of
        occupancy, a pixel is marked from `HALF` of MaximumFractionalValue on.
    series : Series
        The series that was segmented.
    chosen : Choice, default `marks.lesions`
        What is wanted of it.

    Yields
    ------
    Mark
        One for each frame of a segment that is wanted; of a LABELMAP one for each frame and
        segment. Its source is "seg" where the frame names the slice and "seg_by_position" where
        only its position tells it.

    Raises
    ------
    ImagingError
        If it is no segmentation, no segment is a lesion, its frame of reference is another, or
        a frame does not lie on exactly one slice of the series.
    """
    dataset = _read(path)
    labels = {int(s.SegmentNumber): str(s.SegmentLabel) for s in dataset.SegmentSequence}
    wanted = chosen(path, labels, "segment")
    if not wanted:
        return
    described = list(_frames(path, dataset))
    named = [frame.segment for frame in described if frame.segment is not None]
    marks.require_drawn(path, labels, named)
    frames = {
        place: frame for place, frame in enumerate(described) if frame.segment in (None, *wanted)
    }
    uids = _slices(path, dataset, list(frames.values()), series)
    masks = _masks(path, dataset, len(described), labels)
    for (place, frame), uid in zip(frames.items(), uids, strict=True):
        header = series.slice(uid)
        _require_same_frame(path, dataset, header)
        _require_same_grid(path, frame.groups, header, masks[place].shape)
        source = "seg" if frame.references else "seg_by_position"
        for number, own in wanted.items():
            if frame.segment in (None, number):
                yield Mark(own, uid, _held(dataset, masks[place], number), source)


def references(path: Path) -> Named:
    """
    The images to which a segmentation refers.

    Parameters
    ----------
    path : pathlib.Path
        A segmentation.

    Returns
    -------
    Named
        Those of all its frames, and its series.
    """
    dataset = _read(path)
    frames = _frames(path, dataset)
    return Named(frozenset(one for frame in frames for one in frame.references), _series(dataset))


def _read(path: Path) -> Any:
    """The dataset, where it is a segmentation."""
    dataset = marks.read(path, "SEG")
    kind = str(dataset.get("SegmentationType", "none"))
    if dataset.get("SOPClassUID") != _STORAGE.get(kind, "none"):
        raise ImagingError(
            "not_a_segmentation",
            f"{path} is not a DICOM segmentation (SegmentationType: {kind}; {', '.join(_STORAGE)} "
            "are read). Export the outline as a binary SEG, or give a table of boxes.",
            path,
        )
    return dataset


def _masks(path: Path, dataset: Any, n_frames: int, labels: Collection[int]) -> npt.NDArray[Any]:
    """The frames' pixels, where there are as many as are described and all are named."""
    if int(dataset.NumberOfFrames) != n_frames:
        raise ValueError(f"it describes {n_frames} of its {dataset.NumberOfFrames} frames")
    masks: npt.NDArray[Any] = dataset.pixel_array
    masks = masks.reshape(n_frames, int(dataset.Rows), int(dataset.Columns))
    if dataset.SegmentationType == "LABELMAP":
        marks.require_drawn(path, dict.fromkeys([0, *labels], ""), np.unique(masks).tolist())
    return masks


def _held(dataset: Any, pixels: npt.NDArray[Any], number: int) -> Mask:
    """What a frame marks as a segment."""
    if dataset.SegmentationType == "LABELMAP":
        return np.asarray(pixels == number)
    if dataset.SegmentationType == "FRACTIONAL":
        return np.asarray(pixels >= HALF * int(dataset.MaximumFractionalValue))
    return pixels.astype(bool)


def _frames(path: Path, dataset: Any) -> Iterator[_Frame]:
    """Each frame, where its segment is told."""
    shared = dataset.get("SharedFunctionalGroupsSequence", [{}])[0]
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence, start=1):
        groups = (frame, shared)
        sources = tuple(
            marks.reference(source)
            for derivation in frame.get("DerivationImageSequence", [])
            for source in derivation.get("SourceImageSequence", [])
        )
        yield _Frame(_segment(path, dataset, number, groups), sources, groups)


def _series(dataset: Any) -> frozenset[str]:
    """The series that the segmentation names as a whole."""
    named = dataset.get("ReferencedSeriesSequence") or []
    return frozenset(str(one.SeriesInstanceUID) for one in named)


def _slices(path: Path, dataset: Any, frames: Sequence[_Frame], series: Series) -> Iterator[str]:
    """The slice of each frame: the one that it names, or else the one at its place."""
    named = [frame.references for frame in frames if frame.references]
    if len(named) < len(frames):
        marks.require_series(path, _series(dataset), series)
    uids = iter(marks.slices(path, named, series))
    return (next(uids) if frame.references else _at(path, frame, series) for frame in frames)


def _at(path: Path, frame: _Frame, series: Series) -> str:
    """The one slice at the place of a frame."""
    position = _group(frame.groups, "PlanePositionSequence")
    found = [
        header.sop_instance_uid
        for header in series.slices
        if position is not None
        and _near(position.ImagePositionPatient, header.position_mm, SAME_PLACE_MM)
    ]
    if len(found) != 1:
        raise ImagingError(
            "unresolved_reference",
            f"{path}: a frame names no image, and {len(found)} slices lie at its place. Export the "
            "segmentation on the slices of the CT, not resampled.",
            path,
        )
    return found[0]


def _segment(path: Path, dataset: Any, number: int, groups: _Groups) -> int | None:
    """The segment of a frame; none where its pixels name theirs."""
    if dataset.SegmentationType == "LABELMAP":
        return None
    segment = _group(groups, "SegmentIdentificationSequence")
    if segment is None:
        raise ImagingError(
            "unresolved_reference",
            f"{path}, frame {number} names no segment. Export it again.",
            path,
        )
    return int(segment.ReferencedSegmentNumber)


def _require_same_frame(path: Path, dataset: Any, header: Header) -> None:
    """Refuse a segmentation whose places are counted from another origin."""
    frame = str(dataset.get("FrameOfReferenceUID", "none"))
    if frame != (header.frame_of_reference_uid or "none"):
        raise ImagingError(
            "other_frame_of_reference",
            f"{path}: its FrameOfReferenceUID is {frame}, that of the slice "
            f"{header.sop_instance_uid} is {header.frame_of_reference_uid or 'none'}. Give the "
            "segmentation that was drawn on this CT.",
            path,
        )


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
