"""What each patient adds to a figure, so that two figures of the same patients can be paired."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hcc_utils import checks
from hcc_utils.evaluation import discrimination


def of_mean(values: npt.ArrayLike, among: npt.ArrayLike | None = None) -> checks.Floats:
    """
    What each patient adds to a mean; the squares sum to its squared standard error.

    Parameters
    ----------
    values : array_like of float, shape (n_patients,)
        One value a patient.
    among : array_like of bool, shape (n_patients,), optional
        The patients of the mean, everyone by default; the others add 0.

    Returns
    -------
    numpy.ndarray of float, shape (n_patients,)
        Summing to 0. The standard error of a difference or sum of figures is the root of the sum
        of the squares of the difference or sum of what patients add to them. Missing where the
        mean is of one patient, who has no spread.

    References
    ----------
    .. [1] Efron (1982), The Jackknife, the Bootstrap and Other Resampling Plans, chapter 6 (the
       infinitesimal jackknife).
    """
    values = np.asarray(values, dtype=np.float64)
    inside = np.ones(len(values), bool) if among is None else np.asarray(among, dtype=bool)
    count = int(inside.sum())
    if count < 2:
        return np.full(len(values), np.nan)
    apart = np.where(inside, values - values[inside].mean(), 0.0)
    return np.asarray(apart / np.sqrt(count * (count - 1)))


def of_class_means(event: npt.ArrayLike, values: npt.ArrayLike) -> checks.Floats:
    """
    What each patient adds to the mean over events plus the mean over non-events.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    values : array_like of float, shape (n_patients,)
        The rise of a risk in events and its fall in non-events, for the IDI; their signs, for
        the NRI.

    Returns
    -------
    numpy.ndarray of float, shape (n_patients,)
        As `of_mean`.

    Raises
    ------
    InputError
        If lengths differ, a value is missing or only one class is present.
    """
    events = checks.outcomes("event", event, both=True)
    of_each = checks.numbers("values", values)
    checks.same_length(event=events, values=of_each)
    return of_mean(of_each, events) + of_mean(of_each, ~events)


def of_auc(event: npt.ArrayLike, score: npt.ArrayLike) -> checks.Floats:
    """
    What each patient adds to the AUC: the standard error is DeLong's, paired or not.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    score : array_like of float, shape (n_patients,)
        Any score; higher is worse.

    Returns
    -------
    numpy.ndarray of float, shape (n_patients,)
        As `of_mean`.

    Raises
    ------
    InputError
        If lengths differ, a score is missing or only one class is present.
    """
    return of_class_means(event, discrimination.placements(event, score))
