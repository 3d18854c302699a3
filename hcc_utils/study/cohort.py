"""Who is in the study: eligibility as named rules, modified BCLC staging, and Table 1."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from hcc_utils import checks
from hcc_utils.study import vocabulary

MINIMUM_FOLLOW_UP_MONTHS = 12


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One criterion of the paper: who leaves, and in which words the flow chart says so."""

    name: str
    reason: str
    needs: tuple[str, ...]
    leaves: Callable[[pd.DataFrame], pd.Series]


def _short_follow_up(patients: pd.DataFrame) -> pd.Series:
    """True for the living without the event who were followed for less than a year."""
    free = ~_yes(patients["aggressive_pd"]) & ~_yes(patients["death"])
    return free & (patients["months_to_aggressive_pd"] < MINIMUM_FOLLOW_UP_MONTHS)


RULES: tuple[Rule, ...] = (
    Rule(
        name="diagnosed",
        reason="HCC diagnosed neither clinically nor pathologically",
        needs=("diagnosis_basis",),
        leaves=lambda patients: patients["diagnosis_basis"].isna(),
    ),
    Rule(
        name="ct_at_diagnosis",
        reason="no CT at the time of diagnosis",
        needs=("has_ct",),
        leaves=lambda patients: ~_yes(patients["has_ct"]),
    ),
    Rule(
        name="no_spread",
        reason="metastasis or macrovascular invasion at diagnosis",
        needs=("baseline_spread",),
        leaves=lambda patients: _yes(patients["baseline_spread"]),
    ),
    Rule(
        name="no_macrovascular_invasion",
        reason="macrovascular invasion at diagnosis",
        needs=("baseline_macrovascular_invasion",),
        leaves=lambda patients: _yes(patients["baseline_macrovascular_invasion"]),
    ),
    Rule(
        name="no_metastasis",
        reason="metastasis at diagnosis",
        needs=("baseline_extrahepatic_metastasis",),
        leaves=lambda patients: _yes(patients["baseline_extrahepatic_metastasis"]),
    ),
    Rule(
        name="first_treatment",
        reason="first treated otherwise than by resection or TACE",
        needs=("treatment",),
        leaves=lambda patients: patients["treatment"].isna(),
    ),
    Rule(
        name="negative_margin",
        reason="resection margin not negative",
        needs=("treatment", "margin"),
        leaves=lambda patients: (
            patients["treatment"].eq("resection") & ~patients["margin"].eq("negative")
        ),
    ),
    Rule(
        name="no_other_cancer",
        reason="another cancer",
        needs=("other_cancer",),
        leaves=lambda patients: _yes(patients["other_cancer"]),
    ),
    Rule(
        name="regular_follow_up",
        reason="irregular follow-up",
        needs=("irregular_follow_up",),
        leaves=lambda patients: _yes(patients["irregular_follow_up"]),
    ),
    Rule(
        name="a_year_of_follow_up",
        reason="alive without the event and followed for less than a year",
        needs=("aggressive_pd", "months_to_aggressive_pd", "death"),
        leaves=_short_follow_up,
    ),
)


# one criterion, recorded as a whole or kind by kind
_AS_A_WHOLE, _BY_KIND = "no_spread", ("no_macrovascular_invasion", "no_metastasis")


def eligible(
    patients: pd.DataFrame,
    left_out: Mapping[str, str] | None = None,
    *,
    endpoint: str = "aggressive_pd",
    lifted: Mapping[str, str] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """
    The patients who pass the paper's criteria, and the flow chart's table.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient, in the study's vocabulary. A patient leaves at the first of `RULES`
        that fails.
    left_out : mapping of str to str, optional
        Rules that this study does not apply, each with its reason.
    endpoint : str, default "aggressive_pd"
        The outcome's column. Who lacks it, death or their times leaves last, and is counted.
    lifted : mapping of str to str, optional
        Rules that are counted as the paper has them and then lifted, each with its reason: those
        who left by them come back in the last step, ``come_back``.

    Returns
    -------
    kept : pandas.DataFrame
        The patients who stay.
    flow : pandas.DataFrame
        One row a centre and step: ``centre``, ``step``, ``reason``, ``excluded`` (below 0 where
        patients come back), ``remaining``. A rule that is left out, or whose columns were not
        recorded, excludes nobody, and its reason says so. Spread at diagnosis is one rule, or
        one for each kind where the kinds were recorded.

    Raises
    ------
    InputError
        If a rule that is left out or lifted does not exist.
    """
    checks.columns(patients, ["patient_id", "centre"], name="patients")
    spared, lifted = dict(left_out or {}), dict(lifted or {})
    for name in (*spared, *lifted):
        checks.one_of("a criterion left out or lifted", name, [rule.name for rule in RULES])
    kept, rows = _passed(patients, spared, endpoint)
    if lifted:
        everybody, _ = _passed(patients, spared | lifted, endpoint)
        back = everybody.index.difference(kept.index)
        rows.append(_come_back(kept, patients.loc[back], lifted))
        kept = everybody
    centres = list(dict.fromkeys(patients["centre"]))
    flow = pd.concat(rows).sort_values("centre", kind="stable", key=lambda c: c.map(centres.index))
    return kept.reset_index(drop=True), flow.reset_index(drop=True)


def _passed(
    patients: pd.DataFrame, spared: Mapping[str, str], endpoint: str
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Those who pass every rule that is not spared, and the flow's steps."""
    rows = [_step(patients, "screened", "screened", patients.index[:0])]
    kept = patients
    for rule in (*_rules_for(patients), _outcome_known(endpoint)):
        why_not = _why_not_applied(rule, kept, spared)
        leaves = kept.index[:0] if why_not else kept.index[rule.leaves(kept).to_numpy(dtype=bool)]
        rows.append(_step(kept, rule.name, f"{rule.reason}{why_not}", leaves))
        kept = kept.drop(leaves)
    return kept, rows


def _rules_for(patients: pd.DataFrame) -> list[Rule]:
    """The rules, spread at diagnosis either as a whole or by its kinds, as it was recorded."""
    by_kind = [rule for rule in RULES if rule.name in _BY_KIND and _recorded(rule, patients)]
    other = {_AS_A_WHOLE} if by_kind else set(_BY_KIND)
    return [rule for rule in RULES if rule.name not in other]


def _come_back(kept: pd.DataFrame, back: pd.DataFrame, lifted: Mapping[str, str]) -> pd.DataFrame:
    """The flow's last step: those who left by a lifted rule alone."""
    counts = pd.DataFrame({"back": back.groupby("centre", sort=False).size()})
    counts["kept"] = kept.groupby("centre", sort=False).size()
    counts = counts.fillna(0).astype(int)
    return pd.DataFrame(
        {
            "centre": counts.index,
            "step": "come_back",
            "reason": "; ".join(dict.fromkeys(lifted.values())),
            "excluded": -counts["back"].to_numpy(),
            "remaining": (counts["kept"] + counts["back"]).to_numpy(),
        }
    )


def _outcome_known(endpoint: str) -> Rule:
    """The rule that no study can leave out: what is analysed must have been recorded."""
    needs = (endpoint, f"months_to_{endpoint}", "death", "months_to_death")
    return Rule(
        name="outcome_known",
        reason="outcome, death or their times not recorded",
        needs=needs,
        leaves=lambda patients: patients[list(needs)].isna().any(axis=1),
    )


def _why_not_applied(rule: Rule, patients: pd.DataFrame, left_out: Mapping[str, str]) -> str:
    """Words to go behind the rule's reason, or nothing where it is applied."""
    if rule.name in left_out:
        return f" (not applied: {left_out[rule.name]})"
    return "" if _recorded(rule, patients) else " (not recorded: not applied)"


def _recorded(rule: Rule, patients: pd.DataFrame) -> bool:
    """Whether the columns that a rule needs are there."""
    return all(column in patients.columns for column in rule.needs)


def _step(patients: pd.DataFrame, step: str, reason: str, leaves: pd.Index) -> pd.DataFrame:
    """One row a centre: how many leave at this step, and how many remain."""
    gone = patients.index.isin(leaves)
    counts = patients.assign(gone=gone).groupby("centre", sort=False)["gone"].agg(["sum", "size"])
    return pd.DataFrame(
        {
            "centre": counts.index,
            "step": step,
            "reason": reason,
            "excluded": counts["sum"].to_numpy(dtype=int),
            "remaining": (counts["size"] - counts["sum"]).to_numpy(dtype=int),
        }
    )


def failing(patients: pd.DataFrame, left_out: Mapping[str, str] | None = None) -> pd.DataFrame:
    """
    How many patients fail each criterion by itself, whichever they would leave by first.

    Parameters
    ----------
    patients : pandas.DataFrame
        Everybody who was screened, in the study's vocabulary.
    left_out : mapping of str to str, optional
        Rules that this study does not apply.

    Returns
    -------
    pandas.DataFrame
        One row a rule: ``rule``, ``reason``, ``failing``; missing where the rule is left out or
        its columns were not recorded.
    """
    rows = [
        {
            "rule": rule.name,
            "reason": f"{rule.reason}{why_not}",
            "failing": None if why_not else int(rule.leaves(patients).sum()),
        }
        for rule in _rules_for(patients)
        for why_not in [_why_not_applied(rule, patients, left_out or {})]
    ]
    return pd.DataFrame(rows).astype({"failing": "Int64"})


def bclc_from_factors(patients: pd.DataFrame) -> pd.Series:
    """
    The modified BCLC stage that size and number give.

    Parameters
    ----------
    patients : pandas.DataFrame
        With ``diameter_mm`` and ``lesion_count``; the diameter is the largest lesion's.

    Returns
    -------
    pandas.Series of str
        0 (single, at most 20 mm), A (single over 20 to 50 mm, or 2 to 3 lesions all at most
        30 mm), AB (single over 50 mm) or B (2 to 3 lesions with one over 30 mm, or more than 3).
        Performance status and liver function also belong to BCLC: a disagreement with the
        table's own stage is listed, never overwritten.
    """
    checks.columns(patients, ["diameter_mm", "lesion_count"], name="patients")
    size, count = patients["diameter_mm"], patients["lesion_count"]
    stage = np.select(
        [
            size.isna() | count.isna(),
            (count == 1) & (size <= 20),
            (count == 1) & (size <= 50),
            count == 1,
            (count <= 3) & (size <= 30),
        ],
        ["", "0", "A", "AB", "A"],
        default="B",
    )
    return pd.Series(stage, index=patients.index, name="bclc_from_factors").replace("", None)


def stage_disagreements(patients: pd.DataFrame) -> pd.DataFrame:
    """
    The patients whose recorded stage is not the one that size and number give.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient; without stage, size or number nobody disagrees.

    Returns
    -------
    pandas.DataFrame
        ``patient_id``, ``centre``, ``bclc``, ``bclc_from_factors``, ``diameter_mm``,
        ``lesion_count``.
    """
    layout = ["patient_id", "centre", "bclc", "bclc_from_factors", "diameter_mm", "lesion_count"]
    if not {"bclc", "diameter_mm", "lesion_count"} <= set(patients.columns):
        return pd.DataFrame(columns=layout)
    both = patients.assign(bclc_from_factors=bclc_from_factors(patients)).dropna(
        subset=["bclc", "bclc_from_factors"]
    )
    return both.loc[both["bclc"] != both["bclc_from_factors"], layout].reset_index(drop=True)


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
    banded = patients.copy()
    if "afp_ng_ml" in patients:
        afp = patients["afp_ng_ml"]
        banded["afp_band"] = _banded(afp, [afp < 25, afp <= 400], ["<25", "25-400"], ">400")
    if "lesion_count" in patients:
        count = patients["lesion_count"]
        few = [count == 1, count == 2, count == 3]
        banded["lesion_band"] = _banded(count, few, ["1", "2", "3"], ">3")
    return banded


def with_derived(patients: pd.DataFrame) -> pd.DataFrame:
    """
    The patients with the factors that a clinical model may use beside the recorded ones.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient.

    Returns
    -------
    pandas.DataFrame
        With ``log10_afp_ng_ml`` (of 1 ng/mL where AFP is below it) and ``child_pugh_b_or_c``
        (true for B and C) where AFP and the Child-Pugh class were recorded; missing stays missing.
    """
    derived = patients.copy()
    if "afp_ng_ml" in patients:
        derived["log10_afp_ng_ml"] = np.log10(patients["afp_ng_ml"].astype(float).clip(lower=1))
    if "child_pugh" in patients:
        known = patients["child_pugh"].notna()
        worse = patients["child_pugh"].isin(["B", "C"]).astype("boolean")
        derived["child_pugh_b_or_c"] = worse.where(known)
    return derived


def _banded(
    values: pd.Series, conditions: list[pd.Series], names: list[str], rest: str
) -> pd.Series:
    """Each value's band; missing stays missing."""
    bands = np.select(conditions, names, default=rest)
    return pd.Series(bands, index=values.index, dtype=object).where(values.notna(), None)


def missing_values(patients: pd.DataFrame) -> pd.DataFrame:
    """
    How many values of factors and outcomes are missing, by centre and variable.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient.

    Returns
    -------
    pandas.DataFrame
        ``centre``, ``variable``, ``missing``, ``n``: one row where anything is missing.
    """
    wanted = [v.name for v in vocabulary.VARIABLES.values() if v.room == "outcome"]
    recorded = [name for name in (*vocabulary.BASELINE, *wanted) if name in patients]
    long = patients[["centre", *recorded]].melt("centre", var_name="variable")
    table = long.groupby(["centre", "variable"], sort=False)["value"].agg(
        missing=lambda values: int(values.isna().sum()), n="size"
    )
    return table[table["missing"] > 0].reset_index()


def table_one(patients: pd.DataFrame, by: str, columns: list[str] | None = None) -> pd.DataFrame:
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

    Returns
    -------
    pandas.DataFrame
        ``variable``, ``level``, one column a group, ``test``, ``statistic``, ``p_value``, ``smd``
        (standardised mean difference, two groups only). Numbers are mean ± SD where normal
        (Shapiro-Wilk p >= .05 in every group), else median (range). Missing is counted, never
        tested. A single group is described without a test, and so are numbers of which a group
        has fewer than two.

    Raises
    ------
    InputError
        If a column is not there, or `by` holds no group.

    Notes
    -----
    One stated test a kind of variable: nominal and flags by Pearson's chi-square without Yates
    (Fisher's exact test for 2 x 2 where an expected count is below 1); ordinal ones by the
    rank-sum test without continuity correction; numbers by Student's t test where normal, else by
    the rank-sum test. With more than two groups: chi-square, Kruskal-Wallis, one-way ANOVA. The
    paper's printed counts give its printed p-values this way.
    """
    patients = with_bands(checks.columns(patients, [by], name="patients"))
    wanted = columns or [name for name in _TABLE_ONE if name in patients and name != by]
    checks.columns(patients, wanted, name="patients")
    groups = {str(value): part for value, part in patients.groupby(by, observed=True)}
    if not groups:
        raise checks.InputError(f"{by} must hold a group; no patient has a value there.")
    first = {name: str(len(part)) for name, part in groups.items()}
    rows: list[dict[str, object]] = [{"variable": "n", "level": "", **first}]
    for name in wanted:
        rows += _describe(name, {group: part[name] for group, part in groups.items()})
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
    there = tuple(name for name in asked if name in patients)
    several = len(set(patients["centre"])) > 1
    return there or (("centre",) if several else (endpoint,))


_ROW, _TESTED = ("variable", "level"), ("test", "statistic", "p_value", "smd")
_TABLE_ONE: tuple[str, ...] = (
    *(name for name in vocabulary.BASELINE if name not in ("afp_ng_ml", "lesion_count")),
    "lesion_band",
    "afp_band",
)
_BANDS = {"afp_band": ("<25", "25-400", ">400"), "lesion_band": ("1", "2", "3", ">3")}


def _kind(name: str) -> str:
    return "ordinal" if name in _BANDS else vocabulary.VARIABLES[name].kind


def _describe(name: str, groups: dict[str, pd.Series]) -> list[dict[str, object]]:
    """The rows of one variable: its own with the test, one a level, one for missing."""
    known = {group: values.dropna() for group, values in groups.items()}
    number = _kind(name) == "number"
    body = _number_rows(name, known) if number else _level_rows(name, known)
    lost = {group: len(groups[group]) - len(values) for group, values in known.items()}
    if any(lost.values()):
        body.append({"variable": name, "level": "missing", **{g: str(n) for g, n in lost.items()}})
    return body


def _number_rows(name: str, known: dict[str, pd.Series]) -> list[dict[str, object]]:
    samples = [values.to_numpy(dtype=float) for values in known.values()]
    normal = all(_is_normal(sample) for sample in samples)
    show = _mean_sd if normal else _median_range
    shown = {group: show(sample) for group, sample in zip(known, samples, strict=True)}
    tested = _test_numbers(samples, normal=normal)
    return [{"variable": name, "level": "", **shown, **tested, "smd": _smd_numbers(samples)}]


def _level_rows(name: str, known: dict[str, pd.Series]) -> list[dict[str, object]]:
    levels = _levels(name, known)
    counts = np.array([[int((v == level).sum()) for v in known.values()] for level in levels])
    counts = counts.reshape(len(levels), len(known))  # where nothing is known, there is no level
    tested = _test_ordinal(counts) if _kind(name) == "ordinal" else _test_nominal(counts)
    rows: list[dict[str, object]] = [
        {"variable": name, "level": "", **tested, "smd": _smd_levels(counts)}
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


def _result(test: str, found: Iterable[float]) -> dict[str, object]:
    statistic, p_value = found
    return {"test": test, "statistic": float(statistic), "p_value": float(p_value)}


def _test_numbers(samples: list[np.ndarray], *, normal: bool) -> dict[str, object]:
    if len(samples) < 2:
        return {"test": "nothing to compare"}
    if min(len(sample) for sample in samples) < 2:
        return {"test": "fewer than 2 in a group"}
    if np.ptp(np.concatenate(samples)) == 0:
        return {"test": "nothing to compare"}
    if len(samples) > 2:
        return (
            _result("one-way ANOVA", stats.f_oneway(*samples))
            if normal
            else _result("Kruskal-Wallis", stats.kruskal(*samples))
        )
    if normal:
        return _result("Student's t", stats.ttest_ind(*samples))
    return _rank_sum(samples)


def _rank_sum(samples: list[np.ndarray]) -> dict[str, object]:
    found = stats.mannwhitneyu(*samples, method="asymptotic", use_continuity=False)
    return _result("rank-sum", found)


def _test_ordinal(counts: np.ndarray) -> dict[str, object]:
    if _untestable(counts):
        return {"test": "nothing to compare"}
    ranks = np.arange(len(counts))
    samples = [np.repeat(ranks, column) for column in counts.T]
    if len(samples) > 2:
        return _result("Kruskal-Wallis", stats.kruskal(*samples))
    return _rank_sum(samples)


def _test_nominal(counts: np.ndarray) -> dict[str, object]:
    seen = counts[counts.sum(axis=1) > 0]
    if _untestable(seen):
        return {"test": "nothing to compare"}
    found = stats.chi2_contingency(seen, correction=False)
    if found.expected_freq.min() < 1 and seen.shape == (2, 2):
        return {"test": "Fisher's exact", "p_value": float(stats.fisher_exact(seen).pvalue)}
    return _result("Pearson's chi-square", (found.statistic, found.pvalue))


def _untestable(counts: np.ndarray) -> bool:
    """True where one level or one group is all there is, or a group is empty."""
    return min(counts.shape) < 2 or bool((counts.sum(axis=0) == 0).any())


def _smd_numbers(samples: list[np.ndarray]) -> float:
    """Difference of means over the root of the mean variance (Austin 2009)."""
    if len(samples) != 2 or min(len(sample) for sample in samples) < 2:
        return float("nan")
    spread = np.sqrt((samples[0].var(ddof=1) + samples[1].var(ddof=1)) / 2)
    return float(abs(samples[0].mean() - samples[1].mean()) / spread) if spread else float("nan")


def _smd_levels(counts: np.ndarray) -> float:
    """Mahalanobis distance of the two groups' proportions, the last level left out (Yang 2012)."""
    totals = counts.sum(axis=0)
    if counts.shape[1] != 2 or len(counts) < 2 or (totals == 0).any():
        return float("nan")
    first, second = (counts / totals)[:-1].T
    difference = first - second
    covariance = [np.diag(p) - np.outer(p, p) for p in (first, second)]
    distance = difference @ np.linalg.pinv(np.mean(covariance, axis=0)) @ difference
    return float(np.sqrt(distance))


def _yes(flags: pd.Series) -> pd.Series:
    """True where a flag is set; unknown counts as not set."""
    return flags.astype("boolean").fillna(value=False).astype(bool)
