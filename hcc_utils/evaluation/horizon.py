"""Events up to a horizon: who had one, how deaths without it count, and the AUC there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcc_utils import checks
from hcc_utils.evaluation import intervals, survival

_Sides = tuple[checks.Bools, checks.Bools]


@dataclass(frozen=True, kw_only=True)
class HorizonAuc:
    """Area under the ROC curve at a horizon, with its bootstrap interval."""

    auc: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class HorizonBrier:
    """Brier score at a horizon, with its bootstrap interval."""

    brier: float
    low: float
    high: float


def codings(patients: pd.DataFrame, outcome: str) -> dict[str, pd.DataFrame]:
    """
    Three ways to count patients who died without the outcome.

    Parameters
    ----------
    patients : pandas.DataFrame
        The outcome, ``months_to_`` it, ``death`` and ``months_to_death``.
    outcome : str
        The outcome's column.

    Returns
    -------
    dict of str to pandas.DataFrame
        By coding: ``months`` and ``cause`` (0 censored, 1 outcome, 2 death without it), the
        patients' index. The outcome counts in its month in all three.

        - ``censored``: death is no event; follow-up ends at ``months_to_`` the outcome.
        - ``death_at_last_visit``: death competes, in the month of ``months_to_`` the outcome, as
          if the patient had died when follow-up for the outcome ended.
        - ``followed_to_death``: death competes in its own month, and the living are followed to
          their last contact, as if no outcome had come after follow-up for it ended: the least
          that can have happened.

        Elsewhere the living without the outcome are censored at ``months_to_`` it.
    """
    first = survival.cause_from(patients, outcome)
    at_last_visit = first.assign(
        months=checks.numbers(f"months_to_{outcome}", patients[f"months_to_{outcome}"])
    )
    contact = checks.numbers("months_to_death", patients["months_to_death"])
    followed = first.assign(months=first["months"].mask(first["cause"] == 0, contact))
    censored = at_last_visit.assign(cause=at_last_visit["cause"].replace(2, 0))
    return {
        "censored": censored,
        "death_at_last_visit": at_last_visit,
        "followed_to_death": followed,
    }


def status_at(patients: pd.DataFrame, outcome: str, horizon_months: float) -> pd.Series:
    """
    Whether the outcome was recorded within the horizon, patient by patient.

    Parameters
    ----------
    patients : pandas.DataFrame
        The outcome, ``months_to_`` it, ``death`` and ``months_to_death`` (of the living, the last
        contact).
    outcome : str
        The outcome's column.
    horizon_months : float
        The horizon, which counts as within.

    Returns
    -------
    pandas.Series of boolean
        True where the outcome was recorded by the horizon. False where it was not and the patient
        had died, was followed for the outcome up to the horizon, or was known to be alive there.
        Missing where the last contact with a living patient came before. The patients' index.

    Notes
    -----
    Who died, or was followed no further for the outcome, may have had it unrecorded: what is
    asked is whether it was recorded.
    """
    months = f"months_to_{outcome}"
    checks.once(patients, [outcome, months, "death", "months_to_death"])
    horizon_months = checks.number("horizon_months", horizon_months, least=0)
    happened = checks.outcomes(outcome, patients[outcome])
    until = checks.times(months, patients[months])
    died = checks.outcomes("death", patients["death"])
    last_contact = checks.times("months_to_death", patients["months_to_death"], missing=True)
    within = happened & (until <= horizon_months)
    reached = np.fmax(until, last_contact) >= horizon_months
    status = pd.Series(within, index=patients.index, dtype="boolean")
    return status.where(within | died | reached)


def auc_at(
    months: npt.ArrayLike,
    cause: npt.ArrayLike,
    risk: npt.ArrayLike,
    horizon_months: float,
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int,
) -> HorizonAuc:
    """
    Cumulative/dynamic AUC at a horizon, weighted for censoring, with a bootstrap interval.

    Parameters
    ----------
    months : array_like of float, shape (n_patients,)
        Months to the first event of either kind, or to the end of follow-up.
    cause : array_like of int, shape (n_patients,)
        0 where follow-up ended without either, 1 for the event, 2 for the competing event.
    risk : array_like of float, shape (n_patients,)
        Predicted risk, or any score; higher is worse.
    horizon_months : float
        The horizon, which counts as within.
    level : float, default 0.95
        Coverage of the interval.
    resamples : int, default 1000
        Of the patients, for the interval.
    seed : int
        Draws the resamples.

    Returns
    -------
    HorizonAuc
        ``auc``; ``low`` and ``high`` are percentiles over the resamples, the weights estimated
        anew in each. A resample without a case or without a control has no AUC and is left out.

    Raises
    ------
    InputError
        If lengths differ, a cause is not 0, 1 or 2, or nobody had the event by the horizon, or
        nobody is known to have been without.

    Notes
    -----
    Cases had the event by the horizon; controls are all others whose state there is known: free
    of both events beyond it, or with the competing event by then. This is the second of Blanche's
    two definitions and the one of ``riskRegression::Score``. Who was censored by the horizon
    weighs nothing; a case and a competing event weigh 1 / G(just before their month), the others
    1 / G(horizon), where G is the Kaplan-Meier curve of not being censored (events leave before
    censorings of the same month). This takes censoring to be independent of the event and of the
    risk. Ties of the risk count half.

    References
    ----------
    .. [1] Blanche, Dartigues and Jacqmin-Gadda (2013), Statistics in Medicine 32:5381-5397.
    .. [2] R package riskRegression: ``Score(..., metrics = "AUC", cens.model = "km")``.
    """
    until, kind = checks.times("months", months), checks.causes("cause", cause)
    score = checks.numbers("risk", risk)
    checks.same_length(months=until, cause=kind, risk=score)
    horizon_months = checks.number("horizon_months", horizon_months, least=0)
    level = checks.inside("level", level)
    resamples = checks.whole("resamples", resamples, least=1)
    _refuse_one_class(until, kind, horizon_months)
    n = len(until)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    estimate = _areas(until, kind, score, horizon_months, np.ones((1, n)))[0]
    areas = _areas(until, kind, score, horizon_months, drawn.astype(float))
    low, high = np.nanquantile(areas, [(1 - level) / 2, (1 + level) / 2])
    return HorizonAuc(auc=float(estimate), low=float(low), high=float(high))


def followed_through(
    months: npt.ArrayLike, cause: npt.ArrayLike, horizon_months: float
) -> checks.Floats:
    """
    Months of follow-up, where the horizon's own month counts as within.

    Parameters
    ----------
    months : array_like of float, shape (n_patients,)
        Months to the first event of either kind, or to the end of follow-up.
    cause : array_like of int, shape (n_patients,)
        0 where follow-up ended without either, 1 for the event, 2 for the competing event.
    horizon_months : float
        The horizon.

    Returns
    -------
    numpy.ndarray of float, shape (n_patients,)
        The same months; a hair more than the horizon where follow-up ended in its month without
        an event: that patient is known to have been free of it by then. A study that follows
        everybody for two years has such patients alone.
    """
    until, kind = checks.times("months", months), checks.causes("cause", cause)
    horizon_months = checks.number("horizon_months", horizon_months, least=0)
    checks.same_length(months=until, cause=kind)
    last = (kind == 0) & (until == horizon_months)
    counted: checks.Floats = np.where(last, np.nextafter(horizon_months, np.inf), until)
    return counted


def weights(months: npt.ArrayLike, cause: npt.ArrayLike, horizon_months: float) -> checks.Floats:
    """
    How many patients each one stands for, so that those censored by the horizon are made up for.

    Parameters
    ----------
    months : array_like of float, shape (n_patients,)
        Months to the first event of either kind, or to the end of follow-up.
    cause : array_like of int, shape (n_patients,)
        0 where follow-up ended without either, 1 for the event, 2 for the competing event.
    horizon_months : float
        The horizon, which counts as within.

    Returns
    -------
    numpy.ndarray of float, shape (n_patients,)
        1 / G(just before the patient's month or the horizon, whichever comes first), where G is
        the Kaplan-Meier curve of not being censored (events leave before censorings of the same
        month); 0 where follow-up ended before the horizon without an event of either kind.

    References
    ----------
    .. [1] Robins and Finkelstein (2000), Biometrics 56:779-788.
    """
    until, kind = followed_through(months, cause, horizon_months), checks.causes("cause", cause)
    weight: checks.Floats = _weight(until, kind, horizon_months, np.ones((1, len(until))))[0]
    return weight


def brier_at(
    months: npt.ArrayLike,
    cause: npt.ArrayLike,
    risk: npt.ArrayLike,
    horizon_months: float,
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int,
) -> HorizonBrier:
    """
    Brier score of risks at a horizon, weighted for censoring, with a bootstrap interval.

    Parameters
    ----------
    months : array_like of float, shape (n_patients,)
        Months to the first event of either kind, or to the end of follow-up.
    cause : array_like of int, shape (n_patients,)
        0 where follow-up ended without either, 1 for the event, 2 for the competing event.
    risk : array_like of float, shape (n_patients,)
        Predicted probability of the event by the horizon.
    horizon_months : float
        The horizon, which counts as within.
    level : float, default 0.95
        Coverage of the interval.
    resamples : int, default 1000
        Of the patients, for the interval.
    seed : int
        Draws the resamples.

    Returns
    -------
    HorizonBrier
        ``brier``, the mean over all patients of `weights` times the squared distance between risk
        and outcome; ``low`` and ``high`` are percentiles over the resamples, the weights
        estimated anew in each.

    Raises
    ------
    InputError
        If lengths differ, a cause is not 0, 1 or 2, or a risk is no probability.

    References
    ----------
    .. [1] Schoop, Beyersmann, Schumacher and Binder (2011), Biometrical Journal 53:88-112.
    """
    until, kind = followed_through(months, cause, horizon_months), checks.causes("cause", cause)
    predicted = checks.probabilities("risk", risk)
    checks.same_length(months=until, cause=kind, risk=predicted)
    resamples = checks.whole("resamples", resamples, least=1)
    case, _ = _cases(until, kind, horizon_months)
    squared = (case - predicted) ** 2
    n = len(until)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    estimate = _weight(until, kind, horizon_months, np.ones((1, n))) @ squared / n
    found = _weight(until, kind, horizon_months, drawn.astype(float)) @ squared / n
    low, high = intervals.ends(found, level)
    return HorizonBrier(brier=float(estimate[0]), low=low, high=high)


def _weight(
    months: checks.Floats, cause: checks.Floats, horizon_months: float, count: checks.Floats
) -> checks.Floats:
    """Each patient's weight in each resample; nothing where neither case nor control."""
    case, control = _cases(months, cause, horizon_months)
    known = (case | control).astype(float)
    weight: checks.Floats = known * count / _staying(months, cause, horizon_months, count)
    return weight


def _cases(months: checks.Floats, cause: checks.Floats, horizon_months: float) -> _Sides:
    """Who is a case at the horizon and who a control; whoever was censored by then is neither."""
    case = (months <= horizon_months) & (cause == 1)
    return case, (months > horizon_months) | (cause == 2)


def _refuse_one_class(months: checks.Floats, cause: checks.Floats, horizon_months: float) -> None:
    """Raise where there is nobody to compare."""
    case, control = _cases(months, cause, horizon_months)
    if not case.any() or not control.any():
        missing = "had the event" if not case.any() else "is known to have been without the event"
        raise checks.InputError(
            f"no patient {missing} by {horizon_months:g} months: there is no AUC. "
            f"Choose another horizon."
        )


def _areas(
    months: checks.Floats,
    cause: checks.Floats,
    risk: checks.Floats,
    horizon_months: float,
    count: checks.Floats,
) -> checks.Floats:
    """The AUC of each resample, given by how often it holds each patient."""
    case, control = _cases(months, cause, horizon_months)
    weight = _weight(months, cause, horizon_months, count)
    of_cases, of_controls = weight[:, case], weight[:, control]
    right = np.heaviside(risk[case][:, None] - risk[control], 0.5)
    ranked = ((of_cases @ right) * of_controls).sum(axis=1)
    pairs = of_cases.sum(axis=1) * of_controls.sum(axis=1)
    areas: checks.Floats = np.divide(
        ranked, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0
    )
    return areas


def _staying(
    months: checks.Floats, cause: checks.Floats, horizon_months: float, count: checks.Floats
) -> checks.Floats:
    """Each patient's chance of not being censored before the first event or the horizon."""
    order = np.argsort(months, kind="stable")
    at, first, group = np.unique(months[order], return_index=True, return_inverse=True)
    held = count[:, order]
    at_risk = held[:, ::-1].cumsum(axis=1)[:, ::-1][:, first]
    censored = np.add.reduceat(held * (cause[order] == 0), first, axis=1)
    exposed = at_risk - np.add.reduceat(held * (cause[order] != 0), first, axis=1)
    leave = np.divide(censored, exposed, out=np.zeros_like(exposed), where=exposed > 0)
    before = np.hstack([np.ones((len(count), 1)), np.cumprod(1 - leave, axis=1)])
    column = np.minimum(group, np.searchsorted(at, horizon_months, side="right"))
    chance = np.empty_like(held)
    chance[:, order] = before[:, column]
    # 0 only where the resample holds nobody any more: those weigh nothing
    return np.where(chance > 0, chance, 1.0)
