"""The slices of a study's patients, hospital by hospital, and what a reader is shown of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.imaging import preprocessing, rules, slices
from hcc_utils.imaging.preprocessing import CohortSlices
from hcc_utils.study.manifest import Manifest
from hcc_utils.study.progress import say


def study_slices(
    study: Manifest,
    patients: pd.DataFrame,
    *,
    margin_pixels: int = 5,
    margin_mm: float | None = None,
    size: int = 128,
) -> CohortSlices:
    """
    The target lesions' slices of these patients, each read from its own hospital's folders.

    Parameters
    ----------
    study : Manifest
        Names each hospital's DICOM folder, ROI and chosen series.
    patients : pandas.DataFrame
        One row a patient: ``patient_id``, ``centre`` and, where it was recorded, ``has_ct``.
    margin_pixels, margin_mm, size
        As `slices.lesion_slices` takes them.

    Returns
    -------
    CohortSlices
        Of all hospitals, in the patients' order within each.

    Raises
    ------
    InputError
        If a hospital names no DICOM folder or no ROI.
    Problems
        If the manifest says ``strict`` and a patient has no slices: all of them.
    """
    checks.columns(patients, ["patient_id", "centre"], name="patients")
    asked = {"margin_pixels": margin_pixels, "margin_mm": margin_mm, "size": size}
    work = _work(study, _with_ct(patients), asked)
    found = preprocessing.prepared(work, size, progress=_tell)
    if study.strict and len(found.problems):
        raise checks.Problems(
            checks.Problem(row.patient_id, f"must have slices ({row.rule})", remedy=row.message)
            for row in found.problems.itertuples(index=False)
        )
    return found


def recut(
    study: Manifest,
    patients: pd.DataFrame,
    table: pd.DataFrame,
    cuts: Sequence[slices.Cut],
    **made: Any,
) -> Iterator[tuple[str, slices.Pixels | None]]:
    """
    Slices of these patients cut again from their hospital's folders, in several ways.

    Parameters
    ----------
    study : Manifest
        Names each hospital's DICOM folder.
    patients : pandas.DataFrame
        One row a patient: ``patient_id``, ``centre``.
    table : pandas.DataFrame
        Their rows of ``slices.csv``.
    cuts : sequence of slices.Cut
        How.
    **made
        How the slices of `table` were made: what preprocessing.json holds.

    Returns
    -------
    iterator
        As `preprocessing.recut` yields it: pixels live one patient at a time.

    Raises
    ------
    InputError
        If a hospital names no DICOM folder or no ROI.
    """
    return preprocessing.recut(_work(study, patients, made), table, cuts)


def flow(patients: pd.DataFrame, problems: pd.DataFrame) -> pd.DataFrame:
    """
    How many patients of the study have slices, and by which rule the others lost theirs.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient of the study: ``patient_id``, ``centre`` and, where it was recorded,
        ``has_ct``.
    problems : pandas.DataFrame
        Of their images, as `study_slices` gives them.

    Returns
    -------
    pandas.DataFrame
        The columns of flow.csv; one row a centre and step: everybody, those without images at
        hand, and each rule that refused somebody, the commonest first.
    """
    rule = dict(zip(problems["patient_id"], problems["rule"], strict=True))
    step = patients["patient_id"].map(rule).fillna("")
    without_ct = ~patients.index.isin(_with_ct(patients).index)
    rows = []
    for name, own in patients.assign(step=step.mask(without_ct, _NO_CT)).groupby(
        "centre", sort=False
    ):
        remaining = len(own)
        rows.append((name, "in_the_study", "in the study", 0, remaining))
        for said in (_NO_CT, *dict.fromkeys(problems["rule"].value_counts().index)):
            excluded = int((own["step"] == said).sum())
            remaining -= excluded
            rows.append((name, said, said.replace("_", " "), excluded, remaining))
    return pd.DataFrame(rows, columns=["centre", "step", "reason", "excluded", "remaining"])


_NO_CT = "no_images_at_hand"


def _with_ct(patients: pd.DataFrame) -> pd.DataFrame:
    """Those whose images are at hand."""
    return patients[patients["has_ct"].fillna(value=False)] if "has_ct" in patients else patients


def warnings_of(inventory: pd.DataFrame) -> pd.DataFrame:
    """
    What must be known of series that can be used.

    Parameters
    ----------
    inventory : pandas.DataFrame
        Rows of ``inventory.csv``.

    Returns
    -------
    pandas.DataFrame
        One row a patient and broken rule that only warns: ``patient_id``, ``rule``, ``meaning``
        (`rules.RULES`; where files are missing, how many).
    """
    used = inventory[inventory["status"] == "warn"]
    found: dict[tuple[str, str], list[str]] = {}
    for row in used.to_dict("records"):
        for rule in row["rules"].split():
            found.setdefault((row["patient_id"], rule), []).append(_meaning(rule, row))
    rows = [(*key, "; ".join(dict.fromkeys(said))) for key, said in found.items()]
    return pd.DataFrame(rows, columns=["patient_id", "rule", "meaning"])


def _meaning(rule: str, row: dict[str, Any]) -> str:
    """What a broken rule says of one series."""
    said = rules.RULES[rule].meaning
    if rule != "fewer_files_than_listed":
        return said
    return f"{said}: {row['n_files']} of {row['n_listed']} files are there"


def middle_slices(
    table: pd.DataFrame, *, margin_pixels: int = 5, margin_mm: float | None = None
) -> pd.DataFrame:
    """
    The middle slice of each patient's lesion, to be looked at.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``slices.csv``.
    margin_pixels, margin_mm
        How far the boxes were widened (`slices.lesion_slices`).

    Returns
    -------
    pandas.DataFrame
        One row a patient, its index that of `table`: ``title`` (patient, height of the slice, and
        width and height of the box before it was widened, in mm); ``left``, ``right``, ``top`` and
        ``bottom``, where that box is in the picture, as shares of its sides.
    """
    groups = table.groupby("patient_id", sort=False).indices
    middle = table.iloc[[rows[len(rows) // 2] for rows in groups.values()]]
    shown = pd.DataFrame({"title": [_title(row) for row in middle.to_dict("records")]})
    shown.index = middle.index
    return shown.join(boxes_in_crops(middle, margin_pixels=margin_pixels, margin_mm=margin_mm))


def boxes_in_crops(
    table: pd.DataFrame, *, margin_pixels: int = 5, margin_mm: float | None = None
) -> pd.DataFrame:
    """
    Where each slice's box, before it was widened, is in its picture.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``slices.csv``.
    margin_pixels, margin_mm
        How far the boxes were widened (`slices.lesion_slices`).

    Returns
    -------
    pandas.DataFrame
        One row a slice, its index that of `table`: ``left``, ``right``, ``top`` and ``bottom`` as
        shares of the picture's sides.
    """
    shares = pd.DataFrame(index=table.index)
    margin = slices.margins(table["pixel_spacing_mm"], margin_pixels, margin_mm)
    for side, (start, end) in _ENDS.items():
        low, high = table[f"{side}_min"], table[f"{side}_max"]
        # crops are clipped at the image's edge; at its far one no body has a lesion
        before, inside = np.minimum(low, margin), high - low + 1
        whole = before + inside + margin
        shares[start], shares[end] = before / whole, (before + inside) / whole
    return shares


_ENDS = {"column": ("left", "right"), "row": ("top", "bottom")}


def _title(row: dict[str, Any]) -> str:
    """Whose slice, where, and how large its box."""
    width, height = (
        (row[f"{side}_max"] - row[f"{side}_min"] + 1) * row["pixel_spacing_mm"] for side in _ENDS
    )
    return f"{row['patient_id']}<br>z {row['slice_z_mm']:.1f} mm, {width:.0f} x {height:.0f} mm"


def _work(
    study: Manifest, patients: pd.DataFrame, asked: dict[str, Any]
) -> list[preprocessing.Task]:
    """The patients as work, hospital by hospital."""
    return [
        task
        for name, rows in patients.groupby("centre", sort=False)
        for task in _of_hospital(study, str(name), list(rows["patient_id"]), asked)
    ]


def _of_hospital(
    study: Manifest, name: str, patient_ids: list[str], asked: dict[str, Any]
) -> list[preprocessing.Task]:
    """One hospital's patients as work."""
    centre, dicom, roi = study.centre(name), study.path(name, "dicom"), study.path(name, "roi")
    if centre.roi is None or dicom is None or roi is None:
        raise checks.InputError(
            f"{name} names no dicom folder or no roi in the manifest; add both, or leave out "
            f"chapter 02_preprocessing with its reason."
        )
    return preprocessing.tasks(
        patient_ids,
        dicom,
        centre.roi.source,
        roi,
        chosen_series=centre.series,
        series_rule=centre.series_rule,
        **asked,
    )


def _tell(done: int, total: int) -> None:
    """Say how far, ten times in all."""
    if done == total or done % max(total // 10, 1) == 0:
        say(f"slices of {done} of {total} patients")
