"""A logistic model as points to be added up, as R's rms draws them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.study import vocabulary

_TICKS = 6
_TOTAL_STEP = 10.0
_OTHER_LEVEL = "(any other)"


@dataclass(frozen=True)
class Nomogram:
    """
    Points per predictor, and from total points to the risk.

    Parameters
    ----------
    points : pandas.DataFrame
        The ticks of each axis: ``predictor``, ``value`` (a number or a level), ``points`` (0 at
        the value of least risk; the predictor that matters most spans 100).
    total : pandas.DataFrame
        From 0 to the largest sum: ``total_points``, ``linear_predictor``, ``risk``.
    terms : dict of str to float
        Log odds per unit or level, as they were given.
    origins : dict of str to float
        By predictor: the log odds that 0 points stand for.
    points_per_log_odds : float
        The scale.
    log_odds_at_zero : float
        The linear predictor at 0 points in all.
    """

    points: pd.DataFrame
    total: pd.DataFrame
    terms: dict[str, float]
    origins: dict[str, float]
    points_per_log_odds: float
    log_odds_at_zero: float

    def patient_points(self, patients: pd.DataFrame) -> pd.DataFrame:
        """
        Each patient's points, exactly and not to the nearest tick.

        Parameters
        ----------
        patients : pandas.DataFrame
            One row a patient, one column a predictor. A value outside its axis goes on along the
            same line, below 0 or beyond the axis's end.

        Returns
        -------
        pandas.DataFrame
            One column a predictor, then ``total_points`` and ``risk``; the patients' index.

        Raises
        ------
        InputError
            If a predictor is missing.
        """
        checks.columns(patients, self.origins, name="patients")
        found = pd.DataFrame(index=patients.index)
        for predictor, origin in self.origins.items():
            if patients[predictor].isna().any():
                raise checks.InputError(
                    f"{predictor} must be known for points; "
                    f"{patients[predictor].isna().sum()} of {len(patients)} are missing."
                )
            log_odds = _log_odds(self.terms, predictor, patients[predictor])
            found[predictor] = self.points_per_log_odds * (log_odds - origin)
        found["total_points"] = found.sum(axis=1)
        found["risk"] = self.risk_at(found["total_points"].to_numpy())
        return found

    def risk_at(self, total_points: checks.Floats) -> checks.Floats:
        """
        The risk that total points mean.

        Parameters
        ----------
        total_points : numpy.ndarray of float
            Points in all.

        Returns
        -------
        numpy.ndarray of float
            A probability each, higher is worse.
        """
        log_odds = self.log_odds_at_zero + np.asarray(total_points) / self.points_per_log_odds
        return np.asarray(1 / (1 + np.exp(-log_odds)))


def nomogram(
    intercept: float, terms: Mapping[str, float], ranges: Mapping[str, tuple[float, float]]
) -> Nomogram:
    """
    Points for each predictor of a logistic model.

    Parameters
    ----------
    intercept : float
        Log odds where every term is 0.
    terms : mapping of str to float
        Log odds per unit, as ``diameter_mm``, or of a level, as ``capsule[intact]``; the levels
        of one variable share an axis with the reference at 0.
    ranges : mapping of str to tuple of float
        Lowest and highest value of each axis; a flag's is (0, 1) and may be left out.

    Returns
    -------
    Nomogram
        ``points``, ``total`` and ``patient_points``.

    Raises
    ------
    InputError
        If there is no term, a coefficient is no finite number, a number has no range of two rising
        ends, or every predictor is without effect.

    References
    ----------
    .. [1] Harrell, R package rms: ``nomogram(..., maxscale = 100)``.
    """
    intercept = checks.number("intercept", intercept)
    terms = {term: checks.number(f"term {term}", effect) for term, effect in terms.items()}
    axes = {name: _axis(name, terms, ranges) for name in dict.fromkeys(map(_variable, terms))}
    log_odds = {name: _log_odds(terms, name, axis) for name, axis in axes.items()}
    spans = {name: float(np.ptp(values)) for name, values in log_odds.items()}
    if not spans or max(spans.values()) == 0:
        raise checks.InputError(
            "a nomogram needs a predictor with an effect; this model is an intercept alone. "
            "Say so instead of drawing one."
        )
    scale = 100 / max(spans.values())
    origins = {name: float(values.min()) for name, values in log_odds.items()}
    points = [
        pd.DataFrame(
            {"predictor": name, "value": axis, "points": scale * (log_odds[name] - origins[name])},
        )
        for name, axis in axes.items()
    ]
    start = intercept + sum(origins.values())
    sums = np.append(
        np.arange(0, scale * sum(spans.values()), _TOTAL_STEP), scale * sum(spans.values())
    )
    total = pd.DataFrame({"total_points": sums, "linear_predictor": start + sums / scale})
    total["risk"] = 1 / (1 + np.exp(-total["linear_predictor"]))
    ticks = pd.concat(points, ignore_index=True)
    return Nomogram(ticks, total, dict(terms), origins, scale, float(start))


def _axis(
    name: str, terms: Mapping[str, float], ranges: Mapping[str, tuple[float, float]]
) -> pd.Series:
    """The values on one predictor's axis, as numbers or as levels."""
    if name not in terms:
        given = [term[len(name) + 1 : -1] for term in terms if _variable(term) == name]
        known = vocabulary.VARIABLES[name].levels if name in vocabulary.VARIABLES else ()
        others = [level for level in known if level not in given] or [_OTHER_LEVEL]
        return pd.Series([*others[:1], *given], dtype=object)
    if vocabulary.is_flag(name) and ranges.get(name, (0, 1)) == (0, 1):
        return pd.Series([False, True], dtype=object)
    if name not in ranges:
        raise checks.InputError(f"ranges lacks {name!r}{checks.nearest(name, ranges)}.")
    ends = checks.numbers(f"range of {name}", ranges[name])
    if len(ends) != 2:
        raise checks.InputError(f"range of {name} must be two numbers; got {len(ends)}.")
    low, high = ends
    if not low < high:
        raise checks.InputError(f"range of {name} must rise; got {low:g} to {high:g}.")
    inside = _round_numbers(low, high)
    return pd.Series([low, *inside, high], dtype=object)


def _round_numbers(low: float, high: float) -> list[float]:
    """Round values strictly between the ends, 1, 2 or 5 times a power of ten apart."""
    rough = (high - low) / _TICKS
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    ticks = np.arange(np.floor(low / step) + 1, np.ceil(high / step)) * step
    return [float(np.round(tick, 12)) for tick in ticks]


def _log_odds(terms: Mapping[str, float], name: str, values: pd.Series) -> checks.Floats:
    """What each value of one predictor adds to the log odds."""
    if name in terms:
        return np.asarray(terms[name] * values.to_numpy(dtype=np.float64))
    return np.array([terms.get(f"{name}[{level}]", 0.0) for level in values])


def _variable(term: str) -> str:
    """The variable of a term."""
    return term.partition("[")[0]
