"""Risks by a horizon. R's values: oracles/horizon_models.json, made by horizon_models.R."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcc_utils.checks import InputError
from hcc_utils.evaluation import horizon
from hcc_utils.models import combined, horizon_model
from hcc_utils.models.horizon_model import HorizonModel
from hcc_utils.study.scores import Scores

ORACLES = Path(__file__).parent / "oracles"
DRAWN = pd.read_csv(ORACLES / "horizon_models_patients.csv")
ROWS = json.loads((ORACLES / "horizon_models.json").read_text())["rows"]
PATIENTS = DRAWN.assign(
    patient_id=[f"p{i}" for i in range(len(DRAWN))],
    centre="hospital_a",
    progression=DRAWN["cause"] == 1,
    months_to_progression=DRAWN["months"],
    death=DRAWN["cause"] == 2,
    months_to_death=DRAWN["months"],
)
FIRST = horizon_model.first_events(PATIENTS, "progression")
EACH = pytest.mark.parametrize("row", ROWS, ids=[str(row["horizon_months"]) for row in ROWS])


def scores(model: str, origin: str = "out_of_fold", patients: pd.DataFrame = PATIENTS) -> Scores:
    """A model's scores; Model D's risk is made anew by whoever needs it."""
    score = patients[model]
    risk = score if model == "d" else 1 / (1 + np.exp(-score))
    given = {"model": model, "origin": origin, "event": "progression", "fold": patients["fold"]}
    return Scores.of(patients, score=score, risk=risk, **given)


CS, D = scores("cs"), scores("d")


@EACH
def test_weights_match_r(row):
    found = horizon.weights(DRAWN["months"], DRAWN["cause"], row["horizon_months"])
    np.testing.assert_allclose(found, row["weight"], rtol=1e-9)


@EACH
def test_brier_matches_r(row):
    given = DRAWN["months"], DRAWN["cause"], DRAWN["d"], row["horizon_months"]
    found = horizon.brier_at(*given, resamples=2, seed=1)
    assert found.brier == pytest.approx(row["brier"], rel=1e-9)


@EACH
def test_coefficients_match_r(row):
    """R iterates to 1e-14 of the deviance."""
    model = horizon_model.fit(CS, D, FIRST, row["horizon_months"]).model
    found = [model.intercept, model.cs, model.d]
    np.testing.assert_allclose(found, row["coefficients"], rtol=1e-6)


def test_without_censoring_it_is_the_plain_model():
    """Everybody without the event died of something else: no weight but 1."""
    died = FIRST.assign(cause=FIRST["cause"].replace(0, 2))
    event = ((died["cause"] == 1) & (died["months"] <= 12)).to_numpy()
    found = horizon_model.fit(CS, D, died, 12).model
    assert found == combined.fit(CS, D, event)
    assert found.recalibration == combined.Recalibration.fit(D)


def test_patients_in_another_order_give_the_same_model():
    shuffled = np.random.default_rng(1).permutation(len(DRAWN))
    other = [Scores(one.table.loc[shuffled].reset_index(drop=True)) for one in (CS, D)]
    ours, theirs = (horizon_model.fit(*given, FIRST, 12).model for given in ((CS, D), other))
    assert [theirs.intercept, theirs.cs, theirs.d] == pytest.approx(
        [ours.intercept, ours.cs, ours.d], rel=1e-9
    )


def test_a_horizon_s_scores_say_who_had_the_event_by_then():
    """p at 12 months: of the censored before, nothing is known; who died did not have it."""
    (found,) = horizon_model.risks([horizon_model.fit(CS, D, FIRST, 12)], CS, D, FIRST)
    table = found.table
    early, by_then = DRAWN["months"] < 12, DRAWN["months"] <= 12
    assert set(table["origin"]) == {"stacked"}
    assert set(table["model"]) == {"csd"}
    assert set(table["horizon_months"]) == {12}
    assert (table["event"].isna() == (early & (DRAWN["cause"] == 0))).all()
    assert (table["event"].fillna(False) == (by_then & (DRAWN["cause"] == 1))).all()


def test_external_patients_are_given_the_frozen_numbers():
    """CSD's arithmetic, by hand in test_combined; here the horizon's own coefficients."""
    frozen = horizon_model.fit(CS, D, FIRST, 24)
    cs, d = scores("cs", "external"), scores("d", "external")
    (found,) = horizon_model.risks([frozen], cs, d, FIRST)
    assert set(found.table["origin"]) == {"external"}
    expected = frozen.model.predict(cs, d).table["risk"]
    pd.testing.assert_series_equal(found.table["risk"], expected)


def parts(patients: pd.DataFrame = PATIENTS) -> list[tuple[Scores, ...]]:
    """Each fold left out once; the scores within the rest stand for inner ones."""
    found = []
    for fold in range(5):
        inside, outside = (
            patients[side] for side in (patients.fold != fold, patients.fold == fold)
        )
        found.append(
            tuple(
                scores(model, patients=side.reset_index(drop=True))
                for side in (inside, outside)
                for model in ("cs", "d")
            )
        )
    return found


def test_the_nested_loop_gives_scores_out_of_fold():
    """Fold 3 by hand: the model and the weights of the other four, applied to it."""
    (found,) = horizon_model.risks([horizon_model.fit(CS, D, FIRST, 12)], CS, D, FIRST, parts())
    assert set(found.table["origin"]) == {"out_of_fold"}
    assert sorted(found.table["patient_id"]) == sorted(PATIENTS["patient_id"])
    inner_cs, inner_d, outer_cs, outer_d = parts()[3]
    model = horizon_model.fit(inner_cs, inner_d, FIRST, 12).model
    away = [Scores(one.table.assign(origin="external")) for one in (outer_cs, outer_d)]
    expected = model.predict(*away).table["risk"]
    np.testing.assert_allclose(found.table.query("fold == 3")["risk"], expected, rtol=1e-12)


def test_an_outer_fold_with_the_only_event_leaves_the_scores_stacked():
    """One event by 12 months, in fold 2: the others' training part has it, fold 2's has none."""
    case = FIRST.index[DRAWN["fold"] == 2][0]
    first = FIRST.assign(cause=FIRST["cause"].where(FIRST["months"] > 12, 0))
    first.loc[case] = [3, 1]
    model = horizon_model.fit(CS, D, first, 12)
    assert "1 events by then, fewer than 10" in model.note
    (found,) = horizon_model.risks([model], CS, D, first, parts())
    assert set(found.table["origin"]) == {"stacked"}


@pytest.mark.parametrize(
    ("first", "why"),
    [
        pytest.param(FIRST.assign(cause=FIRST["cause"].replace(1, 2)), "nobody had", id="no event"),
        pytest.param(FIRST.assign(months=FIRST["months"].clip(upper=11)), "followed", id="short"),
    ],
)
def test_where_nothing_can_be_told_there_is_no_model(first, why):
    found = horizon_model.fit(CS, D, first, 12)
    assert found.model is None
    assert why in found.note
    assert horizon_model.risks([found], CS, D, first) == []


def test_few_events_are_said_and_not_refused():
    first = FIRST.assign(cause=FIRST["cause"].where(FIRST["cause"] != 1, 0))
    first.iloc[:9] = np.column_stack([np.full(9, 2), np.ones(9)])
    found = horizon_model.fit(CS, D, first, 12)
    assert found.note == "9 events by then, fewer than 10: the coefficients are not firm"
    assert found.model is not None


def test_a_score_that_separates_is_drawn_in_and_said():
    """Events by 12 months where Model CS is above its median, and nowhere else."""
    high = (DRAWN["cs"] > DRAWN["cs"].median()).to_numpy()
    first = FIRST.assign(cause=np.where(high, 1, 2), months=np.where(high, 3, 30))
    first.iloc[:20] = first.iloc[:20].assign(cause=0, months=6)
    found = horizon_model.fit(CS, D, first, 12).model
    assert "separated" in found.note
    assert 0 < found.cs < 100


def test_everybody_seen_for_as_long_as_the_horizon_is_enough():
    """Follow-up that ends in the horizon's own month, for all: nobody's state is unknown."""
    first = FIRST.assign(months=FIRST["months"].clip(upper=12))
    first["cause"] = first["cause"].where(first["months"] < 12, 0)
    first = first[(first["cause"] > 0) | (first["months"] == 12)]
    assert (horizon.weights(first["months"], first["cause"], 12) == 1).all()


@pytest.mark.parametrize("origin", ["apparent", "stacked", "tuned", "external"])
def test_scores_of_another_origin_fit_nothing(origin):
    with pytest.raises(InputError, match=f"{origin!r} cannot be used to fit Model CSD"):
        horizon_model.fit(scores("cs", origin), scores("d", origin), FIRST, 12)


def test_model_survives_json():
    for months in (12, 24):
        model = horizon_model.fit(CS, D, FIRST, months)
        assert HorizonModel.from_dict(json.loads(json.dumps(model.to_dict()))) == model
    none = HorizonModel(12, None, "nobody had the event by then")
    assert HorizonModel.from_dict(json.loads(json.dumps(none.to_dict()))) == none
