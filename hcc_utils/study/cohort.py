"""Who is in the study: eligibility as named rules, and modified BCLC staging."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hcc_utils import checks
from hcc_utils.study import vocabulary
from hcc_utils.study.table_one import groupings, table_one, tables_one, with_bands

__all__ = [
    "MINIMUM_FOLLOW_UP_MONTHS",
    "RULES",
    "Rule",
    "bclc_from_factors",
    "eligible",
    "failing",
    "groupings",
    "missing_values",
    "stage_disagreements",
    "table_one",
    "tables_one",
    "with_bands",
    "with_derived",
]

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


def _yes(flags: pd.Series) -> pd.Series:
    """True where a flag is set; unknown counts as not set."""
    return flags.astype("boolean").fillna(value=False).astype(bool)
