"""How a centre's patients differ from development's: by frozen aggregates, or by rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.evaluation import discrimination
from hcc_utils.models import clinical, folds, prespecified, record
from hcc_utils.study import published, results, vocabulary
from hcc_utils.study.manifest import Manifest
from hcc_utils.study.recorded import recorded
from hcc_utils.study.results import Folder
from hcc_utils.study.table_one import smd_of_counts, smd_of_means

COLUMNS = ("centre", "against", "variable", "statistic", "development", "here", "estimate",
           "low", "high", "n")  # fmt: skip
LINEAR_PREDICTOR = "published_cs"
_SMALLEST = 10  # of the counts that leave development in a bundle
_OTHER = "other"
_MEMBER = "at_this_centre"
_FOLDS = 5
_PREDICTORS = list(dict.fromkeys(term.partition("[")[0] for term in published.MODEL_CS_TERMS))

Row = dict[str, Any]


def summary(patients: pd.DataFrame) -> dict[str, Any]:
    """
    What is frozen of development's case mix: nothing that is a single patient's.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient, in the study's vocabulary.

    Returns
    -------
    dict
        ``patients`` (how many); ``numbers``: ``n``, ``mean`` and ``sd`` of each number at
        baseline, and of the score of the published Model CS (``published_cs``); ``levels``: how
        many known patients have each level. Levels of fewer than 10 patients are counted
        together as ``other``; a variable is left out where these are still fewer than 10, and a
        number that fewer than 10 patients have.
    """
    numbers, levels = _variables(patients)
    moments = {name: _moments(values) for name, values in numbers.items()}
    counts = {name: _frequent(values) for name, values in levels.items()}
    return {
        "patients": len(patients),
        "numbers": {name: one for name, one in moments.items() if one["n"] >= _SMALLEST},
        "levels": {name: one for name, one in counts.items() if one},
    }


def differences(development: dict[str, Any], patients: pd.DataFrame) -> list[Row]:
    """
    How far each variable of a centre lies from development's.

    Parameters
    ----------
    development : dict
        As `summary` gives it.
    patients : pandas.DataFrame
        The centre's.

    Returns
    -------
    list of dict
        One a variable that both have: ``variable``, ``statistic`` ("smd"), ``development`` and
        ``here`` (means; of flags shares), ``estimate`` (the standardised difference: of a number
        or flag here less development, of levels without a sign), ``n`` (known here).
    """
    numbers, levels = _variables(patients)
    rows = []
    for name, known in development.get("numbers", {}).items():
        if len(numbers.get(name, ())) > 1:
            here = _moments(numbers[name])
            means, variances = (here["mean"], known["mean"]), (here["sd"] ** 2, known["sd"] ** 2)
            rows.append(_row(name, known["mean"], here, smd_of_means(means, variances)))
    for name, known in development.get("levels", {}).items():
        if len(levels.get(name, ())):
            rows.append(_level_row(name, known, levels[name]))
    return rows


def distance(development: dict[str, Any], patients: pd.DataFrame) -> list[Row]:
    """
    Mahalanobis distance of a centre's mean patient from development's, in Model CS's predictors.

    Parameters
    ----------
    development : dict
        As `summary` gives it.
    patients : pandas.DataFrame
        The centre's; who lacks a predictor is left out.

    Returns
    -------
    list of dict
        Two: ``mahalanobis``, and ``mahalanobis_by_chance``, the root of what its square is on
        average where both centres' patients are alike. None where a predictor was not recorded,
        or there are too few patients.

    Notes
    -----
    Only means, standard deviations and counts leave development: each difference is divided by
    the root of the mean variance, and the correlations are those of the centre's own patients.
    """
    terms = list(published.MODEL_CS_TERMS)
    moments = [_frozen_term(development, term) for term in terms]
    known = _scored(patients)
    n, free = len(known), len(known) - len(terms) - 2
    if None in moments or free < 1:
        return []
    columns = np.column_stack([_term(known, term) for term in terms])
    middle, variance = np.array(moments).T
    spread = np.sqrt((columns.var(axis=0, ddof=1) + variance) / 2)
    if (columns.std(axis=0) == 0).any():
        return []
    away = (columns.mean(axis=0) - middle) / spread
    squared = float(away @ np.linalg.pinv(np.corrcoef(columns.T)) @ away)
    chance = len(terms) * (n - 1) / free * (1 / n + 1 / development["patients"])
    found = {"mahalanobis": squared, "mahalanobis_by_chance": chance}
    return [
        {"variable": "", "statistic": name, "estimate": float(np.sqrt(value)), "n": n}
        for name, value in found.items()
    ]


def membership(development: pd.DataFrame, patients: pd.DataFrame, *, seed: int) -> list[Row]:
    """
    How well baseline factors tell a centre's patients from development's: an out-of-fold AUC.

    Parameters
    ----------
    development, patients : pandas.DataFrame
        Rows of both, which must lie at one site.
    seed : int
        Deals the folds.

    Returns
    -------
    list of dict
        One, ``membership_auc`` with its interval on the logit scale (which leaves out the spread
        between folds); 0.5 where nothing tells them apart. None where either has fewer patients
        than there are folds, or no factor was recorded at both.

    References
    ----------
    .. [1] Debray et al. (2015), Journal of Clinical Epidemiology 68:279-289.
    """
    for name, table in (("development", development), ("patients", patients)):
        recorded(checks.once(table, ["centre", "patient_id"], name=name), vocabulary.BASELINE)
    both = pd.concat([development.assign(**{_MEMBER: False}), patients.assign(**{_MEMBER: True})])
    both["patient_id"] = both["centre"].astype(str) + "/" + both["patient_id"].astype(str)
    both = both.reset_index(drop=True)
    shared = set(development.dropna(axis=1, how="all")) & set(patients.dropna(axis=1, how="all"))
    factors = [name for name in vocabulary.BASELINE if name in shared]
    if not factors or min(len(development), len(patients)) < _FOLDS:
        return []
    fold = folds.assign(both, n_folds=_FOLDS, seed=seed, event=_MEMBER)
    score = clinical.left_out_scores(
        both, fold, lambda training: prespecified.fit(training, _MEMBER, factors)
    )
    area = discrimination.auc(both[_MEMBER], score)
    ends = {"low": area.logit_low, "high": area.logit_high}
    return [
        {
            "variable": "",
            "statistic": "membership_auc",
            "estimate": area.auc,
            **ends,
            "n": len(both),
        }
    ]


def at_centre(study: Manifest, here: Folder, *, bundle: str = "") -> pd.DataFrame:
    """
    How a centre's patients differ from those the models were made of.

    Parameters
    ----------
    study : Manifest
        Its seed, and whether all centres' rows lie at one site.
    here : Folder
        The centre's results. In development each hospital is held against the others.
    bundle : str, optional
        The frozen bundle's folder.

    Returns
    -------
    pandas.DataFrame
        The columns of ``case_mix.csv``, the rows of `differences` and `distance`; those of
        `membership` only where the rows of both are at one site.
    """
    patients = here.read("patients.csv")
    if bundle:
        frozen = record.read(bundle)["baseline"]
        rows = differences(frozen, patients) + distance(frozen, patients)
        if study.rows_at_one_site:
            others = results.read_table(Path(here.path).parent / "development" / "patients.csv")
            rows += membership(others, patients, seed=study.seed)
        named = [{"centre": here.centre, "against": "development", **row} for row in rows]
    else:
        named = list(_between(patients, study.seed))
    return pd.DataFrame(named, columns=list(COLUMNS))


def _between(patients: pd.DataFrame, seed: int) -> Iterator[Row]:
    """Each hospital of development against the others."""
    if patients["centre"].nunique() < 2:
        return
    for name, own in patients.groupby("centre", sort=False):
        others = patients[patients["centre"] != name]
        frozen = summary(others)
        rows = differences(frozen, own) + distance(frozen, own)
        rows += membership(others, own, seed=seed)
        yield from ({"centre": name, "against": "the other hospitals", **row} for row in rows)


def _variables(patients: pd.DataFrame) -> tuple[dict[str, checks.Floats], dict[str, pd.Series]]:
    """The known values at baseline: numbers, with the published score, and levels as text."""
    recorded(checks.once(patients, []), vocabulary.BASELINE)
    known = {name: patients[name].dropna() for name in vocabulary.BASELINE if name in patients}
    numbers = {
        name: values.to_numpy(dtype=float)
        for name, values in known.items()
        if vocabulary.VARIABLES[name].kind == "number"
    }
    levels = {name: known[name].astype(str) for name in known if name not in numbers}
    scored = _scored(patients)
    if len(scored):
        numbers[LINEAR_PREDICTOR] = clinical.published_score(scored)
    return numbers, levels


def _scored(patients: pd.DataFrame) -> pd.DataFrame:
    """Those whose five predictors of the published Model CS are known."""
    if not set(_PREDICTORS) <= set(recorded(checks.once(patients, []), _PREDICTORS)):
        return patients.iloc[:0]
    return patients.dropna(subset=_PREDICTORS)


def _moments(values: checks.Floats) -> dict[str, float]:
    """How many, mean and standard deviation."""
    n = len(values)
    sd = float(values.std(ddof=1)) if n > 1 else float("nan")
    return {"n": n, "mean": float(values.mean()) if n else float("nan"), "sd": sd}


def _frequent(values: pd.Series) -> dict[str, int]:
    """Counts by level, the rare ones together; nothing where these are too few to be told."""
    counts = {str(level): int(n) for level, n in values.value_counts().sort_index().items()}
    common = {level: n for level, n in counts.items() if n >= _SMALLEST}
    rare = sum(counts.values()) - sum(common.values())
    if rare == 0:
        return common
    return common | {_OTHER: rare} if rare >= _SMALLEST else {}


def _row(name: str, development: float, here: dict[str, float], estimate: float) -> Row:
    """One variable's row."""
    return {
        "variable": name,
        "statistic": "smd",
        "development": development,
        "here": here["mean"],
        "estimate": estimate,
        "n": here["n"],
    }


def _level_row(name: str, development: dict[str, int], here: pd.Series) -> Row:
    """The row of a flag, by its share, or of a variable in levels, by all of them."""
    total = sum(development.values())
    if vocabulary.is_flag(name):
        shares = [float((here == "True").mean()), development.get("True", 0) / total]
        estimate = smd_of_means(shares, [share * (1 - share) for share in shares])
        return _row(name, shares[1], {"mean": shares[0], "n": len(here)}, estimate)
    if _OTHER in development:
        here = here.where(here.isin(list(development)), _OTHER)
    counts = here.value_counts()
    order = dict.fromkeys([*development, *counts.index])
    both = np.array([[counts.get(level, 0), development.get(level, 0)] for level in order])
    return _row(name, np.nan, {"mean": np.nan, "n": len(here)}, smd_of_counts(both))


def _term(patients: pd.DataFrame, term: str) -> checks.Floats:
    """A term of the published Model CS, patient by patient."""
    name, _, level = term.partition("[")
    values = patients[name] == level[:-1] if level else patients[name]
    column: checks.Floats = values.to_numpy(dtype=np.float64)
    return column


def _frozen_term(development: dict[str, Any], term: str) -> tuple[float, float] | None:
    """Mean and variance of a term in development, where they were frozen."""
    name, _, level = term.partition("[")
    if number := development.get("numbers", {}).get(name):
        return number["mean"], number["sd"] ** 2
    if counts := development.get("levels", {}).get(name):
        share = counts.get(level[:-1] if level else "True", 0) / sum(counts.values())
        return share, share * (1 - share)
    return None
