"""The figures of several models side by side, with the origin of every score checked first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcc_utils import checks
from hcc_utils.evaluation import (
    calibration,
    decision_curve,
    discrimination,
    intervals,
    reclassification,
)
from hcc_utils.study.scores import ORIGINS, Scores
from hcc_utils.study.vocabulary import MODELS

COLUMNS: tuple[str, ...] = (
    "model",
    "comparator",
    "protocol",
    "origin",
    "subgroup",
    "metric",
    "estimate",
    "low",
    "high",
    "p_value",
    "n",
    "events",
    "note",
)
FEWEST_EVENTS = 10  # below it: no p-value, no headline

_ALLOWED: dict[str, tuple[str, ...]] = {
    "leak_free": ("external", "out_of_fold", "stacked"),
    "as_published": ("apparent", "stacked", "tuned", "out_of_fold", "external"),
}
_ORIGIN_NOTE = {
    "external": "",
    "out_of_fold": "interval_ignores_refitting",
    "stacked": "stacked_no_headline",
    "tuned": "tuned_no_headline",
    "apparent": "apparent_no_headline",
}
_FIGURES = ("auc", "brier", "calibration_intercept", "calibration_slope")
_AT_CUT = ("sensitivity", "specificity", "ppv", "npv")

_Row = dict[str, Any]


def compare(scores: Scores, thresholds: Mapping[str, float] | None = None) -> pd.DataFrame:
    """
    The rows of ``metrics.csv``: every model's figures, then every pair's differences.

    Parameters
    ----------
    scores : Scores
        Of one horizon. Protocol ``leak_free`` takes the origins external, out_of_fold and
        stacked; ``as_published`` apparent and tuned ones too.
    thresholds : mapping of str to float, optional
        Each model's frozen cut of the risk. A model without one has no rows for sensitivity,
        specificity, PPV and NPV.

    Returns
    -------
    pandas.DataFrame
        The columns of ``metrics.csv``. For each protocol, origin and model: ``auc`` (of the
        risk, DeLong on the logit scale), ``brier``, ``calibration_intercept`` and
        ``calibration_slope`` (Wald), and ``sensitivity``, ``specificity``, ``ppv``, ``npv``
        (Wilson). For each pair within a protocol and origin, on the patients whom both models
        scored, model less comparator: ``auc_difference`` (paired DeLong) and, as the last rows
        of all, ``nri`` (continuous) and ``idi``.

    Raises
    ------
    InputError
        If there is no score, an origin is not allowed, horizons are mixed, a threshold is no
        probability or belongs to no model, or two models disagree on a patient's outcome.

    Notes
    -----
    ``note`` holds words joined by "; ":

    - ``one_class``: events alone or non-events alone, so nothing is estimated;
    - ``too_few_events``: fewer than 10, so no p-value and no headline;
    - ``stacked_no_headline`` (``tuned_``, ``apparent_``): the fit has seen these patients;
      stacked rows have no p-value either;
    - ``interval_ignores_refitting``: out-of-fold scores come from several fits, whose variation
      the interval leaves out, so that it covers too seldom;
    - ``threshold_may_be_chosen_here``: one cut held against development patients, from whom it
      may come;
    - ``separated``, ``constant_risk``, ``risk_exactly_0_or_1``: why calibration is missing.

    NRI and IDI have a p-value under ``as_published`` alone.
    """
    cuts = _cuts(thresholds or {})
    table = _allowed(scores, use="compare models").table
    groups = [group for _, group in table.groupby(["protocol", "origin"], sort=False)]
    pairs = [pair for group in groups for pair in _pairs(group)]
    rows = [row for group in groups for model in _models(group) for row in _figures(model, cuts)]
    rows += [_auc_difference(pair) for pair in pairs]
    rows += [row for pair in pairs for row in _reclassification(pair)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def roc_table(scores: Scores) -> pd.DataFrame:
    """
    The rows of ``roc.csv``: every model's ROC curve over the risk.

    Parameters
    ----------
    scores : Scores
        One protocol, origin and horizon a model; origins as `compare` takes them.

    Returns
    -------
    pandas.DataFrame
        ``model``, ``origin``, ``threshold``, ``false_positive_rate``, ``true_positive_rate``. A
        model whose patients are of one class has no rows.

    Raises
    ------
    InputError
        If there is no score, an origin is not allowed, or a model has several origins.
    """
    models = _one_set_a_model(scores, use="draw ROC curves")
    columns = ["model", "origin", "threshold", "false_positive_rate", "true_positive_rate"]
    curves = [pd.DataFrame(columns=columns)]
    for model in models:
        if not _one_class(model):
            curve = discrimination.roc_curve(model["event"], model["risk"])
            first = model.iloc[0]
            curves.append(curve.assign(model=first["model"], origin=first["origin"])[columns])
    return pd.concat(curves[1:] or curves, ignore_index=True)


def calibration_table(scores: Scores) -> pd.DataFrame:
    """
    The rows of ``calibration.csv``: every model's calibration curve.

    Parameters
    ----------
    scores : Scores
        One protocol, origin and horizon a model; origins as `compare` takes them.

    Returns
    -------
    pandas.DataFrame
        ``model``, ``risk``, ``observed``, ``low``, ``high``, as `calibration.curve` gives them.

    Raises
    ------
    InputError
        If there is no score, an origin is not allowed, or a model has several origins.
    """
    return _stacked(scores, calibration.curve, use="draw calibration curves")


def decision_table(scores: Scores) -> pd.DataFrame:
    """
    The rows of ``decision_curve.csv``: every model's net benefit.

    Parameters
    ----------
    scores : Scores
        One protocol, origin and horizon a model; origins as `compare` takes them.

    Returns
    -------
    pandas.DataFrame
        ``model``, ``threshold``, ``strategy``, ``net_benefit``.

    Raises
    ------
    InputError
        If there is no score, an origin is not allowed, or a model has several origins.
    """
    return _stacked(scores, decision_curve.net_benefit, use="draw decision curves")


def threshold_table(scores: Scores) -> pd.DataFrame:
    """
    The rows of ``threshold_counts.csv``: who is called high at each threshold, by model.

    Parameters
    ----------
    scores : Scores
        One protocol, origin and horizon a model; origins as `compare` takes them.

    Returns
    -------
    pandas.DataFrame
        ``model``, ``threshold``, ``true_positive``, ``false_positive``, ``false_negative``,
        ``true_negative``.

    Raises
    ------
    InputError
        If there is no score, an origin is not allowed, or a model has several origins.
    """
    return _stacked(scores, decision_curve.threshold_counts, use="count at thresholds")


def _cuts(thresholds: Mapping[str, float]) -> dict[str, float]:
    """The cuts, where each is a probability and belongs to a model."""
    for model in thresholds:
        checks.one_of("thresholds", model, MODELS)
    cuts = checks.probabilities("thresholds", list(thresholds.values()))
    return dict(zip(thresholds, cuts.tolist(), strict=True))


def _allowed(scores: Scores, *, use: str) -> Scores:
    """The scores, where their origins may be used and there is one horizon."""
    scores.require(*ORIGINS, use=use)
    for protocol in scores.table["protocol"].unique():
        scores.only(protocol=protocol).require(*_ALLOWED[protocol], use=use)
    horizons = scores.table["horizon_months"].drop_duplicates()
    if len(horizons) > 1:
        said = ", ".join("ever" if pd.isna(months) else f"{months:g}" for months in horizons)
        raise checks.InputError(
            f"scores must be of one horizon to {use}; horizon_months holds {said}. "
            "Give each horizon's rows by themselves."
        )
    return scores


def _one_set_a_model(scores: Scores, *, use: str) -> list[pd.DataFrame]:
    """Each model's rows, where they are of one protocol and origin."""
    table = _allowed(scores, use=use).table
    sets = table[["model", "protocol", "origin"]].drop_duplicates()
    twice = sets.loc[sets.duplicated("model"), "model"]
    if len(twice):
        raise checks.InputError(
            f"scores must hold one protocol and origin a model to {use}; {twice.iloc[0]!r} has "
            "several. Choose one by scores.only(protocol=..., origin=...)."
        )
    return list(_models(table))


def _stacked(
    scores: Scores, table_of: Callable[[npt.ArrayLike, npt.ArrayLike], pd.DataFrame], *, use: str
) -> pd.DataFrame:
    """Each model's table, one below the other, the model in the first column."""
    tables = {
        model["model"].iloc[0]: table_of(model["event"], model["risk"])
        for model in _one_set_a_model(scores, use=use)
    }
    return pd.concat(tables, names=["model"]).reset_index("model").reset_index(drop=True)


def _models(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Each model's rows, in the vocabulary's order."""
    for model in MODELS:
        rows = table[table["model"] == model]
        if len(rows):
            yield rows


def _pairs(group: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """For each pair the later model's rows with the earlier's risk beside them."""
    for old, new in combinations(_models(group), 2):
        beside = old[["patient_id", "event", "risk"]]
        both = new.merge(beside, on="patient_id", suffixes=("", "_old"))
        differ = both.loc[both["event"] != both["event_old"], "patient_id"]
        if len(differ):
            raise checks.InputError(
                f"a patient has one outcome, whichever model scored; {new['model'].iloc[0]!r} "
                f"and {old['model'].iloc[0]!r} disagree on {len(differ)}, first "
                f"{differ.iloc[0]!r}. Score both from one patients.csv."
            )
        if len(both):
            yield both.assign(comparator=old["model"].iloc[0])


def _one_class(patients: pd.DataFrame) -> bool:
    """Whether only events or only non-events are there."""
    return bool(patients["event"].nunique() < 2)


def _row(
    patients: pd.DataFrame,
    metric: str,
    numbers: tuple[float, float, float] = (np.nan, np.nan, np.nan),
    *,
    p_value: float = np.nan,
    note: str = "",
) -> _Row:
    """One row of the table, with the notes that its patients and origin bring."""
    first, events = patients.iloc[0], int(patients["event"].sum())
    few = "too_few_events" if events < FEWEST_EVENTS else ""
    size = "one_class" if _one_class(patients) else few
    tested = not size and first["origin"] != "stacked"
    return {
        "model": first["model"],
        "comparator": first.get("comparator", ""),
        "protocol": first["protocol"],
        "origin": first["origin"],
        "subgroup": "all",
        "metric": metric,
        **dict(zip(("estimate", "low", "high"), numbers, strict=True)),
        "p_value": p_value if tested else np.nan,
        "n": len(patients),
        "events": events,
        "note": "; ".join(filter(None, (size, _ORIGIN_NOTE[first["origin"]], note))),
    }


def _figures(patients: pd.DataFrame, cuts: Mapping[str, float]) -> list[_Row]:
    """One model's figures."""
    cut = cuts.get(patients["model"].iloc[0])
    if _one_class(patients):
        metrics = _FIGURES if cut is None else _FIGURES + _AT_CUT
        return [_row(patients, metric) for metric in metrics]
    area = discrimination.auc(patients["event"], patients["risk"])
    rows = [
        _row(patients, "auc", (area.auc, area.logit_low, area.logit_high)),
        _brier(patients),
        *_calibration(patients),
    ]
    return rows if cut is None else rows + _at_cut(patients, cut)


def _brier(patients: pd.DataFrame) -> _Row:
    """Brier score with the interval of a mean."""
    error = (patients["risk"] - patients["event"]) ** 2
    test = intervals.wald(error.mean(), error.std() / np.sqrt(len(error)), 0.95)
    return _row(patients, "brier", (error.mean(), max(test.low, 0.0), test.high))


def _calibration(patients: pd.DataFrame) -> list[_Row]:
    """Calibration intercept and slope, or why they are missing."""
    intercept, slope = "calibration_intercept", "calibration_slope"
    if patients["risk"].isin([0, 1]).any():
        note = "risk_exactly_0_or_1"
        return [_row(patients, metric, note=note) for metric in (intercept, slope)]
    c = calibration.calibration(patients["event"], patients["risk"])
    return [
        _row(patients, intercept, (c.intercept, c.intercept_low, c.intercept_high)),
        _row(patients, slope, (c.slope, c.slope_low, c.slope_high), note=c.note),
    ]


def _at_cut(patients: pd.DataFrame, cut: float) -> list[_Row]:
    """Sensitivity, specificity, PPV and NPV at the model's cut."""
    point = discrimination.operating_point(patients["event"], patients["risk"], cut)
    chosen_elsewhere = patients["origin"].iloc[0] == "external"
    note = "" if chosen_elsewhere else "threshold_may_be_chosen_here"
    return [
        _row(
            patients,
            metric,
            (
                getattr(point, metric),
                getattr(point, f"{metric}_low"),
                getattr(point, f"{metric}_high"),
            ),
            note=note,
        )
        for metric in _AT_CUT
    ]


def _auc_difference(pair: pd.DataFrame) -> _Row:
    """AUC of the model less AUC of the comparator."""
    if _one_class(pair):
        return _row(pair, "auc_difference")
    d = discrimination.delong_paired(pair["event"], pair["risk"], pair["risk_old"])
    return _row(pair, "auc_difference", (d.difference, d.low, d.high), p_value=d.p_value)


def _reclassification(pair: pd.DataFrame) -> list[_Row]:
    """NRI and IDI of the model over the comparator."""
    if _one_class(pair):
        return [_row(pair, metric) for metric in ("nri", "idi")]
    nri = reclassification.nri(pair["event"], pair["risk_old"], pair["risk"])
    idi = reclassification.idi(pair["event"], pair["risk_old"], pair["risk"])
    tested = pair["protocol"].iloc[0] == "as_published"
    return [
        _row(pair, "nri", (nri.nri, nri.low, nri.high), p_value=nri.p_value if tested else np.nan),
        _row(pair, "idi", (idi.idi, idi.low, idi.high), p_value=idi.p_value if tested else np.nan),
    ]
