"""How far risks by a horizon can be believed: discrimination, Brier score, observed to expected."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.evaluation import comparison, horizon, survival, time_course
from hcc_utils.study.scores import Scores

COLUMNS: tuple[str, ...] = (
    "model",
    "horizon_months",
    "origin",
    "metric",
    "estimate",
    "low",
    "high",
    "n",
    "known",
    "events",
    "note",
)
_ORIGINS = {"stacked": "stacked_no_headline", "out_of_fold": "interval_ignores_refitting"}
_MISSING = (np.nan,) * 3

_Figure = tuple[float, float, float]


def table(scores: Scores, patients: pd.DataFrame, endpoint: str, *, seed: int) -> pd.DataFrame:
    """
    The rows of ``horizon_risks.csv``: what each horizon's risks of Model CSD are worth.

    Parameters
    ----------
    scores : Scores
        Of any horizon; those of Model CSD that have one are taken, each of one origin.
    patients : pandas.DataFrame
        One row a patient: ``patient_id`` and what `survival.cause_from` takes.
    endpoint : str
        The outcome's column.
    seed : int
        Draws the bootstrap.

    Returns
    -------
    pandas.DataFrame
        One row a horizon and figure, no row without such scores: ``model``, ``horizon_months``,
        ``origin``, ``metric``, ``estimate`` with 95 % interval ``low`` and ``high``, ``n``,
        ``known`` (of them, who had the event by then, died, or was followed so long), ``events``
        (by then) and ``note``. The metrics: ``auc`` and ``brier`` (`horizon.auc_at`,
        `horizon.brier_at`: bootstrap of 1000), ``observed`` (Aalen-Johansen, log(-log)),
        ``expected`` (mean risk) and ``observed_expected``, whose interval is the observed one's
        over the mean risk, which is taken as given. Missing where they cannot be estimated.

    Notes
    -----
    ``note`` holds words of `comparison.compare` joined by "; ", and ``nobody_followed`` where
    nobody was followed to the horizon: only the mean risk is then known;
    ``below_earlier_horizon`` where a patient's risk is lower than by an earlier horizon. Where
    nobody had the event there is no AUC, and ``observed`` has no interval.
    """
    own = scores.only(model="csd").table
    own = own[own["horizon_months"].notna()].sort_values("horizon_months", kind="stable")
    own["falls"] = own.groupby(["patient_id", "origin"])["risk"].diff() < 0
    first = survival.cause_from(patients.set_index("patient_id"), endpoint)
    rows = [
        row
        for _, one in own.groupby(["horizon_months", "origin"])
        for row in _rows(one, first.loc[one["patient_id"]], seed)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(scores: pd.DataFrame, first: pd.DataFrame, seed: int) -> list[dict[str, Any]]:
    """The figures of one horizon and origin."""
    months, origin = int(scores["horizon_months"].iloc[0]), str(scores["origin"].iloc[0])
    cause, risk = first["cause"].to_numpy(), scores["risk"].to_numpy()
    until = horizon.followed_through(first["months"], cause, months)
    events = int(((until <= months) & (cause == 1)).sum())
    followed = bool((until > months).any())
    given = (until, cause, risk, months)
    figures = {
        "auc": astuple(horizon.auc_at(*given, seed=seed)) if events and followed else _MISSING,
        "brier": astuple(horizon.brier_at(*given, seed=seed)) if followed else _MISSING,
        "observed": _observed(until, cause, months) if followed else _MISSING,
        "expected": (float(risk.mean()), np.nan, np.nan),
    }
    figures["observed_expected"] = tuple(np.array(figures["observed"]) / risk.mean())
    said = {
        "nobody_followed": not followed,
        "too_few_events": events < comparison.FEWEST_EVENTS,
        "below_earlier_horizon": bool(scores["falls"].any()),
        _ORIGINS.get(origin, ""): origin in _ORIGINS,
    }
    row = {
        "model": "csd",
        "horizon_months": months,
        "origin": origin,
        "n": len(risk),
        "known": int((horizon.weights(until, cause, months) > 0).sum()),
        "events": events,
        "note": "; ".join(note for note, holds in said.items() if holds),
    }
    return [
        row | {"metric": metric, "estimate": estimate, "low": low, "high": high}
        for metric, (estimate, low, high) in figures.items()
    ]


def _observed(until: checks.Floats, cause: checks.Floats, months: int) -> _Figure:
    """The share with the event by then, death competing, and its interval."""
    curves = survival.cumulative_incidence(until, cause)
    curve = curves[curves["cause"] == 1].rename(columns={"incidence": "estimate"})
    found = time_course.at(curve, months)
    return found["estimate"], found["low"], found["high"]
