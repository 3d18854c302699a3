"""Model CSD: what it computes, and what it refuses."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from hcc_utils.checks import InputError
from hcc_utils.evaluation.discrimination import auc
from hcc_utils.models import combined
from hcc_utils.study.scores import Scores

N = 200
RNG = np.random.default_rng(5)
EVENT = RNG.random(N) < 0.35
FOLD = np.arange(N) % 5
IMAGE = np.clip(0.4 + 0.15 * EVENT + 0.12 * RNG.normal(size=N), 0.01, 0.99)
FACTORS = -0.8 + 0.9 * EVENT + RNG.normal(size=N)


def scores(model: str, values: np.ndarray, origin: str = "out_of_fold", **change: object) -> Scores:
    """Scores of the drawn patients; Model D's risk is a placeholder that nothing may read."""
    patients = pd.DataFrame({"patient_id": [f"p{i}" for i in range(N)], "centre": "hospital_a"})
    risk = values if model == "d" else 1 / (1 + np.exp(-values))
    given = {"fold": FOLD, "event": "event", "score": values, "risk": risk} | change
    outcome = given.pop("outcome", EVENT)
    patients = patients.assign(event=outcome)
    return Scores.of(patients, model=model, origin=origin, **given)


def rows(part: Scores, keep: np.ndarray) -> Scores:
    """Some patients' rows."""
    return Scores(part.table.loc[keep].reset_index(drop=True))


CS, D = scores("cs", FACTORS), scores("d", IMAGE)


def logit(risk: np.ndarray) -> np.ndarray:
    return np.log(risk / (1 - risk))


def statsmodels_fit(columns: list[np.ndarray], event: np.ndarray) -> np.ndarray:
    design = sm.add_constant(np.column_stack(columns))
    return sm.GLM(event.astype(float), design, family=sm.families.Binomial()).fit(tol=1e-13).params


def test_each_fold_is_recalibrated_by_the_others():
    """Fold 2 by hand: statsmodels on the other four, applied to it."""
    inside = FOLD == 2
    intercept, slope = statsmodels_fit([logit(IMAGE[~inside])], EVENT[~inside])
    expected = 1 / (1 + np.exp(-(intercept + slope * logit(IMAGE[inside]))))
    found = combined.recalibrated(D).table
    np.testing.assert_allclose(found.loc[inside, "risk"], expected, rtol=1e-9)
    np.testing.assert_array_equal(found["score"], IMAGE)


def test_model_is_the_logistic_regression_on_both_scores():
    model = combined.fit(CS, D)
    risk = combined.recalibrated(D).table["risk"].to_numpy()
    expected = statsmodels_fit([FACTORS, logit(risk)], EVENT)
    np.testing.assert_allclose([model.intercept, model.cs, model.d], expected, rtol=1e-8)
    assert model.note == ""


def test_patients_in_another_order_give_the_same_model():
    assert combined.fit(CS, rows(D, RNG.permutation(N))) == combined.fit(CS, D)


def test_external_patients_worked_by_hand():
    """D's line 0.5 + 2 * logit(0.5) = 0.5; CSD -1 + 0.5 * 2 + 3 * 0.5 = 1.5."""
    line = combined.Recalibration(0.5, 2.0)
    model = combined.CombinedModel(-1.0, 0.5, 3.0, line)
    cs = scores("cs", np.full(N, 2.0), "external", fold=None)
    d = scores("d", np.full(N, 0.5), "external", fold=None)
    found = model.predict(cs, d).table
    np.testing.assert_allclose(found["score"], 1.5)
    assert set(found["origin"]) == {"external"}
    assert set(found["model"]) == {"csd"}


def test_development_patients_come_back_as_stacked():
    found = combined.fit(CS, D).predict(CS, D).table
    assert set(found["origin"]) == {"stacked"}


def test_model_survives_json():
    model = combined.fit(CS, D)
    again = combined.CombinedModel.from_dict(json.loads(json.dumps(model.to_dict())))
    assert again == model


def test_a_network_that_prints_certainty_is_drawn_in():
    risk = combined.recalibrated(scores("d", np.where(IMAGE > 0.6, 1.0, IMAGE))).table["risk"]
    assert ((risk > 0) & (risk < 1)).all()


def test_a_constant_network_gets_no_weight_and_it_is_said():
    line = combined.Recalibration.fit(scores("d", np.full(N, 0.3)))
    assert line.slope == 0
    assert line.intercept == pytest.approx(logit(EVENT.mean()))
    assert "constant" in line.note


def test_a_perfect_network_gets_firths_estimate_and_it_is_said():
    line = combined.Recalibration.fit(scores("d", np.where(EVENT, 0.8, 0.2)))
    assert 0 < line.slope < 10
    assert "separated" in line.note


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        pytest.param("apparent", "score the patients out of fold", id="apparent"),
        pytest.param("stacked", "turn on the nested loop", id="stacked"),
        pytest.param("tuned", "keep the validation centres out", id="tuned"),
        pytest.param("external", "validation centres fit nothing", id="external"),
    ],
)
class TestRefusals:
    def test_fit_refuses(self, origin, words):
        with pytest.raises(
            InputError, match=f"{origin!r} cannot be used to fit Model CSD.*{words}"
        ):
            combined.fit(scores("cs", FACTORS, origin), scores("d", IMAGE, origin))

    def test_recalibration_refuses(self, origin, words):
        with pytest.raises(InputError, match=f"cannot be used to recalibrate Model D.*{words}"):
            combined.Recalibration.fit(scores("d", IMAGE, origin))


@pytest.mark.parametrize("origin", ["apparent", "tuned", "external"])
def test_threshold_refuses(origin):
    with pytest.raises(InputError, match=f"{origin!r} cannot be used to choose a threshold"):
        combined.threshold(scores("cs", FACTORS, origin))


def test_threshold_worked_by_hand():
    """Risks .1 .4 without and .3 .8 with the event: J is .5 at .8 and at .3; the lower is taken."""
    table = scores("cs", FACTORS).table.head(4)
    given = {"risk": [0.1, 0.4, 0.3, 0.8], "event": [False, False, True, True]}
    assert combined.threshold(Scores(table.assign(**given))) == 0.3


def test_threshold_is_for_one_model_at_a_time():
    with pytest.raises(InputError, match=r"one model at a time; got cs, d"):
        combined.threshold(CS + D)


def test_predict_refuses_apparent_scores():
    model = combined.fit(CS, D)
    with pytest.raises(InputError, match="'apparent' cannot be used to predict Model CSD"):
        model.predict(scores("cs", FACTORS, "apparent"), scores("d", IMAGE, "apparent"))


def test_frozen_recalibration_refuses_development_patients():
    with pytest.raises(InputError, match="leaves each fold out"):
        combined.Recalibration.fit(D).apply(D)


@pytest.mark.parametrize(
    ("d", "message"),
    [
        pytest.param(rows(D, np.arange(N) < 190), "10 have one score only", id="patients"),
        pytest.param(scores("d", IMAGE, outcome=~EVENT), "agree in event; 200", id="outcome"),
        pytest.param(scores("d", IMAGE, "external"), "agree in origin", id="origin"),
        pytest.param(scores("d", IMAGE, protocol="as_published"), "in protocol", id="protocol"),
        pytest.param(CS, "model 'd' are needed here; got cs", id="model"),
        pytest.param(D + scores("d", IMAGE, "external"), "one score a patient", id="twice"),
        pytest.param(scores("d", IMAGE, fold=None), "200 of 200 have none", id="no fold"),
        pytest.param(scores("d", IMAGE, fold=[1] * N), "at least two", id="one fold"),
    ],
)
def test_scores_that_do_not_fit_together_are_named(d, message):
    with pytest.raises(InputError, match=message):
        combined.fit(CS, d)


def outer_parts() -> list[tuple[Scores, Scores, Scores, Scores]]:
    """Each fold left out once; the scores within the rest stand for inner ones."""
    return [
        (rows(CS, k != FOLD), rows(D, k != FOLD), rows(CS, k == FOLD), rows(D, k == FOLD))
        for k in range(5)
    ]


def test_nested_scores_are_out_of_fold_once_a_patient():
    found = combined.nested(outer_parts()).table
    assert set(found["origin"]) == {"out_of_fold"}
    assert sorted(found["patient_id"]) == sorted(CS.table["patient_id"])


def test_nested_scores_come_from_the_training_part_alone():
    """Fold 3 by hand: the model of the other four applied to it as to another centre."""
    inside = FOLD == 3
    model = combined.fit(rows(CS, ~inside), rows(D, ~inside))
    away = {"origin": "external"}
    expected = model.predict(
        Scores(rows(CS, inside).table.assign(**away)), Scores(rows(D, inside).table.assign(**away))
    ).table
    found = combined.nested(outer_parts()).table.query("fold == 3")
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-12)


def test_nested_refuses_a_patient_on_both_sides():
    parts = outer_parts()
    parts[0] = (CS, D, *parts[0][2:])
    with pytest.raises(InputError, match=r"40 patient.* also in its training part"):
        combined.nested(parts)


def test_nested_refuses_a_patient_left_out_twice():
    parts = outer_parts()
    with pytest.raises(InputError, match=r"40 row.* repeat"):
        combined.nested([*parts, parts[0]])


def test_nested_needs_two_outer_folds():
    with pytest.raises(InputError, match="at least two outer folds; got 1"):
        combined.nested(outer_parts()[:1])


def test_stacked_scores_flatter_and_nested_ones_do_not():
    """Scores unrelated to the outcome, six draws: stacked AUC above one half, nested not."""
    stacked, nested = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        cs, d = scores("cs", rng.normal(size=N)), scores("d", rng.uniform(0.1, 0.9, N))
        parts = [
            tuple(rows(s, keep) for keep in (k != FOLD, k == FOLD) for s in (cs, d))
            for k in range(5)
        ]
        for kept, part in (
            (stacked, combined.fit(cs, d).predict(cs, d)),
            (nested, combined.nested(parts)),
        ):
            kept.append(auc(part.table["event"], part.table["score"]).auc)
    assert np.mean(stacked) > 0.52
    assert np.mean(nested) < 0.51


def test_risk_rises_with_both_scores():
    """Both coefficients are positive here, so more of either is never less risk."""
    model = combined.fit(CS, D)
    levels = np.linspace(0.05, 0.95, N)
    rising = model.predict(
        scores("cs", np.zeros(N), "external"), scores("d", levels, "external")
    ).table["risk"]
    assert all(low < high for low, high in pairwise(rising))


def published(scores_of: Scores, origin: str, keep: np.ndarray) -> Scores:
    """Some patients' rows, by the paper's choices."""
    table = scores_of.table.loc[keep].assign(origin=origin, protocol="as_published")
    return Scores(table.reset_index(drop=True))


def test_the_papers_model_is_fitted_to_apparent_scores():
    """Statsmodels on the development half; the network's scores as they are."""
    there = np.arange(N) < 120
    cs = {"development": published(CS, "apparent", there), "c": published(CS, "external", ~there)}
    d = {"development": published(D, "apparent", there), "c": published(D, "tuned", ~there)}
    weights = statsmodels_fit([FACTORS[there], logit(IMAGE[there])], EVENT[there])
    expected = weights[0] + weights[1] * FACTORS + weights[2] * logit(IMAGE)
    found = combined.as_published(cs, d)
    for name, inside, origin in (("development", there, "apparent"), ("c", ~there, "tuned")):
        table = found[name].table
        np.testing.assert_allclose(table["score"], expected[inside], rtol=1e-8)
        assert set(table["origin"]) == {origin}
        assert set(table["model"]) == {"csd"}
        assert set(table["protocol"]) == {"as_published"}


def test_the_papers_model_leaves_out_whom_one_model_could_not_score():
    cs = {"development": published(CS, "apparent", np.arange(N) >= 3)}
    d = {"development": published(D, "apparent", np.arange(N) < N - 2)}
    found = combined.as_published(cs, d)["development"].table
    assert found["patient_id"].tolist() == [f"p{i}" for i in range(3, N - 2)]


def test_the_papers_model_takes_no_out_of_fold_score():
    with pytest.raises(InputError, match="origin 'out_of_fold' cannot be used to repeat"):
        combined.as_published({"development": CS}, {"development": D})
