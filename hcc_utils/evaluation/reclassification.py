"""What a new risk changes for patients with and without the event: NRI and IDI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hcc_utils import checks
from hcc_utils.evaluation import intervals


@dataclass(frozen=True, kw_only=True)
class Nri:
    """Net reclassification, events and non-events apart; positive is better in each."""

    nri: float
    se: float
    z: float
    p_value: float
    low: float
    high: float
    events: float
    events_se: float
    non_events: float
    non_events_se: float


@dataclass(frozen=True, kw_only=True)
class Idi:
    """Integrated discrimination improvement, events and non-events apart."""

    idi: float
    se: float
    z: float
    p_value: float
    low: float
    high: float
    events: float
    non_events: float


def nri(
    event: npt.ArrayLike,
    risk_old: npt.ArrayLike,
    risk_new: npt.ArrayLike,
    categories: Sequence[float] | None = None,
    level: float = 0.95,
) -> Nri:
    """
    Net reclassification improvement of a new risk over an old one.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    risk_old, risk_new : array_like of float, shape (n_patients,)
        Predicted risks of the same patients in [0, 1]; higher is worse.
    categories : sequence of float, optional
        Cuts between categories, rising, strictly between 0 and 1 (a risk equal to a cut belongs
        above it). Without them every change counts (the continuous NRI).
    level : float, default 0.95
        Coverage of the interval.

    Returns
    -------
    Nri
        ``nri`` = ``events`` + ``non_events``, each between -1 and 1, with ``se``, ``z``,
        ``p_value``, ``low``, ``high``.

    Raises
    ------
    InputError
        If lengths differ, a risk is no probability, only one class is present or the cuts do
        not rise.

    Notes
    -----
    The standard error is that of ``Hmisc::improveProb`` (variance at the estimate), for the
    categorical NRI too; the null variance in Pencina (2008) gives another z. A miscalibrated
    risk can have a positive NRI without knowing more: read it beside both calibration slopes.

    References
    ----------
    .. [1] Pencina, D'Agostino and Steyerberg (2011), Statistics in Medicine 30:11-21.
    """
    event, old, new = _cleaned(event, risk_old, risk_new)
    if categories is not None:
        cuts = _cuts(categories)
        old, new = _category(old, cuts), _category(new, cuts)
    move = np.sign(new - old)
    events, events_se = _mean(move[event], ddof=0)
    non_events, non_events_se = _mean(-move[~event], ddof=0)
    total, se = events + non_events, float(np.hypot(events_se, non_events_se))
    return Nri(
        nri=total,
        se=se,
        events=events,
        events_se=events_se,
        non_events=non_events,
        non_events_se=non_events_se,
        **intervals.wald(total, se, level)._asdict(),
    )


def idi(
    event: npt.ArrayLike, risk_old: npt.ArrayLike, risk_new: npt.ArrayLike, level: float = 0.95
) -> Idi:
    """
    Integrated discrimination improvement of a new risk over an old one.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    risk_old, risk_new : array_like of float, shape (n_patients,)
        Predicted risks of the same patients in [0, 1]; higher is worse.
    level : float, default 0.95
        Coverage of the interval.

    Returns
    -------
    Idi
        ``idi`` = ``events`` (mean rise of the risk) + ``non_events`` (mean fall), with ``se``,
        ``z``, ``p_value``, ``low``, ``high``, as ``Hmisc::improveProb``.

    Raises
    ------
    InputError
        If lengths differ, a risk is no probability or only one class is present.
    """
    event, old, new = _cleaned(event, risk_old, risk_new)
    events, events_se = _mean((new - old)[event], ddof=1)
    non_events, non_events_se = _mean((old - new)[~event], ddof=1)
    total, se = events + non_events, float(np.hypot(events_se, non_events_se))
    test = intervals.wald(total, se, level)
    return Idi(idi=total, se=se, events=events, non_events=non_events, **test._asdict())


def _mean(gain: checks.Floats, *, ddof: int) -> tuple[float, float]:
    """Mean and its standard error; ``improveProb`` has divisor n for NRI, n - 1 for IDI."""
    if len(gain) <= ddof:
        return float(gain.mean()), np.nan
    return float(gain.mean()), float(gain.std(ddof=ddof) / np.sqrt(len(gain)))


def _category(risk: checks.Floats, cuts: checks.Floats) -> checks.Floats:
    """The number of each risk's category, from 0."""
    return np.searchsorted(cuts, risk, side="right").astype(np.float64)


def _cuts(categories: Sequence[float]) -> checks.Floats:
    """The cuts, where they rise and lie inside (0, 1)."""
    cuts = checks.probabilities("categories", list(categories))
    if not len(cuts) or cuts.min() <= 0 or cuts.max() >= 1 or (np.diff(cuts) <= 0).any():
        raise checks.InputError(
            "categories must be cuts that rise and lie strictly between 0 and 1, "
            f"such as [0.1, 0.3]; got {list(categories)}."
        )
    return cuts


def _cleaned(
    event: npt.ArrayLike, risk_old: npt.ArrayLike, risk_new: npt.ArrayLike
) -> tuple[checks.Bools, checks.Floats, checks.Floats]:
    """All three as arrays of one length, with events and non-events."""
    events = checks.outcomes("event", event, both=True)
    old = checks.probabilities("risk_old", risk_old)
    new = checks.probabilities("risk_new", risk_new)
    checks.same_length(event=events, risk_old=old, risk_new=new)
    return events, old, new
