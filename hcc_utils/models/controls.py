"""Negative controls: what the study's own code finds where there is nothing to be found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from hcc_utils.evaluation import comparison
from hcc_utils.models import combined, folds, optimism, protocol
from hcc_utils.study import progress, vocabulary
from hcc_utils.study.manifest import Manifest
from hcc_utils.study.results import Folder
from hcc_utils.study.scores import Scores

PERMUTED, NOISE = "permuted_outcome", "noise_score"
DRAWS = {"tiny": 3, "fast": 10, "full": 30}
FEWEST_DRAWS = 10  # below it three SD, themselves from so few draws, rule out nothing
BEYOND = 3  # standard deviations of the mean

_FIGURE = ["model", "comparator", "origin", "metric"]
_FIGURES = (
    ("cs", "", "out_of_fold", "auc"),
    ("d", "", "out_of_fold", "auc"),
    ("csd", "", "out_of_fold", "auc"),
    ("csd", "", "stacked", "auc"),
    ("csd", "", "out_of_fold", "scaled_brier"),
    ("csd", "cs", "out_of_fold", "auc_difference"),
    ("csd", "cs", "out_of_fold", "nri"),
    ("csd", "cs", "out_of_fold", "idi"),
)
COLUMNS = ["control", *_FIGURE, "null", "mean", "sd", "draws", "z", "verdict", "first"]

Rows = npt.NDArray[np.int64]
ScoreOf = Callable[[Rows], npt.NDArray[np.float64]]


def of_study(study: Manifest, *, here: Folder, profile: str) -> pd.DataFrame:
    """
    The rows of ``controls.csv``: both negative controls on development's patients.

    Parameters
    ----------
    study : Manifest
        Its endpoint and seed.
    here : Folder
        The controls' own; development's ``patients.csv`` and ``scores_d.csv`` lie beside it.
    profile : str
        ``tiny``, ``fast`` or ``full``: how many draws are made (`DRAWS`).

    Returns
    -------
    pandas.DataFrame
        As `permuted_outcome` and `noise_score` give them, one below the other; no row where
        there are fewer than 10 events or non-events.
    """
    development = replace(here, centre="development")
    d = Scores.read(development.path / "scores_d.csv")
    patients = d.table[["patient_id"]].merge(development.read("patients.csv"), on="patient_id")
    if not optimism.enough(patients[study.endpoint].to_numpy(dtype=bool)):
        return pd.DataFrame(columns=COLUMNS)
    how: dict[str, Any] = {"endpoint": study.endpoint, "draws": DRAWS[profile], "seed": study.seed}
    score = d.table["score"].to_numpy()
    tables = [permuted_outcome(patients, score, **how), noise_score(patients, **how)]
    return pd.concat(tables, ignore_index=True)


def permuted_outcome(
    patients: pd.DataFrame, score: npt.ArrayLike, endpoint: str, *, draws: int, seed: int
) -> pd.DataFrame:
    """
    What is found where each patient has the whole outcome of another one.

    Parameters
    ----------
    patients : pandas.DataFrame
        Development's patients, one row each.
    score : array_like of float, shape (n_patients,)
        Model D's out-of-fold scores. Their networks know nothing of the outcomes dealt out here,
        so that they stand for the inner loop's too.
    endpoint : str
        The outcome's column.
    draws : int
        How often outcomes are dealt out.
    seed : int
        Deals, and assigns the folds.

    Returns
    -------
    pandas.DataFrame
        One row a figure: ``control``, ``model``, ``comparator``, ``origin``, ``metric`` (as in
        metrics.csv), ``null`` (0.5 for an AUC, else 0), ``mean`` and ``sd`` over the ``draws``,
        ``z`` (mean less null, in standard errors of the mean), ``verdict`` and ``first`` (the
        figure of the first draw). The verdict is ``at_null`` within 3, else ``above`` or ``below``:
        above is better in every figure; ``too_few_draws`` below 10.
    """
    outcomes = [name for name in patients if _is_outcome(str(name))]
    own = np.asarray(score, dtype=float)
    found = []
    for draw in range(draws):
        dealt = np.random.default_rng([seed, 0, draw]).permutation(len(patients))
        theirs = patients[outcomes].iloc[dealt].set_axis(patients.index)
        found.append(figures(patients.assign(**theirs), own.take, endpoint, seed=seed))
        progress.say(f"permuted outcome: {draw + 1} of {draws} draws")
    null = pd.Series({key: 0.5 if key[-1] == "auc" else 0.0 for key in _FIGURES})
    return _judged(PERMUTED, found, null)


def noise_score(patients: pd.DataFrame, endpoint: str, *, draws: int, seed: int) -> pd.DataFrame:
    """
    What is found where Model D's score is noise and the outcome the true one.

    Parameters
    ----------
    patients : pandas.DataFrame
        Development's patients, one row each.
    endpoint : str
        The outcome's column.
    draws : int
        How often noise is drawn: log odds from a standard normal distribution, for every network
        of the nested loop anew.
    seed : int
        Draws, and assigns the folds: Model CS is the same in each draw.

    Returns
    -------
    pandas.DataFrame
        As from `permuted_outcome`, without Model CS alone; ``null`` is the figure where Model D
        gives every patient one score. That is not 0 for what is added to Model CS, whose risks
        Model CSD draws in.
    """
    found = []
    for draw in range(draws):
        rng = np.random.default_rng([seed, 1, draw])
        found.append(figures(patients, _noise(rng), endpoint, seed=seed))
        progress.say(f"noise for a score: {draw + 1} of {draws} draws")
    null = figures(patients, _one_score, endpoint, seed=seed)
    table = _judged(NOISE, found, null)
    return table[table["model"] != "cs"].reset_index(drop=True)


def figures(patients: pd.DataFrame, score_of: ScoreOf, endpoint: str, *, seed: int) -> pd.Series:
    """
    What chapter 04's own code says of the models where Model D's scores are given.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient.
    score_of : callable
        From rows, counted from 0, to Model D's scores of these patients: asked for all of them,
        then for the training part of each outer fold.
    endpoint : str
        The outcome's column.
    seed : int
        Assigns the folds, as chapter 03 does.

    Returns
    -------
    pandas.Series of float
        By model, comparator, origin and metric. Model CSD is out of fold by the nested loop, and
        stacked beside it.
    """
    rows = np.arange(len(patients))
    d = _model_d(patients, score_of(rows), endpoint, seed)
    inner = []
    for outer in np.unique(d.table["fold"]):
        others = np.flatnonzero(d.table["fold"] != outer)
        part = _model_d(patients.iloc[others], score_of(others), endpoint, seed + 1 + int(outer))
        inner.append(part.table.assign(outer_fold=outer))
    _, scores = protocol.develop(patients, d, pd.concat(inner, ignore_index=True), endpoint)
    ever = scores.at(None)
    cs, d = ever.only(model="cs"), ever.only(model="d")
    table = comparison.compare(ever + combined.fit(cs, d).predict(cs, d))
    return table.set_index(_FIGURE)["estimate"].loc[list(_FIGURES)]


def _model_d(
    patients: pd.DataFrame, score: npt.NDArray[np.float64], endpoint: str, seed: int
) -> Scores:
    """Scores in the place of Model D's, with folds made for these outcomes."""
    fold = folds.assign(patients, seed=seed, event=endpoint)
    return Scores.of(
        patients,
        model="d",
        origin="out_of_fold",
        score=score,
        risk=score,
        fold=fold,
        event=endpoint,
    )


def _judged(control: str, found: Sequence[pd.Series], null: pd.Series) -> pd.DataFrame:
    """Each figure's mean over the draws against its null."""
    each = pd.concat(found, axis=1)
    mean, sd = each.mean(axis=1, skipna=False), each.std(axis=1)
    table = pd.DataFrame({"null": null, "mean": mean, "sd": sd})
    table["draws"] = len(found)
    table["z"] = (table["mean"] - table["null"]) / (table["sd"] / np.sqrt(len(found)))
    table["verdict"] = np.select(
        [table["draws"] < FEWEST_DRAWS, table["z"] > BEYOND, table["z"] < -BEYOND],
        ["too_few_draws", "above", "below"],
        "at_null",
    )
    table["first"] = found[0]
    return (
        table.loc[list(_FIGURES)]
        .rename_axis(_FIGURE)
        .reset_index()
        .assign(control=control)[COLUMNS]
    )


def _is_outcome(name: str) -> bool:
    """Whether a column tells what became of the patient."""
    return name in vocabulary.VARIABLES and vocabulary.VARIABLES[name].room == "outcome"


def _noise(rng: np.random.Generator) -> ScoreOf:
    """Noise for a score."""
    return lambda rows: special.expit(rng.normal(size=len(rows)))


def _one_score(rows: Rows) -> npt.NDArray[np.float64]:
    """One score for everybody."""
    return np.full(len(rows), 0.5)
