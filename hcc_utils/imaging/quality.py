"""What must be known of each patient's images before a model's answer is believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pydicom
from pydicom.config import disable_value_validation
from scipy import ndimage

from hcc_utils import checks
from hcc_utils.imaging import landmarks, parallel, rules, target
from hcc_utils.imaging import series as ct
from hcc_utils.imaging.headers import number
from hcc_utils.imaging.preprocessing import CohortSlices
from hcc_utils.imaging.roi import EDGES
from hcc_utils.imaging.slices import Pixels
from hcc_utils.study import folders
from hcc_utils.study.manifest import Manifest

COLUMNS: tuple[str, ...] = (
    "patient_id",
    "centre",
    "rule",
    "status",
    "value",
    "limit",
    "meaning",
)
STATUSES: tuple[str, ...] = ("pass", "warn", "refuse", "not measurable")
SCAN_COLUMNS: tuple[str, ...] = (
    "patient_id",
    "centre",
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
    "lesion_at_image_edge",
    "lesion_at_series_end",
)
NOT_RECORDED = "not recorded"


class Limits(NamedTuple):
    """The least and greatest value that passes, and what another one means."""

    low: float
    high: float
    meaning: str


_NEVER = (0.0, 0.0)
_AORTA_ABOVE_LIVER_HU = 120.0  # our choice: about 50 in the portal phase, over 150 before

LIMITS: dict[str, Limits] = {
    # our choice, as wherever no source is named: at 5 mm a lesion of 10 mm is on two slices
    "slice_thickness_mm": Limits(0, 5, "thick slices blur the lesion's margin"),
    "slice_spacing_mm": Limits(0, 5, "slices lie far apart"),
    # 200 mm on 512 pixels; and 10 mm on 8 pixels
    "pixel_spacing_mm": Limits(0.4, 1.25, "pixels of an unusual size"),
    "kvp": Limits(100, 140, "an unusual tube voltage: contrast looks brighter or darker"),
    # lesion and liver differ by about so much in the portal phase
    "noise_hu": Limits(0, 30, "noise may hide the lesion"),
    "lesion_slices": Limits(2, np.inf, "the lesion is on one slice only"),
    "lesion_at_image_edge": Limits(*_NEVER, "slices whose box touches the image's edge: cut off"),
    "lesion_at_series_end": Limits(*_NEVER, "the series ends within the lesion: cut off"),
    "crop_median_hu": Limits(0, 200, "no enhanced soft tissue: another place, or wrong units"),
    "air_in_crop": Limits(0, 0.25, "much lung, gut or air in the picture: look at the box"),
    "padding_in_crop": Limits(0, 0.01, "pixels that the scanner never measured"),
    "metal_in_crop": Limits(*_NEVER, "pixels above 3000 HU: metal, with its streaks"),
    "liver_hu": Limits(
        landmarks.EXPECTED_HU["liver"].low_hu,
        landmarks.EXPECTED_HU["liver"].high_hu,
        "the liver is not enhanced as in the portal phase",
    ),
    "portal_vein_hu": Limits(
        landmarks.EXPECTED_HU["portal_vein"].low_hu,
        landmarks.EXPECTED_HU["portal_vein"].high_hu,
        "the portal vein is not enhanced as in the portal phase",
    ),
    "aorta_above_liver_hu": Limits(
        0, _AORTA_ABOVE_LIVER_HU, "the aorta is as bright as in the arterial phase, or too dark"
    ),
} | {
    rule: Limits(*_NEVER, said.meaning)
    for rule, said in rules.RULES.items()
    if said.status == "warn"
}
"""Each rule's limits; a value beyond them warns."""

_AIR_HU = -300.0  # between fat and lung
_METAL_HU = 3000.0
_SOFT_HU = (-50.0, 250.0)  # what noise makes of enhanced soft tissue, whose mean is 0 to 200
_PATCH = 2 * landmarks.REACH_PIXELS + 1
_DAY_S = 86400.0

_TAGS = [
    *("Manufacturer", "ManufacturerModelName", "XRayTubeCurrent", "ExposureTime", "Exposure"),
    *("ExposureInuAs", "SliceThickness", "ContrastBolusAgent", "ContrastBolusStartTime"),
    "AcquisitionTime",
]


@dataclass(frozen=True, kw_only=True)
class _Task:
    """All that another process needs to look at one patient."""

    patient_id: str
    centre: str
    folders: tuple[Path, ...]
    boxes: pd.DataFrame
    middle: tuple[str, int]


def scans(study: Manifest, found: CohortSlices, patients: pd.DataFrame) -> pd.DataFrame:
    """
    How each patient with slices was scanned, by headers and one slice of the lesion.

    Parameters
    ----------
    study : Manifest
        Names each hospital's DICOM folder.
    found : CohortSlices
        As `study_slices.study_slices` gives it.
    patients : pandas.DataFrame
        One row a patient: ``patient_id``, ``centre``.

    Returns
    -------
    pandas.DataFrame
        One row a patient, with `SCAN_COLUMNS`, from the header of the target lesion's middle
        slice. ``exposure_mas`` is tube current times exposure time where both are told (some
        scanners write another unit into Exposure), else Exposure. ``delay_s`` is the time from
        the start of the contrast to the acquisition. ``noise_hu`` is `noise_hu` of the whole
        slice. The last two columns count slices. Text is "" and a number NaN where it is not
        recorded.

    Raises
    ------
    InputError
        If a column is missing, or a file has changed since the slices were cut.
    """
    checks.columns(patients, ["patient_id", "centre"], name="patients")
    tasks = list(_tasks(study, found.table, patients))
    done = parallel.in_order(_scan, tasks, workers=1 if len(tasks) < 10 else 2)
    return pd.DataFrame(list(done), columns=list(SCAN_COLUMNS))


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


def quality(
    found: CohortSlices, scanned: pd.DataFrame, patients: pd.DataFrame, hounsfield: pd.DataFrame
) -> pd.DataFrame:
    """
    What each rule says of each patient's images: the table qc.csv.

    Parameters
    ----------
    found : CohortSlices
        As `study_slices.study_slices` gives it.
    scanned : pandas.DataFrame
        As `scans` gives it.
    patients : pandas.DataFrame
        One row a patient: ``patient_id``, ``centre`` and, where it was recorded, ``diameter_mm``.
    hounsfield : pandas.DataFrame
        Rows of ``hounsfield.csv`` (`landmarks.measured`): the phase is judged where somebody
        marked the liver, the portal vein or the aorta.

    Returns
    -------
    pandas.DataFrame
        One row a patient and rule, with `COLUMNS`. ``status`` is "pass", "warn" (a value beyond
        its limit: the patient stays, a reader must look), "refuse" (the patient has no slices) or
        "not measurable", which is no pass. ``value`` is NaN where there is none; of a rule that
        is either kept or broken it is 0 or 1. ``meaning`` is empty where the rule passes.

    Raises
    ------
    InputError
        If a column is missing.
    """
    checks.columns(patients, ["patient_id", "centre"], name="patients")
    centre = dict(zip(patients["patient_id"], patients["centre"], strict=True))
    values = _values(found, scanned, hounsfield)
    rows = [
        (patient_id, rule, *_judged(value, LIMITS[rule]))
        for patient_id, own in values.iterrows()
        for rule, value in own.items()
    ]
    rows += list(_target_rows(found.table, patients))
    rows += [
        (
            row["patient_id"],
            row["rule"],
            "refuse",
            np.nan,
            "",
            "has no slices: imaging_problems.csv",
        )
        for row in found.problems.to_dict("records")
    ]
    names = [name for name in COLUMNS if name != "centre"]
    table = pd.DataFrame(rows, columns=names)
    table["centre"] = table["patient_id"].map(centre)
    order = {patient_id: place for place, patient_id in enumerate(patients["patient_id"])}
    places = table["patient_id"].map(order)
    return table.loc[places.sort_values(kind="stable").index, list(COLUMNS)].reset_index(drop=True)


def counts(table: pd.DataFrame) -> pd.DataFrame:
    """
    How many patients pass each rule in each hospital; no patient's row.

    Parameters
    ----------
    table : pandas.DataFrame
        As `quality` gives it.

    Returns
    -------
    pandas.DataFrame
        One row a rule and centre: ``rule``, ``centre`` and the number of patients for each of
        `STATUSES`.
    """
    said = table.assign(**{status: table["status"] == status for status in STATUSES})
    groups = said.groupby(["rule", "centre"], sort=False, as_index=False)
    return groups[list(STATUSES)].sum()


def scanner_table_by_centre(scanned: pd.DataFrame) -> pd.DataFrame:
    """
    How each hospital scans, as in Supplementary Table S1 of the paper; no patient's row.

    Parameters
    ----------
    scanned : pandas.DataFrame
        As `scans` gives it.

    Returns
    -------
    pandas.DataFrame
        Text, one row a setting and one column a hospital: the settings that occur, each with the
        number of patients, or the range of a number. Where headers do not carry it, it says "not
        recorded"; where some do not, how many. Contrast agents are free text of the headers: read
        them before they are published.
    """
    columns = {
        str(name): [_cell(own, column) for column in _SETTINGS.values()]
        for name, own in scanned.assign(
            scanner=(scanned["manufacturer"] + " " + scanned["model"]).str.strip()
        ).groupby("centre", sort=False)
    }
    return pd.DataFrame(columns, index=pd.Index(list(_SETTINGS), name="setting"))


_SETTINGS: dict[str, str] = {
    "Patients": "patient_id",
    "Scanner": "scanner",
    "Tube voltage, kVp": "kvp",
    "Exposure, mAs": "exposure_mas",
    "Slice thickness, mm": "slice_thickness_mm",
    "Slice spacing, mm": "slice_spacing_mm",
    "Pixel spacing, mm": "pixel_spacing_mm",
    "Kernel": "kernel",
    "Contrast agent": "contrast_agent",
    "Delay after contrast, s": "delay_s",
}
_COUNTED = ("scanner", "kvp", "slice_thickness_mm", "kernel", "contrast_agent")


def _cell(own: pd.DataFrame, column: str) -> str:
    """One hospital's setting, in words."""
    if column == "patient_id":
        return str(len(own))
    there = own.loc[own[column].notna() & (own[column] != ""), column]
    if there.empty:
        return NOT_RECORDED
    if column in _COUNTED:
        said = [f"{_plain(value)} ({n})" for value, n in there.value_counts().items()]
    elif there.min() == there.max():
        said = [_plain(there.min())]
    else:
        said = [f"{_plain(there.min())} to {_plain(there.max())}"]
    missing = len(own) - len(there)
    return ", ".join(said + ([f"{NOT_RECORDED} ({missing})"] if missing else []))


def _plain(value: object) -> str:
    """A number without needless zeros, or the text."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _tasks(study: Manifest, table: pd.DataFrame, patients: pd.DataFrame) -> Iterator[_Task]:
    """One task for each patient with slices."""
    targets = target.target_lesion(target.lesion_lengths(table))
    on_target = target.on_target(table, targets)
    middle = {
        patient_id: _middle(own) for patient_id, own in on_target.groupby("patient_id", sort=False)
    }
    boxes = dict(list(table.groupby("patient_id", sort=False)))
    for name, own in patients.groupby("centre", sort=False):
        root = study.path(str(name), "dicom")
        ids = [patient_id for patient_id in own["patient_id"] if patient_id in boxes]
        there = folders.patient_folders(root) if ids and root is not None else {}
        for patient_id in ids:
            yield _Task(
                patient_id=patient_id,
                centre=str(name),
                folders=there[patient_id],
                boxes=boxes[patient_id],
                middle=middle[patient_id],
            )


def _middle(own: pd.DataFrame) -> tuple[str, int]:
    """The slice that the thumbnails show: its file and frame."""
    row = own.sort_values("slice_z_mm").iloc[len(own) // 2]
    return str(row["sop_instance_uid"]), int(row["frame_number"])


def _scan(task: _Task) -> dict[str, Any]:
    """One patient's row of `scans`."""
    folder = ct.folder(*task.folders, patient_id=task.patient_id)
    series = folder.open(task.boxes["series_instance_uid"].iloc[0])
    # slices.csv keeps file and frame apart, where a series names a slice by both
    place = {
        (header.sop_instance_uid.partition("#")[0], header.frame_number): number
        for number, header in enumerate(series.slices)
    }
    keys = zip(task.boxes["sop_instance_uid"], task.boxes["frame_number"], strict=True)
    places = [place[key] for key in keys]
    header = series.slices[place[task.middle]]
    spacings = np.diff(rules.positions(series.slices))
    return _settings(header.path) | {
        "patient_id": task.patient_id,
        "centre": task.centre,
        "kvp": np.nan if header.kvp is None else header.kvp,
        "kernel": header.kernel,
        "slice_spacing_mm": float(np.median(spacings)) if len(spacings) else np.nan,
        "pixel_spacing_mm": header.pixel_spacing_mm[0] if header.pixel_spacing_mm else np.nan,
        "noise_hu": noise_hu(series.hu(header.sop_instance_uid)),
        "lesion_at_image_edge": int(_at_edge(task.boxes, header.rows, header.columns).sum()),
        "lesion_at_series_end": sum(at in (0, len(series.slices) - 1) for at in places),
    }


def _at_edge(boxes: pd.DataFrame, rows: int, columns: int) -> pd.Series:
    """Which boxes touch the image's edge."""
    row_min, row_max, column_min, column_max = (boxes[edge] for edge in EDGES)
    low = (row_min == 0) | (column_min == 0)
    return low | (row_max >= rows - 1) | (column_max >= columns - 1)


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
            "delay_s": _delay_s(dataset),
        }


def _text(dataset: Any, keyword: str) -> str:
    """A value as text."""
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip()


def _known(dataset: Any, keyword: str) -> float:
    """A value as a number, NaN where there is none."""
    found = number(dataset, keyword)
    return np.nan if found is None else found


def _exposure_mas(dataset: Any) -> float:
    """Tube current times time, or what Exposure says."""
    product = _known(dataset, "XRayTubeCurrent") * _known(dataset, "ExposureTime") / 1000
    said = (product, _known(dataset, "Exposure"), _known(dataset, "ExposureInuAs") / 1000)
    return next((mas for mas in said if not np.isnan(mas)), np.nan)


def _delay_s(dataset: Any) -> float:
    """Seconds from the start of the contrast to the acquisition."""
    start, scan = (
        _seconds(_text(dataset, word)) for word in ("ContrastBolusStartTime", "AcquisitionTime")
    )
    return (scan - start) % _DAY_S


def _seconds(time: str) -> float:
    """Seconds since midnight of HHMMSS.ffffff; NaN where it is none."""
    try:
        return int(time[:2]) * 3600 + int(time[2:4]) * 60 + float(time[4:])
    except ValueError:
        return np.nan


def _values(found: CohortSlices, scanned: pd.DataFrame, hounsfield: pd.DataFrame) -> pd.DataFrame:
    """Each rule's value, one row a patient with slices and one column a rule of `LIMITS`."""
    values = scanned.set_index("patient_id")
    per_patient = found.table.reset_index(drop=True).groupby("patient_id", sort=False).indices
    for rule, measure in _IN_CROPS.items():
        values[rule] = pd.Series(
            {who: measure(found.pixels_hu[rows]) for who, rows in per_patient.items()}, dtype=float
        )
    used = found.table[["patient_id", "series_instance_uid"]].drop_duplicates()
    inventory = found.inventory.merge(used, "inner").set_index("patient_id")
    for rule in rules.RULES:
        if rule in LIMITS:
            values[rule] = inventory["rules"].str.split().map(lambda said, r=rule: float(r in said))
    return values.join(_tissues(hounsfield)).reindex(columns=list(LIMITS)).astype(float)


_IN_CROPS: dict[str, Callable[[Pixels], float]] = {
    "lesion_slices": len,
    "crop_median_hu": lambda hu: float(np.median(hu)),
    "air_in_crop": lambda hu: float((hu < _AIR_HU).mean()),
    "padding_in_crop": lambda hu: float((hu <= ct.LOWEST_HU).mean()),
    "metal_in_crop": lambda hu: float((hu > _METAL_HU).sum()),
}


def _tissues(hounsfield: pd.DataFrame) -> pd.DataFrame:
    """What the landmarks say of the phase, one row a patient."""
    measured = hounsfield[hounsfield["hu"].notna()]
    hu = measured.pivot_table("hu", "patient_id", "tissue", aggfunc="median")
    hu = hu.reindex(columns=["liver", "portal_vein", "aorta"])
    return pd.DataFrame(
        {
            "liver_hu": hu["liver"],
            "portal_vein_hu": hu["portal_vein"],
            "aorta_above_liver_hu": hu["aorta"] - hu["liver"],
        }
    )


def _judged(value: float, limits: Limits) -> tuple[str, float, str, str]:
    """Status, value, limit and meaning."""
    if np.isnan(value):
        return "not measurable", value, _said(limits), "nothing tells it"
    inside = limits.low <= value <= limits.high
    return "pass" if inside else "warn", value, _said(limits), "" if inside else limits.meaning


def _said(limits: Limits) -> str:
    """Limits in words."""
    if limits[:2] == _NEVER:
        return "none"
    if np.isinf(limits.high):
        return f"at least {limits.low:g}"
    return f"{limits.low:g} to {limits.high:g}"


def _target_rows(table: pd.DataFrame, patients: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Each target lesion, and its diameter in the hospital's table."""
    targets = target.target_lesion(target.lesion_lengths(table))
    for row in targets.to_dict("records"):
        limit = f"at least {target.SMALLEST_MM:g}, the longest"
        yield (
            *(row["patient_id"], "target_lesion_mm", row["status"], row["least_mm"]),
            *(limit, row["meaning"]),
        )
    if "diameter_mm" in patients:
        for row in target.diameter_agrees(targets, patients).to_dict("records"):
            limit = f"{row['least_mm']:.0f} to {row['most_mm']:.0f}, or 20 % beyond"
            yield (
                *(row["patient_id"], "table_diameter_mm", row["status"], row["diameter_mm"]),
                *(limit, row["meaning"]),
            )
