"""Table 1. R's values: oracles/table_one.json, made by table_one.R (versions inside)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcc_utils.checks import InputError
from hcc_utils.study import fisher, published
from hcc_utils.study.table_one import table_one, tables_one

ORACLE = json.loads((Path(__file__).parent / "oracles" / "table_one.json").read_text())

NUMBERS = {"lesion_band": "lesion_count", "afp_band": "afp_ng_ml"}

VALUES = {"1": 1, "2": 2, "3": 3, ">3": 5, "<25": 10, "25-400": 100, ">400": 900}


def printed_cohort(variable, counts):
    """The patients that one row of the printed Table 1 counts."""
    cells = [
        (dataset, VALUES.get(level, level) if variable in NUMBERS else level)
        for level, pair in counts.items()
        for dataset, n in zip(("training", "validation"), pair, strict=True)
        for _ in range(n)
    ]
    return pd.DataFrame(cells, columns=["dataset", NUMBERS.get(variable, variable)])


@pytest.mark.parametrize(
    ("variable", "counts", "p_value"),
    published.TABLE_ONE,
    ids=[row[0] for row in published.TABLE_ONE],
)
def test_printed_counts_give_the_printed_p_value(variable, counts, p_value):
    """Table 1 of the paper, its eight categorical rows."""
    table = table_one(printed_cohort(variable, counts), "dataset", [variable])
    found = table.loc[table["variable"] == variable, "p_value"].iloc[0]
    assert f"{found:.3f}" == f"{p_value:.3f}"


def test_missing_values_are_counted_not_tested():
    """Of 4 and 4, one is missing: 2/4 against 2/3 male, chi-square with 7 patients."""
    patients = pd.DataFrame(
        {"g": ["a"] * 4 + ["b"] * 4, "sex": ["male", "male", "female", "female"] * 2}
    )
    patients.loc[7, "sex"] = None
    table = table_one(patients, "g", ["sex"])
    assert table[table["level"] == "missing"][["a", "b"]].iloc[0].tolist() == ["0", "1"]
    assert table[table["level"] == "male"]["b"].item() == "2 (67%)"


def test_numbers_by_normality():
    """Normal quantiles read as mean ± SD and t; their exponentials as median and rank-sum."""
    normal = np.linspace(-2, 2, 41)
    patients = pd.DataFrame({"g": ["a"] * 41 + ["b"] * 41, "age_years": np.tile(normal, 2) + 50})
    patients["afp_ng_ml"] = np.exp(2 * (patients["age_years"] - 50))
    table = table_one(patients, "g", ["age_years"]).iloc[1]
    assert (table["test"], table["p_value"], table["smd"]) == ("Student's t", 1.0, 0.0)
    skewed = table_one(patients, "g", ["afp_ng_ml"]).iloc[1]
    assert skewed["test"] == "rank-sum"
    assert skewed["a"].startswith("1.00 (")


def test_smd_of_a_flag():
    """Proportions .2 and .5: .3 / sqrt((.16 + .25) / 2) = .6626."""
    flags = [True] * 2 + [False] * 8 + [True] * 5 + [False] * 5
    patients = pd.DataFrame({"g": ["a"] * 10 + ["b"] * 10, "hbv": flags})
    assert table_one(patients, "g", ["hbv"])["smd"].iloc[1] == pytest.approx(0.6626, abs=5e-5)


def test_fisher_where_an_expected_count_is_below_one():
    """1 of 2 against 0 of 9: expected 2/11; hypergeometric p = 2/11."""
    patients = pd.DataFrame({"g": ["a"] * 2 + ["b"] * 9, "hbv": [True] + [False] * 10})
    row = table_one(patients, "g", ["hbv"]).iloc[1]
    assert row["test"] == "Fisher's exact"
    assert row["p_value"] == pytest.approx(2 / 11)


def test_a_single_group_is_described_without_a_test():
    patients = pd.DataFrame({"g": ["a", "a"], "sex": ["male", "female"], "age_years": [50.0, 60.0]})
    table = table_one(patients, "g", ["sex", "age_years"])
    assert set(table["test"].dropna()) == {"nothing to compare"}
    assert table["p_value"].isna().all()
    assert table.loc[table["level"] == "male", "a"].item() == "1 (50%)"


def test_a_group_of_one_is_described_without_spread_or_test():
    """Class C is one patient, aged 68: no SD, no normality, no test of numbers."""
    patients = pd.DataFrame(
        {"child_pugh": ["A"] * 5 + ["C"], "age_years": [50, 51, 52, 53, 54, 68]}
    )
    row = table_one(patients, "child_pugh", ["age_years"]).iloc[1]
    assert (row["A"], row["C"]) == ("52.00 (50-54)", "68.00 (68-68)")
    assert row["test"] == "fewer than 2 in a group"
    assert pd.isna(row["p_value"])


@pytest.mark.parametrize("groups", [["a", "a", "b", "b"], ["a", "a", "b", "b", "c", "c"]], ids=len)
@pytest.mark.parametrize(
    ("name", "value"), [("age_years", 60.0), ("sex", "male"), ("sex", None)], ids=str
)
def test_one_value_for_everybody_is_not_tested(groups, name, value):
    patients = pd.DataFrame({"g": groups, name: value})
    table = table_one(patients, "g", [name])
    assert table["test"].dropna().tolist() == ["nothing to compare"]
    assert table[["statistic", "p_value"]].isna().all(axis=None)


def test_tables_by_several_groupings_stand_one_below_the_other():
    """Classes A and B, and beside them the flag's groups: three without, one with."""
    patients = pd.DataFrame(
        {"child_pugh": ["A", "A", "B", "B"], "hbv": [True, False, False, False], "sex": "male"}
    )
    table = tables_one(patients, ["child_pugh", "hbv"])
    assert list(table.columns) == [
        "by", "variable", "level", "A", "B", "False", "True", "test", "statistic", "p_value", "smd"
    ]  # fmt: skip
    for by in ("child_pugh", "hbv"):
        alone = table_one(patients, by)
        part = table[table["by"] == by].reset_index(drop=True)
        pd.testing.assert_frame_equal(part[list(alone)], alone, check_dtype=False)
    first = table[table["variable"] == "n"].set_index("by")
    assert first.loc["hbv", ["False", "True"]].tolist() == ["3", "1"]
    assert first.loc["hbv", ["A", "B"]].isna().all()


def test_a_table_by_nothing_is_refused():
    with pytest.raises(InputError, match="at least one column"):
        tables_one(pd.DataFrame({"sex": ["male"]}), [])


def test_no_group_is_refused():
    with pytest.raises(InputError, match="no patient has a value"):
        table_one(pd.DataFrame({"g": [None], "sex": ["male"]}), "g", ["sex"])


@pytest.mark.parametrize("case", ORACLE["fisher"].values(), ids=list(ORACLE["fisher"]))
def test_fisher_of_any_shape_matches_r(case):
    assert fisher.p_value(case["counts"]) == pytest.approx(case["p_value"], rel=1e-9)


def test_fisher_worked_by_hand():
    """Margins 2, 1 and 1, 1, 1: three places for the lone patient, all equally likely."""
    assert fisher.p_value([[1, 1, 0], [0, 0, 1]]) == pytest.approx(1)


def test_fisher_does_not_count_more_tables_than_it_can_hold(monkeypatch):
    monkeypatch.setattr(fisher, "_MOST", 3)
    assert np.isnan(fisher.p_value([[5, 4, 3], [2, 6, 1], [1, 1, 8]]))


def flags():
    """The oracle's table as patients: a row a level (no, yes), a column a group."""
    counts = ORACLE["flag"]["counts"]
    cells = [(group, bool(level)) for level in (0, 1) for group in (0, 1)]
    repeats = [counts[level][group] for level in (0, 1) for group in (0, 1)]
    rows = [cell for cell, n in zip(cells, repeats, strict=True) for _ in range(n)]
    return pd.DataFrame(rows, columns=["g", "hbv"])


@pytest.mark.parametrize("test", ["Pearson's chi-square", "Yates' chi-square", "Fisher's exact"])
def test_a_test_of_levels_that_was_asked_for_matches_r(test):
    row = table_one(flags(), "g", ["hbv"], {"hbv": test}).iloc[1]
    assert row["test"] == test
    assert row["p_value"] == pytest.approx(ORACLE["flag"][test]["p_value"], rel=1e-9)


@pytest.mark.parametrize(
    ("test", "shown"), [("Student's t", "±"), ("Welch's t", "±"), ("rank-sum", "(")]
)
def test_a_test_of_numbers_that_was_asked_for_matches_r_and_says_what_it_compares(test, shown):
    samples = ORACLE["numbers"]
    ages = [(group, age) for group in ("a", "b") for age in samples[group]]
    patients = pd.DataFrame(ages, columns=["g", "age_years"])
    row = table_one(patients, "g", ["age_years"], {"age_years": test}).iloc[1]
    assert row["test"] == test
    assert row["p_value"] == pytest.approx(samples[test]["p_value"], rel=1e-9)
    assert shown in row["a"]


def test_an_ordered_variable_can_be_asked_to_be_compared_as_levels():
    """The printed AFP counts by Pearson: .027 (statistics.md), by rank-sum .088."""
    variable, counts, _ = published.TABLE_ONE[-1]
    patients = printed_cohort(variable, counts)
    asked = {variable: "Pearson's chi-square"}
    assert table_one(patients, "dataset", [variable], asked)["p_value"].iloc[1].round(3) == 0.027


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        ({"hbv": "rank-sum"}, "the test of hbv must be one of Pearson's chi-square"),
        ({"hbv": "chi-square"}, "the test of hbv"),
        ({"sex": "Fisher's exact"}, "a variable of tests must be one of hbv"),
    ],
    ids=["not for its kind", "no such test", "not described"],
)
def test_a_test_that_does_not_fit_is_refused(tests, message):
    with pytest.raises(InputError, match=message):
        table_one(flags(), "g", ["hbv"], tests)


def test_yates_is_for_two_levels_of_two_groups():
    patients = pd.DataFrame({"g": ["a", "b"] * 3, "lobe": ["left", "right", "cross"] * 2})
    with pytest.raises(InputError, match="the test of lobe"):
        table_one(patients, "g", ["lobe"], {"lobe": "Yates' chi-square"})


def test_numbers_without_spread_in_any_group_are_not_compared_by_means():
    patients = pd.DataFrame({"g": ["a", "a", "b", "b"], "age_years": [50.0, 50, 60, 60]})
    row = table_one(patients, "g", ["age_years"], {"age_years": "Student's t"}).iloc[1]
    assert row["test"] == "no spread within a group"
    assert pd.isna(row["p_value"])


def test_fisher_by_default_where_an_expected_count_of_three_levels_is_below_one():
    """The oracle's three by two: 2 of level two among 216, expected .66 in the second group."""
    case = ORACLE["fisher"]["three_by_two"]
    capsule = ("absent", "non_intact", "intact")
    rows = [
        (group, level)
        for level, counts in zip(capsule, case["counts"], strict=True)
        for group, n in enumerate(counts)
        for _ in range(n)
    ]
    row = table_one(pd.DataFrame(rows, columns=["g", "capsule"]), "g", ["capsule"]).iloc[1]
    assert row["test"] == "Fisher's exact"
    assert row["p_value"] == pytest.approx(case["p_value"], rel=1e-9)
