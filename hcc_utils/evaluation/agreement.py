"""How far readers agree, and what is settled between them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcc_utils import checks
from hcc_utils.evaluation import intervals
from hcc_utils.study import vocabulary
from hcc_utils.study.recorded import recorded

_WEIGHTS = {"linear": 1, "quadratic": 2}
_READING = re.compile(r"(.+)_(r\d+)")  # such as capsule_r1; an adjudicated value is nobody's own
_LIMITS = ("bias", "bias_low", "bias_high", "sd",
           "lower", "lower_low", "lower_high", "upper", "upper_low", "upper_high")  # fmt: skip


@dataclass(frozen=True)
class Kappa:
    """Cohen's kappa with Wald's interval; not a number where both readers use one level only."""

    kappa: float
    se: float
    low: float
    high: float


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's correlation with its p-value, and of how many patients."""

    rho: float
    p_value: float
    n: int


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
        ``icc``, ``low``, ``high``. What these readings cannot tell is missing: all of it where
        they are one number; where all patients' means are, the interval of ICC2, and ICC3 if
        readers differ by a constant.

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
    level = checks.inside("level", level)
    found = zip(("ICC1", "ICC2", "ICC3"), _correlations(table, level), strict=True)
    return pd.DataFrame(
        [(kind, *row) for kind, row in found],
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


def readers(patients: pd.DataFrame) -> pd.DataFrame:
    """
    How far readers agree on each variable that several of them read apart.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient, in the study's vocabulary: a reader's column is named after the
        variable, such as ``capsule_r1``. What was adjudicated is no reading.

    Returns
    -------
    pandas.DataFrame
        One row a variable and statistic: ``variable``, ``readers`` (how many), ``n`` (patients
        whom all of them read), ``statistic``, ``estimate``, ``low``, ``high`` (95 %). Numbers
        have ``icc2`` and ``icc3``; levels ``kappa``, ordered ones ``weighted_kappa`` (quadratic),
        and those of three or more readers ``fleiss_kappa``, without an interval. An estimate is
        missing where fewer than two patients were read by all, or all readings are one value.

    References
    ----------
    .. [1] Shrout and Fleiss (1979), Psychological Bulletin 86:420-428.
    .. [2] Fleiss (1971), Psychological Bulletin 76:378-382.
    """
    rows = [
        (variable, readings.shape[1], len(complete), *row)
        for variable, readings in _read_apart(patients).items()
        for complete in [readings.dropna()]
        for row in _agreed(_known(variable, readings), complete)
    ]
    layout = ["variable", "readers", "n", "statistic", "estimate", "low", "high"]
    return pd.DataFrame(rows, columns=layout)


def bland_altman(patients: pd.DataFrame) -> pd.DataFrame:
    """
    Bias and limits of agreement of each pair of readers, for every number that they read.

    Parameters
    ----------
    patients : pandas.DataFrame
        As `readers` takes it.

    Returns
    -------
    pandas.DataFrame
        One row a variable and pair: ``variable``, ``pair`` (such as "r1 - r2"), ``n`` (patients
        whom both read), ``bias`` (the mean difference), ``sd`` of the differences, ``lower`` and
        ``upper`` limit (bias -/+ 1.96 SD), in the variable's unit. The bias and each limit have
        their 95 % interval in ``_low`` and ``_high``, by Student's t with n - 1 degrees of
        freedom; the squared standard error of a limit is SD² (1 / n + 1.96² / (2 (n - 1))). All
        are missing where both read fewer than two patients.

    References
    ----------
    .. [1] Bland and Altman (1986), Lancet 327:307-310.
    .. [2] Bland and Altman (1999), Statistical Methods in Medical Research 8:135-160.
    """
    rows = [
        {"variable": variable, "pair": pair, "n": len(both), **_limits(both["difference"])}
        for variable, pair, both in _pairs(patients)
    ]
    return pd.DataFrame(rows, columns=["variable", "pair", "n", *_LIMITS])


def differences(patients: pd.DataFrame) -> pd.DataFrame:
    """
    Every patient's difference between two readers against the mean of the two.

    Parameters
    ----------
    patients : pandas.DataFrame
        As `readers` takes it.

    Returns
    -------
    pandas.DataFrame
        One row a variable, pair and patient whom both read: ``variable``, ``pair``, ``mean``,
        ``difference`` (first less second), in the variable's unit. The rows rise with the mean,
        so that their order tells nothing of the patients'.
    """
    rows = [
        (variable, pair, *row)
        for variable, pair, both in _pairs(patients)
        for row in both.itertuples(index=False)
    ]
    return pd.DataFrame(rows, columns=["variable", "pair", "mean", "difference"])


def settled(readings: pd.DataFrame, variable: vocabulary.Variable) -> pd.Series:
    """
    What two readers and an adjudicator decide.

    Parameters
    ----------
    readings : pandas.DataFrame
        One row a patient: ``r1``, ``r2`` and ``adjudicated``, the third reader's, which is
        missing where none was needed.
    variable : vocabulary.Variable
        What was read.

    Returns
    -------
    pandas.Series
        The value that two of the three share. Numbers share a value where they differ by at most
        a tenth of their mean: it is the mean of the first two, else of the two nearest of three.
        Missing where no two agree: where a reading is missing, or all three levels differ. Then
        the three read again together.
    """
    first, second, third = (readings[name] for name in ("r1", "r2", "adjudicated"))
    if variable.kind == "number":
        ordered = np.sort(readings[["r1", "r2", "adjudicated"]].to_numpy(dtype=float), axis=1)
        low, middle, high = ordered.T
        nearest = np.where(middle - low <= high - middle, low + middle, middle + high) / 2
        three = pd.Series(nearest, index=readings.index).where(third.notna())
        return ((first + second) / 2).where(~_disputed(readings, variable), three)
    shared = third.where(third.eq(first) | third.eq(second))
    return first.where(first.eq(second), shared)


def adjudication(patients: pd.DataFrame) -> pd.DataFrame:
    """
    How often two readers disagreed, and what became of it.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient: each semantic factor also as ``_r1``, ``_r2`` and ``_adjudicated``.

    Returns
    -------
    pandas.DataFrame
        One row a factor that two readers read: ``variable``, ``n`` (read by both), ``disputed``,
        ``third`` (of these, read by the third), ``open`` (no two of the three agree, see
        `settled`), ``differs`` (patients in whose row stands something else than was settled).
    """
    rows = []
    own = [variable.name for variable in vocabulary.SEMANTIC]
    read = [f"{name}_{reader}" for name in own for reader in vocabulary.READERS]
    recorded(checks.once(patients, []), [*own, *read])
    for variable in vocabulary.SEMANTIC:
        names = {reader: f"{variable.name}_{reader}" for reader in vocabulary.READERS}
        if not {names["r1"], names["r2"]} <= set(patients):
            continue
        columns = {
            reader: patients.get(name, pd.Series(np.nan, patients.index, dtype=object))
            for reader, name in names.items()
        }
        readings = pd.DataFrame(columns).dropna(subset=["r1", "r2"])
        rows.append({"variable": variable.name, **_counted(readings, variable, patients)})
    return pd.DataFrame(rows, columns=["variable", "n", "disputed", "third", "open", "differs"])


def rank_correlation(
    patients: pd.DataFrame, first: str = "child_pugh", second: str = "bclc"
) -> RankCorrelation:
    """
    Spearman's correlation of two ordered variables or numbers.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient, in the study's vocabulary.
    first, second : str
        Columns; levels count in the vocabulary's order.

    Returns
    -------
    RankCorrelation
        Of those in whom both are known. Missing where one was not recorded or does not vary, or
        fewer than three patients are left.

    References
    ----------
    .. [1] R: ``cor.test(x, y, method = "spearman", exact = FALSE)``.
    """
    from scipy.stats import spearmanr

    for name in (first, second):
        checks.one_of("a variable of the correlation", name, vocabulary.VARIABLES)
    if not {first, second} <= set(recorded(checks.once(patients, []), [first, second])):
        return RankCorrelation(np.nan, np.nan, 0)
    known = patients[[first, second]].dropna()
    x, y = (_ordered(known[name]) for name in (first, second))
    if len(known) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return RankCorrelation(np.nan, np.nan, len(known))
    found = spearmanr(x, y)
    return RankCorrelation(float(found.statistic), float(found.pvalue), len(known))


def _ordered(values: pd.Series) -> checks.Floats:
    """Numbers as they are, levels by their place in the vocabulary."""
    variable = vocabulary.VARIABLES[str(values.name)]
    places = values.map(variable.levels.index) if variable.levels else values
    return checks.numbers(variable.name, places)


def _disputed(readings: pd.DataFrame, variable: vocabulary.Variable) -> pd.Series:
    """Where the first two readers do not share a value."""
    if variable.kind != "number":
        return readings["r1"].ne(readings["r2"])
    away = (readings["r1"] - readings["r2"]).abs()
    return away > DISPUTED * (readings["r1"] + readings["r2"]) / 2


def _counted(
    readings: pd.DataFrame, variable: vocabulary.Variable, patients: pd.DataFrame
) -> dict[str, int]:
    """What became of one factor's readings."""
    disputed = _disputed(readings, variable)
    decided = settled(readings, variable)
    own = patients.get(variable.name, pd.Series(np.nan, patients.index)).reindex(readings.index)
    both = decided.notna() & own.notna()
    a, b = decided[both], own[both]
    differs = (a - b).abs() > _ROUNDED if variable.kind == "number" else a.ne(b)
    return {
        "n": len(readings),
        "disputed": int(disputed.sum()),
        "third": int(readings.loc[disputed, "adjudicated"].notna().sum()),
        "open": int(decided.isna().sum()),
        "differs": int(differs.sum()),
    }


DISPUTED = 0.10  # of the mean of two readings of a number: beyond, the third reads too
_ROUNDED = 0.01  # what rounding may move a ratio by


def _read_apart(patients: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Each variable that two readers or more read, with a column a reader."""
    found: dict[str, dict[str, pd.Series]] = {}
    recorded(checks.once(patients, []), filter(_READING.fullmatch, vocabulary.VARIABLES))
    for name in vocabulary.VARIABLES:
        reading = _READING.fullmatch(name)
        if reading and name in patients and patients[name].notna().any():
            found.setdefault(reading[1], {})[reading[2]] = patients[name]
    return {name: pd.DataFrame(columns) for name, columns in found.items() if len(columns) > 1}


def _known(variable: str, readings: pd.DataFrame) -> vocabulary.Variable:
    """The vocabulary's word on a reading; it is the same for every reader."""
    return vocabulary.VARIABLES[f"{variable}_{readings.columns[0]}"]


def _agreed(
    variable: vocabulary.Variable, readings: pd.DataFrame
) -> list[tuple[str, float, float, float]]:
    """The statistics that fit the variable's kind, each with its interval."""
    if variable.kind == "number":
        if len(readings) < 2:
            return [(kind, np.nan, np.nan, np.nan) for kind in ("icc2", "icc3")]
        found = icc(readings).itertuples(index=False)
        return [(row.kind.lower(), row.icc, row.low, row.high) for row in found][1:]
    levels = (False, True) if variable.kind == "flag" else variable.levels
    if readings.shape[1] > 2:
        return [("fleiss_kappa", _fleiss(readings, levels), np.nan, np.nan)]
    name, weights = (
        ("weighted_kappa", "quadratic") if variable.kind == "ordinal" else ("kappa", None)
    )
    both = kappa(readings, weights, levels)
    return [(name, both.kappa, both.low, both.high)]


def _fleiss(readings: pd.DataFrame, levels: Sequence[object]) -> float:
    """Kappa of any number of readers; not a number where one level is all that was read."""
    from statsmodels.stats.inter_rater import fleiss_kappa

    counts = np.column_stack([(readings == level).sum(axis=1) for level in levels])
    return float(fleiss_kappa(counts)) if (counts.sum(axis=0) > 0).sum() > 1 else np.nan


def _pairs(patients: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Each number and pair of its readers, with ``mean`` and ``difference``, rising by the mean."""
    for variable, readings in _read_apart(patients).items():
        if _known(variable, readings).kind != "number":
            continue
        for first, second in combinations(readings, 2):
            a, b = readings[[first, second]].dropna().to_numpy(dtype=float).T
            both = pd.DataFrame({"mean": (a + b) / 2, "difference": a - b})
            yield variable, f"{first} - {second}", both.sort_values(["mean", "difference"])


def _limits(difference: pd.Series) -> dict[str, float]:
    """Mean difference, its standard deviation and the limits, with their intervals."""
    n = len(difference)
    if n < 2:
        return {}
    bias, sd = difference.mean(), difference.std()
    t, z = intervals.quantile(0.95, n - 1), 1.96
    reach = t * sd * np.sqrt(1 / n + z**2 / (2 * (n - 1)))
    ends = {
        "bias": (bias, t * sd / np.sqrt(n)),
        "lower": (bias - z * sd, reach),
        "upper": (bias + z * sd, reach),
    }
    found = {"sd": sd}
    for name, (at, wide) in ends.items():
        found |= {name: at, f"{name}_low": at - wide, f"{name}_high": at + wide}
    return found


def _correlations(table: checks.Floats, level: float) -> list[tuple[float, float, float]]:
    """The three forms from the two-way analysis of variance; what is 0 / 0 is missing."""
    from scipy.stats import f

    n, k = table.shape
    alpha = (1 - level) / 2
    df_rest = (n - 1) * (k - 1)
    patient, reader, rest = _mean_squares(table)
    within = ((k - 1) * reader + df_rest * rest) / (n * (k - 1))

    def one_way(error: float, df: int) -> tuple[float, float, float]:
        """ICC1 or ICC3: what is left of a reading's variance once its error is taken away."""
        if error == 0:
            return (1.0, 1.0, 1.0) if patient > 0 else _MISSING
        ratio = patient / error
        low = ratio / f.ppf(1 - alpha, n - 1, df)
        high = ratio * f.ppf(1 - alpha, df, n - 1)
        return tuple(float((x - 1) / (x + k - 1)) for x in (ratio, low, high))  # type: ignore[return-value]

    two_way = _two_way(patient, reader, rest, (n, k), alpha)
    return [one_way(within, n * (k - 1)), two_way, one_way(rest, df_rest)]


def _mean_squares(table: checks.Floats) -> tuple[float, float, float]:
    """Of patients, of readers and of what neither explains; an effect of rounding is none."""
    n, k = table.shape
    mean = table.mean()
    patient = table.mean(axis=1, keepdims=True) - mean
    reader = table.mean(axis=0, keepdims=True) - mean
    rest = table - mean - patient - reader
    rounding = _ROUNDING * np.abs(table).max()
    squares = [
        float((part[np.abs(part) > rounding] ** 2).sum()) for part in (patient, reader, rest)
    ]
    return k * squares[0] / (n - 1), n * squares[1] / (k - 1), squares[2] / ((n - 1) * (k - 1))


_ROUNDING = 64 * np.finfo(float).eps  # of a mean, as a share of the largest reading
_MISSING = (np.nan, np.nan, np.nan)


def _two_way(
    patient: float, reader: float, rest: float, shape: tuple[int, int], alpha: float
) -> tuple[float, float, float]:
    """ICC2 with Satterthwaite's interval, as Shrout and Fleiss give it."""
    from scipy.stats import f

    n, k = shape
    if reader == rest == 0:
        return (1.0, 1.0, 1.0) if patient > 0 else _MISSING
    variance = patient + (k - 1) * rest + k * (reader - rest) / n
    if variance == 0:
        return _MISSING
    absolute = (patient - rest) / variance
    if patient == 0:
        return absolute, np.nan, np.nan  # the interval's degrees of freedom are 0
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
    return absolute, float(low), float(high)


def _crossed(
    ratings: pd.DataFrame, weights: str | None, levels: Sequence[object] | None
) -> npt.NDArray[np.int64]:
    """How often each pair of levels was read."""
    if ratings.shape[1] != 2:
        raise checks.InputError(
            f"kappa compares two readers; got {ratings.shape[1]} columns. Give each pair in turn."
        )
    if ratings.empty:
        raise checks.InputError("ratings must hold at least one patient; it is empty.")
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
    if levels is None and words and not all(isinstance(value, str) for value in found):
        raise checks.InputError("ratings must be words or numbers, not both. Give levels=.")
    order = sorted(found) if levels is None else list(levels)
    unknown = [value for value in found if value not in order]
    if unknown:
        raise checks.InputError(f"ratings hold {unknown[0]!r}, which levels does not name.")
    place = {value: number for number, value in enumerate(order)}
    counts = np.zeros((len(order), len(order)), dtype=np.int64)
    first, second = (ratings[name].map(place).to_numpy() for name in ratings)
    np.add.at(counts, (first, second), 1)
    return counts
