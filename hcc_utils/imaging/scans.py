"""How a patient was scanned: what the headers of the lesion's slices tell, and one slice shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pydicom
from pydicom.config import disable_value_validation
from scipy import ndimage

from hcc_utils.imaging import slices
from hcc_utils.imaging.headers import Header, number
from hcc_utils.imaging.roi import EDGES
from hcc_utils.imaging.series import Series

COLUMNS: tuple[str, ...] = (
    "patient_id",
    "manufacturer",
    "model",
    "kvp",
    "exposure_mas",
    "slice_thickness_mm",
    "slice_spacing_mm",
    "pixel_spacing_mm",
    "kernel",
    "contrast_agent",
    "delay_s",
    "noise_hu",
    "motion_mm",
    "lesion_at_image_edge",
    "lesion_at_series_end",
)

_SOFT_HU = (-50.0, 250.0)  # what noise makes of enhanced soft tissue, whose mean is 0 to 200
_PATCH = 9  # pixels, as around a landmark
_DAY_S = 86400.0

_TAGS = [
    *("Manufacturer", "ManufacturerModelName", "XRayTubeCurrent", "ExposureTime", "Exposure"),
    *("ExposureInuAs", "SliceThickness", "ContrastBolusAgent", "ContrastBolusStartTime"),
    "AcquisitionTime",
]


def scan(series: Series, table: pd.DataFrame, motion_mm: float) -> dict[str, Any]:
    """
    How the series of a lesion was scanned.

    Parameters
    ----------
    series : Series
        From which the slices were cut.
    table : pandas.DataFrame
        The lesion's rows of ``slices.csv``.
    motion_mm : float
        As `motion.Motion` found it between the lesion's slices.

    Returns
    -------
    dict
        By `COLUMNS`, from the header of the lesion's middle slice. ``exposure_mas`` is tube
        current times exposure time where both are told (some scanners write another unit into
        Exposure), else Exposure. ``delay_s`` is the time from the start of the contrast to the
        acquisition. ``noise_hu`` is `noise_hu` of the whole slice. The last two count slices.
        Text is "" and a number NaN where it is not recorded.

    Raises
    ------
    ImagingError
        If a file has changed since the slices were cut.
    """
    places = slices.places(series, table)
    header = series.slices[places[len(places) // 2]]
    return _settings(header.path) | {
        "patient_id": series.patient_id,
        "kvp": np.nan if header.kvp is None else header.kvp,
        "kernel": header.kernel,
        "slice_spacing_mm": series.slice_spacing_mm,
        "pixel_spacing_mm": header.pixel_spacing_mm[0] if header.pixel_spacing_mm else np.nan,
        "noise_hu": noise_hu(series.hu(header.sop_instance_uid)),
        "motion_mm": motion_mm,
        "lesion_at_image_edge": int(_at_edge(table, header).sum()),
        "lesion_at_series_end": sum(at in (0, len(series.slices) - 1) for at in places),
    }


def noise_hu(hu: npt.NDArray[np.floating]) -> float:
    """
    The noise of a slice, without any outline.

    The most frequent standard deviation within patches of 9 x 9 pixels that show soft tissue and
    nothing else; edges and vessels only make the rarer, greater ones. After Christianson et al.
    (2015), AJR 205:W93-W99, with a wider range of Hounsfield units for the enhanced liver.

    Parameters
    ----------
    hu : numpy.ndarray, shape (rows, columns)
        A whole slice in Hounsfield units.

    Returns
    -------
    float
        In HU, the middle of a bin of 1 HU; NaN where no patch is soft tissue.
    """
    wide = hu.astype(np.float64)
    mean = ndimage.uniform_filter(wide, _PATCH)
    variance = ndimage.uniform_filter(wide * wide, _PATCH) - mean * mean
    low, high = (_SOFT_HU[0] - 50, _SOFT_HU[1] + 50)
    soft = (mean > _SOFT_HU[0]) & (mean < _SOFT_HU[1])
    soft &= ndimage.minimum_filter(wide, _PATCH) > low
    soft &= ndimage.maximum_filter(wide, _PATCH) < high
    if not soft.any():
        return float("nan")
    spread = np.sqrt(np.maximum(variance[soft], 0))
    return float(np.bincount(spread.astype(int)).argmax()) + 0.5


def _at_edge(boxes: pd.DataFrame, header: Header) -> pd.Series:
    """Which boxes touch the image's edge."""
    row_min, row_max, column_min, column_max = (boxes[edge] for edge in EDGES)
    low = (row_min == 0) | (column_min == 0)
    return low | (row_max >= header.rows - 1) | (column_max >= header.columns - 1)


def _settings(path: Path) -> dict[str, Any]:
    """What a slice's header tells of the scanner, the tube and the contrast."""
    with disable_value_validation():
        dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=_TAGS)
        return {
            "manufacturer": _text(dataset, "Manufacturer"),
            "model": _text(dataset, "ManufacturerModelName"),
            "exposure_mas": _exposure_mas(dataset),
            "slice_thickness_mm": _known(dataset, "SliceThickness"),
            "contrast_agent": _text(dataset, "ContrastBolusAgent"),
            "delay_s": delay_s(dataset),
        }


def _text(dataset: Any, keyword: str) -> str:
    """A value as text."""
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip()


def _known(dataset: Any, keyword: str) -> float:
    """A value as a number, NaN where there is none or it is damaged: no slice depends on it."""
    try:
        found = number(dataset, keyword)
    except (TypeError, ValueError):
        return np.nan
    return np.nan if found is None else found


def _exposure_mas(dataset: Any) -> float:
    """Tube current times time, or what Exposure says."""
    product = _known(dataset, "XRayTubeCurrent") * _known(dataset, "ExposureTime") / 1000
    said = (product, _known(dataset, "Exposure"), _known(dataset, "ExposureInuAs") / 1000)
    return next((mas for mas in said if not np.isnan(mas)), np.nan)


def delay_s(dataset: Any) -> float:
    """
    Seconds from the start of the contrast to the acquisition.

    Parameters
    ----------
    dataset : pydicom.Dataset
        A slice's header with ContrastBolusStartTime and AcquisitionTime.

    Returns
    -------
    float
        Below a day; NaN where one of the two is not recorded.
    """
    start, scanned = (
        _seconds(_text(dataset, word)) for word in ("ContrastBolusStartTime", "AcquisitionTime")
    )
    return (scanned - start) % _DAY_S


def _seconds(time: str) -> float:
    """Seconds since midnight of HHMMSS.ffffff; NaN where it is none."""
    try:
        return int(time[:2]) * 3600 + int(time[2:4]) * 60 + float(time[4:])
    except ValueError:
        return np.nan
