"""How long patients were followed, and what leaving out a short follow-up does to the events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.evaluation import intervals, survival, time_course

HORIZONS_MONTHS = (12, 24)
_EVENT, _DIED = 1, 2


def length(patients: pd.DataFrame, endpoint: str) -> pd.DataFrame:
    """
    Median follow-up by the reverse Kaplan-Meier method, for the endpoint and for survival.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient: ``centre``, the endpoint, ``death`` and months to both.
    endpoint : str
        The outcome's column.

    Returns
    -------
    pandas.DataFrame
        One row an outcome (the endpoint, death) and centre, "all" first where there are several:
        ``outcome``, ``centre``, ``n``, ``followed`` (how many were observed to the end, without
        it), ``median_months``, ``low``, ``high`` (95 %). Missing where the curve stays above one
        half.

    Notes
    -----
    The end of follow-up takes the event's place. The event, or a death before it, censors: how
    long such a patient would have been followed is not known.

    References
    ----------
    .. [1] Schemper and Smith (1996), Controlled Clinical Trials 17:343-346.
    """
    first = survival.cause_from(patients, endpoint)
    checks.columns(patients, ["centre"], name="patients")
    died = checks.outcomes("death", patients["death"])
    ends = {
        endpoint: (first["months"], first["cause"] == 0),
        "death": (patients["months_to_death"], ~died),
    }
    rows = []
    for outcome, (months, end) in ends.items():
        found = [survival.median(months, end, patients["centre"])]
        if len(found[0]) > 1:
            found.insert(0, survival.median(months, end))
        rows += [table.assign(outcome=outcome) for table in found]
    named = pd.concat(rows, ignore_index=True).rename(
        columns={"group": "centre", "events": "followed"}
    )
    return named[["outcome", "centre", "n", "followed", "median_months", "low", "high"]]


def short(
    eligible: pd.DataFrame, kept: pd.DataFrame, endpoint: str, months: float = 12
) -> pd.DataFrame:
    """
    Who was seen for less than a year, and who of them was left out for it.

    Parameters
    ----------
    eligible : pandas.DataFrame
        One row a patient: everybody who could be included at time zero.
    kept : pandas.DataFrame
        Those of them who are analysed.
    endpoint : str
        The outcome's column.
    months : float, default 12
        What counts as short is less.

    Returns
    -------
    pandas.DataFrame
        One row a centre: ``centre``, ``n`` (eligible), ``short_event`` and ``short_died`` (the
        event, or death without it, came before), ``short_free`` (follow-up ended before, without
        either), ``left_out``, and ``left_out_free`` (of these, without event and alive).
    """
    checks.once(kept, ["patient_id"], name="kept")
    checks.columns(eligible, ["patient_id", "centre"], name="eligible")
    months = checks.number("months", months, least=0)
    first = survival.cause_from(eligible, endpoint)
    cause, early = first["cause"], first["months"] < months
    gone = ~eligible["patient_id"].isin(kept["patient_id"])
    marks = pd.DataFrame(
        {
            "n": True,
            "short_event": early & (cause == _EVENT),
            "short_died": early & (cause == _DIED),
            "short_free": early & (cause == 0),
            "left_out": gone,
            "left_out_free": gone & (cause == 0),
        }
    )
    return marks.groupby(eligible["centre"], sort=False).sum().reset_index()


def event_fractions(
    groups: Mapping[str, pd.DataFrame],
    endpoint: str,
    horizons_months: Sequence[float] = HORIZONS_MONTHS,
) -> pd.DataFrame:
    """
    The share with the event by each horizon, by complete outcomes only and by Aalen-Johansen.

    Parameters
    ----------
    groups : mapping of str to pandas.DataFrame
        Patients by the group's name, such as all who were eligible, and those analysed.
    endpoint : str
        The outcome's column.
    horizons_months : sequence of float, default (12, 24)
        The horizons, which count as within.

    Returns
    -------
    pandas.DataFrame
        One row a group and horizon: ``group``, ``months``, ``n``, ``known`` (followed to the
        horizon, or with the event or dead before), ``events`` (by then), ``complete`` (events of
        known) with ``complete_low`` and ``complete_high`` (Wilson), ``incidence`` (of all, death
        competing) with ``incidence_low`` and ``incidence_high`` (on the log(-log) scale; missing
        beyond the last month of follow-up), ``difference`` (complete less incidence).

    Notes
    -----
    Who left early without the event counts for nothing in the first, and in the second for the
    time that was seen. The first is never lower, and higher where events came before somebody left.

    References
    ----------
    .. [1] Aalen and Johansen (1978), Scandinavian Journal of Statistics 5:141-150.
    """
    months = [checks.number("horizons_months", each, least=0) for each in horizons_months]
    rows = [
        {"group": name, **row}
        for name, patients in groups.items()
        for row in _fractions(survival.cause_from(patients, endpoint), months)
    ]
    return pd.DataFrame(rows)


def _fractions(first: pd.DataFrame, horizons: Sequence[float]) -> Iterator[dict[str, float]]:
    """Both shares at each horizon, of one group."""
    curves = survival.cumulative_incidence(first["months"], first["cause"])
    curve = curves[curves["cause"] == _EVENT].rename(columns={"incidence": "estimate"})
    for horizon in horizons:
        known = (first["months"] >= horizon) | (first["cause"] > 0)
        events = (first["cause"] == _EVENT) & (first["months"] <= horizon)
        n, had = int(known.sum()), int(events.sum())
        share = had / n if n else np.nan
        low, high = (float(end) for end in intervals.wilson(had, n))
        point = time_course.at(curve, horizon)
        yield {
            "months": horizon,
            "n": len(first),
            "known": n,
            "events": had,
            "complete": share,
            "complete_low": low,
            "complete_high": high,
            "incidence": point["estimate"],
            "incidence_low": point["low"],
            "incidence_high": point["high"],
            "difference": share - point["estimate"],
        }
