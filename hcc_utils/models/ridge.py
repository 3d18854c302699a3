"""Logistic regression with a ridge penalty: coefficients drawn towards 0 on purpose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import special

from hcc_utils import checks
from hcc_utils.models import logistic

# by the root of two; at the last, four factors of 100 patients keep one degree of freedom or so
PENALTIES: tuple[float, ...] = tuple(2.0 ** (half / 2) for half in range(-4, 13))

_STEPS = 100


@dataclass(frozen=True, kw_only=True)
class Ridge:
    """
    A penalised logistic model.

    Parameters
    ----------
    coefficients : numpy.ndarray of float, shape (n_columns,)
        One a column of the design, the intercept first.
    penalty : float
        What the square of a coefficient costs, per standard deviation of its column.
    effective_df : float
        Degrees of freedom that the penalty leaves to the columns beside the intercept.
    likelihood_ratio : float
        Chi-square of these coefficients, the penalty aside, against the intercept alone.
    """

    coefficients: checks.Floats
    penalty: float
    effective_df: float
    likelihood_ratio: float

    @property
    def aic(self) -> float:
        """The chi-square less two a degree of freedom, as rms has it: the largest is best."""
        return self.likelihood_ratio - 2 * self.effective_df


def path(design: checks.Floats, event: checks.Bools, penalties: Iterable[float]) -> list[Ridge]:
    """
    The models of several penalties, from the largest penalty to the smallest.

    Parameters
    ----------
    design : numpy.ndarray of float, shape (n_patients, n_columns)
        Its first column is 1 and is not penalised.
    event : numpy.ndarray of bool, shape (n_patients,)
        True where the event happened; both classes are there.
    penalties : iterable of float
        0 gives the model of maximum likelihood.

    Returns
    -------
    list of Ridge
        Each has the largest log-likelihood less half the penalty times the sum of
        ``(sd * coefficient)**2``, where ``sd`` is the column's standard deviation in these
        patients. A column that does not vary has the coefficient 0.

    Raises
    ------
    InputError
        If a penalty is below 0, or is 0 where the columns separate the event.

    References
    ----------
    .. [1] le Cessie and van Houwelingen (1992), Applied Statistics 41:191-201.
    .. [2] Harrell, R package rms: ``lrm(..., penalty = )``, ``pentrace(..., which = "aic")``.
    """
    wanted = sorted(checks.numbers("penalty", list(penalties)), reverse=True)
    _refuse(min(wanted), design, event)
    middle, scale = design[:, 1:].mean(axis=0), design[:, 1:].std(axis=0, ddof=1)
    varies = np.ptp(design[:, 1:], axis=0) > 0
    centred = np.where(varies, design[:, 1:] - middle, 0)
    scale = np.where(varies, scale, 1)
    standard = np.column_stack([np.ones(len(design)), centred / scale])
    models, beta = [], np.zeros(design.shape[1])
    for penalty in wanted:  # each starts where the last one ended: a few steps suffice
        beta, effective_df = _fitted(standard, event, float(penalty), beta)
        slopes = beta[1:] / scale
        chance = np.full(len(event), special.logit(event.mean()))
        gain = _log_likelihood(standard @ beta, event) - _log_likelihood(chance, event)
        models.append(
            Ridge(
                coefficients=np.append(beta[0] - slopes @ middle, slopes),
                penalty=float(penalty),
                effective_df=effective_df,
                likelihood_ratio=2 * gain,
            )
        )
    return models


def best(models: Iterable[Ridge]) -> Ridge:
    """
    The model whose penalty has the largest AIC; of equals, the least penalised.

    Parameters
    ----------
    models : iterable of Ridge
        As `path` gives them.

    Returns
    -------
    Ridge
        One of them.
    """
    return max(models, key=lambda model: (model.aic, -model.penalty))


def _refuse(smallest: float, design: checks.Floats, event: checks.Bools) -> None:
    """Raise where a penalty gives no model."""
    if smallest < 0:
        raise checks.InputError(f"penalty must not be below 0; got {smallest:g}.")
    if smallest == 0 and logistic.separated(design, event):
        raise checks.InputError(
            "penalty must be above 0 here; it is 0, and the factors tell events from non-events "
            "perfectly, in whole or in part: no finite estimate exists without one."
        )


def _fitted(
    standard: checks.Floats, event: checks.Bools, penalty: float, start: checks.Floats
) -> tuple[checks.Floats, float]:
    """Coefficients and effective degrees of freedom by Newton, a step halved until it gains."""
    ridge = np.append(0.0, np.full(standard.shape[1] - 1, penalty))
    inverse_of = np.linalg.inv if penalty else np.linalg.pinv  # unpenalised columns may repeat

    def gained(beta: checks.Floats) -> float:
        return _log_likelihood(standard @ beta, event) - float(ridge @ beta**2) / 2

    beta, now = start, gained(start)
    for _ in range(_STEPS):
        risk = special.expit(standard @ beta)
        information = (standard * (risk * (1 - risk))[:, None]).T @ standard
        inverse = inverse_of(information + np.diag(ridge))
        step = inverse @ (standard.T @ (event - risk) - ridge * beta)
        after = gained(beta + step)
        while after < now and np.abs(step).max() > 1e-12:
            step = step / 2
            after = gained(beta + step)
        beta, now = beta + step, after
        if np.abs(step).max() < 1e-10:
            break
    # the intercept's own degree of freedom is always 1
    return beta, float(np.trace(information @ inverse)) - 1


def _log_likelihood(log_odds: checks.Floats, event: checks.Bools) -> float:
    """Of the log odds."""
    return -float(np.logaddexp(0, np.where(event, -log_odds, log_odds)).sum())
