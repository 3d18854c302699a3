"""
The target lesion by mRECIST, and whether its outline is as long as the table says.

Of mRECIST's conditions only the length can be measured here: whether a lesion is untreated,
enhances in the arterial phase and can be measured again, a reader must say. The outline is drawn in
the portal phase, so its diameter is the whole lesion's, not the viable part's.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcc_utils import checks
from hcc_utils.imaging.marks import Mark, Mask
from hcc_utils.imaging.roi import EDGES
from hcc_utils.imaging.series import Series

SMALLEST_MM = 10.0  # Lencioni & Llovet (2010), Semin Liver Dis 30:52-60; the paper's begin at 7 mm
NO_CHANGE = 0.2  # growth below 20 % is none: Eisenhauer et al. (2009), Eur J Cancer 45:228-247
_STEP_DEGREES = 3  # a diameter between two directions is at most 0.04 % longer
TARGET_COLUMNS: tuple[str, ...] = (
    "patient_id",
    "lesion",
    "n_lesions",
    "n_slices",
    "least_mm",
    "most_mm",
    "status",
    "meaning",
)
AGREEMENT_COLUMNS: tuple[str, ...] = (
    "patient_id",
    "lesion",
    "diameter_mm",
    "least_mm",
    "most_mm",
    "status",
    "meaning",
)


def lesion_lengths(table: pd.DataFrame) -> pd.DataFrame:
    """
    How long each lesion is at least and at most, by its boxes.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``slices.csv``: ``patient_id``, ``lesion``, ``pixel_spacing_mm`` and the box's
        edges (before it was widened).

    Returns
    -------
    pandas.DataFrame
        One row a patient and lesion: ``patient_id``, ``lesion``, ``n_slices``, ``least_mm`` (the
        longest side of any slice's box) and ``most_mm`` (its longest diagonal): the longest
        diameter in the plane of the slices lies between them. Pixels are taken for squares.

    Raises
    ------
    InputError
        If a column is missing.
    """
    checks.columns(table, ["patient_id", "lesion", "pixel_spacing_mm", *EDGES], name="slices.csv")
    height, width = (
        (table[f"{side}_max"] - table[f"{side}_min"] + 1) * table["pixel_spacing_mm"]
        for side in ("row", "column")
    )
    boxes = table.assign(least_mm=np.maximum(height, width), most_mm=np.hypot(height, width))
    lesions = boxes.groupby(["patient_id", "lesion"], sort=False, as_index=False)
    return lesions.agg(
        n_slices=("least_mm", "size"), least_mm=("least_mm", "max"), most_mm=("most_mm", "max")
    )


def measured_lengths(patient_id: str, marked: Iterable[Mark], series: Series) -> pd.DataFrame:
    """
    How long each lesion is, by its outline.

    Parameters
    ----------
    patient_id : str
        Whose.
    marked : iterable of Mark
        What an ROI marks, as `segmentations.marked`, `structure_sets.marked` and
        `label_maps.marked` give it.
    series : Series
        The series on which it was drawn.

    Returns
    -------
    pandas.DataFrame
        The columns of `lesion_lengths`; ``least_mm`` and ``most_mm`` are both the longest diameter
        in the plane of any slice, to the pixels' outer edges.
    """
    lengths: dict[int, list[float]] = {}
    for mark in marked:
        if mark.mask.any():
            spacing = series.slice(mark.sop_instance_uid).pixel_spacing_mm or (np.nan, np.nan)
            lengths.setdefault(mark.lesion, []).append(longest_mm(mark.mask, spacing))
    rows = [
        (patient_id, lesion, len(found), max(found), max(found))
        for lesion, found in sorted(lengths.items())
    ]
    return pd.DataFrame(rows, columns=["patient_id", "lesion", "n_slices", "least_mm", "most_mm"])


def longest_mm(mask: Mask, spacing_mm: tuple[float, ...]) -> float:
    """
    The longest diameter of what is marked on a slice.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (rows, columns)
        True where marked.
    spacing_mm : tuple of float
        Between rows and between columns.

    Returns
    -------
    float
        In mm, each pixel counted with its width; 0 where nothing is marked.
    """
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return 0.0
    angles = np.deg2rad(np.arange(0, 180, _STEP_DEGREES))
    down, right = np.sin(angles) * spacing_mm[0], np.cos(angles) * spacing_mm[1]
    along: npt.NDArray[np.float64] = np.outer(down, rows) + np.outer(right, columns)
    # each pixel counts as an ellipse that touches its four edges
    return float((np.ptp(along, axis=1) + np.hypot(down, right)).max())


def target_lesion(lengths: pd.DataFrame) -> pd.DataFrame:
    """
    The target lesion of each patient: the longest.

    Parameters
    ----------
    lengths : pandas.DataFrame
        One row a patient and lesion, as `lesion_lengths` or `measured_lengths` gives it.

    Returns
    -------
    pandas.DataFrame
        One row a patient, with `TARGET_COLUMNS`. ``status`` is "warn" where no lesion can reach
        10 mm (kept all the same: the paper's begin at 7 mm), where only one longer than its box
        would, or where the boxes leave open which one is the longest; ``meaning`` says which.

    Raises
    ------
    InputError
        If a column is missing.
    """
    needed = ["patient_id", "lesion", "n_slices", "least_mm", "most_mm"]
    checks.columns(lengths, needed, name="lengths")
    rows = [_target(own) for _, own in lengths.groupby("patient_id", sort=False)]
    return pd.DataFrame(rows, columns=list(TARGET_COLUMNS))


def on_target(table: pd.DataFrame, targets: pd.DataFrame) -> pd.DataFrame:
    """
    The slices of the target lesions.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``slices.csv``.
    targets : pandas.DataFrame
        As `target_lesion` gives it.

    Returns
    -------
    pandas.DataFrame
        Rows of `table` with its index, which finds their pictures.
    """
    key = ["patient_id", "lesion"]
    return table[pd.MultiIndex.from_frame(table[key]).isin(pd.MultiIndex.from_frame(targets[key]))]


def diameter_agrees(targets: pd.DataFrame, patients: pd.DataFrame) -> pd.DataFrame:
    """
    Whether each target lesion is as long as the hospital's table says.

    Parameters
    ----------
    targets : pandas.DataFrame
        As `target_lesion` gives it.
    patients : pandas.DataFrame
        One row a patient: ``patient_id``, ``diameter_mm``.

    Returns
    -------
    pandas.DataFrame
        One row a target lesion, with `AGREEMENT_COLUMNS`; ``diameter_mm`` is the table's.
        ``status`` is "pass" from 20 % below ``least_mm`` to 20 % above ``most_mm`` (the change
        that RECIST 1.1 takes for none), "warn" beyond, "not measurable" where one of the two is
        not known.

    Raises
    ------
    InputError
        If a column is missing.
    """
    checks.columns(patients, ["patient_id", "diameter_mm"], name="patients")
    table = targets.merge(patients[["patient_id", "diameter_mm"]], "left", "patient_id")
    said = [_agreement(row) for row in table.to_dict("records")]
    table["status"], table["meaning"] = [status for status, _ in said], [why for _, why in said]
    return table[list(AGREEMENT_COLUMNS)]


def _target(own: pd.DataFrame) -> tuple[object, ...]:
    """One patient's target lesion."""
    longest = own.loc[own["least_mm"].idxmax()] if own["least_mm"].notna().any() else own.iloc[0]
    others = own[own["lesion"] != longest["lesion"]]
    why = _why(float(longest["least_mm"]), float(longest["most_mm"]), others)
    return (
        *longest[["patient_id", "lesion"]],
        len(own),
        *longest[["n_slices", "least_mm", "most_mm"]],
        "warn" if why else "pass",
        why,
    )


def _why(least_mm: float, most_mm: float, others: pd.DataFrame) -> str:
    """What must be known of a target lesion, or nothing."""
    if np.isnan(least_mm):
        return "its length is not known: the series names no pixel spacing"
    rivals = others.loc[others["most_mm"] > least_mm, "lesion"]
    said = []
    if most_mm < SMALLEST_MM:
        said.append("shorter than the 10 mm of mRECIST; kept")
    elif least_mm < SMALLEST_MM:
        said.append("by its box perhaps shorter than the 10 mm of mRECIST; kept")
    if len(rivals):
        said.append(f"lesion {', '.join(map(str, rivals))} may be longer: boxes leave it open")
    return "; ".join(said)


def _agreement(row: dict[str, float]) -> tuple[str, str]:
    """Whether one target lesion is as long as the table says, and what to do if not."""
    said, least, most = row["diameter_mm"], row["least_mm"], row["most_mm"]
    if pd.isna(said):
        return "not measurable", "the table has no diameter"
    if np.isnan(least):
        return "not measurable", "the series names no pixel spacing"
    if said < least * (1 - NO_CHANGE):
        return "warn", "the outline is longer than the table says: check unit, lesion and outline"
    if said > most * (1 + NO_CHANGE):
        return "warn", "the outline is shorter than the table says: check unit, lesion and outline"
    return "pass", ""
