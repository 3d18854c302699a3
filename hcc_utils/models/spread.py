"""How far Model D's scores lie apart: from patient to patient, and from seed to seed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.evaluation import discrimination, intervals
from hcc_utils.models import model_d, record
from hcc_utils.models.combined import log_odds
from hcc_utils.models.model_d import Images, ModelD
from hcc_utils.models.scorers import Scorers
from hcc_utils.study import results
from hcc_utils.study.results import Folder
from hcc_utils.study.scores import Scores

FILES = {"patients": record.SPREAD, "seeds": "seeds.csv"}
PATIENTS = ("origin", "n", "mean_logit", "sd_logit", "low", "high",
            "ratio", "ratio_low", "ratio_high")  # fmt: skip
SEEDS = ("figure", "member", "n", "estimate", "low", "high")
_ALIKE = 1e-9  # a smaller spread is rounding


@dataclass(frozen=True)
class Spread:
    """
    Tables of how far a centre's scores lie apart; none knows a patient.

    Parameters
    ----------
    patients : pandas.DataFrame
        As `between_patients` gives it.
    seeds : pandas.DataFrame
        As `between_seeds` gives it.
    """

    patients: pd.DataFrame
    seeds: pd.DataFrame

    def write(self, here: Folder) -> None:
        """
        Nothing; the tables stand in the folder.

        Parameters
        ----------
        here : Folder
            The centre's results.
        """
        for part in fields(self):
            here.write(getattr(self, part.name), FILES[part.name])


def at_centre(images: Images, found: ModelD, *, here: Folder, bundle: str) -> Spread:
    """
    How far a centre's scores lie apart.

    Parameters
    ----------
    images : Images
        The centre's patients and slices.
    found : ModelD
        Their scores.
    here : Folder
        The centre's results, in development with the networks.
    bundle : str
        The frozen bundle's folder, with development's spread; empty in development.

    Returns
    -------
    Spread
        Of a demonstration nothing may be judged: tables without rows.
    """
    if model_d.origin(here, bundle=bundle) == "demonstration":
        return Spread(pd.DataFrame(columns=list(PATIENTS)), pd.DataFrame(columns=list(SEEDS)))
    development = results.read_table(Path(bundle) / record.SPREAD) if bundle else None
    scorers = model_d.scorers(images, found, here=here, bundle=bundle)
    return Spread(between_patients(found.scores, development), between_seeds(scorers))


def between_patients(scores: Scores, development: pd.DataFrame | None = None) -> pd.DataFrame:
    """
    Mean and spread of the log odds of patients' scores.

    Development's scores are of the folds' networks, other hospitals' of the one that was fitted on
    everybody. Where that is surer of itself than the folds' networks, or less, the recalibration
    that was learnt out of fold does not fit it; being a line on this scale, it leaves the ratio of
    the two spreads as it is.

    Parameters
    ----------
    scores : Scores
        Model D's, of one origin.
    development : pandas.DataFrame, optional
        What this function gave for development's, to be held against.

    Returns
    -------
    pandas.DataFrame
        A row for development, where it is given, then one for these scores: ``origin``, ``n``
        (patients), ``mean_logit``, ``sd_logit`` with its 95 % interval ``low`` and ``high``
        (bootstrap over patients, the networks as they are), ``ratio`` to development's SD,
        ``ratio_low``, ``ratio_high``. Missing where patients are fewer than two, or all alike.

    References
    ----------
    .. [1] Zou and Donner (2008), Statistics in Medicine 27:1693-1702 (an interval made of two).
    """
    rows = [] if development is None else development.iloc[:1].to_dict("records")
    logit = log_odds("score", scores.table["score"])
    own: dict[Any, Any] = {"origin": scores.table["origin"].iloc[0], "n": len(logit)}
    own |= {"mean_logit": logit.mean(), "sd_logit": np.nan, "low": np.nan, "high": np.nan}
    if len(logit) > 1:
        low, high = intervals.bootstrapped_sd(logit, seed=0)
        own |= {"sd_logit": logit.std(ddof=1), "low": low, "high": high}
    own |= _ratio(own, rows[0]) if rows else {}
    return pd.DataFrame([*rows, own], columns=list(PATIENTS))


def _ratio(own: dict[Any, Any], other: dict[Any, Any]) -> dict[Any, Any]:
    """One spread as a multiple of the other, its interval made of theirs on the log scale."""
    if not (own["low"] > _ALIKE and other["low"] > _ALIKE):
        return {}
    sd, low, high = (np.log(own[name]) for name in ("sd_logit", "low", "high"))
    to, to_low, to_high = (np.log(other[name]) for name in ("sd_logit", "low", "high"))
    below, above = np.hypot(sd - low, to_high - to), np.hypot(high - sd, to - to_low)
    ratio = {"ratio": sd - to, "ratio_low": sd - to - below, "ratio_high": sd - to + above}
    return {name: float(np.exp(value)) for name, value in ratio.items()}


def between_seeds(scorers: Scorers) -> pd.DataFrame:
    """
    How far trainings that differ in nothing but the seed say the same of a patient.

    Parameters
    ----------
    scorers : Scorers
        Patients, each with an ensemble that has not learnt from the patient.

    Returns
    -------
    pandas.DataFrame
        One row a figure: ``figure``, ``member``, ``n`` (patients), ``estimate``, ``low``, ``high``
        (95 %). ``auc`` of each member alone and of their mean (``mean``; DeLong on the logit
        scale), where both outcomes are there. Of the log odds: ``sd_between_seeds`` (of one
        patient, root mean square; a shift of all patients alike counts; bootstrap over patients),
        ``sd_between_seeds_p95`` (the patients' 95th percentile), ``sd_between_patients`` (of the
        mean). No row where there is one member only.
    """
    each = np.array([one.means(one.slice_scores()) for one in scorers.members])
    if len(each) < 2:
        return pd.DataFrame(columns=list(SEEDS))
    logit = np.array([log_odds("score", score) for score in each])
    variance, mean = logit.var(axis=0, ddof=1), log_odds("score", each.mean(axis=0))
    ends = np.sqrt(intervals.bootstrapped_mean(variance, seed=0))
    rows = [
        *_aucs(scorers.cases.event, each),
        ("sd_between_seeds", "", float(np.sqrt(variance.mean())), *ends),
        ("sd_between_seeds_p95", "", float(np.sqrt(np.quantile(variance, 0.95))), np.nan, np.nan),
        ("sd_between_patients", "", mean.std(ddof=1), *intervals.bootstrapped_sd(mean, seed=0)),
    ]
    table = pd.DataFrame(rows, columns=[name for name in SEEDS if name != "n"])
    return table.assign(n=each.shape[1])[list(SEEDS)]


def _aucs(event: checks.Bools, each: checks.Floats) -> list[tuple[str, str, float, float, float]]:
    """A row for each member and one for their mean; none where one outcome alone is there."""
    if len(np.unique(event)) < 2:
        return []
    names = [*map(str, range(1, 1 + len(each))), "mean"]
    found = [discrimination.auc(event, score) for score in (*each, each.mean(axis=0))]
    return [
        ("auc", name, own.auc, own.logit_low, own.logit_high)
        for name, own in zip(names, found, strict=True)
    ]
