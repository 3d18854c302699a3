"""The same patients under both protocols: what the paper's choices add to every headline figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.evaluation import (
    calibration,
    comparison,
    decision_curve,
    influence,
    intervals,
)
from hcc_utils.study.scores import PROTOCOLS, Scores
from hcc_utils.study.vocabulary import MODELS

Cuts = Mapping[str, Mapping[str, float]]
"""Each protocol's cuts of the risk, by model."""

_OF_A_PROTOCOL = ("origin", "threshold", "", "low", "high", "p_value")
COLUMNS: tuple[str, ...] = (
    "model",
    "comparator",
    "metric",
    *(f"{name}_{what}".removesuffix("_") for name in PROTOCOLS for what in _OF_A_PROTOCOL),
    "difference",
    "difference_low",
    "difference_high",
    "choices",
    "n",
    "events",
    "note",
)
_KEY = ["model", "comparator", "metric"]
_AT_OWN_CUT = ("sensitivity", "specificity")
_ADDED = ("auc_difference", "nri", "idi")  # of Model CSD over the other two
_ON_THE_RISK = ("brier", "calibration_intercept", "calibration_slope", "net_benefit")

_Of = Callable[[pd.DataFrame, float], checks.Floats]
_INFLUENCE: dict[str, _Of] = {
    "auc": lambda of, _: influence.of_auc(of["event"], of["risk"]),
    "sensitivity": lambda of, cut: influence.of_mean(of["risk"] >= cut, of["event"]),
    "specificity": lambda of, cut: influence.of_mean(of["risk"] < cut, ~of["event"]),
    "brier": lambda of, _: influence.of_mean((of["risk"] - of["event"]) ** 2),
    "calibration_intercept": lambda of, _: calibration.influence(of["event"], of["risk"])[0],
    "calibration_slope": lambda of, _: calibration.influence(of["event"], of["risk"])[1],
    "net_benefit": lambda of, cut: influence.of_mean(
        decision_curve.gains(of["event"], of["risk"], cut)
    ),
    "auc_difference": lambda of, _: (
        influence.of_auc(of["event"], of["risk"]) - influence.of_auc(of["event"], of["risk_old"])
    ),
    "nri": lambda of, _: influence.of_class_means(of["event"], np.sign(_gain(of))),
    "idi": lambda of, _: influence.of_class_means(of["event"], _gain(of)),
}
METRICS: tuple[str, ...] = (*_INFLUENCE, "hosmer_lemeshow")
"""The figures of the table, in its order."""


def gap(scores: Scores, thresholds: Cuts | None = None) -> pd.DataFrame:
    """
    Every headline figure under both protocols, and its difference (as_published less leak_free).

    Parameters
    ----------
    scores : Scores
        Of the same patients under both protocols, each protocol with one origin a model.
    thresholds : mapping of str to mapping of str to float, optional
        For each protocol each model's frozen cut of the risk. A model without both has no rows
        for sensitivity, specificity and net benefit.

    Returns
    -------
    pandas.DataFrame
        One row a figure of `METRICS` that the published side has, model by model: ``model``,
        ``comparator`` (empty, or the model over which Model CSD is held), ``metric``; for each
        protocol ``_origin``, ``_threshold``, the estimate, ``_low``, ``_high``, ``_p_value``, all
        as `comparison.compare` gives them; ``difference`` with ``difference_low`` and
        ``difference_high``; ``choices`` (words joined by "; ": what the paper did otherwise);
        ``n``, ``events`` and the ``note`` of `comparison.compare`. Patients whom one protocol
        alone scored are left aside.

    Notes
    -----
    Sensitivity and specificity are at each protocol's own cut, since the cut is one of its
    choices. Net benefit is at the leak-free cut under both: it counts a false alarm by the odds of
    the threshold, so that at two thresholds it is in two units, and a lower one alone raises it.

    The interval of a difference is Wald's, from what each patient adds to both figures
    (`influence`): patients are paired, and for the AUC it is DeLong's. Like every interval here it
    takes models and cuts as given. It says "as many patients anew", not "another training".

    ``leak_free_not_compared`` notes a pair whose leak-free scores differ in origin (Model CSD's
    are stacked where the nested loop is off): its leak-free side is missing. The Hosmer-Lemeshow
    test is the published side's alone.
    """
    both = _on_both_sides(scores)
    if both.table.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    cuts = {name: dict((thresholds or {}).get(name, {})) for name in PROTOCOLS}
    sides = {name: both.only(protocol=name) for name in PROTOCOLS}
    table = _side_by_side(
        _figures(sides["leak_free"], cuts["leak_free"], cuts["leak_free"]),
        _figures(sides["as_published"], cuts["as_published"], cuts["leak_free"]),
    )
    patients = {name: _patients(side) for name, side in sides.items()}
    rows = [{**row, **_difference(row, patients)} for row in table.to_dict("records")]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _on_both_sides(scores: Scores) -> Scores:
    """Each model's scores of the patients whom both protocols scored."""
    protocols = scores.table.groupby(["patient_id", "model"])["protocol"].transform("nunique")
    return Scores(scores.table[protocols == len(PROTOCOLS)].reset_index(drop=True))


def _figures(scores: Scores, own: Mapping[str, float], common: Mapping[str, float]) -> pd.DataFrame:
    """One protocol's headline figures: net benefit at the common cut, the rest at its own."""
    at_own, at_common = (
        comparison.compare(scores, cuts).assign(threshold=lambda t, c=cuts: t["model"].map(c))
        for cuts in (own, common)
    )
    is_net_benefit = [t["metric"].eq("net_benefit") for t in (at_own, at_common)]
    table = pd.concat([at_own[~is_net_benefit[0]], at_common[is_net_benefit[1]]])
    at_a_cut = table["metric"].isin([*_AT_OWN_CUT, "net_benefit"])
    headline = table["metric"].isin(METRICS) & (
        table["comparator"].eq("") | (table["model"].eq("csd") & table["metric"].isin(_ADDED))
    )
    return table.assign(threshold=table["threshold"].where(at_a_cut))[headline]


def _side_by_side(leak_free: pd.DataFrame, as_published: pd.DataFrame) -> pd.DataFrame:
    """A row a figure of the published side, what the leak-free one has beside it."""
    both = as_published.merge(leak_free, on=_KEY, how="left", suffixes=("", "_leak_free"))
    pairs_apart = both["comparator"].ne("") & both["origin_leak_free"].isna()
    table = both[[*_KEY, "n", "events"]].assign(
        note=[_note(row) for row in both.to_dict("records")],
        choices=[_choices(*row) for row in both[["model", "metric", "origin"]].to_numpy()],
    )
    table["note"] = table["note"].mask(pairs_apart, table["note"] + "; leak_free_not_compared")
    for what in _OF_A_PROTOCOL:
        column = what or "estimate"
        table[f"as_published_{what}".removesuffix("_")] = both[column]
        table[f"leak_free_{what}".removesuffix("_")] = both[f"{column}_leak_free"]
    places = {name: place for place, name in enumerate((*MODELS, *METRICS))}
    by_figure = table.sort_values(_KEY, key=lambda names: names.map({"": -1} | places))
    return by_figure.reset_index(drop=True)


def _note(row: Mapping[str, Any]) -> str:
    """The notes of both sides, each once, the leak-free ones first."""
    sides = (row["note_leak_free"], row["note"])
    notes = "; ".join(note for note in sides if isinstance(note, str) and note)
    return "; ".join(dict.fromkeys(notes.split("; ")))


def _choices(model: str, metric: str, origin: str) -> str:
    """What the paper did otherwise for a figure, in the words of the protocols' table."""
    made = {"cs": "complete_cases", "d": "noisy_copies", "csd": "fitted_on_apparent_scores"}
    seen = {"apparent": "judged_on_the_fit", "tuned": "epoch_chosen_on_them"}
    chosen = [made.get(model), seen.get(origin)]
    if model == "d" and metric in _ON_THE_RISK:
        chosen.append("score_taken_as_risk")
    if metric in _AT_OWN_CUT:
        chosen.append("threshold_from_the_fit")
    return "; ".join(filter(None, chosen))


def _patients(scores: Scores) -> dict[tuple[str, str], pd.DataFrame]:
    """Each model's rows, and each pair's, by patient."""
    of = {(str(model), ""): rows for model, rows in scores.table.groupby("model")}
    for pair in comparison.pairs(scores, use="compare models"):
        of[pair["model"].iloc[0], pair["comparator"].iloc[0]] = pair
    return {which: rows.set_index("patient_id") for which, rows in of.items()}


def _difference(
    row: Mapping[str, Any], patients: Mapping[str, Mapping[tuple[str, str], pd.DataFrame]]
) -> dict[str, float]:
    """What the published choices add to a figure; missing where a side has none."""
    found = row["as_published"] - row["leak_free"]
    if np.isnan(found):
        return dict.fromkeys(("difference", "difference_low", "difference_high"), np.nan)
    which, add = (row["model"], row["comparator"]), _INFLUENCE[row["metric"]]
    published, leak_free = (
        pd.Series(add(of, row[f"{name}_threshold"]), of.index)
        for name, of in ((name, patients[name][which]) for name in PROTOCOLS[::-1])
    )
    apart = published - leak_free  # by patient, whatever the rows' order
    ends = intervals.wald(found, float(np.sqrt((apart**2).sum(skipna=False))), 0.95)
    return {"difference": found, "difference_low": ends.low, "difference_high": ends.high}


def _gain(pair: pd.DataFrame) -> checks.Floats:
    """How far the later model's risk moves each patient the right way."""
    rise = (pair["risk"] - pair["risk_old"]).to_numpy()
    return np.asarray(np.where(pair["event"], rise, -rise))
