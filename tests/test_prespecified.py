"""A penalised clinical model. R's values: oracles/ridge.json, made by ridge.R (versions inside)."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcc_utils.checks import InputError
from hcc_utils.models import logistic, optimism, prespecified

ORACLES = Path(__file__).parent / "oracles"
ORACLE = json.loads((ORACLES / "ridge.json").read_text())
FACTORS = ORACLE["factors"]


@pytest.fixture
def patients() -> pd.DataFrame:
    """The 105 patients that ridge.R drew."""
    table = pd.read_csv(ORACLES / "ridge_patients.csv")
    flags = ["multinodular", "baseline_macrovascular_invasion", "progression"]
    table[flags] = table[flags].astype("boolean")
    ids = [f"p{i}" for i in range(len(table))]
    return table.assign(patient_id=ids, centre="hospital_a")


NOISE = ["age_years", "diameter_mm", "hbv", "multinodular"]


def noise(n: int, seed: int = 0) -> pd.DataFrame:
    """Factors that know nothing of the outcome, which a third have."""
    rng = np.random.default_rng(seed)
    numbers = {name: rng.normal(size=n) for name in NOISE[:2]}
    flags = {name: rng.random(n) < 0.4 for name in NOISE[2:]}
    return pd.DataFrame({**numbers, **flags, "progression": np.arange(n) < n // 3})


def test_the_chosen_model_matches_r(patients):
    chosen = ORACLE["trace"]["chosen"]
    (theirs,) = [m["coefficients"] for m in ORACLE["models"] if m["penalty"] == chosen]
    found = prespecified.fit(patients, "progression", FACTORS)
    assert list(found.terms) == FACTORS
    np.testing.assert_allclose([found.intercept, *found.terms.values()], theirs, rtol=1e-9)


def test_the_note_says_how_far_the_model_is_penalised(patients):
    assert prespecified.fit(patients, "progression", FACTORS).note == (
        "penalised (ridge, penalty 32, 1.7 effective degrees of freedom): "
        "coefficients are drawn towards 0 on purpose; no p-values"
    )


def test_the_note_says_where_the_penalties_end(patients):
    """Factors drawn without regard to the outcome."""
    found = prespecified.fit(noise(105), "progression", ["age_years", "hbv"])
    assert "penalty 64" in found.note
    assert found.note.endswith("these factors tell little about the event here")


def test_there_is_nothing_to_print_a_p_value_from(patients):
    wald = prespecified.fit(patients, "progression", FACTORS).wald()
    assert wald[["se", "low", "high", "z", "p_value"]].isna().all(axis=None)
    assert wald["odds_ratio"].notna().all()


def test_without_a_penalty_it_is_maximum_likelihood(patients):
    found = prespecified.fit(patients, "progression", FACTORS, penalty=0)
    design = np.column_stack([np.ones(len(patients)), patients[FACTORS].to_numpy(float)])
    plain = logistic.maximum_likelihood(design, patients["progression"].to_numpy(bool))
    values = [found.intercept, *found.terms.values()]
    np.testing.assert_allclose(values, plain.coefficients, rtol=1e-8)


def test_a_huge_penalty_gives_everybody_the_prevalence(patients):
    found = prespecified.fit(patients, "progression", FACTORS, penalty=1e12)
    np.testing.assert_allclose(found.risk(patients), patients["progression"].mean(), atol=1e-9)


def test_missing_values_are_filled_in_as_the_training_rows_teach(patients):
    """The median of a number, the commonest value of a flag; in new patients the same."""
    holes = patients.copy()
    holes.loc[[0, 1], "diameter_mm"] = np.nan
    holes.loc[[2], "multinodular"] = pd.NA
    filled = holes.fillna({"diameter_mm": holes["diameter_mm"].median(), "multinodular": True})
    found = prespecified.fit(holes, "progression", FACTORS)
    assert found.terms == prespecified.fit(filled, "progression", FACTORS).terms
    unknown = pd.DataFrame([dict.fromkeys(FACTORS)])
    assert found.imputer.apply(unknown).iloc[0]["diameter_mm"] == holes["diameter_mm"].median()


def test_derived_factors_need_their_sources_alone():
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "afp_ng_ml": 10 ** rng.uniform(0, 4, 60),
            "child_pugh": rng.choice(["A", "B", "C"], 60),
            "progression": rng.random(60) < 0.4,
        }
    )
    found = prespecified.fit(table, "progression", ["log10_afp_ng_ml", "child_pugh_b_or_c"])
    assert list(found.terms) == ["log10_afp_ng_ml", "child_pugh_b_or_c"]
    assert len(found.score(table)) == 60


def test_a_factor_that_does_not_vary_is_harmless(patients):
    same = patients.assign(hbv=pd.array([True] * len(patients), dtype="boolean"))
    found = prespecified.fit(same, "progression", [*FACTORS, "hbv"])
    without = prespecified.fit(patients, "progression", FACTORS)
    np.testing.assert_allclose(found.score(same), without.score(patients), atol=1e-9)


def test_a_factor_that_nobody_has_is_left_out_and_named(patients):
    empty = patients.assign(ecog=np.nan)
    found = prespecified.fit(empty, "progression", [*FACTORS, "ecog"])
    assert list(found.terms) == FACTORS
    assert found.note.endswith("ECOG performance status is missing for everybody and left out")


def test_a_factor_that_is_no_column_is_refused(patients):
    with pytest.raises(InputError, match=r"'diametre_mm' .nearest: 'diameter_mm'"):
        prespecified.fit(patients, "progression", ["diametre_mm"])


def test_separated_patients_have_finite_coefficients(patients):
    apart = patients.assign(multinodular=patients["progression"])
    found = prespecified.fit(apart, "progression", FACTORS)
    assert 0 < found.terms["multinodular"] < 10


def test_nobody_is_scored_by_a_model_that_saw_them(patients):
    """The model of the other folds is fitted by hand, its penalty chosen there."""
    fold = np.arange(len(patients)) % 5
    found = prespecified.cross_fit(patients, fold, "progression", FACTORS, 12).table
    for left_out in range(5):
        model = prespecified.fit(patients[fold != left_out], "progression", FACTORS)
        theirs = found.loc[found["fold"] == left_out, "score"]
        np.testing.assert_allclose(theirs, model.score(patients[fold == left_out]))


def test_out_of_fold_scores_say_what_they_are(patients):
    fold = np.arange(len(patients)) % 5
    found = prespecified.cross_fit(patients, fold, "progression", FACTORS, 12).table
    assert found["patient_id"].tolist() == patients["patient_id"].tolist()
    assert found["event"].tolist() == patients["progression"].tolist()
    said = found[["model", "origin", "horizon_months"]].drop_duplicates()
    assert said.to_numpy().tolist() == [["clinical", "out_of_fold", 12]]
    np.testing.assert_allclose(found["risk"], 1 / (1 + np.exp(-found["score"])))


def test_one_fold_leaves_nobody_out(patients):
    with pytest.raises(InputError, match="at least two folds"):
        prespecified.cross_fit(patients, np.zeros(len(patients)), "progression", FACTORS, 12)


def test_the_bootstrap_repeats_the_whole_fit(patients):
    """The same resamples by hand: apparent less the mean loss of the models fitted to them."""
    found = prespecified.optimism(patients, "progression", FACTORS, 12, seed=5)
    fitted = partial(prespecified.fit, outcome="progression", factors=FACTORS)
    by_hand = optimism.bootstrapped(
        patients, "progression", fitted, resamples=12, model="clinical", seed=5
    )
    pd.testing.assert_frame_equal(found.optimism, by_hand.optimism)
    assert found.inclusion.empty, "nothing is selected"
