"""What a new risk changes for patients with and without the event: NRI and IDI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

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
    events_se: float
    non_events: float
    non_events_se: float


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
    move = _moves(old, new, categories)
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
    return Idi(
        idi=total,
        se=se,
        events=events,
        events_se=events_se,
        non_events=non_events,
        non_events_se=non_events_se,
        **intervals.wald(total, se, level)._asdict(),
    )


def summary(
    event: npt.ArrayLike,
    risk_old: npt.ArrayLike,
    risk_new: npt.ArrayLike,
    categories: Sequence[float] | None = None,
    level: float = 0.95,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """
    NRI and IDI as a whole and of events and non-events apart, each with its bootstrap interval.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    risk_old, risk_new : array_like of float, shape (n_patients,)
        Predicted risks of the same patients in [0, 1]; higher is worse.
    categories : sequence of float, optional
        As for `nri`; without them there is no categorical NRI.
    level : float, default 0.95
        Coverage of the intervals.
    resamples : int, default 1000
        How often the patients are drawn anew, events and non-events apart.
    seed : int, default 0
        Draws them.

    Returns
    -------
    pandas.DataFrame
        Nine rows, or six without categories: ``metric`` (``nri_categorical``, ``nri``, ``idi``,
        and each with ``_events`` and ``_non_events``), ``estimate``, ``se`` (as `nri` and `idi`
        have it), ``low``, ``high`` (percentiles), ``p_value`` (of the whole alone).

    Raises
    ------
    InputError
        If lengths differ, a risk is no probability, only one class is present or the cuts do
        not rise.
    """
    events, old, new = _cleaned(event, risk_old, risk_new)
    kinds: dict[str, tuple[Nri | Idi, checks.Floats]] = {}
    if categories is not None:
        by_category = nri(events, old, new, categories, level)
        kinds["nri_categorical"] = by_category, _moves(old, new, categories)
    kinds["nri"] = nri(events, old, new, level=level), _moves(old, new)
    kinds["idi"] = idi(events, old, new, level), new - old
    rows: list[tuple[object, ...]] = []
    for name, (found, move) in kinds.items():
        # in order, so that the draws do not ask how rows are ordered
        gains = np.sort(move[events]), np.sort(-move[~events])
        up, down = (
            intervals.resampled_means(gain, resamples=resamples, seed=seed + part)
            for part, gain in enumerate(gains)
        )
        whole = found.events + found.non_events
        for part, estimate, se, drawn, p_value in (
            ("", whole, found.se, up + down, found.p_value),
            ("_events", found.events, found.events_se, up, np.nan),
            ("_non_events", found.non_events, found.non_events_se, down, np.nan),
        ):
            ends = intervals.ends(drawn, level)
            rows.append((f"{name}{part}", estimate, se, *ends, p_value))
    return pd.DataFrame(rows, columns=["metric", "estimate", "se", "low", "high", "p_value"])


def _moves(
    old: checks.Floats, new: checks.Floats, categories: Sequence[float] | None = None
) -> checks.Floats:
    """Up (1), down (-1) or neither, of each patient's risk or of its category."""
    if categories is not None:
        cuts = _cuts(categories)
        old, new = _category(old, cuts), _category(new, cuts)
    return np.sign(new - old)


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
    cuts = checks.probabilities("categories", categories)
    if not len(cuts) or cuts.min() <= 0 or cuts.max() >= 1 or (np.diff(cuts) <= 0).any():
        raise checks.InputError(
            "categories must be cuts that rise and lie strictly between 0 and 1, "
            f"such as [0.1, 0.3]; got {cuts.tolist()}."
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
