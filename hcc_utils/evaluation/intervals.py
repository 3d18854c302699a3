"""Intervals that several statistics share: Wald, Wilson, and a mean's or spread's by bootstrap."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from hcc_utils import checks


class Wald(NamedTuple):
    """An estimate held against zero."""

    z: float
    p_value: float
    low: float
    high: float


def quantile(level: float, df: float = np.inf) -> float:
    """
    How many standard errors an interval reaches to each side.

    Parameters
    ----------
    level : float
        The interval's coverage, strictly between 0 and 1.
    df : float, default infinity
        Degrees of freedom; infinity means the normal distribution.

    Returns
    -------
    float
        1.96 at level 0.95.

    Raises
    ------
    InputError
        If the level is not strictly between 0 and 1.
    """
    return float(special.stdtrit(df, (1 + checks.inside("level", level)) / 2))


def wald(estimate: float, se: float, level: float, df: float = np.inf) -> Wald:
    """
    Test against zero and interval of an estimate with a standard error.

    Parameters
    ----------
    estimate : float
        A difference.
    se : float
        Its standard error. At 0, nothing about chance is known: a difference of 0 has
        p = 1 (the two are the same), any other has no test and no interval. Where it is missing,
        so are these.
    level : float
        Coverage of the interval.
    df : float, default infinity
        Degrees of freedom; infinity means the normal distribution.

    Returns
    -------
    Wald
        Statistic, two-sided p-value and interval.

    Raises
    ------
    InputError
        If the standard error is negative or the level not strictly between 0 and 1.
    """
    if se < 0:
        raise checks.InputError(f"se must not be negative; got {se!r}.")
    reach = quantile(level, df)
    if se == 0:
        return Wald(0.0, 1.0, 0.0, 0.0) if estimate == 0 else Wald(*[np.nan] * 4)
    z = estimate / se
    p_value = 2 * float(special.stdtr(df, -abs(z)))
    return Wald(z, p_value, estimate - reach * se, estimate + reach * se)


def wilson(
    count: npt.ArrayLike, of: npt.ArrayLike, level: float = 0.95
) -> tuple[checks.Floats, checks.Floats]:
    """
    Wilson's score interval of a proportion.

    Parameters
    ----------
    count : array_like of int
        How many have it.
    of : array_like of int
        How many there are. With none, both ends are missing.
    level : float, default 0.95
        Coverage of the interval.

    Returns
    -------
    low : numpy.ndarray of float
        Lower ends.
    high : numpy.ndarray of float
        Upper ends.

    Raises
    ------
    InputError
        If a count is no number, or not between 0 and how many there are.
    """
    had, all_ = (checks.times(n, np.ravel(v)) for n, v in (("count", count), ("of", of)))
    if (had > all_).any():
        raise checks.InputError("count must not exceed of: nobody has it who is not there.")
    z = quantile(level)
    n = np.where(np.asarray(of) > 0, np.asarray(of, dtype=np.float64), np.nan)
    share = np.asarray(count) / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    return np.clip(middle - reach, 0, 1), np.clip(middle + reach, 0, 1)


def bootstrapped_mean(
    values: npt.ArrayLike, *, level: float = 0.95, resamples: int = 1000, seed: int
) -> tuple[float, float]:
    """
    Percentile interval of a mean over patients who are drawn anew.

    Parameters
    ----------
    values : array_like of float, shape (n_patients,)
        One value a patient.
    level : float, default 0.95
        Coverage of the interval.
    resamples : int, default 1000
        How often they are drawn.
    seed : int
        Draws them.

    Returns
    -------
    low : float
        Lower end; missing where a value is.
    high : float
        Upper end.

    Raises
    ------
    InputError
        If a value is infinite or no number, there is none, or not one resample.
    """
    return ends(resampled_means(values, resamples=resamples, seed=seed), level)


def bootstrapped_sd(
    values: npt.ArrayLike, *, level: float = 0.95, resamples: int = 1000, seed: int
) -> tuple[float, float]:
    """
    Percentile interval of the spread over patients who are drawn anew.

    Parameters
    ----------
    values : array_like of float, shape (n_patients,)
        One value a patient, of at least two patients.
    level : float, default 0.95
        Coverage of the interval.
    resamples : int, default 1000
        How often they are drawn.
    seed : int
        Draws them.

    Returns
    -------
    low : float
        Lower end of the standard deviation (n - 1); missing where a value is.
    high : float
        Upper end.

    Raises
    ------
    InputError
        If a value is infinite or no number, there is none, or not one resample.
    """
    return ends(_drawn(values, resamples, seed).std(axis=1, ddof=1), level)


def resampled_means(values: npt.ArrayLike, *, resamples: int, seed: int) -> checks.Floats:
    """
    The mean of each bootstrap sample of the patients.

    Parameters
    ----------
    values : array_like of float, shape (n_patients,)
        One value a patient.
    resamples : int
        How often they are drawn.
    seed : int
        Draws them.

    Returns
    -------
    numpy.ndarray of float, shape (resamples,)
        A mean a sample.

    Raises
    ------
    InputError
        If a value is infinite or no number, there is none, or not one resample.
    """
    given, rng = _patients(values), np.random.default_rng(seed)
    parts = portions(checks.whole("resamples", resamples, least=1), len(given))
    return np.concatenate([rng.choice(given, (part, len(given))).mean(axis=1) for part in parts])


def portions(resamples: int, patients: int) -> list[int]:
    """
    Into how many parts bootstrap samples are drawn, so that memory does not grow with them.

    Parameters
    ----------
    resamples : int
        Samples in all.
    patients : int
        In each sample.

    Returns
    -------
    list of int
        Samples a part: about a million patients in each, and a sample at least.
    """
    largest = max(2**20 // max(patients, 1), 1)
    return [min(largest, resamples - first) for first in range(0, resamples, largest)]


def _drawn(values: npt.ArrayLike, resamples: int, seed: int) -> checks.Floats:
    """As many values as there are, drawn with replacement, in each row."""
    given, rows = _patients(values), checks.whole("resamples", resamples, least=1)
    drawn: checks.Floats = np.random.default_rng(seed).choice(given, (rows, len(given)))
    return drawn


def _patients(values: npt.ArrayLike) -> checks.Floats:
    """One value a patient, some of them missing perhaps, of at least one patient."""
    given = checks.numbers("values", values, missing=True)
    if not len(given):
        raise checks.InputError("values must hold at least one patient; it is empty.")
    return given


def ends(estimates: checks.Floats, level: float) -> tuple[float, float]:
    """
    The percentiles between which this share of the resamples' estimates lies.

    Parameters
    ----------
    estimates : numpy.ndarray of float, shape (resamples,)
        One a bootstrap sample.
    level : float
        The share.

    Returns
    -------
    low : float
        Lower end; missing where an estimate is.
    high : float
        Upper end.
    """
    level = checks.inside("level", level)
    low, high = np.quantile(estimates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
