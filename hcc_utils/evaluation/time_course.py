"""How patients fare over time, by group: the event with death competing, and survival."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from hcc_utils import checks
from hcc_utils.evaluation import horizon, survival
from hcc_utils.study.recorded import recorded
from hcc_utils.study.vocabulary import VARIABLES

if TYPE_CHECKING:
    from hcc_utils.study.manifest import ClinicalPlan

DEATH = "death"
EVERYONE = "all"
FEWEST = 10  # patients in a group of its own: a curve of fewer says little, and shows each of them
RISK = ("low", "high")
HORIZONS_MONTHS = (6, 12, 24)

_CURVE = [
    "outcome", "grouping", "group", "estimate", "months", "survival", "low", "high", "at_risk"
]  # fmt: skip
_CODING = ["coding", "months", "estimate", "low", "high", "at_risk"]


@dataclass(frozen=True)
class TimeCourse:
    """
    The curves of one outcome or two by grouping and group, their summary and hazard ratios.

    Parameters
    ----------
    curves : pandas.DataFrame
        The rows of ``survival.csv``: ``outcome``, ``grouping``, ``group``, ``estimate``
        (incidence of the event with death competing; survival for death), ``months``,
        ``survival`` (the estimate), ``low``, ``high``, ``at_risk``.
    summary : pandas.DataFrame
        The rows of ``survival_summary.csv``: ``outcome``, ``grouping``, ``group``, ``n``,
        ``events``, ``median_months``, ``low``, ``high``, ``p_value`` (log-rank between the
        groups; for the event cause-specific, deaths censored at the last visit, and so its
        median).
    cox : pandas.DataFrame
        The rows of ``cox.csv``: ``outcome``, ``grouping``, ``group``, ``n``, ``events``,
        ``hazard_ratio`` against the grouping's first group, ``low``, ``high``, ``p_value``,
        ``note`` ("reference" at the first group; why where there is no estimate).
    """

    curves: pd.DataFrame
    summary: pd.DataFrame
    cox: pd.DataFrame

    @property
    def event(self) -> TimeCourse:
        """The event's part; no row where the endpoint is death."""
        return self._where("incidence")

    @property
    def overall(self) -> TimeCourse:
        """Overall survival's part."""
        return self._where("survival")

    def _where(self, estimate: str) -> TimeCourse:
        """The part whose curves are of one kind."""
        curves = self.curves[self.curves["estimate"] == estimate]
        outcomes = curves["outcome"].unique()
        summary, cox = (
            table[table["outcome"].isin(outcomes)] for table in (self.summary, self.cox)
        )
        return TimeCourse(curves, summary, cox)


def grouped(patients: pd.DataFrame, by: Iterable[str]) -> pd.DataFrame:
    """
    Patients in long form: everyone together, then by each column.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient.
    by : iterable of str
        Columns of levels or flags, and ``risk`` (low, high). One that the table lacks, or that is
        empty, is left out.

    Returns
    -------
    pandas.DataFrame
        One row a patient and grouping, in the groups' order: the patient's columns, ``grouping``
        (``all``, or the column) and ``group``. Who has no value is left out there. An ordinal
        level with fewer than 10 patients is joined with the next, the last with the one before.
    """
    recorded(checks.once(patients, []), known := [name for name in by if name in patients])
    together = patients.assign(grouping=EVERYONE, group=EVERYONE)
    parts = [_by(patients, column) for column in known if patients[column].notna().any()]
    return pd.concat([together, *parts], ignore_index=True)


def time_course(patients: pd.DataFrame, endpoint: str) -> TimeCourse:
    """
    Cumulative incidence of the event and overall survival, by grouping and group.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient and grouping: ``grouping``, ``group``, the endpoint, ``months_to_`` it,
        ``death`` and ``months_to_death``. Groups are in the order in which they first appear;
        the others are held against the first.
    endpoint : str
        The event's column.

    Returns
    -------
    TimeCourse
        Curves, summary and hazard ratios. Where the endpoint is death, survival alone.
    """
    needed = ["grouping", "group", endpoint, f"months_to_{endpoint}", DEATH, "months_to_death"]
    if checks.columns(patients, needed, name="patients").empty:
        raise checks.InputError("patients must hold at least one patient; it is empty.")
    parts = [
        [table.assign(outcome=outcome, grouping=grouping) for table in _course(rows, outcome)]
        for outcome in dict.fromkeys([endpoint, DEATH])
        for grouping, rows in patients.groupby("grouping", sort=False)
    ]
    curves, summary, cox = (
        pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True)
    )
    return TimeCourse(curves[_CURVE], _led(summary), _led(cox))


def censoring(patients: pd.DataFrame, endpoint: str) -> pd.DataFrame:
    """
    How many patients ended without the event, and how many of these died how much later.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient: the endpoint, ``months_to_`` it, ``death`` and ``months_to_death``.
    endpoint : str
        The event's column.

    Returns
    -------
    pandas.DataFrame
        One row: ``outcome``, ``n``, ``without``, ``died`` (of these), ``median_months`` (from
        the last visit to death; missing where nobody died). No row where the endpoint is death.
    """
    seen, until = f"months_to_{endpoint}", "months_to_death"
    checks.once(patients, [endpoint, seen, DEATH, until])
    happened, died = (checks.outcomes(name, patients[name]) for name in (endpoint, DEATH))
    recorded(patients, [seen, until])
    later = (patients[until] - patients[seen])[died & ~happened]
    row = {
        "outcome": endpoint,
        "n": len(patients),
        "without": int((~happened).sum()),
        "died": len(later),
        "median_months": later.median(),
    }
    return pd.DataFrame([row]).iloc[: int(endpoint != DEATH)]


def codings(patients: pd.DataFrame, endpoint: str) -> pd.DataFrame:
    """
    Incidence of the event over time under each way to count deaths without it.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient: the endpoint, ``months_to_`` it, ``death`` and ``months_to_death``.
    endpoint : str
        The event's column.

    Returns
    -------
    pandas.DataFrame
        One row a coding (`horizon.codings`) and distinct time: ``coding``, ``months``,
        ``estimate``, ``low``, ``high``, ``at_risk``. One minus Kaplan-Meier where no death
        competes, else Aalen-Johansen. No row where the endpoint is death.
    """
    if endpoint == DEATH:
        return pd.DataFrame(columns=_CODING)
    ways = horizon.codings(patients, endpoint)
    curves = [_coded(first).assign(coding=coding) for coding, first in ways.items()]
    return pd.concat(curves, ignore_index=True)[_CODING]


def codings_at(curves: pd.DataFrame, plan: ClinicalPlan | None = None) -> pd.DataFrame:
    """
    The codings' estimates at 6, 12 and 24 months, and at a clinical model's horizon.

    Parameters
    ----------
    curves : pandas.DataFrame
        As `codings` gives them.
    plan : study.manifest.ClinicalPlan, optional
        The study's, where it has one.

    Returns
    -------
    pandas.DataFrame
        The rows of ``codings.csv``: one a coding and month, ``at_risk`` just before it; the
        estimate is missing where nobody was followed so long.
    """
    months = sorted({*HORIZONS_MONTHS, *([plan.horizon_months] if plan else [])})
    rows = [
        {"coding": coding, **at(curve, month)}
        for coding, curve in curves.groupby("coding", sort=False)
        for month in months
    ]
    return pd.DataFrame(rows, columns=_CODING)


def _by(patients: pd.DataFrame, column: str) -> pd.DataFrame:
    """Patients with a value, by its groups in order."""
    known = patients.dropna(subset=[column])
    names = _names(known[column])
    order = list(dict.fromkeys(names.values()))
    group = pd.Categorical(known[column].map(names), categories=order, ordered=True)
    known = known.assign(grouping=column, group=group).sort_values("group", kind="stable")
    return known.astype({"group": str})


def _names(values: pd.Series) -> dict[object, str]:
    """The group of each level or flag, in the vocabulary's order."""
    if values.name == "risk":
        return dict(zip(RISK, RISK, strict=True))
    variable = VARIABLES[str(values.name)]
    if variable.kind == "flag":
        return {False: "no", True: "yes"}
    if variable.kind == "nominal":
        return {level: level.replace("_", "-") for level in variable.levels}
    counts = values.value_counts()
    return _joined({level: int(counts[level]) for level in variable.levels if level in counts})


def _joined(counts: dict[str, int]) -> dict[object, str]:
    """The group of each ordinal level: neighbours together until they are ten patients."""
    groups: list[list[str]] = [[]]
    for level in counts:
        if sum(counts[one] for one in groups[-1]) >= FEWEST:
            groups.append([])
        groups[-1].append(level)
    if len(groups) > 1 and sum(counts[one] for one in groups[-1]) < FEWEST:
        groups[-2:] = [groups[-2] + groups[-1]]
    return {level: "-".join(dict.fromkeys([g[0], g[-1]])) for g in groups for level in g}


def _course(patients: pd.DataFrame, outcome: str) -> list[pd.DataFrame]:
    """Curves, summary and hazard ratios of one grouping and outcome, its groups in order."""
    group = patients["group"]
    # the event as well: beyond the last visit nobody looked for it
    months, happened = patients[f"months_to_{outcome}"], patients[outcome]
    summary = survival.median(months, happened, group)
    summary["p_value"] = survival.logrank(months, happened, group).p_value
    order = {name: place for place, name in enumerate(group.unique())}
    curves, summary = (
        table.sort_values("group", key=lambda names: names.map(order), kind="stable")
        for table in (_curves(patients, outcome), summary)
    )
    return [curves, summary, _cox(months, happened, group, summary[["group", "n", "events"]])]


def _curves(patients: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """Overall survival by Kaplan-Meier; of the event the incidence, deaths in their own month."""
    if outcome == DEATH:
        curves = survival.kaplan_meier(
            patients["months_to_death"], patients[DEATH], patients["group"]
        )
        return curves.assign(estimate="survival")
    first = survival.cause_from(patients, outcome)
    curves = survival.cumulative_incidence(first["months"], first["cause"], patients["group"])
    curves = curves[curves["cause"] == 1].rename(columns={"incidence": "survival"})
    return curves.assign(estimate="incidence")


def _cox(
    months: pd.Series, happened: pd.Series, group: pd.Series, counts: pd.DataFrame
) -> pd.DataFrame:
    """Hazard ratios of each group against the first."""
    others = group.unique()[1:]
    table = counts.assign(hazard_ratio=1.0, low=float("nan"), high=float("nan"))
    table = table.assign(p_value=float("nan"), note="reference").set_index("group")
    if len(others):
        covariates = pd.DataFrame({name: group == name for name in others})
        found = survival.cox(months, happened, covariates).set_index("term")
        table.loc[found.index, found.columns] = found
    return table.rename_axis("group").reset_index()


def _led(table: pd.DataFrame) -> pd.DataFrame:
    """The table, outcome and grouping first."""
    lead = ["outcome", "grouping"]
    return table[[*lead, *table.columns.drop(lead)]]


def _coded(first: pd.DataFrame) -> pd.DataFrame:
    """The incidence under one coding."""
    months, cause = first["months"], first["cause"]
    if (cause == 2).any():
        curve = survival.cumulative_incidence(months, cause)
        return curve[curve["cause"] == 1].rename(columns={"incidence": "estimate"})
    curve = survival.kaplan_meier(months, cause == 1)
    return curve.assign(
        estimate=1 - curve["survival"], low=1 - curve["high"], high=1 - curve["low"]
    )


def at(curve: pd.DataFrame, month: float) -> dict[str, float]:
    """
    A step curve at a month.

    Parameters
    ----------
    curve : pandas.DataFrame
        One row a step, from month 0 on: ``months``, ``estimate``, ``low``, ``high``, ``at_risk``.
    month : float
        Any.

    Returns
    -------
    dict of str to float
        ``months``, ``estimate``, ``low``, ``high`` and ``at_risk`` (just before that month). The
        estimate and its limits are missing beyond the last month of follow-up.
    """
    still = curve[curve["months"] >= month]
    if still.empty:
        nothing = dict.fromkeys(["estimate", "low", "high"], float("nan"))
        return {"months": month, **nothing, "at_risk": 0}
    row = curve[curve["months"] <= month].iloc[-1]
    estimates = row[["estimate", "low", "high"]].to_dict()
    return {"months": month, **estimates, "at_risk": int(still["at_risk"].iloc[0])}
