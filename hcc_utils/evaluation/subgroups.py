"""Whether a model does as well in one part of the patients as in another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from hcc_utils import checks
from hcc_utils.evaluation import calibration, comparison, discrimination, intervals
from hcc_utils.study.scores import ORIGINS, Scores

GROUPINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "treatment": {"resection": ("resection",), "tace": ("tace",)},
    "bclc": {"early": ("0", "A"), "moderate": ("AB", "B")},
}
"""The paper's: a variable, and which of its levels each of two subgroups takes."""

COLUMNS: tuple[str, ...] = (*comparison.COLUMNS, "p_value_holm")
_FIGURES = ("auc", "calibration_intercept", "calibration_slope", "observed_expected")
_UNKNOWN = (np.nan,) * 4

_Row = dict[str, Any]
_Test = tuple[float, float, float, float]  # estimate, its interval, p-value


def subgroups(scores: Scores, patients: pd.DataFrame) -> pd.DataFrame:
    """
    The rows of ``subgroups.csv``: each model in each subgroup, and how far two subgroups differ.

    Parameters
    ----------
    scores : Scores
        As `comparison.compare` takes them.
    patients : pandas.DataFrame
        One row a patient: ``patient_id`` and the variables of `GROUPINGS`; a grouping whose
        variable is not there has no rows.

    Returns
    -------
    pandas.DataFrame
        The columns of ``metrics.csv`` and ``p_value_holm``. ``subgroup`` is ``treatment: tace``
        and alike; its metrics are ``auc``, ``calibration_intercept``, ``calibration_slope`` and
        ``observed_expected``. Of two subgroups (``treatment: resection - tace``)
        ``auc_difference`` (unpaired DeLong) and ``slope_difference``: the interaction of
        subgroup and log odds in one logistic model of both, Wald. Neither where a subgroup has
        one outcome only; no p-value where one has fewer than 10 events. ``p_value_holm`` is
        adjusted for all differences that the table tests.

    Raises
    ------
    InputError
        As `comparison.compare`, or if a scored patient is not among the patients, or stands twice.
    """
    scores.require(*ORIGINS, use="be compared in subgroups")
    checks.once(patients, ["patient_id"])
    known = patients.set_index("patient_id")
    unknown = sorted(set(scores.table["patient_id"]) - set(known.index))
    if unknown:
        raise checks.InputError(
            f"{len(unknown)} scored patient(s) are not among the patients, first {unknown[0]!r}; "
            "give the patients.csv that the scores were made from."
        )
    models = scores.table.groupby(["protocol", "origin", "model"], sort=False)
    rows = [
        row
        for variable in GROUPINGS
        if variable in known
        for _, model in models
        for row in _grouping(model, model["patient_id"].map(known[variable]), variable)
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    tested = table["p_value"].notna()
    if tested.any():
        table.loc[tested, "p_value_holm"] = _holm(table.loc[tested, "p_value"])
    return table


def _holm(p_values: pd.Series) -> checks.Floats:
    """P-values adjusted for how many there are."""
    adjusted: checks.Floats = multipletests(p_values, method="holm")[1]
    return adjusted


def _grouping(model: pd.DataFrame, level: pd.Series, variable: str) -> Iterator[_Row]:
    """Rows of one model in each subgroup that has patients, and of the two's difference."""
    parts = {
        f"{variable}: {name}": model[level.isin(levels)].reset_index(drop=True)
        for name, levels in GROUPINGS[variable].items()
    }
    parts = {name: part for name, part in parts.items() if len(part)}
    for name, part in parts.items():
        found = comparison.compare(Scores(part))
        rows = found[found["metric"].isin(_FIGURES)].assign(subgroup=name)
        yield from rows.to_dict("records")
    if len(parts) == 2:
        said = " - ".join([next(iter(parts)), list(GROUPINGS[variable])[1]])
        yield from (row | {"subgroup": said} for row in _difference(*parts.values()))


def _difference(one: pd.DataFrame, other: pd.DataFrame) -> list[_Row]:
    """A model's AUC and calibration slope in one subgroup less those in the other."""
    both = pd.concat([one, other])
    events = [part["event"].sum() for part in (one, other)]
    if min(part["event"].nunique() for part in (one, other)) < 2:
        note, found = "one_class", dict.fromkeys(("auc_difference", "slope_difference"), _UNKNOWN)
    else:
        note = "too_few_events" if min(events) < comparison.FEWEST_EVENTS <= sum(events) else ""
        found = {"auc_difference": _areas(one, other), "slope_difference": _slopes(one, other)}
    return [
        comparison.row(both, metric, numbers[:3], p_value=np.nan if note else numbers[3], note=note)
        for metric, numbers in found.items()
    ]


def _areas(one: pd.DataFrame, other: pd.DataFrame) -> _Test:
    """The difference of the AUCs, by DeLong for different patients."""
    d = discrimination.delong_unpaired(one["event"], one["risk"], other["event"], other["risk"])
    return d.difference, d.low, d.high, d.p_value


def _slopes(one: pd.DataFrame, other: pd.DataFrame) -> _Test:
    """The difference of the calibration slopes, by Wald."""
    if one["risk"].isin([0, 1]).any() or other["risk"].isin([0, 1]).any():
        return _UNKNOWN
    # each subgroup has its own intercept in the joint model, so its slopes are those fitted apart
    a, b = (calibration.calibration(part["event"], part["risk"]) for part in (one, other))
    widths = [c.slope_high - c.slope_low for c in (a, b)]
    se = math.hypot(*widths) / (2 * intervals.quantile(0.95))
    test = intervals.wald(a.slope - b.slope, se, 0.95)
    return a.slope - b.slope, test.low, test.high, test.p_value
