"""How far predicted risks agree with what happened."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize, special

from hcc_utils import checks
from hcc_utils.evaluation import intervals

_SPAN = 0.75  # share of patients in each local fit: the default of R's loess


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Calibration of a risk; ideal: intercept 0, slope 1, ``ici`` 0."""

    intercept: float
    intercept_low: float
    intercept_high: float
    slope: float
    slope_low: float
    slope_high: float
    brier: float
    ici: float
    note: str


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
        ``brier`` (mean squared error); ``ici`` (mean distance of the risk from a loess curve of
        the event on the risk). ``note`` is empty, or says why the slope is missing: "separated"
        (a cut of the risk tells all events from all non-events, or all but so: the slope has no
        finite estimate) or "constant_risk".

    Raises
    ------
    InputError
        If lengths differ, only one class is present, or a risk is exactly 0 or 1 (its logit is
        infinite: a certainty cannot be recalibrated).

    Notes
    -----
    The loess is local quadratic with span 0.75 and fitted at each patient's risk, R's
    ``loess(event ~ risk, control = loess.control(surface = "direct"))``; R's default interpolates
    between fits and differs by about 0.001 at 40 patients. In small samples ICI is far above 0
    even for perfect risks (0.12 on average at 32 patients, 0.04 at 236), since the curve follows
    chance: compare models on the same patients, do not read it alone.

    References
    ----------
    .. [1] Van Calster et al. (2019), BMC Medicine 17:230 (intercept and slope).
    .. [2] Austin and Steyerberg (2019), Statistics in Medicine 38:4051-4065 (ICI).
    """
    events, risks = _cleaned(event, risk, both=True)
    certain = np.flatnonzero((risks == 0) | (risks == 1))
    if len(certain):
        raise checks.InputError(
            f"risk must lie strictly between 0 and 1 for a calibration intercept and slope; "
            f"{len(certain)} of {len(risks)} do not, first at row {certain[0]}: "
            f"{risks[certain[0]]:g}. Have the model give risks short of certainty."
        )
    predictor = special.logit(risks)
    intercept = _intercept(events, predictor, level)
    slope, note = _slope(events, predictor, level)
    return Calibration(
        intercept=intercept[0],
        intercept_low=intercept[1],
        intercept_high=intercept[2],
        slope=slope[0],
        slope_low=slope[1],
        slope_high=slope[2],
        brier=float(np.mean((risks - events) ** 2)),
        ici=float(np.mean(np.abs(_loess(risks, events) - risks))),
        note=note,
    )


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


def _loess(risk: checks.Floats, event: checks.Bools) -> checks.Floats:
    """Local quadratic regression of the event on the risk, at each risk."""
    points, group = np.unique(risk, return_inverse=True)
    neighbours = int(np.floor(len(risk) * _SPAN + 1e-5))
    fitted: checks.Floats = np.array([_local(risk, event, at, neighbours) for at in points])[group]
    return fitted


def _local(risk: checks.Floats, event: checks.Bools, at: float, neighbours: int) -> float:
    """Tricube-weighted quadratic at one risk through its nearest neighbours."""
    distance = np.abs(risk - at)
    width = np.partition(distance, max(neighbours, 1) - 1)[max(neighbours, 1) - 1]
    if width == 0:  # most patients have this very risk
        return float(event[distance == 0].mean())
    root = np.sqrt(np.clip(1 - (distance / width) ** 3, 0, None) ** 3)
    step = (risk - at) / width
    design = root[:, None] * np.column_stack([np.ones_like(step), step, step**2])
    return float(np.linalg.lstsq(design, root * event, rcond=None)[0][0])
