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
_CALIBRATION = ("calibration_intercept", "calibration_slope", "observed_expected")
_DISTANCES = ("ici", "e50", "e90")
_FIGURES = ("auc", "brier", "scaled_brier", *_CALIBRATION, *_DISTANCES)
_AT_CUT = ("sensitivity", "specificity", "ppv", "npv")
_RECLASSIFICATION = (*COLUMNS[:7], "se", *COLUMNS[7:])
_MISSING = (np.nan,) * 3

_Row = dict[str, Any]


def compare(
    scores: Scores, thresholds: Mapping[str, float] | None = None, *, resamples: int = 0
) -> pd.DataFrame:
    """
    The rows of ``metrics.csv``: every model's figures, then every pair's differences.

    Parameters
    ----------
    scores : Scores
        Of one horizon. Protocol ``leak_free`` takes the origins external, out_of_fold and
        stacked; ``as_published`` apparent and tuned ones too.
    thresholds : mapping of str to float, optional
        Each model's frozen cut of the risk. A model without one has no rows for sensitivity,
        specificity, PPV, NPV and net benefit.
    resamples : int, default 0
        Bootstrap samples behind the intervals of ``ici``, ``e50`` and ``e90``, which have none
        without (a second a model for 500).

    Returns
    -------
    pandas.DataFrame
        The columns of ``metrics.csv``. For each protocol, origin and model: ``auc`` (of the
        risk, DeLong on the logit scale), ``brier``, ``scaled_brier`` (1 less Brier over that of
        the prevalence), ``calibration_intercept``, ``calibration_slope`` and
        ``observed_expected`` (Wald), ``ici``, ``e50``, ``e90``; under ``as_published``
        ``hosmer_lemeshow``; ``sensitivity``, ``specificity``, ``ppv``, ``npv`` (Wilson) and
        ``net_benefit`` at the model's cut. For each pair that `pairs` gives, model less
        comparator, in the order of evidence: ``auc_difference`` (paired DeLong),
        ``brier_difference``, ``scaled_brier_difference``, ``net_benefit_difference`` (both at
        the model's cut) and, as the last rows of all, ``nri`` (continuous) and ``idi``
        (percentiles of a bootstrap).

    Raises
    ------
    InputError
        If there is no score, an origin is not allowed, horizons are mixed, a threshold is no
        probability or belongs to no model, or two models disagree on a patient's outcome.

    Notes
    -----
    Brier scores and net benefit are means over patients, with a mean's standard error; those that
    are scaled by the prevalence let it vary too. ``note`` holds words joined by "; ":

    - ``one_class``: events alone or non-events alone, so nothing is estimated;
    - ``too_few_events``: fewer than 10, so no p-value and no headline;
    - ``stacked_no_headline`` (``tuned_``, ``apparent_``): the fit has seen these patients;
      stacked rows have no p-value either;
    - ``interval_ignores_refitting``: out-of-fold scores come from several fits, whose variation
      the interval leaves out, so that it covers too seldom;
    - ``threshold_may_be_chosen_here``: one cut held against development patients, from whom it
      may come;
    - ``separated``, ``constant_risk``, ``risk_exactly_0_or_1``: why calibration is missing;
    - ``model_miscalibrated``, ``comparator_miscalibrated``: its intercept's interval excludes 0
      or its slope's 1, so that NRI and IDI mean nothing.

    NRI and IDI have a p-value under ``as_published`` alone.
    """
    cuts = _cuts(thresholds or {})
    models = [m for group in _groups(scores, use="compare models") for m in _models(group)]
    both = pairs(scores, use="compare models")
    rows = [figure for model in models for figure in _figures(model, cuts, resamples)]
    rows += [_auc_difference(pair) for pair in both]
    rows += [figure for pair in both for figure in _brier_differences(pair)]
    rows += [figure for pair in both for figure in _net_benefit_difference(pair, cuts)]
    reclassified = [figure for pair in both for figure in _reclassification(pair, None)]
    rows += [figure for figure in reclassified if figure["metric"] in ("nri", "idi")]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def reclassification_table(
    scores: Scores, thresholds: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """
    The rows of ``reclassification.csv``: NRI and IDI of every pair, events and non-events apart.

    Parameters
    ----------
    scores : Scores
        As `compare` takes them.
    thresholds : mapping of str to float, optional
        Each model's frozen cut of the risk: the categorical NRI of a pair is at the model's cut,
        for both. Without it the pair has none.

    Returns
    -------
    pandas.DataFrame
        The columns of ``metrics.csv`` with ``se`` after the estimate; metrics and intervals as
        `reclassification.summary` gives them, notes as in `compare`.

    Raises
    ------
    InputError
        As `compare`.
    """
    cuts = _cuts(thresholds or {})
    rows = [
        figure
        for pair in pairs(scores, use="compare models")
        for figure in _reclassification(pair, cuts.get(pair["model"].iloc[0]))
    ]
    return pd.DataFrame(rows, columns=list(_RECLASSIFICATION))


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


def smooth_table(scores: Scores, *, resamples: int = 200) -> pd.DataFrame:
    """
    The rows of ``calibration_smooth.csv``: every model's smooth calibration curve.

    Parameters
    ----------
    scores : Scores
        One protocol, origin and horizon a model; origins as `compare` takes them.
    resamples : int, default 200
        Bootstrap samples behind each band.

    Returns
    -------
    pandas.DataFrame
        ``model``, ``risk``, ``observed``, ``low``, ``high``, as `calibration.smooth` gives them.
        A model whose patients are of one class has no rows.

    Raises
    ------
    InputError
        If there is no score, an origin is not allowed, or a model has several origins.
    """
    curves = [pd.DataFrame(columns=["model", "risk", "observed", "low", "high"])]
    for model in _one_set_a_model(scores, use="draw calibration curves"):
        if not _one_class(model):
            found = calibration.smooth(model["event"], model["risk"], resamples=resamples)
            found.curve.insert(0, "model", model["model"].iloc[0])
            curves.append(found.curve)
    return pd.concat(curves[1:] or curves, ignore_index=True)


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


def pairs(scores: Scores, *, use: str) -> list[pd.DataFrame]:
    """
    Every pair of models within a protocol and origin, on the patients whom both scored.

    Under ``as_published`` a model that was chosen on these patients (``tuned``) is also held
    against one that was not (``external``), as the paper does.

    Parameters
    ----------
    scores : Scores
        As `compare` takes them.
    use : str
        What the pairs are for, for the message.

    Returns
    -------
    list of pandas.DataFrame
        For each pair the later model's rows of `scores`, with their origin, ``risk_old``, the
        earlier one's risk, and ``comparator``, its name.

    Raises
    ------
    InputError
        If there is no score, an origin is not allowed, horizons are mixed, or two models
        disagree on a patient's outcome.
    """
    table = _allowed(scores, use=use).table
    as_the_paper = table["protocol"].eq("as_published") & table["origin"].eq("external")
    beside = table["origin"].mask(as_the_paper, "tuned")
    groups = table.groupby(["protocol", beside], sort=False)
    return [pair for _, group in groups for pair in _pairs(group)]


def row(
    patients: pd.DataFrame,
    metric: str,
    numbers: tuple[float, float, float] = _MISSING,
    *,
    p_value: float = np.nan,
    note: str = "",
) -> _Row:
    """
    One row of ``metrics.csv``, with the notes that its patients and origin bring.

    Parameters
    ----------
    patients : pandas.DataFrame
        Rows of one model's scores, or of a pair (`pairs`).
    metric : str
        The figure's name.
    numbers : tuple of float, optional
        Estimate, lower and upper end.
    p_value : float, optional
        Left out below 10 events and for stacked scores.
    note : str, optional
        What else must be known.

    Returns
    -------
    dict
        By column.
    """
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


def _groups(scores: Scores, *, use: str) -> list[pd.DataFrame]:
    """The rows of each protocol and origin, where they may be used."""
    table = _allowed(scores, use=use).table
    return [group for _, group in table.groupby(["protocol", "origin"], sort=False)]


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


def _figures(patients: pd.DataFrame, cuts: Mapping[str, float], resamples: int) -> list[_Row]:
    """One model's figures."""
    cut = cuts.get(patients["model"].iloc[0])
    published = patients["protocol"].iloc[0] == "as_published"
    if _one_class(patients):
        metrics = _FIGURES + ("hosmer_lemeshow",) * published
        metrics += () if cut is None else (*_AT_CUT, *("net_benefit",) * (0 < cut < 1))
        return [row(patients, metric) for metric in metrics]
    area = discrimination.auc(patients["event"], patients["risk"])
    rows = [
        row(patients, "auc", (area.auc, area.logit_low, area.logit_high)),
        *_brier(patients),
        *_calibration(patients),
        *_distances(patients, resamples),
    ]
    rows += [_hosmer_lemeshow(patients)] if published else []
    return rows if cut is None else rows + _at_cut(patients, cut)


def _brier(patients: pd.DataFrame) -> list[_Row]:
    """Brier score, plain and scaled."""
    error = (patients["risk"] - patients["event"]) ** 2
    mean, low, high = _mean(error)
    scaled, below, above = _over_prevalence(error, patients["event"])
    return [
        row(patients, "brier", (mean, max(low, 0.0), high)),
        row(patients, "scaled_brier", (1 - scaled, 1 - above, 1 - below)),
    ]


def _mean(values: pd.Series) -> tuple[float, float, float]:
    """A mean with Wald's interval."""
    mean = float(values.mean())
    test = intervals.wald(mean, float(values.std() / np.sqrt(len(values))), 0.95)
    return (mean, test.low, test.high)


def _over_prevalence(error: pd.Series, event: pd.Series) -> tuple[float, float, float]:
    """Mean error over the Brier score of the prevalence, by the delta method for both means."""
    prevalence = event.mean()
    scale = prevalence * (1 - prevalence)
    ratio = error.mean() / scale
    pull = (1 - 2 * prevalence) * (event.astype(float) - prevalence)
    middle, low, high = _mean((error - ratio * pull) / scale)
    return float(middle), low, high


def _calibration(patients: pd.DataFrame) -> list[_Row]:
    """Calibration intercept, slope and O:E, or why they are missing."""
    if patients["risk"].isin([0, 1]).any():
        return [row(patients, metric, note="risk_exactly_0_or_1") for metric in _CALIBRATION]
    c = calibration.calibration(patients["event"], patients["risk"])
    ratio = (c.observed_expected, c.observed_expected_low, c.observed_expected_high)
    return [
        row(patients, _CALIBRATION[0], (c.intercept, c.intercept_low, c.intercept_high)),
        row(patients, _CALIBRATION[1], (c.slope, c.slope_low, c.slope_high), note=c.note),
        row(patients, _CALIBRATION[2], ratio),
    ]


def _distances(patients: pd.DataFrame, resamples: int) -> list[_Row]:
    """How far the smooth calibration curve lies from the risks."""
    found = calibration.smooth(patients["event"], patients["risk"], resamples=resamples).distances
    return [row(patients, d.metric, (d.estimate, d.low, d.high)) for d in found.itertuples()]


def _hosmer_lemeshow(patients: pd.DataFrame) -> _Row:
    """Hosmer and Lemeshow's statistic, or why it is missing."""
    if patients["risk"].isin([0, 1]).any():
        return row(patients, "hosmer_lemeshow", note="risk_exactly_0_or_1")
    test = calibration.hosmer_lemeshow(patients["event"], patients["risk"])
    numbers = (test.chi_square, np.nan, np.nan)
    return row(patients, "hosmer_lemeshow", numbers, p_value=test.p_value)


def _at_cut(patients: pd.DataFrame, cut: float) -> list[_Row]:
    """Sensitivity, specificity, PPV and NPV at the model's cut."""
    point = discrimination.operating_point(patients["event"], patients["risk"], cut)
    chosen_elsewhere = patients["origin"].iloc[0] in ("external", "tuned")
    note = "" if chosen_elsewhere else "threshold_may_be_chosen_here"
    return [
        row(
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
    ] + _net_benefit(patients, cut, note)


def _net_benefit(patients: pd.DataFrame, cut: float, note: str) -> list[_Row]:
    """Net benefit at the model's cut, where that has odds."""
    if cut in (0, 1):
        return []
    gained = decision_curve.gains(patients["event"], patients["risk"], cut)
    return [row(patients, "net_benefit", _mean(gained), note=note)]


def _auc_difference(pair: pd.DataFrame) -> _Row:
    """AUC of the model less AUC of the comparator."""
    if _one_class(pair):
        return row(pair, "auc_difference")
    d = discrimination.delong_paired(pair["event"], pair["risk"], pair["risk_old"])
    return row(pair, "auc_difference", (d.difference, d.low, d.high), p_value=d.p_value)


def _brier_differences(pair: pd.DataFrame) -> list[_Row]:
    """Brier score of the model less the comparator's, plain and scaled."""
    plain, scaled = "brier_difference", "scaled_brier_difference"
    if _one_class(pair):
        return [row(pair, metric) for metric in (plain, scaled)]
    new, old = ((pair[risk] - pair["event"]) ** 2 for risk in ("risk", "risk_old"))
    ratio, low, high = _over_prevalence(new - old, pair["event"])
    return [row(pair, plain, _mean(new - old)), row(pair, scaled, (-ratio, -high, -low))]


def _net_benefit_difference(pair: pd.DataFrame, cuts: Mapping[str, float]) -> list[_Row]:
    """Net benefit of the model less the comparator's, both at the model's cut."""
    cut = cuts.get(pair["model"].iloc[0])
    if cut in (None, 0, 1):
        return []
    if _one_class(pair):
        return [row(pair, "net_benefit_difference")]
    new, old = (
        decision_curve.gains(pair["event"], pair[risk], cut) for risk in ("risk", "risk_old")
    )
    return [row(pair, "net_benefit_difference", _mean(new - old))]


def _reclassification(pair: pd.DataFrame, cut: float | None) -> list[_Row]:
    """NRI and IDI of the model over the comparator, and whether they mean anything."""
    cut = None if cut in (0, 1) else cut  # all or none are called high: there is one category
    given = (pair["event"], pair["risk_old"], pair["risk"], None if cut is None else [cut])
    if _one_class(pair):
        names = ("nri", "idi") if cut is None else ("nri_categorical", "nri", "idi")
        parts = ("", "_events", "_non_events")
        return [row(pair, f"{name}{part}") for name in names for part in parts]
    tested = pair["protocol"].iloc[0] == "as_published"
    note = "; ".join(filter(None, map(_miscalibrated, [pair] * 2, ("model", "comparator"))))
    return [
        row(
            pair,
            found.metric,
            (found.estimate, found.low, found.high),
            p_value=found.p_value if tested else np.nan,
            note=note,
        )
        | {"se": found.se}
        for found in reclassification.summary(*given).itertuples()
    ]


def _miscalibrated(pair: pd.DataFrame, which: str) -> str:
    """A note where the risks of the model, or of its comparator, are off."""
    risk = pair[{"model": "risk", "comparator": "risk_old"}[which]]
    if not risk.isin([0, 1]).any() and not calibration.calibration(pair["event"], risk).off:
        return ""
    return f"{which}_miscalibrated"
