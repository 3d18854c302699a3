"""
The target lesion by mRECIST, and whether its outline is as long as the table says.

Of mRECIST's conditions only the length can be measured here: whether a lesion is untreated,
enhances in the arterial phase and can be measured again, a reader must say. The outline is drawn in
the portal phase, so its diameter is the whole lesion's, not the viable part's.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.imaging.roi import EDGES

SMALLEST_MM = 10.0  # Lencioni & Llovet (2010), Semin Liver Dis 30:52-60; the paper's begin at 7 mm
NO_CHANGE = 0.2  # growth below 20 % is none: Eisenhauer et al. (2009), Eur J Cancer 45:228-247
LENGTHS: tuple[str, ...] = ("patient_id", "lesion", "n_slices", "least_mm", "most_mm")
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
    How long each lesion is at least and at most, by its outline or its boxes.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``slices.csv``: ``patient_id``, ``lesion``, ``pixel_spacing_mm``, ``longest_mm``
        and the box's edges (before it was widened).

    Returns
    -------
    pandas.DataFrame
        One row a patient and lesion: ``patient_id``, ``lesion``, ``n_slices``, ``least_mm`` and
        ``most_mm``, between which the longest diameter in the plane of any slice lies. Of an
        outline both are its length; of a box they are its longer side and its diagonal, pixels
        taken for squares.

    Raises
    ------
    InputError
        If a column is missing.
    """
    needed = ["patient_id", "lesion", "pixel_spacing_mm", "longest_mm", *EDGES]
    checks.columns(table, needed, name="slices.csv")
    height, width = (
        (table[f"{side}_max"] - table[f"{side}_min"] + 1) * table["pixel_spacing_mm"]
        for side in ("row", "column")
    )
    boxes = table.assign(
        least_mm=table["longest_mm"].fillna(np.maximum(height, width)),
        most_mm=table["longest_mm"].fillna(np.hypot(height, width)),
    )
    lesions = boxes.groupby(["patient_id", "lesion"], sort=False, as_index=False)
    return lesions.agg(
        n_slices=("least_mm", "size"), least_mm=("least_mm", "max"), most_mm=("most_mm", "max")
    )


def target_lesion(lengths: pd.DataFrame) -> pd.DataFrame:
    """
    The target lesion of each patient: the longest.

    Parameters
    ----------
    lengths : pandas.DataFrame
        One row a patient and lesion, as `lesion_lengths` gives it.

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
    checks.columns(lengths, LENGTHS, name="lengths")
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
