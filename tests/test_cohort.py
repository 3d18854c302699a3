"""Eligibility and staging."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hcc_utils.checks import InputError
from hcc_utils.study import cohort


@pytest.mark.parametrize(
    ("diameter_mm", "lesion_count", "stage"),
    [(20, 1, "0"), (20.1, 1, "A"), (50, 1, "A"), (50.1, 1, "AB"), (30, 2, "A"), (30, 3, "A"),
     (30.1, 2, "B"), (10, 4, "B")],
)  # fmt: skip
def test_staging_follows_size_and_number(diameter_mm, lesion_count, stage):
    patients = pd.DataFrame({"diameter_mm": [diameter_mm], "lesion_count": [lesion_count]})
    assert cohort.bclc_from_factors(patients).item() == stage


def test_staging_is_missing_where_a_factor_is():
    patients = pd.DataFrame({"diameter_mm": [np.nan, 10], "lesion_count": [1, np.nan]})
    assert cohort.bclc_from_factors(patients).isna().all()


@pytest.fixture
def screened():
    """Nine patients of one centre: one fails each rule, in the rules' order; the last stays."""
    good = {
        "centre": "x",
        "diagnosis_basis": "clinical",
        "has_ct": True,
        "baseline_spread": False,
        "treatment": "resection",
        "margin": "negative",
        "other_cancer": False,
        "irregular_follow_up": False,
        "aggressive_pd": False,
        "death": False,
        "months_to_aggressive_pd": 20.0,
        "months_to_death": 30.0,
    }
    faults = [
        {"diagnosis_basis": None},
        {"has_ct": False},
        {"baseline_spread": True},
        {"treatment": None},
        {"margin": "positive"},
        {"other_cancer": True},
        {"irregular_follow_up": True},
        {"months_to_aggressive_pd": 11.9},
        {},
    ]
    return pd.DataFrame([{"patient_id": f"p{i}", **good, **f} for i, f in enumerate(faults)])


def test_each_rule_excludes_its_patient(screened):
    kept, flow = cohort.eligible(screened)
    assert list(kept["patient_id"]) == ["p8"]
    assert list(flow["excluded"]) == [0] + [1] * 8 + [0]
    assert list(flow["remaining"]) == [*range(9, 0, -1), 1]


@pytest.mark.parametrize("column", ["aggressive_pd", "months_to_aggressive_pd", "death"])
def test_an_outcome_that_was_not_recorded_is_counted_out(screened, column):
    patients = screened.iloc[[8]].astype({column: object}).assign(**{column: None})
    kept, flow = cohort.eligible(patients)
    assert kept.empty
    assert flow["excluded"].iloc[-1] == 1


@pytest.mark.parametrize(
    "spared",
    [{"death": True}, {"aggressive_pd": True}, {"months_to_aggressive_pd": 12.0}],
    ids=["died", "event", "a full year"],
)
def test_short_follow_up_spares(screened, spared):
    patients = screened.assign(**spared).iloc[[7]]
    assert len(cohort.eligible(patients)[0]) == 1


def test_a_margin_is_asked_of_resected_patients_only(screened):
    patients = screened.iloc[[8]].assign(treatment="tace", margin=None)
    assert len(cohort.eligible(patients)[0]) == 1


def test_a_rule_without_its_column_says_so(screened):
    _, flow = cohort.eligible(screened.drop(columns="other_cancer"))
    row = flow[flow["step"] == "no_other_cancer"]
    assert row["excluded"].item() == 0
    assert row["reason"].item().endswith("(not recorded: not applied)")


def test_a_rule_left_out_spares_its_patient_and_says_why(screened):
    kept, flow = cohort.eligible(screened, {"no_other_cancer": "why"})
    assert list(kept["patient_id"]) == ["p5", "p8"]
    assert (
        flow.loc[flow["step"] == "no_other_cancer", "reason"].item().endswith("(not applied: why)")
    )


def test_a_rule_that_does_not_exist_cannot_be_left_out(screened):
    with pytest.raises(InputError, match=r"got 'no_spred' \(nearest: 'no_spread'\)"):
        cohort.eligible(screened, {"no_spred": "why"})


SPREAD = pd.DataFrame(
    {
        "patient_id": ["p0", "p1", "p2", "p3", "p4"],
        "centre": "x",
        "baseline_macrovascular_invasion": [True, True, True, False, False],
        "baseline_extrahepatic_metastasis": [True, False, False, True, False],
        "other_cancer": [False, False, True, False, False],
        "progression": False,
        "months_to_progression": 1.0,
        "death": False,
        "months_to_death": 2.0,
    }
).astype({"other_cancer": "boolean"})
LIFTED = {"no_macrovascular_invasion": "why", "no_metastasis": "why"}


def test_who_left_by_a_lifted_rule_alone_comes_back():
    """p0 to p2 leave by invasion, p3 by metastasis; p2 has another cancer too and stays out."""
    kept, flow = cohort.eligible(SPREAD, endpoint="progression", lifted=LIFTED)
    assert list(kept["patient_id"]) == ["p0", "p1", "p3", "p4"]
    moved = flow[flow["excluded"] != 0].set_index("step")["excluded"]
    assert moved.to_dict() == {"no_macrovascular_invasion": 3, "no_metastasis": 1, "come_back": -3}
    assert flow["remaining"].iloc[-1] == 4


def test_a_centre_from_which_all_left_comes_back_too():
    """At centre y the only patient leaves by invasion and comes back."""
    apart = SPREAD.assign(centre=["y", "x", "x", "x", "x"])
    _, flow = cohort.eligible(apart, endpoint="progression", lifted=LIFTED)
    assert flow.groupby("centre")["remaining"].last().to_dict() == {"x": 3, "y": 1}


def test_kinds_of_spread_take_the_place_of_the_whole():
    _, flow = cohort.eligible(SPREAD.assign(baseline_spread=True), endpoint="progression")
    assert "no_spread" not in set(flow["step"])


def test_a_table_without_kinds_of_spread_says_nothing_of_them(screened):
    _, flow = cohort.eligible(screened)
    assert {"no_macrovascular_invasion", "no_metastasis"}.isdisjoint(flow["step"])


def test_failing_counts_each_criterion_by_itself():
    """Three with invasion, two with metastasis (p0 has both), one with another cancer."""
    found = cohort.failing(SPREAD, {"no_other_cancer": "why"}).set_index("rule")["failing"]
    assert found["no_macrovascular_invasion"] == 3
    assert found["no_metastasis"] == 2
    assert found[["no_other_cancer", "ct_at_diagnosis"]].isna().all()


def test_flow_counts_each_centre_apart(screened):
    patients = pd.concat([screened, screened.assign(centre="a")], ignore_index=True)
    kept, flow = cohort.eligible(patients)
    assert list(dict.fromkeys(flow["centre"])) == ["x", "a"]
    last = flow.groupby("centre")["remaining"].last()
    assert last.to_dict() == kept["centre"].value_counts().to_dict() == {"x": 1, "a": 1}


def test_derived_factors_worked_by_hand():
    """AFP 1000 has the logarithm 3; 0.2 counts as 1, whose logarithm is 0. B and C are worse."""
    patients = pd.DataFrame(
        {"afp_ng_ml": [1000, 0.2, np.nan, 10], "child_pugh": ["A", "B", "C", None]}
    )
    found = cohort.with_derived(patients)
    np.testing.assert_allclose(found["log10_afp_ng_ml"], [3, 0, np.nan, 1])
    assert found["child_pugh_b_or_c"].tolist() == [False, True, True, pd.NA]


def test_nothing_is_derived_from_what_was_not_recorded():
    patients = pd.DataFrame({"age_years": [50.0]})
    assert list(cohort.with_derived(patients)) == ["age_years"]


def test_every_derived_factor_is_made():
    patients = pd.DataFrame({source: [1] for _, source in cohort.vocabulary.DERIVED.values()})
    assert set(cohort.vocabulary.DERIVED) <= set(cohort.with_derived(patients))


def test_missing_by_centre():
    patients = pd.DataFrame({"centre": ["a", "b", "b"], "hbv": [True, None, None]})
    assert cohort.missing_values(patients).to_dict("records") == [
        {"centre": "b", "variable": "hbv", "missing": 2, "n": 2}
    ]


def test_a_stage_that_size_and_number_do_not_give_is_listed():
    patients = pd.DataFrame(
        {
            "patient_id": ["agrees", "differs", "unknown"],
            "centre": "x",
            "bclc": ["A", "A", None],
            "diameter_mm": [40.0, 60.0, 60.0],
            "lesion_count": [1, 1, 1],
        }
    )
    found = cohort.stage_disagreements(patients)
    assert found[["patient_id", "bclc_from_factors"]].to_numpy().tolist() == [["differs", "AB"]]


def test_a_table_without_stages_disagrees_on_nothing():
    assert cohort.stage_disagreements(pd.DataFrame({"patient_id": ["p"]})).empty
