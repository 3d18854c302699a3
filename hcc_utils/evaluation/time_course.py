"""How groups of patients fare over time: the event with death competing, and survival."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from hcc_utils import checks
from hcc_utils.evaluation import survival

DEATH = "death"
_CURVE = ["outcome", "group", "estimate", "months", "survival", "low", "high", "at_risk"]


@dataclass(frozen=True)
class TimeCourse:
    """
    The curves of two outcomes, and their summary.

    Parameters
    ----------
    curves : pandas.DataFrame
        The rows of ``survival.csv``: ``outcome``, ``group``, ``estimate`` (incidence of the
        event with death competing; survival for death), ``months``, ``survival`` (the
        estimate), ``low``, ``high``, ``at_risk``.
    summary : pandas.DataFrame
        The rows of ``survival_summary.csv``: ``outcome``, ``group``, ``n``, ``events``,
        ``median_months``, ``low``, ``high``, ``p_value`` (log-rank between the groups; for the
        event cause-specific, deaths censored).
    """

    curves: pd.DataFrame
    summary: pd.DataFrame

    def of(self, outcome: str) -> pd.DataFrame:
        """
        The curves of one outcome.

        Parameters
        ----------
        outcome : str
            The endpoint, or ``death``.

        Returns
        -------
        pandas.DataFrame
            Its rows.
        """
        known = self.curves["outcome"].unique()
        checks.one_of("outcome", outcome, known)
        return self.curves[self.curves["outcome"] == outcome]


def time_course(patients: pd.DataFrame, endpoint: str) -> TimeCourse:
    """
    Cumulative incidence of the event and overall survival, by group.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient: ``group``, the endpoint, ``months_to_`` it, ``death`` and
        ``months_to_death``.
    endpoint : str
        The event's column.

    Returns
    -------
    TimeCourse
        Curves and summary. Where the endpoint is death, survival alone.
    """
    months = f"months_to_{endpoint}"
    checks.columns(patients, ["group", endpoint, months, DEATH, "months_to_death"], name="patients")
    parts = (
        [_overall(patients)]
        if endpoint == DEATH
        else [_event(patients, endpoint), _overall(patients)]
    )
    curves = pd.concat([part[0] for part in parts], ignore_index=True)
    summary = pd.concat([part[1] for part in parts], ignore_index=True)
    return TimeCourse(curves[_CURVE], summary)


def _event(patients: pd.DataFrame, endpoint: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The event: incidence with death competing; the median and test with deaths censored."""
    first = survival.cause_from(patients, endpoint)
    group = patients["group"]
    curves = survival.cumulative_incidence(first["months"], first["cause"], group)
    curves = curves[curves["cause"] == 1].rename(columns={"incidence": "survival"})
    summary = _summary(first["months"], first["cause"] == 1, group)
    given = {"outcome": endpoint, "estimate": "incidence"}
    return curves.assign(**given), summary.assign(outcome=endpoint)


def _overall(patients: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Overall survival by Kaplan-Meier."""
    months, died, group = patients["months_to_death"], patients[DEATH], patients["group"]
    curves = survival.kaplan_meier(months, died, group)
    summary = _summary(months, died, group)
    return curves.assign(outcome=DEATH, estimate="survival"), summary.assign(outcome=DEATH)


def _summary(months: pd.Series, happened: pd.Series, group: pd.Series) -> pd.DataFrame:
    """Medians by group, with the log-rank test between them."""
    table = survival.median(months, happened, group)
    table["p_value"] = survival.logrank(months, happened, group).p_value
    table.insert(0, "outcome", "")
    return table
