"""How centres differ. Expected values by hand, or from rows that were made alike or apart."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import sample_study

from hcc_utils.models import case_mix, record
from hcc_utils.study import results

LEVELS = ["absent", "non_intact", "intact"]


def drawn(n, seed, centre="x", larger_mm=0.0):
    """Patients with the five predictors of the published Model CS, and age."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "patient_id": [f"{centre}{number}" for number in range(n)],
            "centre": centre,
            "age_years": rng.normal(60, 10, n),
            "diameter_mm": rng.normal(60, 15, n) + larger_mm,
            "cirrhosis": rng.random(n) < 0.6,
            "fusion_lesion": rng.random(n) < 0.4,
            "capsule": rng.choice(LEVELS, n),
            "nodule_in_nodule": rng.random(n) < 0.4,
        }
    )


def by_statistic(rows):
    return {row["statistic"]: row["estimate"] for row in rows}


def test_means_and_counts_are_frozen_by_hand():
    """Ages 1 to 11: mean 6, SD sqrt(110 / 10); 10 of 11 with HBV leaves one without."""
    patients = pd.DataFrame(
        {"age_years": np.arange(1.0, 12), "sex": ["male"] * 11, "hbv": [True] * 10 + [False]}
    )
    found = case_mix.summary(patients)
    assert found["numbers"]["age_years"] == {
        "n": 11, "mean": 6.0, "sd": pytest.approx(np.sqrt(11))
    }  # fmt: skip
    assert found["levels"] == {"sex": {"male": 11}}


def test_rare_levels_are_frozen_together_or_not_at_all():
    """Of C 6 and D 5 patients: 11 together. With four of D alone nothing is told."""
    stage = ["A"] * 20 + ["C"] * 6 + ["D"] * 5
    assert case_mix.summary(pd.DataFrame({"bclc": stage}))["levels"] == {
        "bclc": {"A": 20, "other": 11}
    }
    assert case_mix.summary(pd.DataFrame({"bclc": stage[:-7]}))["levels"] == {}


def test_a_number_of_few_patients_is_not_frozen():
    assert case_mix.summary(pd.DataFrame({"age_years": np.arange(9.0)}))["numbers"] == {}


def test_what_is_frozen_can_be_json():
    frozen = case_mix.summary(drawn(50, 1))
    assert json.loads(json.dumps(frozen, allow_nan=False)) == frozen


def test_standardised_differences_by_hand():
    """Ages 50 (SD 10) and 2 here of mean 56, variance 128: 6 / sqrt(114); a flag .5 and .2 as in
    Table 1: .6626; of one level both alike: 0 by the levels' distance."""
    frozen = {
        "numbers": {"age_years": {"n": 20, "mean": 50.0, "sd": 10.0}},
        "levels": {"hbv": {"False": 10, "True": 10}, "sex": {"male": 10, "female": 10}},
    }
    here = pd.DataFrame(
        {
            "age_years": [48.0, 64] + [None] * 8,
            "hbv": [True] * 2 + [False] * 8,
            "sex": ["male", "female"] * 5,
        }
    )
    rows = {row["variable"]: row for row in case_mix.differences(frozen, here)}
    assert rows["age_years"]["estimate"] == pytest.approx(6 / np.sqrt(114))
    assert rows["age_years"]["n"] == 2
    assert rows["hbv"]["estimate"] == pytest.approx(-0.6626, abs=5e-5)
    assert (rows["hbv"]["development"], rows["hbv"]["here"]) == (0.5, 0.2)
    assert rows["sex"]["estimate"] == 0


def test_a_level_that_was_rare_in_development_counts_with_the_rare_ones():
    """A and other, half and half, at both: D here is one of the others."""
    frozen = {"levels": {"bclc": {"A": 20, "other": 20}}}
    (row,) = case_mix.differences(frozen, pd.DataFrame({"bclc": ["A", "D", "A", "C"]}))
    assert row["estimate"] == 0


def test_the_distance_of_a_shift_in_one_predictor():
    """Three SD in diameter alone, predictors drawn independent: about 3; alike: about chance."""
    frozen = case_mix.summary(drawn(4000, 1))
    apart = by_statistic(case_mix.distance(frozen, drawn(4000, 2, larger_mm=45)))
    assert apart["mahalanobis"] == pytest.approx(3, abs=0.1)
    alike = by_statistic(case_mix.distance(frozen, drawn(4000, 3)))
    assert alike["mahalanobis"] < 2.5 * alike["mahalanobis_by_chance"]


def test_the_squared_distance_by_chance_is_what_alike_centres_give_on_average():
    """200 pairs of alike centres of 150 and 40 patients: their mean square against the formula."""
    pairs = [
        by_statistic(case_mix.distance(case_mix.summary(drawn(150, 2 * k)), drawn(40, 2 * k + 1)))
        for k in range(200)
    ]
    squared = np.mean([pair["mahalanobis"] ** 2 for pair in pairs])
    assert squared == pytest.approx(pairs[0]["mahalanobis_by_chance"] ** 2, rel=0.15)


def test_there_is_no_distance_where_a_predictor_was_not_frozen_or_recorded():
    frozen = case_mix.summary(drawn(50, 1))
    assert case_mix.distance(frozen, drawn(50, 2).drop(columns="capsule")) == []
    assert case_mix.distance({"patients": 50}, drawn(50, 2)) == []
    assert case_mix.distance(frozen, drawn(8, 2)) == []


def test_membership_is_told_where_centres_differ_and_not_where_they_are_alike():
    first = drawn(60, 1, "a")
    (apart,) = case_mix.membership(first, drawn(60, 2, "b", larger_mm=60), seed=1)
    assert apart["estimate"] > 0.95
    (alike,) = case_mix.membership(first, drawn(60, 3, "b"), seed=1)
    assert alike["low"] < 0.5 < alike["high"] or alike["estimate"] < 0.5


def test_ids_that_two_hospitals_share_are_no_patient_twice():
    first = drawn(20, 1, "a")
    second = drawn(20, 2, "b").assign(patient_id=first["patient_id"])
    assert case_mix.membership(first, second, seed=1)[0]["n"] == 40


@pytest.fixture
def study(tmp_path):
    """Development of two hospitals, a validation centre, and a bundle that knows the first."""
    development = pd.concat([drawn(40, 1, "hospital_a"), drawn(40, 2, "hospital_b")])
    root = tmp_path / "sample"
    results.write_table(development, root / "development" / "patients.csv")
    results.write_table(drawn(30, 3, "hospital_c"), root / "hospital_c" / "patients.csv")
    record.write({"baseline": case_mix.summary(development)}, root / "bundle")
    return tmp_path


def folder(root, centre):
    return results.Folder(root=root, study="sample", centre=centre, stage="04_comparison")


@pytest.mark.parametrize("at_one_site", [True, False])
def test_membership_needs_the_rows_of_both_at_one_site(study, tmp_path, at_one_site):
    manifest = sample_study.manifest(tmp_path, rows_at_one_site=at_one_site)
    bundle = str(study / "sample" / "bundle")
    if not at_one_site:  # another hospital has no development rows
        (study / "sample" / "development" / "patients.csv").unlink()
    found = case_mix.at_centre(manifest, folder(study, "hospital_c"), bundle=bundle)
    assert ("membership_auc" in set(found["statistic"])) == at_one_site
    assert {"smd", "mahalanobis"} <= set(found["statistic"])
    assert set(found["against"]) == {"development"}


def test_in_development_each_hospital_is_held_against_the_others(study, tmp_path):
    manifest = sample_study.manifest(tmp_path)
    found = case_mix.at_centre(manifest, folder(study, "development"))
    assert list(found["centre"].unique()) == ["hospital_a", "hospital_b"]
    first, second = (part for _, part in found.groupby("centre"))
    ages = [
        part.loc[part["variable"] == "age_years", "estimate"].item() for part in (first, second)
    ]
    assert ages[0] == pytest.approx(-ages[1])
    assert "published_cs" in set(found["variable"])
