"""How well a score tells patients with the event from patients without: AUC, ROC, cuts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from hcc_utils import checks
from hcc_utils.evaluation import intervals


@dataclass(frozen=True, kw_only=True)
class Auc:
    """Area under the ROC curve; ``low`` and ``high`` are Wald's, as pROC gives them."""

    auc: float
    se: float
    low: float
    high: float
    logit_low: float
    logit_high: float


@dataclass(frozen=True, kw_only=True)
class AucDifference:
    """First AUC minus second; ``df`` is infinite where ``z`` is normal."""

    difference: float
    se: float
    z: float
    p_value: float
    low: float
    high: float
    df: float = np.inf


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """What calling ``risk >= threshold`` high does; every interval is Wilson's."""

    threshold: float
    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int
    sensitivity: float
    sensitivity_low: float
    sensitivity_high: float
    specificity: float
    specificity_low: float
    specificity_high: float
    ppv: float
    ppv_low: float
    ppv_high: float
    npv: float
    npv_low: float
    npv_high: float


@dataclass(frozen=True)
class _Placements:
    """How many of the other class each patient is ranked right against (a tie counts half)."""

    events: checks.Floats  # per event: non-events below it
    non_events: checks.Floats  # per non-event: events above it

    @property
    def auc(self) -> float:
        """The share of pairs that are ranked right."""
        return float(self.events.sum() / (len(self.events) * len(self.non_events)))

    @property
    def se(self) -> float:
        """DeLong's standard error; missing where a class holds one patient alone."""
        events, non_events = len(self.events), len(self.non_events)
        if min(events, non_events) < 2:
            return np.nan
        # counts, not shares: exact in floating point, so equal ranks give exactly 0
        of_events = np.var(self.events, ddof=1) / (events * non_events**2)
        of_non_events = np.var(self.non_events, ddof=1) / (non_events * events**2)
        return float(np.sqrt(of_events + of_non_events))


def auc(event: npt.ArrayLike, score: npt.ArrayLike, level: float = 0.95) -> Auc:
    """
    Area under the ROC curve with DeLong's standard error; a higher score always means worse.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    score : array_like of float, shape (n_patients,)
        Any score; higher is worse. The direction is never turned round.
    level : float, default 0.95
        Coverage of the intervals.

    Returns
    -------
    Auc
        ``auc``, ``se``; ``low`` and ``high`` (Wald, clipped to [0, 1], as pROC); ``logit_low``
        and ``logit_high`` (Wald on the logit scale, what pages show).

    Raises
    ------
    InputError
        If lengths differ, a score is missing or only one class is present.

    Notes
    -----
    With one patient alone in a class no standard error exists: ``se`` and the intervals are
    missing. At an AUC of exactly 1 (or 0) DeLong's standard error is 0 and Wald's interval a
    point, which is no statement about chance. The logit interval is then exact instead: with m
    the size of the smaller class, m pairs can be formed that share no patient, all of them ranked
    right, which has a probability of at most auc**m; so the lower end is (1 - level) / 2 to the
    power 1 / m. A constant score has auc 0.5 and se 0 by construction; its interval is a point.

    References
    ----------
    .. [1] DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44:837-845.
    .. [2] Sun and Xu (2014), IEEE Signal Processing Letters 21:1389-1393 (one sort suffices).
    """
    ranked = _placements(*_cleaned(event, score))
    reach = intervals.quantile(level) * ranked.se
    logit_low, logit_high = _logit_interval(ranked, level)
    return Auc(
        auc=ranked.auc,
        se=ranked.se,
        low=float(np.clip(ranked.auc - reach, 0, 1)),
        high=float(np.clip(ranked.auc + reach, 0, 1)),
        logit_low=logit_low,
        logit_high=logit_high,
    )


def placements(event: npt.ArrayLike, score: npt.ArrayLike) -> checks.Floats:
    """
    Of each patient the share of the other class that it is ranked right against.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    score : array_like of float, shape (n_patients,)
        Any score; higher is worse.

    Returns
    -------
    numpy.ndarray of float, shape (n_patients,)
        A tie counts half. Their mean over events is the AUC, and so is that over non-events.

    Raises
    ------
    InputError
        If lengths differ, a score is missing or only one class is present.
    """
    events, scores = _cleaned(event, score)
    ranked, shares = _placements(events, scores), np.empty(len(events))
    shares[events] = ranked.events / len(ranked.non_events)
    shares[~events] = ranked.non_events / len(ranked.events)
    return shares


def bootstrapped_auc(
    event: npt.ArrayLike,
    score: npt.ArrayLike,
    level: float = 0.95,
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """
    Percentile interval of the AUC over patients who are drawn anew, events and non-events apart.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    score : array_like of float, shape (n_patients,)
        Any score; higher is worse.
    level : float, default 0.95
        Coverage of the interval.
    resamples : int, default 2000
        How often they are drawn.
    seed : int, default 0
        Draws them.

    Returns
    -------
    low : float
        Lower end.
    high : float
        Upper end.

    Raises
    ------
    InputError
        If lengths differ, a score is missing or only one class is present.
    """
    event, score = _cleaned(event, score)
    resamples = checks.whole("resamples", resamples, least=1)
    rank = np.unique(score, return_inverse=True)[1]
    # in order, so that the draws do not ask how rows are ordered
    of_events, of_non_events, ranks = np.sort(rank[event]), np.sort(rank[~event]), rank.max() + 1
    rng = np.random.default_rng(seed)
    areas = []
    for part in intervals.portions(resamples, len(rank)):
        drawn = rng.choice(of_non_events, (part, len(of_non_events)))
        drawn += ranks * np.arange(part)[:, None]
        at = np.bincount(drawn.ravel(), minlength=part * ranks).reshape(part, ranks)
        below = at.cumsum(axis=1) - at / 2  # a tie counts half
        events = rng.choice(of_events, (part, len(of_events)))
        areas.append(np.take_along_axis(below, events, axis=1).mean(axis=1) / len(of_non_events))
    return intervals.ends(np.concatenate(areas), level)


def delong_paired(
    event: npt.ArrayLike, score_a: npt.ArrayLike, score_b: npt.ArrayLike, level: float = 0.95
) -> AucDifference:
    """
    Difference of two scores' AUC (first minus second) on the same patients, tested by DeLong.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    score_a, score_b : array_like of float, shape (n_patients,)
        The two scores, patients in the same order; higher is worse.
    level : float, default 0.95
        Coverage of the interval.

    Returns
    -------
    AucDifference
        ``difference``, ``se``, ``z``, ``p_value`` (two-sided), ``low``, ``high``. Scores that
        rank alike: difference 0, p 1. A difference whose standard error is 0 (one score ranks
        all patients right and the other none, say) has no test: ``z`` to ``high`` are missing.

    Raises
    ------
    InputError
        If lengths differ, a score is missing or only one class is present.
    """
    a = _placements(*_cleaned(event, score_a, "score_a"))
    b = _placements(*_cleaned(event, score_b, "score_b"))
    change = _Placements(a.events - b.events, a.non_events - b.non_events)
    alike = not change.events.any() and not change.non_events.any()
    return _difference(change.auc, 0.0 if alike else change.se, level)


def delong_unpaired(
    event_a: npt.ArrayLike,
    score_a: npt.ArrayLike,
    event_b: npt.ArrayLike,
    score_b: npt.ArrayLike,
    level: float = 0.95,
) -> AucDifference:
    """
    Difference of the AUC (first minus second) in two groups of different patients.

    Parameters
    ----------
    event_a, event_b : array_like of bool, shapes (n_a,) and (n_b,)
        True where the event happened.
    score_a, score_b : array_like of float, shapes (n_a,) and (n_b,)
        The scores; higher is worse.
    level : float, default 0.95
        Coverage of the interval.

    Returns
    -------
    AucDifference
        As from `delong_paired`; as in pROC, ``z`` is held against Student's t distribution with
        Welch's ``df``.

    Raises
    ------
    InputError
        If lengths differ, a score is missing or only one class is present in a group.
    """
    a = _placements(*_cleaned(event_a, score_a, "score_a", "event_a"))
    b = _placements(*_cleaned(event_b, score_b, "score_b", "event_b"))
    variance = a.se**2 + b.se**2
    spread = sum(p.se**4 / (len(p.events) + len(p.non_events) - 1) for p in (a, b))
    df = variance**2 / spread if spread else np.inf
    return _difference(a.auc - b.auc, float(np.sqrt(variance)), level, df)


def youden(event: npt.ArrayLike, risk: npt.ArrayLike) -> float:
    """
    The threshold t at which calling ``risk >= t`` high has the largest Youden index.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    risk : array_like of float, shape (n_patients,)
        Predicted risk (or any score); higher is worse.

    Returns
    -------
    float
        One of the values of ``risk``. Of several cuts with the same index, the lowest: of two
        equal choices the one that misses fewer events.

    Raises
    ------
    InputError
        If lengths differ, a risk is missing or only one class is present.
    """
    event, risk = _cleaned(event, risk, "risk")
    cuts, false_positive, true_positive = _positives(event, risk)
    # whole numbers: sensitivity + specificity - 1 times both class sizes, so that ties are ties
    index = true_positive * int((~event).sum()) - false_positive * int(event.sum())
    return float(cuts[index == index.max()].min())


def operating_point(event: npt.ArrayLike, risk: npt.ArrayLike, threshold: float) -> OperatingPoint:
    """
    Sensitivity, specificity, PPV and NPV of calling ``risk >= threshold`` high.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    risk : array_like of float, shape (n_patients,)
        Predicted risk (or any score); higher is worse.
    threshold : float
        The cut, chosen on other patients.

    Returns
    -------
    OperatingPoint
        Each of the four with Wilson's 95 % interval (``sensitivity_low``,
        ``sensitivity_high``, ...) and the four counts. A proportion of nobody (PPV where no
        patient is called high) is missing.

    Raises
    ------
    InputError
        If lengths differ, a value is missing or only one class is present.
    """
    event, risk = _cleaned(event, risk, "risk")
    high = risk >= checks.number("threshold", threshold)
    tp, fp = int((high & event).sum()), int((high & ~event).sum())
    fn, tn = int((~high & event).sum()), int((~high & ~event).sum())
    count = np.array([tp, tn, tp, tn])
    of = np.array([tp + fn, tn + fp, tp + fp, tn + fn])
    share = np.divide(count, of, out=np.full(4, np.nan), where=of > 0).tolist()
    low, high_end = (ends.tolist() for ends in intervals.wilson(count, of))
    names = ("sensitivity", "specificity", "ppv", "npv")
    return OperatingPoint(
        threshold=float(threshold),
        true_positive=tp,
        false_positive=fp,
        false_negative=fn,
        true_negative=tn,
        **dict(zip(names, share, strict=True)),
        **{f"{name}_low": end for name, end in zip(names, low, strict=True)},
        **{f"{name}_high": end for name, end in zip(names, high_end, strict=True)},
    )


def roc_curve(event: npt.ArrayLike, score: npt.ArrayLike) -> pd.DataFrame:
    """
    The ROC curve, one row a distinct score from the highest down.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    score : array_like of float, shape (n_patients,)
        Any score; higher is worse.

    Returns
    -------
    pandas.DataFrame
        ``threshold`` (called high from this score up; infinity first: nobody is),
        ``false_positive_rate``, ``true_positive_rate``.

    Raises
    ------
    InputError
        If lengths differ, a score is missing or only one class is present.
    """
    event, score = _cleaned(event, score)
    cuts, false_positive, true_positive = _positives(event, score)
    return pd.DataFrame(
        {
            "threshold": np.append(np.inf, cuts),
            "false_positive_rate": np.append(0, false_positive) / (~event).sum(),
            "true_positive_rate": np.append(0, true_positive) / event.sum(),
        }
    )


def _cleaned(
    event: npt.ArrayLike, score: npt.ArrayLike, name: str = "score", event_name: str = "event"
) -> tuple[checks.Bools, checks.Floats]:
    """Both as arrays, with events and non-events, one score each."""
    events = checks.outcomes(event_name, event, both=True)
    scores = checks.numbers(name, score)
    checks.same_length(**{event_name: events, name: scores})
    return events, scores


def _placements(event: checks.Bools, score: checks.Floats) -> _Placements:
    """Placements by counting along the rising scores: one sort, patients of one score together."""
    rank = np.unique(score, return_inverse=True)[1]
    events, non_events, ranks = rank[event], rank[~event], rank.max() + 1
    at, below = np.bincount(events, minlength=ranks), np.bincount(non_events, minlength=ranks)
    beaten = below.cumsum() - below / 2
    beaten_by = len(events) - at.cumsum() + at / 2
    return _Placements(beaten[events], beaten_by[non_events])


def _logit_interval(ranked: _Placements, level: float) -> tuple[float, float]:
    """Wald's interval on the logit scale; exact where all pairs or none are ranked right."""
    if ranked.auc in (0.0, 1.0):
        smaller = min(len(ranked.events), len(ranked.non_events))
        end = float(((1 - level) / 2) ** (1 / smaller))
        return (end, 1.0) if ranked.auc == 1 else (0.0, 1 - end)
    reach = intervals.quantile(level) * ranked.se / (ranked.auc * (1 - ranked.auc))
    middle = special.logit(ranked.auc)
    return float(special.expit(middle - reach)), float(special.expit(middle + reach))


def _difference(difference: float, se: float, level: float, df: float = np.inf) -> AucDifference:
    """The difference with its test and interval."""
    test = intervals.wald(difference, se, level, df)
    return AucDifference(difference=difference, se=se, df=df, **test._asdict())


def _positives(
    event: checks.Bools, score: checks.Floats
) -> tuple[checks.Floats, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Distinct scores from the highest down, with the false and true positives from each up."""
    cuts, group = np.unique(-score, return_inverse=True)
    of_events = np.bincount(group, weights=event, minlength=len(cuts))
    of_all = np.bincount(group, minlength=len(cuts))
    true_positive = of_events.cumsum().astype(np.int64)
    return -cuts, of_all.cumsum() - true_positive, true_positive
