"""Words of chapter 02: series, slices and their quality."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import pandas as pd

from hcc_utils.presentation.words.plain import Whole


def problems(table: pd.DataFrame, most: int = 10) -> str:
    """
    The patients without slices, each with the rule and the next step.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``imaging_problems.csv``; it names patients, so that this belongs to the internal
        edition.
    most : int, default 10
        How many are written out.

    Returns
    -------
    str
        Markdown.
    """
    if table.empty:
        return "Nobody was kept out."
    counts = table["rule"].value_counts()
    said = ", ".join(f"{_rule(rule)} ({count})" for rule, count in counts.items())
    lines = [
        f"- **{r.patient_id}**: {_placeless(r.message)}" for r in table.head(most).itertuples()
    ]
    rest = len(table) - most
    more = [f"- and {rest} more in imaging_problems.csv"] if rest > 0 else []
    return "\n".join([f"{len(table)} patient(s): {said}.", "", *lines, *more])


def slices(patients: pd.DataFrame, table: pd.DataFrame, qc: pd.DataFrame) -> str:
    """
    How many slices came out, of how many patients, and how many a reader must look at.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient of the study, with ``has_ct`` where it was recorded.
    table : pandas.DataFrame
        Rows of ``slices.csv``.
    qc : pandas.DataFrame
        Rows of ``qc.csv``.

    Returns
    -------
    str
        Markdown.
    """
    at_hand = int(patients["has_ct"].sum()) if "has_ct" in patients else len(patients)
    counts = table.groupby("patient_id").size()
    said = f"Of {len(patients)} patients {at_hand} have images at hand. "
    if counts.empty:
        return f"{said}**None** has slices: the rules above say why."
    warned = qc.loc[qc["status"] == "warn", "patient_id"].nunique()
    return (
        f"{said}**{len(counts)}** have slices, {len(table)} in all, {counts.median():.0f} a "
        f"patient in the median ({counts.min()} to {counts.max()}). Quality control warns of "
        f"{warned} of them; {at_hand - len(counts)} patient(s) without slices are named above."
    )


def _placeless(message: str) -> str:
    """A message whose files are named without the folders of the machine they lie on."""
    return re.sub(r"(?<!\S)/(?:[^\s/]+/)+([^\s/]+)", r"\1", message)


def imaging_warnings(table: pd.DataFrame) -> pd.DataFrame:
    """
    What must be known of series that are used; it names patients: for the internal edition.

    Parameters
    ----------
    table : pandas.DataFrame
        As `imaging.study_slices.warnings_of` gives it.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by patient. Without rows it says that there is nothing to know.
    """
    shown = Whole({"what": table["meaning"].to_list()}, index=table["patient_id"].rename("patient"))
    shown.attrs["nothing"] = "No series that is used breaks a rule."
    return shown


def hounsfield(table: pd.DataFrame, most: int = 40) -> pd.DataFrame:
    """
    Tissues where they are known, with what they measure, a row a patient and tissue.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``hounsfield.csv``; it names patients: for the internal edition.
    most : int, default 40
        Of more rows those that are not as expected are shown; the caption counts the others.

    Returns
    -------
    pandas.DataFrame
        Text. Without rows it says that nothing names a tissue.
    """
    expected = table["inside"].fillna(value=False)
    said = f"{expected.sum()} of {len(table)} measurements are as expected (hounsfield.csv)."
    is_long = len(table) > most
    table = table[~expected] if is_long else table
    rows = list(table.itertuples())
    text = {
        "HU, mean ± SD": [r.problem or f"{r.hu:.0f} ± {r.sd_hu:.0f}" for r in rows],
        "expected": [f"{r.low_hu:.0f} to {r.high_hu:.0f}" for r in rows],
        "": ["" if r.problem else "as expected" if r.inside else "outside" for r in rows],
        "RescaleIntercept": ["" if r.problem else f"{r.rescale_intercept:.0f}" for r in rows],
    }
    shown = Whole(pd.DataFrame(text))
    shown.index = pd.MultiIndex.from_frame(
        table[["patient_id", "tissue"]], names=["patient", "tissue"]
    )
    shown.attrs["nothing"] = said if is_long else "No landmark and no outline names a tissue."
    if is_long:
        shown.attrs["caption"] = said
    return shown


def quality(table: pd.DataFrame) -> pd.DataFrame:
    """
    The patients whose images a reader must look at, and why; it names patients: internal edition.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``qc.csv``.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by hospital and patient, the refused first. Without rows it says that nothing
        was found.
    """
    found = table[table["status"].isin(["warn", "refuse"])]
    said = found.assign(
        what=[
            f"{_rule(r.rule)}{_beyond(r.value, r.limit)}: {r.meaning}" for r in found.itertuples()
        ]
    )
    patients = said.groupby(["centre", "patient_id"], sort=False)
    text = patients.agg(status=("status", "min"), what=("what", "; ".join))  # refuse before warn
    shown = Whole(text.sort_values("status", kind="stable").rename_axis(["hospital", "patient"]))
    shown.attrs["nothing"] = "No rule warns of any image."
    return shown


def quality_counts(counts: pd.DataFrame) -> pd.DataFrame:
    """
    What each rule says of the images, hospital by hospital; no patient's row.

    Parameters
    ----------
    counts : pandas.DataFrame
        As `imaging.quality.counts` gives it.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by rule, one column a hospital: how many do not pass, of how many. Rules that
        everybody passes are named in the caption.
    """
    counts = counts.assign(
        said=[_not_passed(row) for row in counts.to_dict("records")],
        rule=counts["rule"].map(_rule),
    )
    text = counts.pivot_table("said", "rule", "centre", aggfunc="first", sort=False).fillna("")
    kept = text.replace("all pass", "").eq("").all(axis=1)
    shown = Whole(text[~kept].rename_axis(columns=None))
    passed = f"All images pass: {', '.join(text.index[kept])}." if kept.any() else ""
    shown.attrs["nothing"] = passed or "No images were judged."
    if passed:
        shown.attrs["caption"] = passed
    return shown


def _rule(name: str) -> str:
    """A rule's name in words, its unit in brackets."""
    words = name.replace("kvp", "tube voltage_kVp").replace("_hu", "_HU").replace("_", " ")
    return re.sub(r" (mm|HU|kVp)$", r" (\1)", words)


def _beyond(value: float, limit: str) -> str:
    """A value beside its limit; nothing where a rule is either kept or broken."""
    return "" if pd.isna(value) or limit == "none" else f" {value:.3g} ({limit})"


def _not_passed(row: dict[Hashable, Any]) -> str:
    """How many do not pass a rule in one hospital."""
    statuses = ("refuse", "warn", "not measurable")
    of = row["pass"] + sum(row[status] for status in statuses)
    said = [f"{status} {row[status]} of {of}" for status in statuses if row[status]]
    return ", ".join(said) or "all pass"
