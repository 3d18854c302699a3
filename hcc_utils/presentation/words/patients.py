"""Words of chapter 01: who was included, what they are like, and who read their images."""

from __future__ import annotations

from typing import Any

import pandas as pd

from hcc_utils.presentation.words.plain import (
    NAMES,
    Each,
    Whole,
    estimate,
    heading,
    interval,
    level,
    median,
    p_value,
    percent,
    some_of,
)
from hcc_utils.study.vocabulary import VARIABLES, label

STATISTICS: dict[str, str] = {
    "icc2": "ICC2 (agreement)",
    "icc3": "ICC3 (consistency)",
    "kappa": "kappa",
    "weighted_kappa": "kappa, quadratic weights",
    "fleiss_kappa": "Fleiss' kappa",
}


def tables_one(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """
    Table 1 in a reader's words, a table for each grouping.

    Parameters
    ----------
    table : pandas.DataFrame
        As `study.cohort.tables_one` gives it.

    Returns
    -------
    dict of str to pandas.DataFrame
        Text by grouping, indexed by variable and level; shown one below the other, each under
        the grouping's name. What a grouping leaves empty, such as the SMD of three groups, is
        left out.
    """
    return Each({by: _table_one(rows, by) for by, rows in table.groupby("by", sort=False)})


def _table_one(table: pd.DataFrame, by: str) -> Whole:
    """Table 1 by one grouping."""
    again = table["variable"].duplicated()
    text = table.drop(columns=["by", "statistic"]).astype(object)
    text["variable"] = table["variable"].map(lambda name: NAMES.get(name) or label(name))
    text["variable"] = text["variable"].mask(again, "")
    text["level"] = table["level"].fillna("").map(level)
    text["p_value"] = table["p_value"].map(p_value)
    text["smd"] = table["smd"].map(lambda smd: "" if pd.isna(smd) else f"{smd:.2f}")
    text = text.where(text.notna(), "").set_index(["variable", "level"])
    text = text.loc[:, text.ne("").any()]
    order = [*VARIABLES[by].levels, *text]  # groups in the vocabulary's order, the rest behind
    text = text[sorted(text, key=order.index)].rename(columns=lambda name: heading(name, by))
    shown = Whole(text)
    shown.attrs["caption"] = f"By {label(by)}"
    return shown


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """
    How far readers agree, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``agreement.csv``.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by variable and statistic. Without rows it says that nothing was read apart.
    """
    rows = list(table.itertuples())
    text = {
        "readers": [str(row.readers) for row in rows],
        "patients": [str(row.n) for row in rows],
        "estimate (95 % interval)": [estimate(row) for row in rows],
    }
    index = pd.MultiIndex.from_arrays(
        [table["variable"].map(label), table["statistic"].map(STATISTICS)],
        names=["variable", "statistic"],
    )
    shown = Whole(pd.DataFrame(text, index=index))
    shown.attrs["nothing"] = "No variable of this study was read by several readers apart."
    return shown


def adjudication(table: pd.DataFrame) -> pd.DataFrame:
    """
    What became of the readings that two readers did not share, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``adjudication.csv``.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by variable.
    """
    rows = list(table.itertuples())
    text = {
        "disputed": [some_of(row.disputed, row.n) for row in rows],
        "read by the third": [str(row.third) for row in rows],
        "no two agree": [str(row.open) for row in rows],
        "other value in the table": [str(row.differs) for row in rows],
    }
    shown = Whole(pd.DataFrame(text, index=table["variable"].map(label)))
    shown.attrs["nothing"] = "No factor of this study was read by two readers."
    return shown


def rank_correlation(found: Any) -> str:
    """
    How Child-Pugh class and BCLC stage go together, in a sentence.

    Parameters
    ----------
    found : evaluation.agreement.RankCorrelation
        Of the two.

    Returns
    -------
    str
        Markdown.
    """
    if pd.isna(found.rho):
        return (
            "Child-Pugh class and BCLC stage are not correlated here: one was not recorded or "
            "does not vary."
        )
    p = p_value(found.p_value)
    p = f"p {p}" if p.startswith("<") else f"p = {p}"
    return (
        f"Child-Pugh class and BCLC stage: Spearman's correlation {found.rho:.3f} ({p}) in "
        f"{found.n} patients."
    )


def criteria(table: pd.DataFrame, screened: int) -> pd.DataFrame:
    """
    How many patients fail each criterion by itself, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``criteria.csv``.
    screened : int
        How many patients were screened.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by criterion; the words in brackets say why one was not applied.
    """
    failing = ["" if pd.isna(count) else f"{count} of {screened}" for count in table["failing"]]
    reasons = [str(reason)[:1].upper() + str(reason)[1:] for reason in table["reason"]]
    return Whole({"patients": failing}, index=pd.Index(reasons, name="left out for"))


def cohort(screened: pd.DataFrame, patients: pd.DataFrame, flow: pd.DataFrame, study: Any) -> str:
    """
    Who was screened, who stayed, and how many had the event, in sentences.

    Parameters
    ----------
    screened, patients : pandas.DataFrame
        One row a patient: everybody, and those who stay.
    flow : pandas.DataFrame
        Rows of ``flow.csv``.
    study : study.manifest.Manifest
        Its endpoint, and what is to be known of it.

    Returns
    -------
    str
        Markdown.
    """
    left = int(flow.loc[flow["excluded"] > 0, "excluded"].sum())
    back = -int(flow.loc[flow["step"] == "come_back", "excluded"].sum())
    events, n = int(patients[study.endpoint].sum()), len(patients)
    moved = f"{left} left"
    if back:
        moved += f" by the paper's criteria, {back} of whom come back for this study's question"
    said = (
        f"Of {len(screened)} patients screened, {moved}, and **{n}** stayed; **{events}** of them "
        f"({events / n:.0%}) had the event ({label(study.endpoint).lower()})."
    )
    return f"{said}\n\n{study.endpoint_note}" if study.endpoint_note else said


def stages(patients: pd.DataFrame, disagreements: pd.DataFrame) -> str:
    """
    How often the recorded stage differs from the one that size and number give.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient.
    disagreements : pandas.DataFrame
        As `study.cohort.stage_disagreements` gives them.

    Returns
    -------
    str
        A sentence; where stage, size or number was not recorded it says so.
    """
    lacking = [name for name in ("bclc", "diameter_mm", "lesion_count") if name not in patients]
    if lacking:
        return f"Not recorded, so that nothing is compared: {', '.join(map(label, lacking))}."
    return (
        f"In {len(disagreements)} of {len(patients)} patients the recorded stage differs "
        "from the one that size and number give."
    )


def index_date(patients: pd.DataFrame, time_zero: str) -> str:
    """
    From when time is counted, and how many scans lie far from the first treatment.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient.
    time_zero : str
        The manifest's word.

    Returns
    -------
    str
        Markdown.
    """
    said = f"Time is counted from: **{time_zero}**."
    if "months_scan_to_treatment" not in patients:
        return f"{said} The time between CT and treatment was not recorded."
    days = patients["months_scan_to_treatment"].abs() * _DAYS_A_MONTH
    far, known = int((days > _FAR_DAYS).sum()), int(days.notna().sum())
    return (
        f"{said} CT and first treatment lie more than {_FAR_DAYS} days apart in {far} of {known} "
        "patients in whom both dates are known."
    )


_DAYS_A_MONTH, _FAR_DAYS = 30.4375, 30


def follow_up(table: pd.DataFrame) -> pd.DataFrame:
    """
    How long patients were followed, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``follow_up.csv``.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by outcome and centre.
    """
    rows = list(table.itertuples())
    text = {
        "patients": [str(row.n) for row in rows],
        "followed to the end without it": [str(row.followed) for row in rows],
        "median months (95 % interval)": [
            median(row.median_months, row.low, row.high) for row in rows
        ],
    }
    index = [table["outcome"].map(label), table["centre"]]
    return Whole(pd.DataFrame(text).set_index(index))


def short_follow_up(table: pd.DataFrame) -> str:
    """
    Who was left out for a short follow-up, and what happened to those who were not.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``short_follow_up.csv``.

    Returns
    -------
    str
        Markdown.
    """
    sums = table.drop(columns="centre").sum()
    stayed = (
        f"{sums.short_event} who had the event within a year and {sums.short_died} who died within "
        "it without the event"
    )
    if not sums.left_out:
        return (
            f"Nobody was left out for a short follow-up; of {sums.n} patients {sums.short_free} "
            f"were followed for less than a year, alive and without the event, beside {stayed}."
        )
    return (
        f"Of {sums.n} patients who pass every other criterion, **{sums.left_out}** were left out "
        f"because they were followed for less than a year; {sums.left_out_free} of these were "
        f"alive and without the event. The same year spared {stayed}. Leaving out by what is known "
        "only later takes away patients without the event alone, and so raises the share with it."
    )


def event_fractions(table: pd.DataFrame) -> pd.DataFrame:
    """
    The share with the event by complete outcomes only and by Aalen-Johansen, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``event_fraction.csv``.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by patients and month.
    """
    rows = list(table.itertuples())
    text = {
        "outcome known": [f"{row.known} of {row.n}" for row in rows],
        "complete outcomes only": [
            f"{row.events}: {interval(row.complete, row.complete_low, row.complete_high)}"
            for row in rows
        ],
        "Aalen-Johansen": [
            interval(row.incidence, row.incidence_low, row.incidence_high) for row in rows
        ],
        "difference": ["" if pd.isna(row.difference) else f"{row.difference:+.3f}" for row in rows],
    }
    index = [table["group"].rename("patients"), table["months"].rename("by month")]
    return Whole(pd.DataFrame(text).set_index(index))


def missing(table: pd.DataFrame) -> pd.DataFrame:
    """
    How many values are missing, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``missing.csv``.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by centre and variable.
    """
    shares = [
        f"{row.missing} of {row.n} ({percent(row.missing / row.n)})" for row in table.itertuples()
    ]
    text = pd.DataFrame({"missing": shares})
    return Whole(text.set_index([table["centre"], table["variable"].map(label)]))
