"""Rules that a series must keep: what it is, what it holds, how it lies in space."""

from __future__ import annotations

import filecmp
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydicom.pixels import get_decoder
from pydicom.uid import UID

from hcc_utils.imaging.headers import ENHANCED_CT, Header

SAME_PLACE_MM = 0.05
EVEN_WITHIN_MM = 0.1
TILT_DEGREES = 0.5
_GREATEST = 1e5  # of a slope, its inverse and an intercept; scanners write 0.1 to 10, and -8192
TISSUE_HU = (-900.0, 3000.0)


class Rule(NamedTuple):
    """What a rule does to a series, and what it found, in words."""

    status: str
    meaning: str


RULES: dict[str, Rule] = {
    "not_ct": Rule("refuse", "it is not CT"),
    "secondary_capture": Rule("refuse", "it is a screenshot (secondary capture)"),
    "burned_in_annotation": Rule("refuse", "text is burned into its pixels"),
    "localizer": Rule("refuse", "it is a localizer (scout)"),
    "multi_frame": Rule(
        "refuse", "it keeps many frames in one file without saying where; export it as CT"
    ),
    "conflicting_files": Rule("refuse", "two different files carry one SOPInstanceUID"),
    "no_position": Rule("refuse", "a slice lacks ImagePositionPatient or ImageOrientationPatient"),
    "no_rescale": Rule(
        "refuse", "a slice lacks RescaleSlope or RescaleIntercept, or they are impossible"
    ),
    "not_hounsfield": Rule("refuse", "its values are not Hounsfield units (RescaleType)"),
    "no_decoder": Rule("refuse", "its compression cannot be read here; export it uncompressed"),
    "single_file": Rule("refuse", "it holds one slice only"),
    "mixed_orientation": Rule("refuse", "its slices have different orientations"),
    "mixed_spacing": Rule("refuse", "its slices have different pixel spacing or matrix size"),
    "unreadable_file": Rule("refuse", "files cannot be read as DICOM"),
    "packed_archive": Rule("refuse", "archives were not unpacked"),
    "several_patients": Rule(
        "refuse", "its folder holds several PatientIDs; give each patient a folder named like it"
    ),
    "patient_id_mismatch": Rule(
        "warn", "its headers name another PatientID; whose it is, its folder's name tells"
    ),
    "fewer_files_than_listed": Rule(
        "warn", "files of it are missing (metadata.csv lists more); download the series again"
    ),
    "repeated_files": Rule("warn", "the same file is there more than once"),
    "cut_files": Rule("warn", "files of it end before their pixels do; export them once more"),
    "no_spacing": Rule(
        "warn", "a slice lacks PixelSpacing, or it is impossible; nothing can be measured"
    ),
    "odd_identifier": Rule(
        "warn",
        "its SeriesInstanceUID holds other characters than digits and dots: it was damaged, or "
        "written by hand",
    ),
    "mixed_frame_of_reference": Rule("warn", "its slices name different frames of reference"),
    "mixed_rescale": Rule(
        "warn",
        "its slices differ in RescaleSlope or RescaleIntercept; each is read by its own",
    ),
    "padding_among_tissue": Rule(
        "warn", "its padding (PixelPaddingValue) has a value that tissue can have; it is kept"
    ),
    "duplicate_positions": Rule("warn", "two slices lie at one place (two acquisitions?)"),
    "missing_slices": Rule("warn", "slices are missing between others"),
    "uneven_spacing": Rule("warn", "its slices are unevenly spaced"),
    "gantry_tilt": Rule("warn", "the gantry was tilted"),
    "lossy_compression": Rule("warn", "it was compressed with loss"),
}


def broken(patient_id: str, files: Sequence[Header], n_listed: int = 0) -> list[str]:
    """
    The names of the rules that a series breaks.

    Parameters
    ----------
    patient_id : str
        Whose it should be.
    files : sequence of Header
        All its files.
    n_listed : int, default 0
        How many images the download's list gives it; 0 where nothing lists it.

    Returns
    -------
    list of str
        Keys of `RULES`, the gravest first. What a series is comes before how it lies in space:
        of one that is not a plain CT series nothing more is said.
    """
    kind = [rule for rule, breaks in _KIND.items() if breaks(files)]
    if kind:
        return kind
    found = [rule for rule, breaks in _CONTENT.items() if breaks(files)]
    if "no_position" not in found and "mixed_orientation" not in found:
        found += [rule for rule, breaks in _LAYOUT.items() if breaks(files)]
    if any(header.patient_id not in ("", patient_id) for header in files):
        found.append("patient_id_mismatch")
    if len(distinct(files)) < n_listed:
        found.append("fewer_files_than_listed")
    return sorted(found, key=list(RULES).index)


def is_no_ct(found: Sequence[str]) -> bool:
    """
    Whether a series is no plain CT at all, whatever else is wrong with it.

    Parameters
    ----------
    found : sequence of str
        The rules that it breaks.

    Returns
    -------
    bool
        True for segmentations, scouts and screenshots.
    """
    return not _KIND.keys().isdisjoint(found)


def status(found: Sequence[str]) -> str:
    """
    What the broken rules do to a series.

    Parameters
    ----------
    found : sequence of str
        Keys of `RULES`.

    Returns
    -------
    str
        "refuse", "warn" or, where none is broken, "pass".
    """
    said = {RULES[rule].status for rule in found}
    return "refuse" if "refuse" in said else "warn" if said else "pass"


def is_among_tissue(padding_hu: tuple[float, float]) -> bool:
    """
    Whether padding has values that tissue can have, so that it cannot be told from it.

    Parameters
    ----------
    padding_hu : tuple of float
        Its least and greatest value, in HU.

    Returns
    -------
    bool
        True from lung to bone.
    """
    return padding_hu[1] > TISSUE_HU[0] and padding_hu[0] < TISSUE_HU[1]


def distinct(files: Sequence[Header]) -> list[Header]:
    """
    One file for each image.

    Parameters
    ----------
    files : sequence of Header
        Slices of a series, some perhaps more than once.

    Returns
    -------
    list of Header
        The first file of each SOPInstanceUID.
    """
    return list({header.sop_instance_uid: header for header in reversed(files)}.values())


def along_normal(files: Sequence[Header]) -> npt.NDArray[np.float64]:
    """
    How far along the first file's normal each file lies.

    Parameters
    ----------
    files : sequence of Header
        Files that tell their position and orientation.

    Returns
    -------
    numpy.ndarray of float, shape (n_files,)
        In mm.
    """
    orientation = np.array(files[0].orientation)
    normal = np.cross(orientation[:3], orientation[3:])
    along: npt.NDArray[np.float64] = np.array([header.position_mm for header in files]) @ normal
    return along


def positions(files: Sequence[Header]) -> npt.NDArray[np.float64]:
    """
    The distinct places of a series' slices along their normal.

    Parameters
    ----------
    files : sequence of Header
        Files of one series.

    Returns
    -------
    numpy.ndarray of float
        In mm, ascending; empty where a file does not tell its position.
    """
    if _no_position(files):
        return np.empty(0)
    along = np.sort(along_normal(files))
    return along[np.diff(along, prepend=-np.inf) > SAME_PLACE_MM]


def _no_position(files: Sequence[Header]) -> bool:
    return any(header.position_mm is None or header.orientation is None for header in files)


def _has_rescale(header: Header) -> bool:
    """Whether stored values of 16 bits become Hounsfield units that can be reckoned with."""
    if not header.slope or header.intercept is None:
        return False
    return max(abs(header.slope), 1 / abs(header.slope), abs(header.intercept)) <= _GREATEST


def _no_decoder(files: Sequence[Header]) -> bool:
    try:
        return not all(
            get_decoder(UID(syntax)).is_available
            for syntax in {header.transfer_syntax_uid for header in files}
        )
    except NotImplementedError:
        return True


def _same_uid(files: Sequence[Header]) -> list[tuple[Path, Path]]:
    """Pairs of files that carry one SOPInstanceUID."""
    kept = {header.sop_instance_uid: header.path for header in distinct(files)}
    return [
        (kept[header.sop_instance_uid], header.path)
        for header in files
        if kept[header.sop_instance_uid] != header.path
    ]


def _conflicting(files: Sequence[Header]) -> bool:
    return not all(filecmp.cmp(one, other, shallow=False) for one, other in set(_same_uid(files)))


def _mixed_orientation(files: Sequence[Header]) -> bool:
    seen = np.array([header.orientation for header in files if header.orientation])
    return len(seen) > 0 and bool((np.abs(seen - seen[0]) > 1e-3).any())


def _mixed_spacing(files: Sequence[Header]) -> bool:
    return len({(h.pixel_spacing_mm, h.rows, h.columns) for h in files}) > 1


def _duplicate_positions(files: Sequence[Header]) -> bool:
    return len(positions(files)) < len(distinct(files))


def _gaps(files: Sequence[Header]) -> tuple[npt.NDArray[np.float64], float]:
    """Distances between neighbouring places in mm, and their median."""
    gaps = np.diff(positions(files))
    return gaps, float(np.median(gaps)) if len(gaps) else 0.0


def _missing_slices(files: Sequence[Header]) -> bool:
    gaps, usual = _gaps(files)
    return bool(((gaps > 1.5 * usual) & _whole(gaps, usual)).any())


def _uneven_spacing(files: Sequence[Header]) -> bool:
    gaps, usual = _gaps(files)
    return bool((~_whole(gaps, usual)).any())


def _whole(gaps: npt.NDArray[np.float64], usual: float) -> npt.NDArray[np.bool_]:
    """Whether each gap is a whole multiple of the usual one."""
    times = np.maximum(np.rint(gaps / usual), 1) if usual else gaps
    within: npt.NDArray[np.bool_] = np.abs(gaps - times * usual) <= EVEN_WITHIN_MM
    return within


def _gantry_tilt(files: Sequence[Header]) -> bool:
    """Whether the slices are stacked along another direction than their normal."""
    along = along_normal(files)
    ends = np.array([files[i].position_mm for i in (int(along.argmin()), int(along.argmax()))])
    length = float(np.linalg.norm(ends[1] - ends[0]))
    share = np.clip(np.ptp(along) / length, -1, 1) if length else 1.0
    return bool(np.degrees(np.arccos(share)) > TILT_DEGREES)


_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7."  # with its multi-frame kinds, not ...1.77

_Breaks = Callable[[Sequence[Header]], bool]
_KIND: dict[str, _Breaks] = {
    "not_ct": lambda files: any(h.modality != "CT" for h in files),
    "secondary_capture": lambda files: any(
        f"{h.sop_class_uid}.".startswith(_SECONDARY_CAPTURE) for h in files
    ),
    "burned_in_annotation": lambda files: any(h.burned_in for h in files),
    "localizer": lambda files: any("LOCALIZER" in h.image_type for h in files),
    "multi_frame": lambda files: any(
        h.frames > 1 and h.sop_class_uid not in ENHANCED_CT for h in files
    ),
}
_CONTENT: dict[str, _Breaks] = {
    "conflicting_files": _conflicting,
    "no_position": _no_position,
    "no_rescale": lambda files: any(not _has_rescale(h) for h in files),
    "not_hounsfield": lambda files: any(h.rescale_type not in ("", "HU") for h in files),
    "no_decoder": _no_decoder,
    "single_file": lambda files: len(distinct(files)) == 1,
    "mixed_orientation": _mixed_orientation,
    "mixed_spacing": _mixed_spacing,
    "cut_files": lambda files: any(h.cut for h in files),
    "no_spacing": lambda files: any(h.pixel_spacing_mm is None for h in files),
    "odd_identifier": lambda files: bool(set(files[0].series_instance_uid) - set("0123456789.")),
    "mixed_frame_of_reference": lambda files: len({h.frame_of_reference_uid for h in files}) > 1,
    "mixed_rescale": lambda files: len({(h.slope, h.intercept) for h in files}) > 1,
    "padding_among_tissue": lambda files: any(
        h.padding_hu is not None and is_among_tissue(h.padding_hu) for h in files
    ),
    "repeated_files": lambda files: bool(_same_uid(files)),
    "lossy_compression": lambda files: any(h.lossy for h in files),
}
_LAYOUT: dict[str, _Breaks] = {
    "duplicate_positions": _duplicate_positions,
    "missing_slices": _missing_slices,
    "uneven_spacing": _uneven_spacing,
    "gantry_tilt": _gantry_tilt,
}
