"""Table 1: what patients look like, by group, and the test between the groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from hcc_utils import checks
from hcc_utils.study import fisher, vocabulary
from hcc_utils.study.recorded import recorded


def table_one(
    patients: pd.DataFrame,
    by: str,
    columns: list[str] | None = None,
    tests: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """
    Table 1: one row a variable or level, a column a group, and the test between the groups.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient, in the study's vocabulary.
    by : str
        The column whose values are the groups.
    columns : list of str, optional
        The variables to describe; the paper's (with AFP and lesions in bands) by default.
    tests : mapping of str to str, optional
        By variable the test to use in place of the default, under the name that the table
        prints, such as ``{"hbv": "Fisher's exact"}``.

    Returns
    -------
    pandas.DataFrame
        ``variable``, ``level``, one column a group, ``test``, ``statistic``, ``p_value``, ``smd``
        (standardised mean difference, two groups only). Numbers are mean ± SD where they are
        compared by means, else median (range). Missing is counted, never tested. A single group
        is described without a test, and so are numbers of which a group has fewer than two.

    Raises
    ------
    InputError
        If a column is not there, `by` holds no group, or a test is not one for its variable.

    Notes
    -----
    One stated test a kind of variable. Nominal variables and flags: Pearson's chi-square without
    Yates' correction, or Fisher's exact test where an expected count is below 1. Ordinal ones: the
    rank-sum test without continuity correction. Numbers: Student's t test where they are normal
    (Shapiro-Wilk p >= .05 in every group), else the rank-sum test. With more than two groups:
    one-way ANOVA in place of t, Kruskal-Wallis in place of rank-sum. The paper's printed counts
    give its printed p-values this way. Welch's t test and, for two levels of two groups, Yates'
    chi-square can be asked for.
    """
    patients = with_bands(checks.once(patients, [by]))
    wanted = columns or [name for name in _TABLE_ONE if name in patients and name != by]
    recorded(checks.columns(patients, wanted, name="patients"), wanted)
    groups = {str(value): part for value, part in patients.groupby(by, observed=True)}
    if not groups:
        raise checks.InputError(f"{by} must hold a group; no patient has a value there.")
    first = {name: str(len(part)) for name, part in groups.items()}
    rows: list[dict[str, object]] = [{"variable": "n", "level": "", **first}]
    asked = dict(tests or {})
    for name in asked:
        checks.one_of("a variable of tests", name, wanted)
    for name in wanted:
        values = {group: part[name] for group, part in groups.items()}
        rows += _describe(name, values, asked.get(name))
    return pd.DataFrame(rows).reindex(columns=[*_ROW, *groups, *_TESTED])


def tables_one(patients: pd.DataFrame, groupings: Sequence[str]) -> pd.DataFrame:
    """
    Table 1 by several groupings, one below the other.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient, in the study's vocabulary.
    groupings : sequence of str
        The columns whose values are the groups, each in turn.

    Returns
    -------
    pandas.DataFrame
        ``by``, the grouping, in front of the columns of `table_one`. The groups of all groupings
        stand side by side; a cell is missing where its group is not one of the row's grouping.

    Raises
    ------
    InputError
        If no grouping is given, or `table_one` refuses one.
    """
    if not groupings:
        raise checks.InputError("groupings must name at least one column; it names none.")
    tables = {by: table_one(patients, by) for by in groupings}
    groups = dict.fromkeys(
        name for table in tables.values() for name in table.columns.drop([*_ROW, *_TESTED])
    )
    rows = [{"by": by, **row} for by, table in tables.items() for row in table.to_dict("records")]
    return pd.DataFrame(rows, columns=["by", *_ROW, *groups, *_TESTED])


def groupings(patients: pd.DataFrame, endpoint: str, asked: Iterable[str] = ()) -> tuple[str, ...]:
    """
    What Table 1 is divided by.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient, with ``centre``.
    endpoint : str
        The outcome's column.
    asked : iterable of str, optional
        What the study asks for; a column that the table lacks is passed over.

    Returns
    -------
    tuple of str
        Where nothing is asked for: the hospital if there are several, else the endpoint.
    """
    checks.columns(patients, ["centre", endpoint], name="patients")
    there = tuple(name for name in asked if name in patients)
    several = len(set(patients["centre"])) > 1
    return there or (("centre",) if several else (endpoint,))


Counts = npt.NDArray[np.int64]
_ROW, _TESTED = ("variable", "level"), ("test", "statistic", "p_value", "smd")
_TABLE_ONE: tuple[str, ...] = (
    *(name for name in vocabulary.BASELINE if name not in ("afp_ng_ml", "lesion_count")),
    "lesion_band",
    "afp_band",
)
_BANDS = {"afp_band": ("<25", "25-400", ">400"), "lesion_band": ("1", "2", "3", ">3")}


def _kind(name: str) -> str:
    return "ordinal" if name in _BANDS else vocabulary.VARIABLES[name].kind


def _describe(
    name: str, groups: dict[str, pd.Series], asked: str | None
) -> list[dict[str, object]]:
    """The rows of one variable: its own with the test, one a level, one for missing."""
    known = {group: values.dropna() for group, values in groups.items()}
    rows = _number_rows if _kind(name) == "number" else _level_rows
    body = rows(name, known, asked)
    lost = {group: len(groups[group]) - len(values) for group, values in known.items()}
    if any(lost.values()):
        body.append({"variable": name, "level": "missing", **{g: str(n) for g, n in lost.items()}})
    return body


def _number_rows(
    name: str, known: dict[str, pd.Series], asked: str | None
) -> list[dict[str, object]]:
    samples = [values.to_numpy(dtype=float) for values in known.values()]
    several = len(samples) > 2
    means, ranks = _MEANS[several], _RANKS[several]
    default = means[0] if all(_is_normal(sample) for sample in samples) else ranks
    test = _asked(name, asked, (*means, ranks)) or default
    spread = test in means and min(len(sample) for sample in samples) > 1
    show = _mean_sd if spread else _median_range
    shown = {group: show(sample) for group, sample in zip(known, samples, strict=True)}
    tested = _test_numbers(test, samples)
    return [{"variable": name, "level": "", **shown, **tested, "smd": _smd_numbers(samples)}]


def _asked(name: str, asked: str | None, allowed: Iterable[str]) -> str | None:
    """The test asked for, where it is one for such a variable and so many groups."""
    return asked and checks.one_of(f"the test of {name}", asked, allowed)


def _level_rows(
    name: str, known: dict[str, pd.Series], asked: str | None
) -> list[dict[str, object]]:
    levels = _levels(name, known)
    counts = np.array([[int((v == level).sum()) for v in known.values()] for level in levels])
    counts = counts.reshape(len(levels), len(known))  # where nothing is known, there is no level
    tested = _test_levels(counts, _level_test(name, counts, asked))
    rows: list[dict[str, object]] = [
        {"variable": name, "level": "", **tested, "smd": smd_of_counts(counts)}
    ]
    totals = counts.sum(axis=0)
    for level, row in zip(levels, counts, strict=True):
        shown = {g: _count(n, total) for g, n, total in zip(known, row, totals, strict=True)}
        rows.append({"variable": name, "level": str(level), **shown})
    return rows


def _levels(name: str, known: dict[str, pd.Series]) -> list[object]:
    """The levels that occur, in the vocabulary's order."""
    if name not in _BANDS and vocabulary.VARIABLES[name].kind == "flag":
        return [False, True]
    order = _BANDS.get(name) or vocabulary.VARIABLES[name].levels
    return [level for level in order if any((values == level).any() for values in known.values())]


def _is_normal(sample: np.ndarray) -> bool:
    if len(sample) < 3 or np.ptp(sample) == 0:
        return False
    return float(stats.shapiro(sample[:5000]).pvalue) >= 0.05


def _mean_sd(sample: np.ndarray) -> str:
    return f"{sample.mean():.2f} ± {sample.std(ddof=1):.2f}"


def _median_range(sample: np.ndarray) -> str:
    if not len(sample):
        return "none"
    return f"{np.median(sample):.2f} ({sample.min():g}-{sample.max():g})"


def _count(n: int, total: int) -> str:
    return f"{n} ({n / total:.0%})" if total else "0"


_Tests = dict[str, Callable[..., Iterable[float]]]
_OF_SAMPLES: _Tests = {
    "Student's t": stats.ttest_ind,
    "Welch's t": partial(stats.ttest_ind, equal_var=False),
    "one-way ANOVA": stats.f_oneway,
    "rank-sum": partial(stats.mannwhitneyu, method="asymptotic", use_continuity=False),
    "Kruskal-Wallis": stats.kruskal,
}
_OF_COUNTS: _Tests = {
    "Pearson's chi-square": lambda counts: stats.chi2_contingency(counts, correction=False)[:2],
    "Yates' chi-square": lambda counts: stats.chi2_contingency(counts)[:2],
    "Fisher's exact": lambda counts: (float("nan"), fisher.p_value(counts)),
}
# for two groups, and for more
_MEANS = (("Student's t", "Welch's t"), ("one-way ANOVA",))  # the first is the default
_RANKS = ("rank-sum", "Kruskal-Wallis")


def _result(test: str, found: Iterable[float]) -> dict[str, object]:
    statistic, p_value = found
    return {"test": test, "statistic": float(statistic), "p_value": float(p_value)}


def _test_numbers(test: str, samples: list[np.ndarray]) -> dict[str, object]:
    if len(samples) < 2:
        return {"test": "nothing to compare"}
    if min(len(sample) for sample in samples) < 2:
        return {"test": "fewer than 2 in a group"}
    if np.ptp(np.concatenate(samples)) == 0:
        return {"test": "nothing to compare"}
    if test not in _RANKS and max(np.ptp(sample) for sample in samples) == 0:
        return {"test": "no spread within a group"}
    return _result(test, _OF_SAMPLES[test](*samples))


def _level_test(name: str, counts: Counts, asked: str | None) -> str:
    """The test of a variable in levels: the one asked for, or its kind's."""
    ordinal = _kind(name) == "ordinal"
    ranks = _RANKS[counts.shape[1] > 2]
    allowed = [test for test in _OF_COUNTS if counts.shape == (2, 2) or "Yates" not in test]
    default = ranks if ordinal else _nominal_test(counts)
    return _asked(name, asked, [*allowed, *([ranks] if ordinal else [])]) or default


def _nominal_test(counts: Counts) -> str:
    """Pearson's test, or Fisher's where Pearson's approximation is poor."""
    seen = _seen(counts)
    if not _untestable(seen) and stats.contingency.expected_freq(seen).min() < 1:
        return "Fisher's exact"
    return "Pearson's chi-square"


def _test_levels(counts: Counts, test: str) -> dict[str, object]:
    seen = _seen(counts)
    if _untestable(seen):
        return {"test": "nothing to compare"}
    if test in _OF_COUNTS:
        return _result(test, _OF_COUNTS[test](seen))
    ranks = np.arange(len(seen))
    return _result(test, _OF_SAMPLES[test](*(np.repeat(ranks, column) for column in seen.T)))


def _seen(counts: Counts) -> Counts:
    """The counts of the levels that somebody has."""
    seen: Counts = counts[counts.sum(axis=1) > 0]
    return seen


def _untestable(counts: Counts) -> bool:
    """True where one level or one group is all there is, or a group is empty."""
    return min(counts.shape) < 2 or bool((counts.sum(axis=0) == 0).any())


def _smd_numbers(samples: list[np.ndarray]) -> float:
    if len(samples) != 2 or min(len(sample) for sample in samples) < 2:
        return float("nan")
    means, variances = zip(*((one.mean(), one.var(ddof=1)) for one in samples), strict=True)
    return abs(smd_of_means(means, variances))


def smd_of_means(means: Sequence[float], variances: Sequence[float]) -> float:
    """
    Standardised difference of two means: over the root of the mean variance.

    Parameters
    ----------
    means, variances : sequence of float
        Of the first and the second group.

    Returns
    -------
    float
        First less second; missing where nothing varies.

    References
    ----------
    .. [1] Austin (2009), Statistics in Medicine 28:3083-3107.
    """
    for name, pair in (("means", means), ("variances", variances)):
        if len(checks.numbers(name, pair, missing=True)) != 2:
            raise checks.InputError(f"{name} must be of two groups; got {len(pair)}.")
    checks.times("variances", variances, missing=True)
    spread = float(np.sqrt(np.mean(variances)))
    return float(means[0] - means[1]) / spread if spread else float("nan")


def smd_of_counts(counts: Counts) -> float:
    """
    Standardised difference of two groups' levels: Mahalanobis distance of their proportions.

    Parameters
    ----------
    counts : numpy.ndarray of int, shape (n_levels, n_groups)
        How many of each group have each level; the last level follows from the others.

    Returns
    -------
    float
        At least 0; missing where there are not two groups with patients, or one level only.

    References
    ----------
    .. [1] Yang and Dalton (2012), SAS Global Forum, paper 335.
    """
    counts = checks.counts("counts", counts)
    totals = counts.sum(axis=0)
    if counts.shape[1] != 2 or len(counts) < 2 or (totals == 0).any():
        return float("nan")
    first, second = (counts / totals)[:-1].T
    difference = first - second
    covariance = [np.diag(p) - np.outer(p, p) for p in (first, second)]
    distance = difference @ np.linalg.pinv(np.mean(covariance, axis=0)) @ difference
    return float(np.sqrt(distance))


def with_bands(patients: pd.DataFrame) -> pd.DataFrame:
    """
    The patients with AFP and the number of lesions also in the paper's bands.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient.

    Returns
    -------
    pandas.DataFrame
        With ``afp_band`` (<25, 25-400, >400 ng/mL) and ``lesion_band`` (1, 2, 3, >3) where the
        numbers behind them were recorded.
    """
    banded = recorded(checks.columns(patients, []), ["afp_ng_ml", "lesion_count"]).copy()
    if "afp_ng_ml" in patients:
        afp = patients["afp_ng_ml"]
        banded["afp_band"] = _banded(afp, [afp < 25, afp <= 400], ["<25", "25-400"], ">400")
    if "lesion_count" in patients:
        count = patients["lesion_count"]
        few = [count == 1, count == 2, count == 3]
        banded["lesion_band"] = _banded(count, few, ["1", "2", "3"], ">3")
    return banded


def _banded(
    values: pd.Series, conditions: list[pd.Series], names: list[str], rest: str
) -> pd.Series:
    """Each value's band; missing stays missing."""
    bands = np.select(conditions, names, default=rest)
    return pd.Series(bands, index=values.index, dtype=object).where(values.notna(), None)
