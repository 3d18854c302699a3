"""The leak-free protocol: what development fits, what a validation centre is given."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sample_study

from hcc_utils.checks import InputError
from hcc_utils.demo import patients as demo_patients
from hcc_utils.models import case_mix, folds, optimism, protocol, record
from hcc_utils.models.bundle import Bundle
from hcc_utils.models.record import CURVES, NOISE, SPREAD
from hcc_utils.models.settings import Settings
from hcc_utils.study import results
from hcc_utils.study.cohort import eligible
from hcc_utils.study.scores import Scores

ENDPOINT = "aggressive_pd"


def logit(risk):
    return np.log(risk / (1 - risk))


@pytest.fixture(scope="module")
def demo():
    """The demo's eligible patients with their image latent."""
    everyone, truth = demo_patients.make()
    kept, _ = eligible(everyone)
    return kept.merge(truth[["patient_id", "image_latent"]], on="patient_id")


def of_role(demo, *hospitals):
    return demo[demo["centre"].isin(hospitals)].reset_index(drop=True)


def model_d(patients, origin, fold=None):
    """A stand-in for Model D: a noisy, badly scaled view of what the images were drawn from."""
    noise = np.random.default_rng(1).normal(size=len(patients))
    score = 1 / (1 + np.exp(-(0.5 + patients["image_latent"] + noise)))
    return Scores.of(patients, model="d", origin=origin, score=score, risk=score, fold=fold)


@pytest.fixture(scope="module")
def development(demo):
    patients = of_role(demo, "hospital_a", "hospital_b")
    return patients, model_d(patients, "out_of_fold", folds.assign(patients, seed=1))


@pytest.fixture(scope="module")
def developed(development):
    patients, d = development
    return protocol.develop(patients, d, pd.DataFrame(), ENDPOINT)


def inner_scores(patients, d):
    """The stand-in's inner scores for each outer fold, as the nested loop would leave them."""
    parts = []
    for outer in range(5):
        others = patients[(d.table["fold"] != outer).to_numpy(dtype=bool)].reset_index(drop=True)
        inner = model_d(others, "out_of_fold", folds.assign(others, seed=2 + outer))
        parts.append(inner.table.assign(outer_fold=outer))
    return pd.concat(parts, ignore_index=True)


def test_each_model_s_scores_carry_the_origin_they_have(developed):
    origins = developed[1].table.groupby("model")["origin"].unique().map(list).to_dict()
    assert origins == {"cs": ["out_of_fold"], "d": ["out_of_fold"], "csd": ["stacked"]}


def test_model_csd_has_a_risk_for_each_horizon_beside_the_one_of_ever(developed, development):
    """Every patient stands once at each horizon; Models CS and D know of none."""
    patients, _ = development
    rows = developed[1].table.groupby("model")["horizon_months"].value_counts(dropna=False)
    n = len(patients)
    assert rows["csd"].to_dict() == {pd.NA: n, 12: n, 24: n}
    assert all(rows[model].to_dict() == {pd.NA: n} for model in ("cs", "d"))
    early = patients[ENDPOINT] & (patients[f"months_to_{ENDPOINT}"] <= 12)
    assert developed[1].at(12).table["event"].sum() == early.sum() > 10


def test_a_development_says_how_firmly_its_model_stands(development, tmp_path, monkeypatch):
    """Two resamples in place of 200; every table that chapter 04 writes is there."""
    fewer = partial(optimism.bootstrapped, resamples=2)
    monkeypatch.setattr(protocol.optimism, "bootstrapped", fewer)
    patients, d = development
    here = results.Folder(root=tmp_path, study="s", centre="development", stage="04_comparison")
    results.write_table(patients, here.path / "patients.csv")
    results.write_table(pd.DataFrame(columns=["outer_fold"]), here.path / "inner_scores_d.csv")
    d.write(here.path / "scores_d.csv")
    found = protocol.at_centre(sample_study.manifest(tmp_path), here)
    found.write(here)
    assert here.read("coefficients.csv")["term"].tolist()[1:] == list(found.models.clinical.terms)
    assert here.read("sample_size.csv")["events"][0] == patients[ENDPOINT].sum()
    assert set(here.read("optimism.csv")["model"]) == {"cs"}
    assert set(here.read("inclusion.csv")["frequency"]) <= {0, 0.5, 1}
    assert here.read("instability.csv")["n"].sum() == len(patients)


def test_the_nested_loop_makes_model_csd_out_of_fold(development):
    patients, d = development
    _, scores = protocol.develop(patients, d, inner_scores(patients, d), ENDPOINT)
    for months in (None, 12, 24):
        csd = scores.at(months).only(model="csd").table
        assert set(csd["origin"]) == {"out_of_fold"}
        assert sorted(csd["patient_id"]) == sorted(patients["patient_id"])


@pytest.mark.parametrize("nested", [False, True], ids=["plain", "nested"])
def test_a_patient_s_outcome_cannot_reach_the_patient_s_own_score(development, nested):
    """Every outcome of fold 0 turned round: no out-of-fold score of fold 0 may move."""
    patients, d = development
    first = (d.table["fold"] == 0).to_numpy(dtype=bool)
    turned = patients.assign(**{ENDPOINT: patients[ENDPOINT] ^ first})
    d_turned = Scores(d.table.assign(event=turned[ENDPOINT].to_numpy(dtype=bool)))
    inner, inner_turned = pd.DataFrame(), pd.DataFrame()
    if nested:
        inner, inner_turned = inner_scores(patients, d), inner_scores(turned, d)
    _, before = protocol.develop(patients, d, inner, ENDPOINT)
    _, after = protocol.develop(turned, d_turned, inner_turned, ENDPOINT)
    for model in ("cs", "d", "csd") if nested else ("cs", "d"):
        for months in (None, 12, 24) if model == "csd" else (None,):
            a, b = (
                s.only(model=model, origin="out_of_fold").at(months).table for s in (before, after)
            )
            first_a, first_b = (t.loc[t["fold"] == 0, "risk"] for t in (a, b))
            pd.testing.assert_series_equal(first_a, first_b)
            assert not a["risk"].equals(b["risk"]), "the outcome does reach the other folds"


def test_a_validation_centre_is_given_the_frozen_numbers(developed, demo):
    """CSD = intercept + cs * score of CS + d * (intercept + slope * logit of D's score)."""
    models, _ = developed
    patients = of_role(demo, "hospital_c")
    d = model_d(patients, "external")
    scores = protocol.apply(models, patients, d, ENDPOINT)
    assert set(scores.table["origin"]) == {"external"}
    line, csd = models.combined.recalibration, models.combined
    d_log_odds = line.intercept + line.slope * logit(d.table["score"].to_numpy())
    expected = csd.intercept + csd.cs * models.clinical.score(patients) + csd.d * d_log_odds
    found = scores.only(model="csd").at(None).table["score"].to_numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    for frozen in models.horizons:
        own = frozen.model
        expected = own.intercept + own.cs * models.clinical.score(patients) + own.d * d_log_odds
        found = scores.at(frozen.horizon_months).table["score"].to_numpy()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_a_validation_centre_s_outcomes_change_no_risk(developed, demo):
    models, _ = developed
    patients = of_role(demo, "hospital_c")
    turned = patients.assign(**{ENDPOINT: ~patients[ENDPOINT]})
    a = protocol.apply(models, patients, model_d(patients, "external"), ENDPOINT).table
    b = protocol.apply(models, turned, model_d(turned, "external"), ENDPOINT).table
    assert a["risk"].equals(b["risk"])


def test_development_s_scores_are_not_given_to_frozen_models(developed, development):
    with pytest.raises(InputError, match="'out_of_fold' cannot be used to be given to frozen"):
        protocol.apply(developed[0], *development, ENDPOINT)


def test_scores_of_a_validation_centre_develop_nothing(demo):
    patients = of_role(demo, "hospital_c")
    with pytest.raises(InputError, match="'external' cannot be used to develop Model CSD"):
        protocol.develop(patients, model_d(patients, "external"), pd.DataFrame(), ENDPOINT)


def test_a_scored_patient_who_left_the_cohort_is_named(development):
    patients, d = development
    with pytest.raises(InputError, match=r"1 scored patient.*run notebook 03 again"):
        protocol.develop(patients.iloc[1:], d, pd.DataFrame(), ENDPOINT)


@pytest.fixture
def folder(tmp_path, development, developed):
    """Development's results as notebooks 01 to 05 leave them, the network untrained."""
    patients, _ = development
    models, scores = developed
    here = results.Folder(root=tmp_path, study="s", centre="development", stage="04_comparison")
    here.path.mkdir(parents=True)
    settings = Settings(epochs=1)
    Bundle(
        network=settings.network(),
        settings=settings,
        preprocessing={"size": 128},
        training_centres=["hospital_a", "hospital_b"],
    ).write(here.path)
    scores.write(here.own("scores.csv"))
    protocol.hand_on(models.to_dict(), here, "models.json")
    results.write_json(protocol.ranges_of(here, models, scores), here.path / "ranges.json")
    results.write_json({"radiomics": {"intercept": 1.5}}, here.path / "radiomics.json")
    results.write_table(patients, here.path / "patients.csv")
    curves = pd.DataFrame({"network": ["final"], "epoch": [1], "loss": [0.7], "inner_auc": [0.5]})
    for name in (CURVES, NOISE, SPREAD):
        results.write_table(curves, here.path / name)
    return here


def test_the_frozen_bundle_gives_the_models_back_to_the_digit(folder, developed):
    models, scores = developed
    protocol.freeze(folder.path, folder.path.parent / "bundle")
    bundle = str(folder.path.parent / "bundle")
    assert protocol.models_of(folder, bundle=bundle) == models
    assert protocol.models_of(folder) == models
    drawn = protocol.ranges_of(folder, models, scores)
    assert protocol.ranges_of(folder, models, scores, bundle=bundle) == drawn
    assert record.read(bundle)["radiomics"] == {"intercept": 1.5}
    assert record.read(bundle)["baseline"] == case_mix.summary(folder.read("patients.csv"))
    assert all((folder.path.parent / "bundle" / name).is_file() for name in (CURVES, NOISE, SPREAD))


@pytest.mark.parametrize("horizon", [0, 1], ids=["12", "24"])
@pytest.mark.parametrize("number", ["intercept", "cs", "d"])
def test_a_horizon_s_coefficient_cannot_be_changed_unseen(folder, horizon, number):
    protocol.freeze(folder.path, folder.path.parent / "bundle")
    path = folder.path.parent / "bundle" / record.NAME
    content = json.loads(path.read_text("utf-8"))
    assert [one["horizon_months"] for one in content["horizons"]] == [12, 24]
    content["horizons"][horizon]["model"][number] *= -1
    results.write_json(content, path)
    with pytest.raises(InputError, match="changed since it was written"):
        Bundle.read(path.parent)
    with pytest.raises(InputError, match="changed since it was written"):
        protocol.models_of(folder, bundle=str(path.parent))


def test_a_validation_centre_hands_no_model_on(folder, developed):
    elsewhere = replace(folder, centre="hospital_c")
    protocol.hand_on(developed[0].to_dict(), elsewhere, "models.json")
    assert not elsewhere.path.exists()


def by(*columns):
    """What is asked of a study: by which columns its patients are followed."""
    return sample_study.manifest(Path(), survival_by=columns)


def test_risk_groups_split_at_the_frozen_threshold(folder, developed):
    groups = protocol.risk_groups(by(), folder)
    assert list(groups["grouping"].unique()) == ["all", "risk"]
    group = groups[groups["grouping"] == "risk"].set_index("patient_id")["group"]
    csd = developed[1].only(model="csd").at(None).table.set_index("patient_id")["risk"]
    cut = developed[0].thresholds["csd"]
    assert len(group) == len(csd), "one row a patient, whatever else scores.csv holds"
    assert (group.eq("high") == (csd.loc[group.index] >= cut)).all()
    assert list(group.unique()) == ["low", "high"]


def test_without_model_csd_groups_are_those_that_the_study_names(folder, developed):
    developed[1].only(model="cs").write(folder.path / "scores.csv")
    groups = protocol.risk_groups(by("child_pugh", "has_ct"), folder)
    assert groups.groupby("grouping", sort=False)["group"].unique().map(list).to_dict() == {
        "all": ["all"],
        "child_pugh": ["A", "B"],
        "has_ct": ["yes"],
    }


def test_without_scores_and_groupings_everyone_is_one_group(folder):
    (folder.path / "scores.csv").unlink()
    assert set(protocol.risk_groups(by(), folder)["group"]) == {"all"}


def test_the_nomogram_s_scales_hide_single_patients(folder, developed):
    """Its ends are percentiles: fewer than 6 % of patients lie beyond each."""
    low, high = protocol.ranges_of(folder, *developed)["cs"]
    score = developed[1].only(model="cs").table["score"]
    assert 0 < (score < low).mean() < 0.06
    assert 0 < (score > high).mean() < 0.06
