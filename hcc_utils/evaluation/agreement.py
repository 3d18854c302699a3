"""How far readers agree: intraclass correlation of numbers, kappa of levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcc_utils import checks
from hcc_utils.evaluation import intervals

_WEIGHTS = {"linear": 1, "quadratic": 2}


@dataclass(frozen=True)
class Kappa:
    """Cohen's kappa with Wald's interval; not a number where both readers use one level only."""

    kappa: float
    se: float
    low: float
    high: float


def icc(ratings: npt.ArrayLike | pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """
    Intraclass correlations of single readings, with their F intervals.

    Parameters
    ----------
    ratings : array_like of float, shape (n_patients, n_readers)
        One row a patient, one column a reader, none missing.
    level : float, default 0.95
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row each for ICC1 (each patient read by other readers), ICC2 (these readers stand for
        all readers; absolute agreement) and ICC3 (these readers alone; consistency): ``kind``,
        ``icc``, ``low``, ``high``. Missing where all readings are one number.

    Raises
    ------
    InputError
        If there are fewer than two patients or readers, or a reading is missing.

    References
    ----------
    .. [1] Shrout and Fleiss (1979), Psychological Bulletin 86:420-428.
    """
    table = np.column_stack(
        [checks.numbers(f"reader {name}", values) for name, values in pd.DataFrame(ratings).items()]
    )
    n, k = table.shape
    if n < 2 or k < 2:
        raise checks.InputError(
            f"ratings must hold at least 2 patients (rows) and 2 readers (columns); "
            f"got {n} and {k}."
        )
    found = _correlations(table, level) if np.ptp(table) > 0 else [(np.nan,) * 3] * 3
    return pd.DataFrame(
        [(kind, *row) for kind, row in zip(("ICC1", "ICC2", "ICC3"), found, strict=True)],
        columns=["kind", "icc", "low", "high"],
    )


def kappa(
    ratings: npt.ArrayLike | pd.DataFrame,
    weights: str | None = None,
    levels: Sequence[object] | None = None,
    level: float = 0.95,
) -> Kappa:
    """
    Cohen's kappa of two readers.

    Parameters
    ----------
    ratings : array_like, shape (n_patients, 2)
        One row a patient, one column a reader, none missing.
    weights : str, optional
        ``linear`` or ``quadratic`` for ordered levels; a near miss then counts in part.
    levels : sequence, optional
        The levels in their order; needed where weights are given and the levels are words.
    level : float, default 0.95
        Of the interval.

    Returns
    -------
    Kappa
        ``kappa``, ``se`` (large-sample), ``low``, ``high``.

    Raises
    ------
    InputError
        If there are not two readers, a reading is missing or none of the levels, or words are
        weighted without an order.

    References
    ----------
    .. [1] Fleiss, Cohen and Everitt (1969), Psychological Bulletin 72:323-327.
    """
    from statsmodels.stats.inter_rater import cohens_kappa

    if weights is not None:
        checks.one_of("weights", weights, _WEIGHTS)
    counts = _crossed(pd.DataFrame(ratings), weights, levels)
    if (counts.sum(axis=0) + counts.sum(axis=1) > 0).sum() < 2:
        return Kappa(np.nan, np.nan, np.nan, np.nan)
    # statsmodels wants distances: 0 on the diagonal, growing away from it
    away = np.abs(np.subtract.outer(np.arange(len(counts)), np.arange(len(counts))))
    distance = None if weights is None else away.astype(float) ** _WEIGHTS[weights]
    found = cohens_kappa(counts, weights=distance)
    estimate, se = float(found.kappa), float(found.std_kappa)
    reach = intervals.quantile(level) * se
    return Kappa(estimate, se, estimate - reach, estimate + reach)


def _correlations(table: checks.Floats, level: float) -> list[tuple[float, float, float]]:
    """The three forms from the two-way analysis of variance."""
    from scipy.stats import f

    n, k = table.shape
    alpha = (1 - level) / 2
    total = ((table - table.mean()) ** 2).sum()
    between = k * ((table.mean(axis=1) - table.mean()) ** 2).sum()
    readers = n * ((table.mean(axis=0) - table.mean()) ** 2).sum()
    df_rest = (n - 1) * (k - 1)
    patient = between / (n - 1)
    within = (total - between) / (n * (k - 1))
    reader = readers / (k - 1)
    rest = max(total - between - readers, 0) / df_rest

    def one_way(error: float, df: int) -> tuple[float, float, float]:
        """ICC1 or ICC3: what is left of a reading's variance once its error is taken away."""
        if error == 0:
            return 1.0, 1.0, 1.0
        ratio = patient / error
        low = ratio / f.ppf(1 - alpha, n - 1, df)
        high = ratio * f.ppf(1 - alpha, df, n - 1)
        return tuple(float((x - 1) / (x + k - 1)) for x in (ratio, low, high))  # type: ignore[return-value]

    absolute = float((patient - rest) / (patient + (k - 1) * rest + k * (reader - rest) / n))
    if rest == 0 and reader == 0:
        agreed = (absolute, 1.0, 1.0)
    else:
        agreed = (absolute, *_absolute_interval(absolute, patient, reader, rest, (n, k), alpha))
    return [one_way(within, n * (k - 1)), agreed, one_way(rest, df_rest)]


def _absolute_interval(
    absolute: float,
    patient: float,
    reader: float,
    rest: float,
    shape: tuple[int, int],
    alpha: float,
) -> tuple[float, float]:
    """Satterthwaite's interval of ICC2, as Shrout and Fleiss give it."""
    from scipy.stats import f

    n, k = shape
    share = k * absolute / (n * (1 - absolute))
    rest_share = 1 + k * absolute * (n - 1) / (n * (1 - absolute))
    df = (share * reader + rest_share * rest) ** 2 / (
        (share * reader) ** 2 / (k - 1) + (rest_share * rest) ** 2 / ((n - 1) * (k - 1))
    )
    wide = f.ppf(1 - alpha, n - 1, df)
    narrow = f.ppf(1 - alpha, df, n - 1)
    error = k * reader + (k * n - k - n) * rest
    low = n * (patient - wide * rest) / (wide * error + n * patient)
    high = n * (narrow * patient - rest) / (error + n * narrow * patient)
    return float(low), float(high)


def _crossed(
    ratings: pd.DataFrame, weights: str | None, levels: Sequence[object] | None
) -> npt.NDArray[np.int64]:
    """How often each pair of levels was read."""
    if ratings.shape[1] != 2:
        raise checks.InputError(
            f"kappa compares two readers; got {ratings.shape[1]} columns. Give each pair in turn."
        )
    if ratings.isna().any(axis=None):
        raise checks.InputError(
            f"ratings must be known from both readers; {ratings.isna().any(axis=1).sum()} of "
            f"{len(ratings)} patients lack one. Leave them out and say how many."
        )
    found = list(pd.unique(ratings.to_numpy().ravel()))
    words = any(isinstance(value, str) for value in found)
    if levels is None and weights is not None and words:
        raise checks.InputError(
            "weights need an order; the levels are words. Give levels=, from one end to the other."
        )
    order = sorted(found) if levels is None else list(levels)
    unknown = [value for value in found if value not in order]
    if unknown:
        raise checks.InputError(f"ratings hold {unknown[0]!r}, which levels does not name.")
    place = {value: number for number, value in enumerate(order)}
    counts = np.zeros((len(order), len(order)), dtype=np.int64)
    first, second = (ratings[name].map(place).to_numpy() for name in ratings)
    np.add.at(counts, (first, second), 1)
    return counts
