"""Model CS. R's values: oracles/clinical.json, made by clinical.R (versions inside)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcc_utils.checks import InputError
from hcc_utils.evaluation.discrimination import auc
from hcc_utils.models import clinical

ORACLES = Path(__file__).parent / "oracles"
ORACLE = json.loads((ORACLES / "clinical.json").read_text())
DRAWN = pd.read_csv(ORACLES / "clinical_patients.csv", keep_default_na=True)
RETURNS = pd.read_csv(ORACLES / "clinical_returns.csv")
TIES = pd.read_csv(ORACLES / "clinical_ties.csv")
RUNS = [
    pytest.param(run, id=f"{run['set']} {run['direction']} {len(run['candidates'])}")
    for run in ORACLE["runs"]
]


def patients_of(name: str) -> pd.DataFrame:
    """One of the drawn data sets, as the study's table has it."""
    if name in ("returns", "ties"):
        return RETURNS if name == "returns" else TIES
    table = DRAWN[DRAWN["set"] == name].reset_index(drop=True)
    flags = ["cirrhosis", "mosaic", "nodule_in_nodule", "aggressive_pd"]
    table[flags] = table[flags].astype("boolean")
    ids = [f"p{i}" for i in range(len(table))]
    return table.assign(patient_id=ids, centre="hospital_a")


def r_name(term: str) -> str:
    """R's name for a term; the parts of an interaction by the alphabet, whoever came first."""
    plain = "(Intercept)" if term == "intercept" else term.replace("[", "").replace("]", "")
    return ":".join(sorted(plain.split(":")))


def published_patient(**change: object) -> pd.DataFrame:
    """One patient with every predictor of the published score."""
    patient = {
        "diameter_mm": 50.0,
        "cirrhosis": True,
        "fusion_lesion": False,
        "capsule": "intact",
        "nodule_in_nodule": False,
    }
    return pd.DataFrame([patient | change])


def test_published_score_worked_by_hand():
    """-1.6705 + 0.009 * 50 + 0.7009 - 1.7083 = -2.2279."""
    assert clinical.published_score(published_patient())[0] == pytest.approx(-2.2279)


def test_published_score_of_every_factor_present():
    """-1.6705 + 0.9 + 0.7009 + 0.5365 - 0.4967 + 0.6375 = 0.6077."""
    patient = published_patient(
        diameter_mm=100.0, fusion_lesion=True, capsule="non_intact", nodule_in_nodule=True
    )
    assert clinical.published_score(patient)[0] == pytest.approx(0.6077)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"capsule": None}, "capsule must be one of absent", id="missing level"),
        pytest.param({"capsule": "thick"}, "first at row 0", id="unknown level"),
        pytest.param({"diameter_mm": np.nan}, "diameter_mm must be known", id="missing number"),
    ],
)
def test_published_score_refuses_what_is_missing(change, message):
    with pytest.raises(InputError, match=message):
        clinical.published_score(published_patient(**change))


def test_published_score_names_an_absent_column():
    with pytest.raises(InputError, match=r"lacks 1 column.*'cirrhosis'"):
        clinical.published_score(published_patient().drop(columns="cirrhosis"))


@pytest.mark.parametrize("run", RUNS)
def test_stepwise_path_matches_step_aic(run):
    table = patients_of(run["set"])
    found = clinical.step_aic(table, "aggressive_pd", run["candidates"], run["direction"])
    assert found.path["step"].tolist() == run["step"]
    np.testing.assert_allclose(found.path["aic"], run["path_aic"], rtol=1e-9)
    assert found.aic == pytest.approx(run["aic"], rel=1e-9)
    assert found.n == run["n"]
    assert [r_name(term) for term in found.coefficients.index] == list(map(r_name, run["terms"]))
    np.testing.assert_allclose(found.coefficients, run["coefficients"], rtol=1e-6, atol=1e-8)


def test_the_oracle_has_paths_with_interactions_and_among_equals():
    """Else the test above could pass without either."""
    steps = {(run["set"], step) for run in ORACLE["runs"] for step in run["step"]}
    assert {step for _, step in steps if step.startswith("+ ") and ":" in step}
    assert {step for _, step in steps if step.startswith("- ") and ":" in step}
    assert [step for name, step in steps if name == "ties"]


def test_an_interaction_needs_its_variables_among_the_candidates():
    with pytest.raises(InputError, match=r"'mosaic:cirrhosis' but not 'cirrhosis'"):
        clinical.step_aic(patients_of("small"), "aggressive_pd", ["mosaic", "mosaic:cirrhosis"])


def test_a_frozen_interaction_is_the_product_of_its_parts():
    """1 + 0.1 * 50 * 1 (intact) = 6, and 1 where the capsule is absent."""
    model = clinical.ClinicalModel(1.0, {"diameter_mm:capsule[intact]": 0.1})
    table = pd.DataFrame({"diameter_mm": [50.0, 50.0], "capsule": ["intact", "absent"]})
    assert model.score(table).tolist() == [6, 1]


def test_screening_matches_r():
    names = [row["variable"] for row in ORACLE["screened"]]
    found = clinical.screen(patients_of("holes"), "aggressive_pd", names)
    assert found["n"].tolist() == [row["n"] for row in ORACLE["screened"]]
    assert found["df"].tolist() == [row["df"] for row in ORACLE["screened"]]
    expected = [row["p_value"] for row in ORACLE["screened"]]
    np.testing.assert_allclose(found["p_value"], expected, rtol=1e-6)


def test_wald_table_matches_r():
    """The selected factors given as the only candidates, all let through the screening.

    R's standard errors are one iteration behind, which a small p-value magnifies.
    """
    run = ORACLE["runs"][0]
    chosen = ["diameter_mm", "capsule", "cirrhosis", "mosaic", "nodule_in_nodule"]
    model = clinical.fit(patients_of("paper"), candidates=chosen, p_below=1.1)
    wald = model.wald()
    assert [r_name(term) for term in wald["term"]] == run["terms"]
    np.testing.assert_allclose(wald["se"], run["se"], rtol=1e-6)
    np.testing.assert_allclose(wald["p_value"], run["p_value"], rtol=5e-5)


def test_imputer_learns_median_and_commonest():
    """Median of 10, 20, 60 is 20; two of three capsules are intact; a tie of flags is False."""
    table = pd.DataFrame(
        {
            "diameter_mm": [10, 20, 60, np.nan],
            "capsule": ["intact", "absent", "intact", None],
            "cirrhosis": pd.array([True, False, None, None], dtype="boolean"),
        }
    )
    imputer = clinical.Imputer.learn(table, table.columns)
    last = imputer.apply(table).iloc[3]
    assert last.tolist() == [20, "intact", False]
    assert imputer.filled(table)["missing"].tolist() == [1, 1, 2]


def test_imputer_takes_an_unseen_level_as_missing_and_counts_it():
    seen = pd.DataFrame({"child_pugh": ["A", "A", "B"]})
    imputer = clinical.Imputer.learn(seen, ["child_pugh"])
    other = pd.DataFrame({"child_pugh": ["C", "B"]})
    assert imputer.apply(other)["child_pugh"].tolist() == ["A", "B"]
    assert imputer.filled(other)["unseen"].tolist() == [1]


def test_imputer_makes_a_derived_factor_from_what_was_recorded():
    """Logarithms 1 and 3 have the median 2; of the three classes two are B or C."""
    table = pd.DataFrame({"afp_ng_ml": [10, 1000, np.nan], "child_pugh": ["A", "B", "C"]})
    imputer = clinical.Imputer.learn(table, ["log10_afp_ng_ml", "child_pugh_b_or_c"])
    unknown = pd.DataFrame({"afp_ng_ml": [np.nan], "child_pugh": [None]})
    filled = imputer.apply(unknown)
    assert filled[["log10_afp_ng_ml", "child_pugh_b_or_c"]].iloc[0].tolist() == [2, True]


def test_a_model_scores_a_derived_factor_from_what_was_recorded():
    """0.5 + 2 * log10(100) = 4.5."""
    model = clinical.ClinicalModel(0.5, {"log10_afp_ng_ml": 2.0})
    assert model.score(pd.DataFrame({"afp_ng_ml": [100.0]})).tolist() == [4.5]


def test_imputer_leaves_out_what_nobody_has():
    table = pd.DataFrame({"age_years": [50.0, 60.0], "ecog": [np.nan, np.nan]})
    assert set(clinical.Imputer.learn(table, table.columns).values) == {"age_years"}


def test_imputer_is_blind_to_the_outcome():
    """Turning every outcome round changes nothing that is filled in."""
    table = patients_of("holes")
    turned = table.assign(aggressive_pd=~table["aggressive_pd"])
    columns = ["age_years", "capsule", "mosaic"]
    assert clinical.Imputer.learn(table, columns) == clinical.Imputer.learn(turned, columns)


def test_afp_enters_in_the_papers_bands():
    table = pd.DataFrame({"afp_ng_ml": [10.0, 25.0, 400.0, 401.0, np.nan]})
    imputer = clinical.Imputer.learn(table, ["afp_band"])
    bands = imputer.apply(table)["afp_band"].tolist()
    assert bands == ["<25", "25-400", "25-400", ">400", "25-400"]


def test_model_survives_json():
    model = clinical.fit(patients_of("holes"))
    again = clinical.ClinicalModel.from_dict(json.loads(json.dumps(model.to_dict())))
    assert again == model
    table = patients_of("holes")
    np.testing.assert_array_equal(again.risk(table), model.risk(table))


def test_frozen_model_scores_a_patient_the_same_alone_or_in_company():
    """Nothing is learnt from the patients that are scored."""
    model = clinical.fit(patients_of("paper"))
    table = patients_of("holes")
    together = model.score(table)
    alone = [model.score(table.iloc[[i]])[0] for i in range(len(table))]
    np.testing.assert_allclose(alone, together, rtol=1e-12)


def test_empty_selection_is_the_intercept_alone_and_is_said():
    """A quarter with the event, nothing related to it: every risk is 1/4."""
    table = pd.DataFrame(
        {"aggressive_pd": [1, 0, 0, 0] * 6, "age_years": np.repeat([50.0, 60, 70], 8)}
    )
    model = clinical.fit(table, candidates=["age_years"])
    assert model.terms == {}
    assert "the intercept alone" in model.note
    np.testing.assert_allclose(model.risk(table), 0.25)


def separated_patients() -> pd.DataFrame:
    """Every patient with a fusion lesion has the event."""
    return pd.DataFrame(
        {"aggressive_pd": [1] * 8 + [0] * 12, "fusion_lesion": [1] * 5 + [0] * 15}
    ).astype({"fusion_lesion": "boolean"})


def test_separation_gives_firths_estimate_and_is_said():
    """5/0 against 3/12, half a patient more in each cell: ln(5.5/0.5) - ln(3.5/12.5)."""
    model = clinical.fit(separated_patients(), candidates=["fusion_lesion"])
    expected = np.log(5.5 / 0.5) - np.log(3.5 / 12.5)
    assert model.terms["fusion_lesion"] == pytest.approx(expected)
    assert "separated" in model.note
    assert "Firth" in model.note


def test_stepwise_prints_no_coefficient_of_a_separated_model():
    found = clinical.step_aic(separated_patients(), "aggressive_pd", ["fusion_lesion"])
    assert found.selected == ("fusion_lesion",)
    assert found.coefficients.isna().all()
    assert "separated" in found.note


def test_screening_says_constant_and_separated():
    table = separated_patients().assign(age_years=60.0)
    found = clinical.screen(table, "aggressive_pd", ["age_years", "fusion_lesion"])
    assert found["note"].tolist() == ["constant", "separated"]
    assert np.isnan(found["p_value"][0])


def test_a_patients_own_outcome_does_not_reach_the_out_of_fold_score():
    """With fold 0's outcomes and factors changed, the models that score it stay the same."""
    table = patients_of("paper")
    fold = np.arange(len(table)) % 5
    left_out = fold == 0
    turned = table.copy()
    turned.loc[left_out, "aggressive_pd"] = ~table.loc[left_out, "aggressive_pd"]
    scores = [clinical.cross_fit(t, fold).table for t in (table, turned)]
    before, after = (t.loc[left_out, "score"].to_numpy() for t in scores)
    np.testing.assert_array_equal(before, after)
    others = [t.loc[~left_out, "score"].to_numpy() for t in scores]
    assert not np.allclose(*others)


def test_imputation_is_learnt_inside_each_fold():
    """Ages of fold 0 moved by 1000 years leave a missing age of fold 0 filled as before."""
    table = patients_of("paper").astype({"age_years": float})
    table.loc[0, "age_years"] = np.nan
    fold = np.arange(len(table)) % 5
    moved = table.copy()
    moved.loc[(fold == 0) & (moved.index > 0), "age_years"] += 1000
    one = {"candidates": ["age_years"], "p_below": 1.1}
    before, after = (clinical.cross_fit(t, fold, **one).table["score"][0] for t in (table, moved))
    assert before == after


def test_cross_fit_says_where_its_scores_come_from():
    table = patients_of("small")
    scores = clinical.cross_fit(table, np.arange(len(table)) % 3).table
    assert set(scores["origin"]) == {"out_of_fold"}
    assert set(scores["model"]) == {"cs"}
    assert scores["fold"].tolist() == [i % 3 for i in range(len(table))]
    np.testing.assert_allclose(scores["risk"], 1 / (1 + np.exp(-scores["score"])))


def test_an_unrelated_outcome_is_not_predicted_out_of_fold():
    """Permuted outcome: the apparent AUC is above one half, the out-of-fold one is not."""
    table = patients_of("small")
    apparent, out_of_fold = [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        shuffled = table.assign(aggressive_pd=rng.permutation(table["aggressive_pd"]))
        event = shuffled["aggressive_pd"]
        fold = rng.permutation(len(table)) % 5
        scores = clinical.cross_fit(shuffled, fold, p_below=1.1).table["score"]
        apparent.append(auc(event, clinical.fit(shuffled, p_below=1.1).score(shuffled)).auc)
        out_of_fold.append(auc(event, scores).auc)
    assert np.mean(apparent) > 0.55
    assert np.mean(out_of_fold) < 0.5


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        pytest.param([1] * 60, "at least two folds", id="one fold"),
        pytest.param([0, 1], "fold has 2", id="lengths"),
    ],
)
def test_folds_that_leave_nobody_out_are_refused(fold, message):
    with pytest.raises(InputError, match=message):
        clinical.cross_fit(patients_of("small"), fold)


def test_one_class_is_refused():
    table = patients_of("small").assign(aggressive_pd=True)
    with pytest.raises(InputError, match="both events and non-events"):
        clinical.fit(table)


def test_few_events_are_said_and_nothing_is_tested():
    """Nine events among 40, six of them in the ten largest: an estimate, no standard error."""
    event = np.isin(np.arange(40), [4, 15, 25, 31, 33, 34, 36, 38, 39])
    table = pd.DataFrame({"diameter_mm": np.arange(40.0), "aggressive_pd": event})
    model = clinical.fit(table, candidates=["diameter_mm"])
    assert model.terms["diameter_mm"] > 0
    assert model.wald()[["se", "low", "p_value"]].isna().all(axis=None)
    assert model.note == "only 9 events or non-events: too few for any test"
    assert clinical.step_aic(table, "aggressive_pd", ["diameter_mm"]).note == model.note


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"diameter_mm": "large"}, "diameter_mm must hold numbers", id="words"),
        pytest.param(
            {"diameter_mm": np.inf}, "diameter_mm must hold finite numbers", id="infinite"
        ),
        pytest.param({"cirrhosis": 2}, "cirrhosis must hold True and False", id="no flag"),
        pytest.param({"aggressive_pd": np.nan}, "aggressive_pd must hold finite", id="no outcome"),
    ],
)
def test_what_a_model_cannot_mean_is_named(change, message):
    table = patients_of("small").astype(object).assign(**change)
    with pytest.raises(InputError, match=message):
        clinical.fit(table, candidates=["diameter_mm", "cirrhosis"])


@pytest.mark.parametrize("direction", ["both", "backward", "forward"])
def test_stepwise_without_a_complete_case_is_refused(direction):
    table = patients_of("small").assign(age_years=np.nan)
    with pytest.raises(InputError, match="both events and non-events"):
        clinical.step_aic(table, "aggressive_pd", ["age_years"], direction)


def test_factors_that_do_not_vary_leave_first():
    """Tied everything: no column tells anything, so the intercept alone stays."""
    table = patients_of("small").assign(age_years=60.0, diameter_mm=30.0)
    found = clinical.step_aic(table, "aggressive_pd", ["age_years", "diameter_mm"])
    assert found.selected == ()
    assert found.path["step"].tolist() == ["", "- diameter_mm", "- age_years"]
