"""Patients over time. R's values: oracles/time_course*, made by time_course.R (versions inside)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcc_utils.checks import InputError
from hcc_utils.evaluation import time_course as module
from hcc_utils.evaluation.time_course import (
    censoring,
    codings,
    codings_at,
    grouped,
    time_course,
)
from hcc_utils.study import tables
from hcc_utils.study.manifest import ClinicalPlan, Manifest

ORACLES = Path(__file__).parent / "oracles"
ORACLE = json.loads((ORACLES / "time_course.json").read_text())
DRAWN = pd.read_csv(ORACLES / "time_course_patients.csv").astype(
    {"progression": bool, "death": bool}
)
STUDY = Path(__file__).parents[1] / "studies" / "hcc_tace_seg" / "manifest.yaml"


@pytest.fixture
def patients():
    """Four patients: the event at 1, death without it at 2, the event at 3, alive at 4."""
    return pd.DataFrame(
        {
            "grouping": "all",
            "group": "all",
            "aggressive_pd": [True, False, True, False],
            "months_to_aggressive_pd": [1.0, 2.0, 3.0, 4.0],
            "death": [True, True, False, False],
            "months_to_death": [2.0, 2.0, 5.0, 4.0],
        }
    )


@pytest.fixture(scope="module")
def real(hcc_tace_seg_root):
    """The 105 patients of the real sheet."""
    return tables.read(Manifest.read(STUDY), "hcc_tace_seg")


def test_death_competes_with_the_event(patients):
    """1/4 at month 1; at month 3 two of four are left, one has it: 1/4 + 2/4 * 1/2 = 1/2."""
    curve = time_course(patients, "aggressive_pd").event.curves.set_index("months")
    assert curve.loc[[1.0, 2.0, 3.0, 4.0], "survival"].tolist() == [0.25, 0.25, 0.5, 0.5]
    assert set(curve["estimate"]) == {"incidence"}


def test_overall_survival_is_kaplan_meier(patients):
    """Two of four die at month 2: 1/2 from then on."""
    curve = time_course(patients, "aggressive_pd").overall.curves.set_index("months")
    assert curve.loc[[2.0, 4.0, 5.0], "survival"].tolist() == [0.5, 0.5, 0.5]


def test_the_summary_counts_events(patients):
    course = time_course(patients, "aggressive_pd")
    assert course.summary[["outcome", "n", "events"]].to_numpy().tolist() == [
        ["aggressive_pd", 4, 2],
        ["death", 4, 2],
    ]


def test_where_death_is_the_endpoint_there_is_survival_alone(patients):
    course = time_course(patients, "death")
    assert set(course.curves["outcome"]) == {"death"}
    assert course.event.curves.empty
    assert course.event.cox.empty


def test_a_table_without_groups_is_refused(patients):
    with pytest.raises(InputError, match=r"patients lacks 1 column.*'grouping'"):
        time_course(patients.drop(columns="grouping"), "aggressive_pd")


@pytest.mark.parametrize("expected", ORACLE["outcomes"], ids=lambda row: row["outcome"])
class TestAgainstR:
    def course(self):
        return time_course(grouped(DRAWN, ["bclc"]), "progression")

    def rows(self, table, expected):
        chosen = (table["outcome"] == expected["outcome"]) & (table["grouping"] == "bclc")
        return table[chosen].set_index("group")

    def test_hazard_ratios_match(self, expected):
        ours = self.rows(self.course().cox, expected)
        assert ours["note"].tolist() == ["reference", "", ""]
        for theirs in expected["cox"]:
            for column in ("hazard_ratio", "low", "high", "p_value"):
                mine = ours.loc[theirs["group"], column]
                assert mine == pytest.approx(theirs[column], rel=1e-8)

    def test_medians_and_logrank_match(self, expected):
        ours = self.rows(self.course().summary, expected)
        assert ours["p_value"].tolist() == pytest.approx([expected["p_value"]] * 3, rel=1e-10)
        theirs = pd.DataFrame(expected["median"]).set_index("group")
        for column in ("n", "events", "median_months", "low", "high"):
            np.testing.assert_array_equal(ours[column], theirs[column].astype(float))


def test_codings_match_r():
    ours = codings_at(codings(DRAWN, "progression"))
    expected = pd.DataFrame(ORACLE["codings"])
    assert ours[["coding", "months", "at_risk"]].equals(expected[["coding", "months", "at_risk"]])
    for column in ("estimate", "low", "high"):
        np.testing.assert_allclose(ours[column], expected[column], rtol=1e-10)


def test_codings_worked_by_hand():
    """
    The event at 3; dead at 8, last seen at 2; alive at 4.

    Censored at 2 the event befalls one of two: 1/2. With death at 2 one of three is gone:
    2/3 * 1/2 = 1/3. Followed to 8 all three are there at 3: 1/3.
    """
    three = pd.DataFrame(
        {
            "progression": [True, False, False],
            "months_to_progression": [3.0, 2.0, 4.0],
            "death": [False, True, False],
            "months_to_death": [9.0, 8.0, 4.0],
        }
    )
    at = codings(three, "progression").query("months == 3").set_index("coding")["estimate"]
    assert at.to_dict() == pytest.approx(
        {"censored": 1 / 2, "death_at_last_visit": 1 / 3, "followed_to_death": 1 / 3}
    )


def test_the_horizon_of_a_clinical_model_is_shown_too():
    plan = ClinicalPlan(factors=("multinodular",), horizon_months=18)
    table = codings_at(codings(DRAWN, "progression"), plan)
    assert sorted(set(table["months"])) == [6, 12, 18, 24]


def test_beyond_the_last_visit_nothing_is_estimated(patients):
    """The longest follow-up is 4 months."""
    table = codings_at(codings(patients, "aggressive_pd"))
    assert table["estimate"].isna().all()
    assert (table["at_risk"] == 0).all()


def test_where_no_death_competes_the_three_codings_are_one_curve(patients):
    alive = patients.assign(death=False)
    curves = codings(alive, "aggressive_pd").set_index("months")
    one, *others = (rows.drop(columns="coding") for _, rows in curves.groupby("coding"))
    assert [one.equals(other) for other in others] == [True, True]


def test_where_death_is_the_endpoint_there_is_nothing_to_code(patients):
    curves = codings(patients, "death")
    assert curves.empty
    assert codings_at(curves).empty
    assert censoring(patients, "death").empty


def test_deaths_without_the_event_are_counted_with_their_distance(patients):
    """Of the two without, one died: 2 months after a last visit moved to month 0."""
    patients.loc[1, "months_to_aggressive_pd"] = 0.0
    row = censoring(patients, "aggressive_pd").iloc[0]
    assert row[["n", "without", "died", "median_months"]].tolist() == [4, 2, 1, 2.0]


def levels(**counts):
    """A table of BCLC stages, so many of each (``stage_`` before it)."""
    stages = [stage.removeprefix("stage_") for stage, n in counts.items() for _ in range(n)]
    return pd.DataFrame({"bclc": stages})


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param({"A": 10, "B": 18, "C": 1}, {"A": 10, "B-C": 19}, id="the last"),
        pytest.param({"stage_0": 2, "A": 9, "B": 12}, {"0-A": 11, "B": 12}, id="the first"),
        pytest.param({"A": 3, "AB": 3, "B": 3}, {"A-B": 9}, id="too few at all"),
        pytest.param({"D": 12, "A": 12}, {"A": 12, "D": 12}, id="the vocabulary's order"),
    ],
)
def test_levels_with_few_patients_are_joined(counts, expected):
    long = grouped(levels(**counts), ["bclc"])
    rows = long[long["grouping"] == "bclc"]
    assert rows.groupby("group", sort=False).size().to_dict() == expected


def test_who_has_no_value_is_in_no_group_but_among_all():
    patients = pd.DataFrame({"cirrhosis": pd.array([True, None, False], dtype="boolean")})
    long = grouped(patients, ["cirrhosis", "hbv"])
    assert long.groupby("grouping", sort=False)["group"].apply(list).to_dict() == {
        "all": ["all"] * 3,
        "cirrhosis": ["no", "yes"],
    }


def test_levels_without_an_order_are_not_joined():
    long = grouped(pd.DataFrame({"capsule": ["intact", "non_intact"]}), ["capsule"])
    assert long["group"].tolist() == ["all", "all", "non-intact", "intact"]


WEEKS_52 = 52 * 0.2299795


@pytest.mark.real_data
def test_progression_of_the_real_sheet_depends_on_the_coding(real):
    """
    At 52 weeks 56 %, 36 % and 33 %, as the sample's README has them.
    """
    curves = codings(real, "progression")
    at = curves[curves["months"] <= WEEKS_52].groupby("coding", sort=False)["estimate"].last()
    assert (100 * at).round().to_dict() == {
        "censored": 56,
        "death_at_last_visit": 36,
        "followed_to_death": 33,
    }


@pytest.mark.real_data
def test_deaths_of_the_real_sheet_come_long_after_the_last_visit(real):
    """53 of the 60 without progression died, in the median 78.7 weeks later."""
    row = censoring(real, "progression").iloc[0]
    assert row[["without", "died"]].tolist() == [60, 53]
    assert row["median_months"] / 0.2299795 == pytest.approx(78.7, abs=0.05)


@pytest.mark.real_data
def test_groups_of_the_real_sheet_hold_ten_patients_at_least(real):
    """Child-Pugh C has 1 patient and BCLC D has 3."""
    summary = time_course(grouped(real, ["child_pugh", "bclc"]), "progression").summary
    assert (summary["n"] >= module.FEWEST).all()
    assert set(summary["group"]) == {"all", "A", "B-C", "B", "C-D"}
