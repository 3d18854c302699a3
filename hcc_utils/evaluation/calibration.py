"""How far predicted risks agree with what happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import interpolate, optimize, special, stats

from hcc_utils import checks
from hcc_utils.evaluation import intervals

# the defaults of R's loess
_SPAN = 0.75  # share of patients in each local fit
_CELL = 0.2  # most patients between two local fits, as a share of those in one
_MARGIN = 0.005  # how far the outer fits lie beyond the patients, as a share of their range
_NOWHERE = 0.999  # distance, as a share of the furthest, from which a patient counts nothing

_Curve = Callable[[checks.Floats], checks.Floats]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Calibration of a risk; ideal: intercept 0, slope 1, O:E 1 and the distances 0."""

    intercept: float
    intercept_low: float
    intercept_high: float
    slope: float
    slope_low: float
    slope_high: float
    observed_expected: float
    observed_expected_low: float
    observed_expected_high: float
    brier: float
    ici: float
    e50: float
    e90: float
    note: str

    @property
    def off(self) -> bool:
        """Whether the intercept's interval excludes 0 or the slope's excludes 1."""
        return not (
            self.intercept_low <= 0 <= self.intercept_high
            and not self.slope_low > 1
            and not self.slope_high < 1
        )


@dataclass(frozen=True, kw_only=True)
class Smooth:
    """A smooth calibration curve, and how far it lies from the risks, both with a bootstrap."""

    curve: pd.DataFrame
    distances: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class HosmerLemeshow:
    """The test of observed against expected counts in groups of risk."""

    chi_square: float
    df: int
    p_value: float


def calibration(event: npt.ArrayLike, risk: npt.ArrayLike, level: float = 0.95) -> Calibration:
    """
    Calibration intercept and slope with intervals, Brier score and ICI of a fixed risk.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    risk : array_like of float, shape (n_patients,)
        Predicted risk strictly between 0 and 1; higher is worse.
    level : float, default 0.95
        Coverage of the intervals.

    Returns
    -------
    Calibration
        ``intercept`` (calibration in the large: the slope is fixed at 1; above 0, risks are too
        low), ``slope`` (below 1, risks are too extreme), each with Wald's ``_low`` and ``_high``;
        ``observed_expected`` (events over the sum of the risks; its interval is Wald's on the log
        scale); ``brier`` (mean squared error); ``ici``, ``e50``, ``e90`` (mean, median and 90th
        percentile of each risk's distance from a loess curve of the event on the risk). ``note``
        is empty, or says why the slope is missing: "separated" (a cut of the risk tells all
        events from all non-events, or all but so: the slope has no finite estimate) or
        "constant_risk".

    Raises
    ------
    InputError
        If lengths differ, only one class is present, or a risk is exactly 0 or 1 (its logit is
        infinite: a certainty cannot be recalibrated).

    Notes
    -----
    The loess is R's with its defaults: local quadratic, span 0.75, fitted at a few risks and
    interpolated between them. Where ties leave a fit fewer than three distinct risks R warns and
    gives no usable value; here it falls back on a line or on the share of events. In small samples
    the distances are far above 0 even for perfect risks (ICI 0.12 on average at 32 patients, 0.04
    at 236), since the curve follows chance: compare models on the same patients, do not read one
    alone.

    References
    ----------
    .. [1] Van Calster et al. (2019), BMC Medicine 17:230 (intercept and slope).
    .. [2] Austin and Steyerberg (2019), Statistics in Medicine 38:4051-4065 (ICI, E50, E90).
    .. [3] Debray et al. (2017), BMJ 356:i6460 (the interval of O:E).
    """
    events, risks = _uncertain(event, risk)
    predictor = special.logit(risks)
    intercept = _intercept(events, predictor, level)
    slope, note = _slope(events, predictor, level)
    ratio = events.sum() / risks.sum()
    spread = np.exp(intervals.quantile(level) * np.sqrt((1 - events.mean()) / events.sum()))
    return Calibration(
        intercept=intercept[0],
        intercept_low=intercept[1],
        intercept_high=intercept[2],
        slope=slope[0],
        slope_low=slope[1],
        slope_high=slope[2],
        observed_expected=float(ratio),
        observed_expected_low=float(ratio / spread),
        observed_expected_high=float(ratio * spread),
        brier=float(np.mean((risks - events) ** 2)),
        **_distances(_loess(risks, events), risks),
        note=note,
    )


def influence(event: npt.ArrayLike, risk: npt.ArrayLike) -> tuple[checks.Floats, checks.Floats]:
    """
    What each patient adds to the calibration intercept and to the slope.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    risk : array_like of float, shape (n_patients,)
        Predicted risk strictly between 0 and 1; higher is worse.

    Returns
    -------
    intercept : numpy.ndarray of float, shape (n_patients,)
        As `influence.of_mean`: the squares sum to the squared standard error, the robust one
        (HC0), which holds for a miscalibrated risk too.
    slope : numpy.ndarray of float, shape (n_patients,)
        The same; missing where the slope has no estimate.

    Raises
    ------
    InputError
        As `calibration`.
    """
    events, risks = _uncertain(event, risk)
    predictor = special.logit(risks)
    expected = special.expit(_intercept(events, predictor, 0.95)[0] + predictor)
    intercept = (events - expected) / (expected * (1 - expected)).sum()
    fitted = None if _slope(events, predictor, 0.95)[1] else _line(events, predictor)
    if fitted is None:
        return intercept, np.full(len(events), np.nan)
    coefficients, information = fitted
    design = np.column_stack([np.ones_like(predictor), predictor])
    score = design * (events - special.expit(design @ coefficients))[:, None]
    return intercept, np.linalg.solve(information, score.T)[1]


def curve(event: npt.ArrayLike, risk: npt.ArrayLike, level: float = 0.95) -> pd.DataFrame:
    """
    The calibration curve: observed against predicted risk in groups of patients of like risk.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    risk : array_like of float, shape (n_patients,)
        Predicted risk in [0, 1]; higher is worse.
    level : float, default 0.95
        Coverage of the intervals.

    Returns
    -------
    pandas.DataFrame
        A row a group, rising: ``risk`` (the group's mean), ``observed`` (share with the event),
        ``low``, ``high`` (Wilson).

    Raises
    ------
    InputError
        If lengths differ, a risk is no probability or there is no patient.

    Notes
    -----
    Groups lie between quantiles of the risk, about ten patients or more in each and ten groups at
    most; patients of equal risk share a group. Groups and not a smooth line, since between 30 and
    250 patients a loess of 0 and 1 leaves [0, 1] in most simulated samples and its pointwise band
    covers too seldom at high risk, while Wilson's interval in a group of ten covers as it says.
    """
    events, risks = _cleaned(event, risk, both=False)
    groups = int(np.clip(len(risks) // 10, 1, 10))
    edges = np.quantile(risks, np.arange(1, groups) / groups)
    patients = pd.DataFrame({"risk": risks, "event": events})
    grouped = patients.groupby(np.searchsorted(edges, risks, side="left"))
    count, of = grouped["event"].sum().to_numpy(), grouped.size().to_numpy()
    low, high = intervals.wilson(count, of, level)
    return pd.DataFrame(
        {
            "risk": grouped["risk"].mean().to_numpy(),
            "observed": count / of,
            "low": low,
            "high": high,
        }
    )


def smooth(
    event: npt.ArrayLike,
    risk: npt.ArrayLike,
    level: float = 0.95,
    *,
    resamples: int = 200,
    seed: int = 0,
) -> Smooth:
    """
    A smooth calibration curve with a bootstrap band, and its distances from the risks.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    risk : array_like of float, shape (n_patients,)
        Predicted risk in [0, 1]; higher is worse.
    level : float, default 0.95
        Coverage of the intervals.
    resamples : int, default 200
        How often the patients are drawn anew.
    seed : int, default 0
        Draws them.

    Returns
    -------
    Smooth
        ``curve``: ``risk`` (51 values from the 5th to the 95th percentile of the patients),
        ``observed`` (the loess of `calibration`, kept in [0, 1]), ``low``, ``high`` (pointwise
        percentiles; missing without resamples). ``distances``: a row each for ``ici``, ``e50``
        and ``e90``: ``metric``, ``estimate``, ``low``, ``high``.

    Raises
    ------
    InputError
        If lengths differ, a risk is no probability or only one class is present.

    Notes
    -----
    Beyond those percentiles the curve hangs on single patients. A resample's curve follows chance
    as the patients' own does, and once more: the intervals of the distances lean upwards.
    """
    events, risks = _cleaned(event, risk, both=True)
    level = checks.inside("level", level)
    resamples = checks.whole("resamples", resamples, least=0)
    in_order = np.lexsort((events, risks))  # so that the draws do not ask how rows are ordered
    events, risks = events[in_order], risks[in_order]
    first, last = np.quantile(risks, [0.05, 0.95])
    grid = np.linspace(first, last, 51)
    fitted = _loess(risks, events)
    rng = np.random.default_rng(seed)
    curves: list[checks.Floats] = []
    distances: list[checks.Floats] = []
    for _ in range(resamples):
        drawn = rng.integers(len(risks), size=len(risks))
        again = _loess(risks[drawn], events[drawn])
        curves.append(np.clip(again(grid), 0, 1))
        distances.append(np.array(list(_distances(again, risks[drawn]).values())))
    (low, high), (least, most) = _ends(curves, level), _ends(distances, level)
    found, observed = _distances(fitted, risks), np.clip(fitted(grid), 0, 1)
    estimates = {"metric": list(found), "estimate": list(found.values())}
    return Smooth(
        curve=pd.DataFrame({"risk": grid, "observed": observed, "low": low, "high": high}),
        distances=pd.DataFrame({**estimates, "low": least, "high": most}),
    )


def hosmer_lemeshow(event: npt.ArrayLike, risk: npt.ArrayLike, groups: int = 10) -> HosmerLemeshow:
    """
    Hosmer and Lemeshow's test of calibration, as published studies print it.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where the event happened.
    risk : array_like of float, shape (n_patients,)
        Predicted risk strictly between 0 and 1; higher is worse.
    groups : int, default 10
        Between quantiles of the risk, at least three; fewer where these coincide.

    Returns
    -------
    HosmerLemeshow
        ``chi_square``, ``df`` (groups less 2: for the patients of the fit; with fewer than three
        groups there is no test), ``p_value``.

    Raises
    ------
    InputError
        If lengths differ, a risk is no probability or only one class is present.

    Notes
    -----
    It says neither how far risks are off nor where, depends on the groups, and hardly ever
    rejects in a small sample: `calibration` says more.

    References
    ----------
    .. [1] Hosmer and Lemeshow (1980), Communications in Statistics A9:1043-1069.
    """
    events, risks = _cleaned(event, risk, both=True)
    groups = checks.whole("groups", groups, least=3)
    edges = np.unique(np.quantile(risks, np.arange(1, groups) / groups))
    group = np.searchsorted(edges, risks, side="left")
    group = np.unique(group, return_inverse=True)[1]
    of, seen = np.bincount(group), np.bincount(group, weights=events)
    expected = np.bincount(group, weights=risks)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = (seen - expected) ** 2 * (1 / expected + 1 / (of - expected))
    chi_square, df = float(parts.sum()), len(of) - 2
    p_value = float(stats.chi2.sf(chi_square, df)) if df > 0 else np.nan
    return HosmerLemeshow(chi_square=chi_square, df=df, p_value=p_value)


def _cleaned(
    event: npt.ArrayLike, risk: npt.ArrayLike, *, both: bool
) -> tuple[checks.Bools, checks.Floats]:
    """Both as arrays of one length, not empty."""
    events = checks.outcomes("event", event, both=both)
    risks = checks.probabilities("risk", risk)
    checks.same_length(event=events, risk=risks)
    if not len(events):
        raise checks.InputError("event must hold at least one patient; it is empty.")
    return events, risks


def _uncertain(event: npt.ArrayLike, risk: npt.ArrayLike) -> tuple[checks.Bools, checks.Floats]:
    """Both as `_cleaned` gives them, where both classes are there and no risk is a certainty."""
    events, risks = _cleaned(event, risk, both=True)
    certain = np.flatnonzero((risks == 0) | (risks == 1))
    if len(certain):
        raise checks.InputError(
            f"risk must lie strictly between 0 and 1 for a calibration intercept and slope; "
            f"{len(certain)} of {len(risks)} do not, first at row {certain[0]}: "
            f"{risks[certain[0]]:g}. Have the model give risks short of certainty."
        )
    return events, risks


def _intercept(
    event: checks.Bools, predictor: checks.Floats, level: float
) -> tuple[float, float, float]:
    """What must be added to every logit so that as many events are expected as happened."""
    middle = special.logit(event.mean())
    ends = middle - predictor.max() - 1, middle - predictor.min() + 1
    # a root between ends that hold it: Newton, as glm has it, diverges on near-certain risks
    found = optimize.brentq(
        lambda shift: special.expit(predictor + shift).sum() - event.sum(), *ends, xtol=1e-13
    )
    expected = special.expit(predictor + found)
    reach = intervals.quantile(level) / np.sqrt((expected * (1 - expected)).sum())
    return float(found), float(found - reach), float(found + reach)


def _slope(
    event: checks.Bools, predictor: checks.Floats, level: float
) -> tuple[tuple[float, float, float], str]:
    """The slope with its interval, and why it is missing where the likelihood has no maximum."""
    missing = (np.nan,) * 3
    if np.ptp(predictor) == 0:
        return missing, "constant_risk"
    apart = predictor[event].min() >= predictor[~event].max()
    reversed_apart = predictor[event].max() <= predictor[~event].min()
    fitted = None if apart or reversed_apart else _line(event, predictor)
    if fitted is None:
        return missing, "separated"
    coefficients, information = fitted
    slope = float(coefficients[1])
    reach = float(intervals.quantile(level) * np.sqrt(np.linalg.inv(information)[1, 1]))
    return (slope, slope - reach, slope + reach), ""


def _line(
    event: checks.Bools, predictor: checks.Floats
) -> tuple[checks.Floats, checks.Floats] | None:
    """Logistic regression by Newton's method, each step halved until it gains; or no maximum."""
    design = np.column_stack([np.ones_like(predictor), predictor])
    sign = np.where(event, -1.0, 1.0)

    def loss(coefficients: checks.Floats) -> float:
        return float(np.logaddexp(0, sign * (design @ coefficients)).sum())

    coefficients = np.zeros(2)
    for _ in range(100):
        expected = special.expit(design @ coefficients)
        information = design.T @ (design * (expected * (1 - expected))[:, None])
        if np.linalg.cond(information) > 1e14:
            return None
        step = np.linalg.solve(information, design.T @ (event - expected))
        while loss(coefficients + step) > loss(coefficients):
            step /= 2
        coefficients = coefficients + step
        if np.abs(step).max() < 1e-12 * max(1.0, np.abs(coefficients).max()):
            return coefficients, information
    return None


def _ends(drawn: list[checks.Floats], level: float) -> checks.Floats:
    """Pointwise percentiles over the resamples; missing where there is none."""
    if not drawn:
        return np.full(2, np.nan)
    ends: checks.Floats = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return ends


def _distances(fitted: _Curve, risk: checks.Floats) -> dict[str, float]:
    """Mean, median and 90th percentile of the risks' distance from the curve."""
    distance = np.abs(fitted(risk) - risk)
    e50, e90 = np.quantile(distance, [0.5, 0.9]).tolist()
    return {"ici": float(distance.mean()), "e50": e50, "e90": e90}


def _loess(risk: checks.Floats, event: checks.Bools) -> _Curve:
    """Local quadratic regression of the event on the risk, interpolated between its knots."""
    rising = np.argsort(risk, kind="stable")
    risk, event = risk[rising], event[rising]
    neighbours = max(int(len(risk) * _SPAN + 1e-5), 1)
    knots = _knots(risk, int(len(risk) * _SPAN * _CELL))
    value, slope = zip(*(_local(risk, event, knot, neighbours) for knot in knots), strict=True)
    curve: _Curve = interpolate.CubicHermiteSpline(knots, value, slope)
    return curve


def _knots(risk: checks.Floats, most: int) -> list[float]:
    """Where R's loess is fitted: halves of the rising risks, until each holds few patients."""
    reach = _MARGIN * max(np.ptp(risk), 1e-3 * risk[-1] + 1e-30)
    knots = [risk[0] - reach, risk[-1] + reach]
    cells = [(0, len(risk), *knots)]
    while cells:
        start, end, low, high = cells.pop()
        middle = _middle(risk[start:end])
        cut = risk[start + middle - 1]
        if end - start > max(most, 1) and low < cut < high:
            knots.append(cut)
            cells += [(start, start + middle, low, cut), (start + middle, end, cut, high)]
    return sorted(knots)


def _middle(risk: checks.Floats) -> int:
    """How many of the rising risks form the lower half: the gap next to the middle one."""
    half = (len(risk) + 1) // 2
    for step in range(len(risk)):
        for gap in (half + step, half - step):
            if not 0 < gap < len(risk):
                return half
            if risk[gap - 1] < risk[gap]:
                return gap
    return half


def _local(
    risk: checks.Floats, event: checks.Bools, at: float, neighbours: int
) -> tuple[float, float]:
    """Value and slope at a risk of a tricube-weighted quadratic through its neighbours."""
    distance = np.abs(risk - at)
    width = np.partition(distance, neighbours - 1)[neighbours - 1]
    near = distance < _NOWHERE * width
    if not near.any():  # all neighbours lie at one distance
        return float(event[distance <= width].mean()), 0.0
    step, root = (risk[near] - at) / width, np.sqrt((1 - (distance[near] / width) ** 3) ** 3)
    design = root[:, None] * np.column_stack([np.ones_like(step), step, step**2])
    value, slope, _ = np.linalg.lstsq(design, root * event[near], rcond=None)[0]
    return float(value), float(slope / width)
