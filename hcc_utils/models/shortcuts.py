"""What else a score may be: the hospital, its scanner's settings, or the lesion's size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special, stats

from hcc_utils import checks
from hcc_utils.evaluation import discrimination, intervals
from hcc_utils.models import logistic

Figure = tuple[float, float, float, float]  # estimate, low, high, p-value

TOLD = ("setting", "level", "source", "n", "with_level", "auc", "low", "high",
        "chance_low", "chance_high", "p_value", "note")  # fmt: skip
PAIRS = ("pairs", "n_pairs", "auc", "low", "high")
SIZE = ("figure", "n", "estimate", "low", "high", "p_value")

SETTINGS = ("centre", "kvp", "slice_thickness_mm", "kernel")
FEWEST = 10  # patients with a level, and without it
LIKE_SIZE = 0.5  # Spearman's correlation
_DRAWS = 1000  # bootstrap samples
_PERMUTATIONS = 199
_TIE = 1e-9  # closer than this, two predictions are alike
_NEARLY_ONE = 1 - 1e-12


@dataclass(frozen=True)
class _Pairs:
    """
    Pairs of a patient with something (rows) and one without it (columns).

    Parameters
    ----------
    right : numpy.ndarray of float, shape (n_with, n_without)
        1 where the score ranks the pair right, 1/2 where it ties.
    counted : numpy.ndarray of bool, shape (n_with, n_without)
        Which pairs are looked at.
    """

    right: checks.Floats
    counted: checks.Bools

    @property
    def share(self) -> float:
        """Of the pairs that are looked at, the share that is ranked right."""
        return float(self.right[self.counted].mean()) if self.counted.any() else np.nan

    def drawn(self, seed: int) -> checks.Floats:
        """The share in bootstrap samples of the patients, with and without it apart."""
        if not self.counted.any():
            return np.full(_DRAWS, np.nan)
        rng = np.random.default_rng(seed)
        rows, columns = (
            rng.multinomial(n, np.full(n, 1 / n), _DRAWS).astype(float) for n in self.right.shape
        )
        pairs = ((rows @ self.counted) * columns).sum(axis=1)
        right = ((rows @ (self.right * self.counted)) * columns).sum(axis=1)
        share: checks.Floats = np.divide(right, pairs, out=np.full(_DRAWS, np.nan), where=pairs > 0)
        return share


def told(
    sources: Mapping[str, npt.ArrayLike],
    settings: pd.DataFrame,
    network: npt.ArrayLike,
    *,
    seed: int,
) -> pd.DataFrame:
    """
    How well what a network gives tells where, and with which scanner settings, patients were seen.

    Parameters
    ----------
    sources : mapping of str to array_like, shape (n_patients,) or (n_patients, n_columns)
        What may tell: the score, the network's features, or for comparison what a hospital's
        patients differ in anyway.
    settings : pandas.DataFrame
        One row a patient; every column is told apart level by level. A missing value, or no text,
        is no level: the patient does not take part.
    network : array_like of int, shape (n_patients,)
        Which network the patient's row comes from; only patients of one network are compared.
    seed : int
        Decides permutations and bootstrap samples.

    Returns
    -------
    pandas.DataFrame
        One row a setting, level and source: ``setting``, ``level`` (against all others; of two
        levels only the first), ``source``, ``n``, ``with_level``, ``auc`` with ``low`` and
        ``high`` (95 %, bootstrap of the patients, the probe as it is), ``chance_low`` and
        ``chance_high`` (where 95 % of permutations within a network lie), ``p_value`` (one-sided,
        by the same) and ``note``: ``one_level`` (nothing to tell), ``few_patients`` (no level has
        10 patients with and 10 without it; single levels that have not are left out),
        ``same_as_centre`` (all patients of a hospital have the level, or none: it and the
        hospital are one question).

    Raises
    ------
    InputError
        If lengths differ or a source holds a number that is not finite.

    Notes
    -----
    The probe is a ridge regression on the level's indicator (a penalised linear discriminant),
    fitted within the patients of one network: each column standardised, the penalty as large as
    the mean eigenvalue, the intercept free. It is cross-validated by leaving out pairs: for each
    patient with the level and each without it, the probe is fitted without both and must rank
    them [1]_. That needs no draw of folds, and unlike predictions that leave out one patient it
    is not biased below 1/2 where nothing can be told. All fits come from one inverse.

    References
    ----------
    .. [1] Airola et al. (2011), Computational Statistics & Data Analysis 55:1828-1844.
    """
    network = np.asarray(network)
    columns = {name: _columns(name, values) for name, values in sources.items()}
    checks.same_length(network=network, settings=settings.index.to_numpy(), **columns)
    rows = [
        row
        for setting in settings
        for row in _setting_rows(settings, str(setting), columns, network, seed)
    ]
    return pd.DataFrame(rows, columns=list(TOLD))


def within_centres(
    event: npt.ArrayLike, score: npt.ArrayLike, centre: npt.ArrayLike, *, seed: int
) -> pd.DataFrame:
    """
    The score's AUC for the event over pairs of one centre, of two centres, and over all.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where it happened.
    score : array_like of float, shape (n_patients,)
        Higher is worse.
    centre : array_like of str, shape (n_patients,)
        Where the patient was seen.
    seed : int
        Decides the bootstrap samples.

    Returns
    -------
    pandas.DataFrame
        ``pairs`` ("all", "same_centre", "other_centre", and "all_less_same_centre" for the
        difference), ``n_pairs``, ``auc``, ``low``, ``high`` (95 %, bootstrap of the patients). A
        score that knows nothing but the hospital has 1/2 in "same_centre". Where one kind of
        pair does not exist, its AUC is missing.

    Raises
    ------
    InputError
        If lengths differ or a score is missing.
    """
    event, score = checks.outcomes("event", event), checks.numbers("score", score)
    where = np.asarray(centre).astype(str)
    checks.same_length(event=event, score=score, centre=where)
    right = _ranked(score[event], score[~event])
    same = where[event][:, None] == where[~event]
    kinds = {
        name: _Pairs(right, counted)
        for name, counted in (
            ("all", np.ones_like(same)),
            ("same_centre", same),
            ("other_centre", ~same),
        )
    }
    drawn = {name: pairs.drawn(seed) for name, pairs in kinds.items()}
    rows = [
        (name, int(pairs.counted.sum()), pairs.share, *_middle(drawn[name]))
        for name, pairs in kinds.items()
    ]
    gained = drawn["all"] - drawn["same_centre"]  # the same patients are drawn for both
    less = kinds["all"].share - kinds["same_centre"].share
    rows.append(("all_less_same_centre", right.size, less, *_middle(gained)))
    return pd.DataFrame(rows, columns=list(PAIRS))


def size(
    event: npt.ArrayLike,
    score: npt.ArrayLike,
    diameter_mm: npt.ArrayLike,
    *,
    network: npt.ArrayLike | None = None,
    seed: int,
) -> pd.DataFrame:
    """
    What the score knows beyond the lesion's size.

    Parameters
    ----------
    event : array_like of bool, shape (n_patients,)
        True where it happened.
    score : array_like of float, shape (n_patients,)
        In [0, 1]; higher is worse.
    diameter_mm : array_like of float, shape (n_patients,)
        Above 0; patients without one are left aside.
    network : array_like of int, shape (n_patients,), optional
        Which network scored the patient: permutations stay within it.
    seed : int
        Decides the permutations.

    Returns
    -------
    pandas.DataFrame
        ``figure``, ``n``, ``estimate``, ``low``, ``high``, ``p_value``: ``spearman`` of score and
        diameter; ``auc_score``, ``auc_diameter``; ``auc_score_third_1`` to ``_3``, from the
        smallest lesions to the largest; ``added``, the root of the likelihood-ratio chi-square of
        the score's logit beside log diameter and its square, signed like its coefficient, with a
        one-sided p-value by permutation of what size leaves unexplained in the score. What one
        class alone,
        or a constant score, cannot tell is missing.

    Raises
    ------
    InputError
        If lengths differ, a score is no probability or a diameter is not above 0.

    References
    ----------
    .. [1] Bonett and Wright (2000), Psychometrika 65:23-28 (Spearman's interval).
    .. [2] Freedman and Lane (1983), Journal of Business & Economic Statistics 1:292-298.
    """
    event, score = checks.outcomes("event", event), checks.probabilities("score", score)
    diameter = np.asarray(diameter_mm, dtype=np.float64)
    own = np.zeros(len(event)) if network is None else np.asarray(network)
    checks.same_length(event=event, score=score, diameter_mm=diameter, network=own)
    known = ~np.isnan(diameter)
    event, score, diameter, own = event[known], score[known], diameter[known], own[known]
    if not (diameter > 0).all():
        raise checks.InputError(f"diameter_mm must be above 0; the lowest is {diameter.min():g}.")
    rank = stats.rankdata(diameter) / len(diameter)
    third = np.ceil(3 * rank)
    figures = [
        ("spearman", len(score), _spearman(score, diameter)),
        ("auc_score", len(score), _auc(event, score)),
        ("auc_diameter", len(score), _auc(event, diameter)),
        *(
            (f"auc_score_third_{number}", int(one.sum()), _auc(event[one], score[one]))
            for number in (1, 2, 3)
            for one in [third == number]
        ),
        ("added", len(score), _added(event, score, diameter, own, seed)),
    ]
    return pd.DataFrame(
        [(name, n, *figure) for name, n, figure in figures],
        columns=list(SIZE),
    )


def size_verdict(table: pd.DataFrame) -> str:
    """
    Whether a score is anything but the lesion's size.

    Parameters
    ----------
    table : pandas.DataFrame
        As `size` gives it.

    Returns
    -------
    str
        ``adds_to_size`` where the p-value of ``added`` is below 0.05; else ``only_size`` where the
        whole interval of Spearman's correlation is above 0.5; else ``nothing_shown``: the score is
        not size, and these patients do not show that it adds anything to it.
    """
    figure = table.set_index("figure")
    if figure.loc["added", "p_value"] < 0.05:
        return "adds_to_size"
    return "only_size" if figure.loc["spearman", "low"] > LIKE_SIZE else "nothing_shown"


def _columns(name: str, values: npt.ArrayLike) -> checks.Floats:
    """A source as a matrix of finite numbers, one row a patient."""
    matrix = np.asarray(values, dtype=np.float64)
    checks.numbers(name, matrix.ravel())
    return matrix.reshape(len(matrix), -1)


def _setting_rows(
    settings: pd.DataFrame,
    setting: str,
    columns: Mapping[str, checks.Floats],
    network: npt.NDArray[np.generic],
    seed: int,
) -> Iterator[dict[str, object]]:
    """A row for each level and source, or one that says why there is none."""
    value = settings[setting]
    known = (value.notna() & (value.astype(str) != "")).to_numpy()
    level_of = value[known].map(lambda one: one if isinstance(one, str) else f"{one:g}").to_numpy()
    levels, counts = np.unique(level_of.astype(str), return_counts=True)
    enough = levels[(counts >= FEWEST) & (known.sum() - counts >= FEWEST)]
    if len(enough) == 0:
        note = "one_level" if len(levels) < 2 else "few_patients"
        yield {"setting": setting, "n": int(known.sum()), "note": note}
    probes = {name: _fitted(matrix[known], network[known]) for name, matrix in columns.items()}
    for level in enough[:1] if len(levels) == 2 else enough:
        has = level_of == level
        note = "same_as_centre" if _is_of_centres(settings[known], setting, has) else ""
        for source, probe in probes.items():
            yield {
                "setting": setting,
                "level": str(level),
                "source": source,
                "n": len(has),
                "with_level": int(has.sum()),
                "note": note,
                **_against_chance(probe, has, seed),
            }


def _is_of_centres(settings: pd.DataFrame, setting: str, has: checks.Bools) -> bool:
    """Whether a level is had by all patients of a hospital or by none, in every hospital."""
    if setting == "centre" or "centre" not in settings:
        return False
    shares = pd.Series(has).groupby(settings["centre"].to_numpy()).mean()
    return bool(shares.isin([0, 1]).all())


@dataclass(frozen=True)
class _Probe:
    """Ridge regression within the patients of one network, any of whom may be left out."""

    rows: npt.NDArray[np.int64]
    inverse: checks.Floats  # of kernel and penalty, the intercept swept out

    def right(self, has: checks.Bools) -> checks.Floats:
        """For each patient with it and each without: ranked right by a fit without both?"""
        fitted = self.inverse @ has
        own, other = np.flatnonzero(has), np.flatnonzero(~has)
        diagonal = np.diag(self.inverse)
        a, d = diagonal[own][:, None], diagonal[other]
        b = self.inverse[np.ix_(own, other)]
        u, v = fitted[own][:, None], fitted[other]
        # what is left of both once the 2 x 2 block is divided out: target less prediction
        left_own, left_other = (d * u - b * v), (a * v - b * u)
        lead = 1 - (left_own - left_other) / (a * d - b**2)
        return np.where(np.abs(lead) < _TIE, 0.5, lead > 0)


def _fitted(matrix: checks.Floats, network: npt.NDArray[np.generic]) -> list[_Probe]:
    """The probe of each network's patients."""
    probes = []
    for one in np.unique(network):
        rows = np.flatnonzero(network == one)
        centred = matrix[rows] - matrix[rows].mean(axis=0)
        spread = centred.std(axis=0)
        standard = centred / np.where(spread > 0, spread, 1)
        kernel = standard @ standard.T
        penalty = np.trace(kernel) / len(rows) or 1.0  # nothing varies: every pair ties
        inverse = np.linalg.inv(kernel / penalty + np.eye(len(rows)))
        edge = inverse.sum(axis=1)
        probes.append(_Probe(rows, inverse - np.outer(edge, edge) / edge.sum()))
    return probes


def _told_apart(probes: list[_Probe], has: checks.Bools) -> Iterator[_Probe]:
    """The networks that left out two patients of either kind, so that a pair can be left out."""
    for probe in probes:
        count = int(has[probe.rows].sum())
        if 2 <= count <= len(probe.rows) - 2:
            yield probe


def _pairs(probes: list[_Probe], has: checks.Bools) -> _Pairs:
    """All pairs of two patients of one network."""
    right = np.zeros((len(has), len(has)))
    counted = np.zeros(right.shape, dtype=bool)
    for probe in _told_apart(probes, has):
        own = has[probe.rows]
        place = np.ix_(probe.rows[own], probe.rows[~own])
        right[place], counted[place] = probe.right(own), True
    return _Pairs(right[has][:, ~has], counted[has][:, ~has])


def _by_chance(probes: list[_Probe], has: checks.Bools, rng: np.random.Generator) -> float:
    """The share of pairs ranked right where the levels are dealt anew within each network."""
    dealt = [probe.right(rng.permutation(has[probe.rows])) for probe in _told_apart(probes, has)]
    pairs = sum(right.size for right in dealt)
    return float(sum(right.sum() for right in dealt) / pairs) if pairs else np.nan


def _against_chance(probes: list[_Probe], has: checks.Bools, seed: int) -> dict[str, float]:
    """The AUC of a level, with what permutations within networks make of it."""
    rng = np.random.default_rng(seed)
    pairs = _pairs(probes, has)
    chance = np.array([_by_chance(probes, has, rng) for _ in range(_PERMUTATIONS)])
    low, high = _middle(pairs.drawn(seed))
    chance_low, chance_high = _middle(chance)
    return {
        "auc": pairs.share,
        "low": low,
        "high": high,
        "chance_low": chance_low,
        "chance_high": chance_high,
        "p_value": _p_value(pairs.share, chance),
    }


def _ranked(above: checks.Floats, below: checks.Floats) -> checks.Floats:
    """For each pair 1 where the first is higher, 1/2 where both are alike."""
    ranked: checks.Floats = (above[:, None] > below) + 0.5 * (above[:, None] == below)
    return ranked


def _middle(draws: checks.Floats) -> tuple[float, float]:
    """Where 95 % of the draws lie."""
    known = draws[~np.isnan(draws)]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
    return float(low), float(high)


def _p_value(found: float, chance: checks.Floats) -> float:
    """How often chance gives as much."""
    return np.nan if np.isnan(found) else float((1 + (chance >= found).sum()) / (1 + len(chance)))


def _auc(event: checks.Bools, score: checks.Floats) -> Figure:
    """The AUC with its logit interval; missing where one class alone is there."""
    if len(np.unique(event)) < 2:
        return (np.nan,) * 4
    found = discrimination.auc(event, score)
    return found.auc, found.logit_low, found.logit_high, np.nan


def _spearman(score: checks.Floats, diameter: checks.Floats) -> Figure:
    """Rank correlation with Bonett and Wright's interval; missing of a constant or of three."""
    if len(score) < 4 or np.ptp(score) == 0 or np.ptp(diameter) == 0:
        return (np.nan,) * 4
    found = float(np.corrcoef(stats.rankdata(score), stats.rankdata(diameter))[0, 1])
    reach = intervals.quantile(0.95) * np.sqrt((1 + found**2 / 2) / (len(score) - 3))
    middle = np.arctanh(np.clip(found, -_NEARLY_ONE, _NEARLY_ONE))
    return found, float(np.tanh(middle - reach)), float(np.tanh(middle + reach)), np.nan


def _added(
    event: checks.Bools,
    score: checks.Floats,
    diameter: checks.Floats,
    network: npt.NDArray[np.generic],
    seed: int,
) -> Figure:
    """The signed root of the score's chi-square beside size, and its one-sided p-value."""
    if len(np.unique(event)) < 2:
        return (np.nan,) * 4
    length = stats.zscore(np.log(diameter)) if np.ptp(diameter) > 0 else np.zeros(len(diameter))
    by_size = np.column_stack([np.ones(len(event)), length, length**2])
    logit = special.logit(np.clip(score, 1e-6, 1 - 1e-6))
    found, chance = logistic.added(
        by_size, logit, event, network, permutations=_PERMUTATIONS, seed=seed
    )
    return found, np.nan, np.nan, _p_value(found, chance)
