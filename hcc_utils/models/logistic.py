"""Logistic regression on a design matrix, and Firth's where the plain one has no maximum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hcc_utils import checks
from hcc_utils.evaluation import intervals
from hcc_utils.evaluation.separation import separates

_STEPS = 100
_ROUNDING = 1e-9  # a remainder smaller than this is none
_FAR_FROM_REPEATED = 1e-4  # between the singular values: the normal equations lose half the digits
_NEAR_CERTAIN = 1e-6  # the weight of a risk


@dataclass(frozen=True)
class Fit:
    """A fitted logistic model: one coefficient and standard error a column of its design."""

    coefficients: checks.Floats
    information: checks.Floats
    deviance: float
    rank: int

    @property
    def standard_errors(self) -> checks.Floats:
        """From the inverse information, which a selection by AIC never needs."""
        scale = np.sqrt(np.diag(self.information))
        scale = np.where(scale > 0, scale, 1)
        variance = np.diag(
            np.linalg.pinv(self.information / np.outer(scale, scale), hermitian=True)
        )
        errors: checks.Floats = np.sqrt(np.maximum(variance, 0)) / scale
        return errors

    @property
    def aic(self) -> float:
        """Akaike's criterion, as R counts it (columns that repeat others count nothing)."""
        return self.deviance + 2 * self.rank


def maximum_likelihood(
    design: checks.Floats,
    event: checks.Bools,
    offset: checks.Floats | float = 0.0,
    weight: checks.Floats | float = 1.0,
) -> Fit:
    """
    The logistic model of largest likelihood.

    Parameters
    ----------
    design : numpy.ndarray of float, shape (n_patients, n_columns)
        Its first column is 1.
    event : numpy.ndarray of bool, shape (n_patients,)
        True where the event happened.
    offset : numpy.ndarray of float, shape (n_patients,), or float, default 0
        Added to each patient's log odds, with no coefficient of its own.
    weight : numpy.ndarray of float, shape (n_patients,), or float, default 1
        How much each patient counts; above 0. Standard errors then take it for a number of
        patients.

    Returns
    -------
    Fit
        Equal to R's ``glm(..., family = binomial)``. Where the event is separated, the deviance
        is at its limit and the coefficients mean nothing: see `separated`.
    """
    log_odds = np.where(event, 1.0, -1.0) * np.log(3)  # R's start: a risk of 3/4 or 1/4
    deviance, rank, quick = np.inf, 0, False
    for _ in range(_STEPS):
        risk = _risk(log_odds)
        variance = risk * (1 - risk)
        target = log_odds - offset + (event - risk) / variance
        if quick and variance.min() > _NEAR_CERTAIN:
            weighted = design * (weight * variance)[:, None]
            beta = np.linalg.solve(weighted.T @ design, weighted.T @ target)
        else:
            root = np.sqrt(weight * variance)
            beta, _, rank, spread = np.linalg.lstsq(
                design * root[:, None], target * root, rcond=None
            )
            quick = rank > 0 and spread[-1] > _FAR_FROM_REPEATED * spread[0]
        log_odds = design @ beta + offset
        before, deviance = deviance, _deviance(log_odds, event, weight)
        if abs(deviance - before) < 1e-12 * (deviance + 0.1):
            break
    return Fit(beta, _information(design, log_odds, weight), deviance, int(rank))


def null_deviance(event: checks.Bools) -> float:
    """
    The deviance of the intercept alone.

    Parameters
    ----------
    event : numpy.ndarray of bool, shape (n_patients,)
        True where the event happened; both classes are there.

    Returns
    -------
    float
        Minus twice the log-likelihood of the prevalence.
    """
    share = event.mean()
    return float(-2 * len(event) * (share * np.log(share) + (1 - share) * np.log(1 - share)))


def profile(
    design: checks.Floats, event: checks.Bools, fitted: Fit, level: float = 0.95
) -> checks.Floats:
    """
    Each coefficient's interval by profile likelihood.

    Parameters
    ----------
    design : numpy.ndarray of float, shape (n_patients, n_columns)
        Its first column is 1; no column repeats others and none separates the event.
    event : numpy.ndarray of bool, shape (n_patients,)
        True where the event happened.
    fitted : Fit
        Their model of maximum likelihood.
    level : float, default 0.95
        Coverage of the intervals.

    Returns
    -------
    numpy.ndarray of float, shape (n_columns, 2)
        Where the deviance, smallest over all other coefficients, has risen by the quantile of
        chi-square. R's ``confint`` interpolates between a few points of the same curve.

    References
    ----------
    .. [1] Venables and Ripley (2002), Modern Applied Statistics with S, section 8.4.
    """
    reach = intervals.quantile(level)
    ends = [
        [_profile_end(design, event, fitted, column, side * reach) for side in (-1, 1)]
        for column in range(design.shape[1])
    ]
    return np.array(ends)


def _profile_end(
    design: checks.Floats, event: checks.Bools, fitted: Fit, column: int, reach: float
) -> float:
    """Where the signed root of the deviance's rise is `reach`, on that side of the estimate."""
    from scipy.optimize import brentq

    others, held = np.delete(design, column, axis=1), design[:, column]
    middle = fitted.coefficients[column]
    step = reach * fitted.standard_errors[column]

    def beyond(steps: float) -> float:
        fit = maximum_likelihood(others, event, (middle + steps * step) * held)
        return fit.deviance - fitted.deviance - reach**2

    furthest = 1.0
    while beyond(furthest) < 0:  # a skew likelihood rises more slowly on one side
        furthest *= 2
    return float(middle + step * brentq(beyond, 0, furthest, xtol=1e-10, rtol=1e-12))


def firth(design: checks.Floats, event: checks.Bools, weight: checks.Floats | float = 1.0) -> Fit:
    """
    The logistic model of largest likelihood times Jeffreys' prior: finite even where separated.

    Parameters
    ----------
    design : numpy.ndarray of float, shape (n_patients, n_columns)
        Its first column is 1; no column repeats others.
    event : numpy.ndarray of bool, shape (n_patients,)
        True where the event happened.
    weight : numpy.ndarray of float, shape (n_patients,), or float, default 1
        As in `maximum_likelihood`.

    Returns
    -------
    Fit
        Coefficients drawn towards zero; the deviance is the unpenalised one at them.

    References
    ----------
    .. [1] Firth (1993), Biometrika 80:27-38; R package brglm2, ``type = "AS_mean"``.
    """
    scale = np.abs(design).max(axis=0)
    scaled = design / scale
    beta = np.zeros(design.shape[1])
    for _ in range(10 * _STEPS):
        risk = _risk(scaled @ beta)
        root = np.sqrt(weight * risk * (1 - risk))[:, None]
        inverse = np.linalg.pinv((scaled * root).T @ (scaled * root))
        leverage = np.einsum("ij,jk,ik->i", scaled * root, inverse, scaled * root)
        step = inverse @ (scaled.T @ (weight * (event - risk) + leverage * (0.5 - risk)))
        beta = beta + step / max(1.0, np.abs(step).max())  # no stride beyond 1: it may not return
        if np.abs(step).max() < 1e-10:
            break
    beta = beta / scale
    log_odds = design @ beta
    information = _information(design, log_odds, weight)
    return Fit(beta, information, _deviance(log_odds, event, weight), len(beta))


def added(
    base: checks.Floats,
    column: checks.Floats,
    event: checks.Bools,
    group: npt.NDArray[np.generic],
    *,
    permutations: int,
    seed: int,
) -> tuple[float, checks.Floats]:
    """
    What a column adds to a model: the signed root of its chi-square, and what chance adds.

    Parameters
    ----------
    base : numpy.ndarray of float, shape (n_patients, n_columns)
        The model without it; its first column is 1.
    column : numpy.ndarray of float, shape (n_patients,)
        What is added.
    event : numpy.ndarray of bool, shape (n_patients,)
        True where the event happened.
    group : numpy.ndarray, shape (n_patients,)
        Permutations stay within a group.
    permutations : int
        How often what the base leaves unexplained in the column is dealt out anew.
    seed : int
        Deals.

    Returns
    -------
    found : float
        The root of the likelihood-ratio chi-square, with the sign of the column's coefficient.
    chance : numpy.ndarray of float, shape (permutations,)
        The same of each permutation.

    References
    ----------
    .. [1] Freedman and Lane (1983), Journal of Business and Economic Statistics 1:292-298.
    """
    beyond = column - base @ np.linalg.lstsq(base, column, rcond=None)[0]
    beyond = np.where(np.abs(beyond) < _ROUNDING, 0, beyond)
    without = maximum_likelihood(base, event).deviance

    def gain(remainder: checks.Floats) -> float:
        fit = maximum_likelihood(np.column_stack([base, remainder]), event)
        chi_square = max(without - fit.deviance, 0)
        return float(np.sign(fit.coefficients[-1]) * np.sqrt(chi_square))

    rng = np.random.default_rng(seed)
    chance = np.empty(permutations)
    for draw in range(permutations):
        shuffled = beyond.copy()
        for one in np.unique(group):
            shuffled[group == one] = rng.permutation(beyond[group == one])
        chance[draw] = gain(shuffled)
    return gain(beyond), chance


def separated(design: checks.Floats, event: checks.Bools, fitted: Fit | None = None) -> bool:
    """
    Whether the design tells events from non-events perfectly, wholly or in part.

    Parameters
    ----------
    design : numpy.ndarray of float, shape (n_patients, n_columns)
        Its first column is 1.
    event : numpy.ndarray of bool, shape (n_patients,)
        True where the event happened.
    fitted : Fit, optional
        Their model by `maximum_likelihood`, where it is at hand.

    Returns
    -------
    bool
        True where maximum likelihood has no finite estimate.
    """
    # without an end the log odds run beyond 20 before the deviance stands still
    fitted = fitted or maximum_likelihood(design, event)
    if np.abs(design @ fitted.coefficients).max() < 12:
        return False
    return separates(design * np.where(event, 1.0, -1.0)[:, None])


def independent(design: checks.Floats) -> list[int]:
    """
    The columns of a design that no earlier columns repeat, as R keeps them.

    Parameters
    ----------
    design : numpy.ndarray of float, shape (n_patients, n_columns)
        Its first column is 1.

    Returns
    -------
    list of int
        Positions, the first column always among them.
    """
    kept = [0]
    for column in range(1, design.shape[1]):
        if np.linalg.matrix_rank(design[:, [*kept, column]]) > len(kept):
            kept.append(column)
    return kept


def _risk(log_odds: checks.Floats) -> checks.Floats:
    """The probability, kept a hair away from 0 and 1 so that a weight stays positive."""
    clipped: checks.Floats = 1 / (1 + np.exp(-np.clip(log_odds, -30, 30)))
    return clipped


def _deviance(log_odds: checks.Floats, event: checks.Bools, weight: checks.Floats | float) -> float:
    """Minus twice the log-likelihood."""
    return float(2 * (weight * np.logaddexp(0, np.where(event, -log_odds, log_odds))).sum())


def _information(
    design: checks.Floats, log_odds: checks.Floats, weight: checks.Floats | float
) -> checks.Floats:
    """What the patients tell of the coefficients: the inverse of their covariance."""
    risk = _risk(log_odds)
    information: checks.Floats = (design * (weight * risk * (1 - risk))[:, None]).T @ design
    return information
