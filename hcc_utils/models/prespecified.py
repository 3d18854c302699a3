"""A clinical model of factors that were named before any fit: nothing is selected."""

from __future__ import annotations

from collections.abc import Sequence

import numpy.typing as npt
import pandas as pd
from scipy import special

from hcc_utils import checks
from hcc_utils.models import clinical, ridge
from hcc_utils.models.clinical import ClinicalModel, Imputer
from hcc_utils.models.optimism import RESAMPLES, Bootstrapped, bootstrapped
from hcc_utils.study.scores import Scores
from hcc_utils.study.vocabulary import label


def fit(
    patients: pd.DataFrame, outcome: str, factors: Sequence[str], penalty: float | None = None
) -> ClinicalModel:
    """
    The penalised (ridge) logistic model of all the factors.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient, all of them training rows.
    outcome : str
        The outcome's column, known for everybody.
    factors : sequence of str
        Variables or derived factors; one of several levels has a term for each but the first.
    penalty : float, optional
        As in `ridge.path`; left out, the one of `ridge.PENALTIES` with the largest AIC here.

    Returns
    -------
    ClinicalModel
        It fills in missing values as these rows teach it, and has no standard errors: after
        shrinkage they say nothing of how far an estimate is from the truth. Its note names the
        penalty and the effective degrees of freedom.

    Raises
    ------
    InputError
        If a column is missing, or only one class is present.
    """
    checks.columns(patients, [outcome], name="patients")
    event = checks.outcomes(outcome, patients[outcome], both=True)
    imputer = Imputer.learn(patients, factors)
    terms, design = clinical.design(imputer.apply(patients), imputer.values)
    penalties = ridge.PENALTIES if penalty is None else [penalty]
    best = ridge.best(ridge.path(design, event, penalties))
    intercept, *slopes = best.coefficients.tolist()
    unknown = sorted(set(factors).difference(imputer.values))
    return ClinicalModel(
        intercept,
        dict(zip(terms, slopes, strict=True)),
        imputer,
        note=_note(best, penalties, unknown),
    )


def cross_fit(
    patients: pd.DataFrame,
    fold: npt.ArrayLike,
    outcome: str,
    factors: Sequence[str],
    horizon_months: int,
) -> Scores:
    """
    Out-of-fold scores: filling in and the penalty are learnt anew without each fold.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient, with ``patient_id``, ``centre`` and the outcome.
    fold : array_like of int, shape (n_patients,)
        The fold in which each patient is left out.
    outcome : str
        The outcome's column, known for everybody.
    factors : sequence of str
        As in `fit`.
    horizon_months : int
        The months within which the outcome counts.

    Returns
    -------
    Scores
        Model ``clinical``, origin ``out_of_fold``; the score is the linear predictor.

    Raises
    ------
    InputError
        If there is one fold only, or a training part holds one class only.
    """
    score = clinical.left_out_scores(
        patients, fold, lambda training: fit(training, outcome, factors)
    )
    return Scores.of(
        patients,
        model="clinical",
        origin="out_of_fold",
        score=score,
        risk=special.expit(score),
        fold=fold,
        event=outcome,
        horizon_months=horizon_months,
    )


def optimism(
    patients: pd.DataFrame,
    outcome: str,
    factors: Sequence[str],
    resamples: int = RESAMPLES,
    *,
    level: float = 0.95,
    seed: int,
) -> Bootstrapped:
    """
    How much too good the model's figures are in the patients it was fitted on, by bootstrap.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient.
    outcome : str
        The outcome's column, known for everybody.
    factors : sequence of str
        As in `fit`.
    resamples : int, default 200
        Of the patients.
    level : float, default 0.95
        Coverage of the interval.
    seed : int
        Draws the resamples.

    Returns
    -------
    Bootstrapped
        As `models.optimism.bootstrapped` gives it; nothing is selected, so no inclusion.

    Raises
    ------
    InputError
        If there are fewer than 10 events or non-events.

    Notes
    -----
    Filling in and the choice of the penalty are repeated in every resample. In 150 simulated
    studies each of 105 patients and four factors, at three strengths, the 95 % interval held the
    AUC in new patients in 83 to 85 of 100, the Brier score in 83 to 91 and the scaled one in 89
    to 96; percentiles of the resamples' own figures, shifted by the optimism, did no better. The
    slope is not corrected where the factors tell nothing (2.1 in the middle, 0 in new patients).
    """
    return bootstrapped(
        patients,
        outcome,
        lambda rows: fit(rows, outcome, factors),
        resamples=resamples,
        model="clinical",
        level=level,
        seed=seed,
    )


def _note(model: ridge.Ridge, penalties: Sequence[float], unknown: Sequence[str]) -> str:
    """How the model came about, in words."""
    how_far = f"penalty {model.penalty:.3g}, {model.effective_df:.1f} effective degrees of freedom"
    said = [
        f"penalised (ridge, {how_far}): coefficients are drawn towards 0 on purpose; no p-values"
    ]
    if len(penalties) > 1 and model.penalty == max(penalties):
        said.append("no larger penalty was tried: these factors tell little about the event here")
    said += [f"{label(name)} is missing for everybody and left out" for name in unknown]
    return "; ".join(said)
