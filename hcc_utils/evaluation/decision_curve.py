"""What acting on a risk gains at each threshold: net benefit and the counts behind it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcc_utils import checks

_COUNTS = ("true_positive", "false_positive", "false_negative", "true_negative")


def net_benefit(
    event: npt.ArrayLike, risk: npt.ArrayLike, thresholds: npt.ArrayLike | None = None
) -> pd.DataFrame:
    """
    Net benefit of intervening where the risk reaches a threshold, in all and in none.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    risk : array_like of float, shape (n_patients,)
        Predicted risk in [0, 1]; higher is worse. Never refitted here.
    thresholds : array_like of float, optional
        Strictly between 0 and 1; 0.01 to 0.99 by default.

    Returns
    -------
    pandas.DataFrame
        A row for each strategy ("model", "all", "none") and threshold: ``threshold``,
        ``strategy``, ``net_benefit`` (true positives a patient, less false positives weighted
        by the threshold's odds).

    Raises
    ------
    InputError
        If lengths differ, a risk is no probability, there is no patient, or a threshold is not
        strictly between 0 and 1.

    References
    ----------
    .. [1] Vickers and Elkin (2006), Medical Decision Making 26:565-574.
    """
    cut, (tp, fp, fn, tn) = _counted(event, risk, thresholds)
    odds, n = cut / (1 - cut), tp + fp + fn + tn
    gained = {
        "model": (tp - odds * fp) / n,
        "all": (tp + fn - odds * (fp + tn)) / n,
        "none": np.zeros(len(cut)),
    }
    return pd.DataFrame(
        {
            "threshold": np.tile(cut, len(gained)),
            "strategy": np.repeat(np.array(list(gained), dtype=object), len(cut)),
            "net_benefit": np.concatenate(list(gained.values())),
        },
        copy=False,  # columns that nobody else holds: most of the time would go into copies
    )


def gains(event: npt.ArrayLike, risk: npt.ArrayLike, threshold: float) -> pd.Series:
    """
    What each patient adds to the net benefit at a threshold: their mean is the net benefit.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    risk : array_like of float, shape (n_patients,)
        Predicted risk in [0, 1]; higher is worse.
    threshold : float
        Strictly between 0 and 1.

    Returns
    -------
    pandas.Series
        1 for an event called high, the odds of the threshold below 0 for a false alarm, else 0.

    Raises
    ------
    InputError
        As `net_benefit`.
    """
    events, risks = _cleaned(event, risk)
    cut = _cuts([threshold])[0]
    return pd.Series(np.where(risks >= cut, np.where(events, 1.0, -cut / (1 - cut)), 0.0))


def threshold_counts(
    event: npt.ArrayLike, risk: npt.ArrayLike, thresholds: npt.ArrayLike | None = None
) -> pd.DataFrame:
    """
    Patients called high (``risk >= threshold``) and low, with and without the event.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    risk : array_like of float, shape (n_patients,)
        Predicted risk in [0, 1]; higher is worse.
    thresholds : array_like of float, optional
        Strictly between 0 and 1; 0.01 to 0.99 by default.

    Returns
    -------
    pandas.DataFrame
        A row a threshold: ``threshold``, ``true_positive``, ``false_positive``,
        ``false_negative``, ``true_negative``.

    Raises
    ------
    InputError
        If lengths differ, a risk is no probability, there is no patient, or a threshold is not
        strictly between 0 and 1.
    """
    cut, counts = _counted(event, risk, thresholds)
    return pd.DataFrame({"threshold": cut, **dict(zip(_COUNTS, counts, strict=True))})


def _counted(
    event: npt.ArrayLike, risk: npt.ArrayLike, thresholds: npt.ArrayLike | None
) -> tuple[checks.Floats, tuple[npt.NDArray[np.int64], ...]]:
    """The thresholds, and the four counts at each in the order of `_COUNTS`: one sort suffices."""
    events, risks = _cleaned(event, risk)
    cut = _cuts(thresholds)
    # patients without the event below 0, those with it above: one sort puts both in order
    rising, without = np.sort(np.where(events, risks, -risks)), int((~events).sum())
    fn = np.searchsorted(rising[without:], cut)
    tn = np.searchsorted(-rising[:without][::-1], cut)
    return cut, (len(events) - without - fn, without - tn, fn, tn)


def _cleaned(event: npt.ArrayLike, risk: npt.ArrayLike) -> tuple[checks.Bools, checks.Floats]:
    """Both as arrays of one length, not empty."""
    events = checks.outcomes("event", event)
    risks = checks.probabilities("risk", risk)
    checks.same_length(event=events, risk=risks)
    if not len(events):
        raise checks.InputError("event must hold at least one patient; it is empty.")
    return events, risks


def _cuts(thresholds: npt.ArrayLike | None) -> checks.Floats:
    """The thresholds, strictly between 0 and 1; hundredths by default."""
    # k / 100 is the number that "0.28" reads as; steps added up miss it in the last bit
    cuts = np.arange(1, 100) / 100 if thresholds is None else thresholds
    cuts = checks.probabilities("thresholds", cuts)
    if not len(cuts):
        raise checks.InputError("thresholds must hold at least one; it is empty.")
    outside = (cuts == 0) | (cuts == 1)
    if outside.any():
        raise checks.InputError(
            f"thresholds must lie strictly between 0 and 1; {outside.sum()} of {len(cuts)} do "
            f"not, first at row {np.flatnonzero(outside)[0]}: {cuts[outside][0]:g}."
        )
    return cuts
