"""What one DICOM file says of itself, without its pixels."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID

from hcc_utils import checks
from hcc_utils.imaging import elements, integrity
from hcc_utils.study import folders

_TAGS = [
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID"),
    *("FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *("Modality", "ImageType", "Rows", "Columns", "NumberOfFrames", "KVP", "ConvolutionKernel"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType", "BurnedInAnnotation"),
    *("LossyImageCompression", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("PixelRepresentation", "BitsAllocated"),
]

_WANTED = {int(Tag(keyword)): keyword for keyword in _TAGS}

ENHANCED_CT = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")  # and converted
_DIRECTORY = b"\2\0\2\0UI\x14\0" + b"1.2.840.10008.1.3.10"  # a DICOMDIR says it there alone
_FUNCTIONAL_GROUPS = (
    *("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence"),
    *("PixelValueTransformationSequence", "CTImageFrameTypeSequence"),
    *("CTReconstructionSequence", "CTXRayDetailsSequence"),
)
_FINEST_MM, _COARSEST_MM = 0.01, 100.0
_PADDING = ("PixelPaddingValue", "PixelPaddingRangeLimit", "PixelRepresentation")
_GROUPS_AT_START = (b"\x02\x00", b"\x08\x00", b"\x00\x08")  # files written without a preamble


class ImagingError(checks.InputError):
    """Images that cannot be used; carries the rule's name and the file beside the message."""

    def __init__(self, rule: str, message: str, file: Path | str = "") -> None:
        super().__init__(folders.printable(message))
        self.rule = rule
        self.file = folders.printable(str(file))

    def __reduce__(self) -> tuple[type[ImagingError], tuple[str, str, str]]:
        """How it travels between processes."""
        return type(self), (self.rule, str(self), self.file)


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """
    One slice. What its file does not say is "" or None; lengths are mm, patient axes.

    Its `sop_instance_uid` names it: that of its file, and for a frame of an enhanced CT, which
    keeps all slices in one file, ``<SOPInstanceUID>#<frame number>``.
    """

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    frame_number: int
    study_instance_uid: str
    series_instance_uid: str
    frame_of_reference_uid: str
    patient_id: str
    modality: str
    image_type: tuple[str, ...]
    position_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing_mm: tuple[float, ...] | None
    rows: int
    columns: int
    frames: int
    slope: float | None
    intercept: float | None
    rescale_type: str
    kernel: str
    kvp: float | None
    burned_in: bool
    lossy: bool
    padding_hu: tuple[float, float] | None
    cut: bool
    transfer_syntax_uid: str


def read(path: Path) -> tuple[Header, ...]:
    """
    What a file says of each of its slices.

    Parameters
    ----------
    path : pathlib.Path
        Any file.

    Returns
    -------
    tuple of Header
        One, and of an enhanced CT one for each frame; none where the file is not DICOM, or is a
        DICOMDIR.

    Raises
    ------
    ImagingError
        If it is, or by its name should be, DICOM and cannot be read as part of a series; or is
        an archive to be unpacked.
    """
    if path.suffix.lower() == ".zip":
        raise packed(path)
    try:
        with disable_value_validation(), path.open("rb") as file:
            start = file.read(elements.FIRST)
            if _DIRECTORY in start or not _looks_like_dicom(path, start):
                return ()
            header = _of_file(path, file, start)
            frames = _frames(header) if header.sop_class_uid in ENHANCED_CT else (header,)
    except ImagingError:
        raise
    except Exception as error:  # a damaged header fails in any of pydicom's ways
        raise _unreadable(path, f"{type(error).__name__}: {error}") from error
    if not header.series_instance_uid or not header.sop_instance_uid:
        raise _unreadable(path, "SeriesInstanceUID or SOPInstanceUID is missing")
    if not (header.series_instance_uid + header.sop_instance_uid).isprintable():
        raise _unreadable(path, "SeriesInstanceUID or SOPInstanceUID is damaged")
    return frames


def packed(path: Path) -> ImagingError:
    """
    What to say of an archive that was left packed.

    Parameters
    ----------
    path : pathlib.Path
        A zip file.

    Returns
    -------
    ImagingError
        With the command that unpacks it beside itself.
    """
    command = shlex.join(["unzip", str(path), "-d", str(path.with_suffix(""))])
    return ImagingError("packed_archive", f"{path} was not unpacked. Unpack it: {command}", path)


def _looks_like_dicom(path: Path, start: bytes) -> bool:
    """Whether the first bytes are those of DICOM, with a preamble or without."""
    if not start:
        raise _unreadable(path, "it is empty")
    found = start[128:132] == b"DICM" or start[:2] in _GROUPS_AT_START
    if not found and path.suffix.lower() in (".dcm", ".dicom", ".ima"):
        raise _unreadable(path, "it is not DICOM inside")
    return found


def _of_file(path: Path, file: BinaryIO, start: bytes) -> Header:
    """The file's header, read quickly where it is plain and by pydicom where it is not."""
    try:
        return _header(path, *elements.read(file, start, _WANTED))
    except Exception:  # whatever is odd, pydicom is to judge
        file.seek(0)
    dataset = pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=_TAGS)
    syntax = _text(dataset.file_meta, "TransferSyntaxUID")
    return _header(path, dataset, syntax, _bytes_after(file))


def _bytes_after(file: BinaryIO) -> int:
    """How many bytes stand behind what was read."""
    return os.fstat(file.fileno()).st_size - file.tell()


def _is_cut(said: Any, transfer_syntax_uid: str, n_left: int) -> bool:
    """Whether a copy ended early: pixels that are not compressed have a known length."""
    syntax = UID(transfer_syntax_uid)
    if not syntax.is_transfer_syntax or syntax.is_compressed or syntax.is_deflated:
        return False
    counts = (int(said.get(keyword) or 1) for keyword in ("NumberOfFrames", "BitsAllocated"))
    pixels = int(said.get("Rows") or 0) * int(said.get("Columns") or 0)
    return n_left < math.prod(counts) * pixels // 8


def _unreadable(path: Path, why: str) -> ImagingError:
    message = f"{path} cannot be read as DICOM ({why}). Export it from the archive once more."
    return ImagingError("unreadable_file", message, path)


def _header(path: Path, dataset: Any, transfer_syntax_uid: str, n_left: int) -> Header:
    """The header's values in plain types."""
    return Header(
        path=path,
        sop_class_uid=_text(dataset, "SOPClassUID"),
        sop_instance_uid=_text(dataset, "SOPInstanceUID"),
        frame_number=1,
        study_instance_uid=_text(dataset, "StudyInstanceUID"),
        series_instance_uid=_text(dataset, "SeriesInstanceUID"),
        frame_of_reference_uid=_text(dataset, "FrameOfReferenceUID"),
        patient_id=_text(dataset, "PatientID"),
        modality=_text(dataset, "Modality"),
        image_type=tuple(_text(dataset, "ImageType").split("\\")),
        position_mm=_numbers(dataset, "ImagePositionPatient", 3),
        orientation=_numbers(dataset, "ImageOrientationPatient", 6),
        pixel_spacing_mm=_spacing(dataset),
        rows=int(dataset.get("Rows") or 0),
        columns=int(dataset.get("Columns") or 0),
        frames=int(dataset.get("NumberOfFrames") or 1),
        slope=number(dataset, "RescaleSlope"),
        intercept=number(dataset, "RescaleIntercept"),
        rescale_type=_text(dataset, "RescaleType"),
        kernel=_text(dataset, "ConvolutionKernel"),
        kvp=number(dataset, "KVP"),
        burned_in=_text(dataset, "BurnedInAnnotation").upper() == "YES",
        lossy=_text(dataset, "LossyImageCompression") == "01",
        padding_hu=_padding_hu(dataset),
        cut=_is_cut(dataset, transfer_syntax_uid, n_left),
        transfer_syntax_uid=transfer_syntax_uid,
    )


def _frames(header: Header) -> tuple[Header, ...]:
    """Each frame of an enhanced CT, with what it says itself and what all frames share."""
    with header.path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as whole:
        integrity.require_dicom(whole)
    dataset = pydicom.dcmread(header.path, stop_before_pixels=True, force=True)
    shared = dataset.get("SharedFunctionalGroupsSequence") or [Dataset()]
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
    if len(frames) != header.frames:
        raise ValueError(f"it describes {len(frames)} of its {header.frames} frames")
    return tuple(
        _frame(header, number, dataset, (own, shared[0]))
        for number, own in enumerate(frames, start=1)
    )


def _frame(header: Header, frame_number: int, dataset: Any, groups: Sequence[Any]) -> Header:
    """One frame: the file's header with the frame's own place and units."""
    said = Dataset()
    said.update({dataset[tag].tag: dataset[tag] for tag in _PADDING if tag in dataset})
    for sequence in _FUNCTIONAL_GROUPS:
        found = next((group.get(sequence) for group in groups if group.get(sequence)), None)
        said.update(found[0] if found else {})
    return replace(
        header,
        sop_instance_uid=f"{header.sop_instance_uid}#{frame_number}",
        frame_number=frame_number,
        image_type=tuple(_text(said, "FrameType").split("\\")),
        position_mm=_numbers(said, "ImagePositionPatient", 3),
        orientation=_numbers(said, "ImageOrientationPatient", 6),
        pixel_spacing_mm=_spacing(said),
        slope=number(said, "RescaleSlope"),
        intercept=number(said, "RescaleIntercept"),
        rescale_type=_text(said, "RescaleType"),
        kernel=_text(said, "ConvolutionKernel"),
        kvp=number(said, "KVP"),
        padding_hu=_padding_hu(said),
    )


def _padding_hu(dataset: Any) -> tuple[float, float] | None:
    """What stands for "nothing was seen here", from the least to the greatest value."""
    padding = number(dataset, "PixelPaddingValue")
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    if padding is None or slope is None or intercept is None:
        return None
    limit = number(dataset, "PixelPaddingRangeLimit")
    signed = dataset.get("PixelRepresentation") == 1
    return _in_hu(padding, padding if limit is None else limit, signed, slope, intercept)


@lru_cache
def _in_hu(
    padding: float, limit: float, signed: bool, slope: float, intercept: float
) -> tuple[float, float]:
    """The ends of a range of stored values in Hounsfield units, as its pixels are computed."""
    ends = np.array([padding, limit], np.float32)
    if signed:
        ends[ends >= 2**15] -= 2**16  # written as unsigned all the same
    low, high = np.sort(ends * np.float32(slope) + np.float32(intercept))
    return float(low), float(high)


def _text(dataset: Any, keyword: str) -> str:
    """A value as text, several joined by a backslash as in the file."""
    value = dataset.get(keyword)
    if value is None:
        return ""
    several = not isinstance(value, str) and hasattr(value, "__iter__")
    return "\\".join(str(v) for v in value) if several else str(value).strip()


def axes(header: Header) -> npt.NDArray[np.float64]:
    """
    Where one step to the next column, to the next row and off the slice leads.

    Parameters
    ----------
    header : Header
        A slice that tells how it lies.

    Returns
    -------
    numpy.ndarray of float, shape (3, 3)
        Three columns in patient axes: a pixel to the right, a pixel down (both in mm), and the
        normal (1 mm long).

    Raises
    ------
    ImagingError
        If the slice does not tell its orientation or spacing.
    """
    if header.orientation is None or header.pixel_spacing_mm is None:
        raise ImagingError(
            "no_position",
            f"{header.path} lacks ImageOrientationPatient or PixelSpacing, so that no outline can "
            "be placed on it. Export it from the archive once more.",
            header.path,
        )
    right, down = np.reshape(header.orientation, (2, 3))
    between_rows, between_columns = header.pixel_spacing_mm
    return np.column_stack([right * between_columns, down * between_rows, np.cross(right, down)])


def number(dataset: Any, keyword: str) -> float | None:
    """
    A value as a number.

    Parameters
    ----------
    dataset : pydicom.Dataset
        What was read.
    keyword : str
        The attribute's DICOM keyword.

    Returns
    -------
    float or None
        None where it is absent or empty.
    """
    value = dataset.get(keyword)
    return None if value is None or value == "" else _finite(value)


def _numbers(dataset: Any, keyword: str, count: int) -> tuple[float, ...] | None:
    """So many numbers, or None where there are not so many."""
    value = dataset.get(keyword)
    if value is None or isinstance(value, str) or len(value) != count:
        return None
    return tuple(_finite(v) for v in value)


def _spacing(dataset: Any) -> tuple[float, ...] | None:
    """How far pixels lie apart; None where no image of a body can have such pixels."""
    found = _numbers(dataset, "PixelSpacing", 2)
    return found if found and min(found) >= _FINEST_MM and max(found) <= _COARSEST_MM else None


def _finite(value: Any) -> float:
    """A number that can be reckoned with."""
    found = float(value)
    if not math.isfinite(found):
        raise ValueError(f"{value} is no number")
    return found
