"""What an ROI marks on one slice, the names that mean a lesion, and the DICOM objects of both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.config import disable_value_validation

from hcc_utils.imaging.headers import ImagingError

SAME_PLACE_MM = 0.1
SAME_DIRECTION = 1e-3

Mask = npt.NDArray[np.bool_]

_LESION = re.compile(r"(lesion|mass|tumou?r|hcc)s?[\s_#-]*\d*", re.IGNORECASE)


class Mark(NamedTuple):
    """The pixels of one slice that belong to one lesion, perhaps none, and who says so."""

    lesion: int
    sop_instance_uid: str
    mask: Mask
    roi_source: str


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
    found = [number for number, name in names.items() if _LESION.fullmatch(name.strip())]
    if not found:
        raise ImagingError(
            "no_lesion_segment",
            f"{path} has no {what} named lesion, mass, tumour or HCC; it has "
            f"{', '.join(names.values()) or 'none'}. Rename the lesion's {what}.",
            path,
        )
    return {number: lesion for lesion, number in enumerate(sorted(found), start=1)}
