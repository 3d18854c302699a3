"""A developed model's coefficients with all their intervals, and penalised ones beside them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.models import logistic, ridge
from hcc_utils.models.clinical import ClinicalModel

COLUMNS = [
    *("term", "coefficient", "se", "odds_ratio", "low", "high", "z", "p_value"),
    *("profile_low", "profile_high", "firth", "ridge"),
]


def beside(
    model: ClinicalModel, patients: pd.DataFrame, outcome: str, level: float = 0.95
) -> pd.DataFrame:
    """
    A model's terms: estimated as they are, and drawn towards 0.

    Parameters
    ----------
    model : ClinicalModel
        Fitted to these patients.
    patients : pandas.DataFrame
        One row a patient.
    outcome : str
        The outcome's column, known for everybody.
    level : float, default 0.95
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row a term, the intercept first: the columns of `ClinicalModel.wald`, then
        ``profile_low`` and ``profile_high`` (of the odds ratio, by profile likelihood; missing
        where there is no standard error either), ``firth`` and ``ridge`` (odds ratios of the
        same terms by Firth's likelihood, and by a ridge penalty that the effective AIC chose).

    Raises
    ------
    InputError
        If a predictor is missing that the model cannot fill in, only one class is present, or
        these cannot be the patients of the fit.
    """
    checks.once(patients, [outcome])
    event = checks.outcomes(outcome, patients[outcome], both=True)
    table, design = model.wald(level), model.design(patients)
    if len(logistic.independent(design)) < design.shape[1]:
        raise checks.InputError(
            "a term of the model is constant among these patients, or repeats others; give the "
            "patients to whom it was fitted."
        )
    ends = np.full((len(table), 2), np.nan)
    if table["se"].notna().all() and not logistic.separated(design, event):
        ends = logistic.profile(design, event, logistic.maximum_likelihood(design, event), level)
    drawn_in = ridge.best(ridge.path(design, event, ridge.PENALTIES))
    table[["profile_low", "profile_high"]] = np.exp(ends)
    table["firth"] = np.exp(logistic.firth(design, event).coefficients)
    table["ridge"] = np.exp(drawn_in.coefficients)
    return table[COLUMNS]
