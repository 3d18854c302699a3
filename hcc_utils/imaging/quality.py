"""What must be known of each patient's images before a model's answer is believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.imaging import landmarks, rules, target
from hcc_utils.imaging.preprocessing import CohortSlices
from hcc_utils.imaging.series import LOWEST_HU
from hcc_utils.imaging.slices import Pixels

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
    # motion.Motion says where from; and what breathing along the normal hides
    "motion_mm": Limits(0, 2, "the body moved between two slices of the lesion"),
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


def quality(found: CohortSlices, patients: pd.DataFrame, hounsfield: pd.DataFrame) -> pd.DataFrame:
    """
    What each rule says of each patient's images: the table qc.csv.

    Parameters
    ----------
    found : CohortSlices
        As `study_slices.study_slices` gives it.
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
    values = _values(found, hounsfield)
    rows = [
        (patient_id, rule, *_judged(value, LIMITS[rule]))
        for patient_id, own in values.iterrows()
        for rule, value in own.items()
    ]
    rows += list(_target_rows(found.lesions, patients))
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


def scanner_table(scans: pd.DataFrame, patients: pd.DataFrame) -> pd.DataFrame:
    """
    How each hospital scans, as in Supplementary Table S1 of the paper; no patient's row.

    Parameters
    ----------
    scans : pandas.DataFrame
        One row a patient, as `scans.scan` gives it.
    patients : pandas.DataFrame
        One row a patient: ``patient_id``, ``centre``.

    Returns
    -------
    pandas.DataFrame
        Text, one row a setting and one column a hospital: the settings that occur, each with the
        number of patients, or the range of a number. Where headers do not carry it, it says "not
        recorded"; where some do not, how many. Contrast agents are free text of the headers: read
        them before they are published.
    """
    checks.columns(patients, ["patient_id", "centre"], name="patients")
    scanner = (scans["manufacturer"] + " " + scans["model"]).str.strip()
    hospitals = patients.set_index("patient_id")["centre"]
    columns = {
        str(name): [_cell(own, column) for column in _SETTINGS.values()]
        for name, own in scans.assign(scanner=scanner).groupby(
            scans["patient_id"].map(hospitals), sort=False
        )
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


def _values(found: CohortSlices, hounsfield: pd.DataFrame) -> pd.DataFrame:
    """Each rule's value, one row a patient with slices and one column a rule of `LIMITS`."""
    values = found.scans.set_index("patient_id")
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
    "padding_in_crop": lambda hu: float((hu <= LOWEST_HU).mean()),
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


def _target_rows(lesions: pd.DataFrame, patients: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Each target lesion, and its diameter in the hospital's table."""
    targets = target.target_lesion(lesions)
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
