"""Penalised logistic models. R's values: oracles/ridge.json, made by ridge.R (versions inside)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcc_utils.checks import InputError
from hcc_utils.models import logistic, ridge

ORACLES = Path(__file__).parent / "oracles"
ORACLE = json.loads((ORACLES / "ridge.json").read_text())
PATIENTS = pd.read_csv(ORACLES / "ridge_patients.csv")
EVENT = PATIENTS["progression"].to_numpy() == 1
DESIGN = np.column_stack([np.ones(len(PATIENTS)), PATIENTS[ORACLE["factors"]].to_numpy(float)])
APART = np.column_stack([np.ones(6), [1.0, 2, 3, 4, 5, 6]])
LATE = np.array([False, False, False, True, True, True])


def one(design: np.ndarray, event: np.ndarray, penalty: float) -> ridge.Ridge:
    """The model of one penalty."""
    (model,) = ridge.path(design, event, [penalty])
    return model


@pytest.mark.parametrize("row", ORACLE["models"], ids=[str(m["penalty"]) for m in ORACLE["models"]])
def test_coefficients_match_lrm(row):
    found = one(DESIGN, EVENT, row["penalty"])
    np.testing.assert_allclose(found.coefficients, row["coefficients"], rtol=1e-9)


def test_degrees_of_freedom_aic_and_the_choice_match_pentrace():
    """pentrace steps once more from the penalised fit: it agrees to about 1e-7."""
    trace = ORACLE["trace"]
    models = ridge.path(DESIGN, EVENT, trace["penalty"])[::-1]
    df, aic = [m.effective_df for m in models], [m.aic for m in models]
    np.testing.assert_allclose(df, trace["effective_df"], atol=1e-6)
    np.testing.assert_allclose(aic, trace["aic"], atol=1e-6)
    assert ridge.best(models).penalty == pytest.approx(trace["chosen"])


def test_a_path_is_the_same_as_each_model_alone():
    for model in ridge.path(DESIGN, EVENT, [1, 8, 64]):
        alone = one(DESIGN, EVENT, model.penalty)
        np.testing.assert_allclose(model.coefficients, alone.coefficients, rtol=1e-9)
        assert model.effective_df == pytest.approx(alone.effective_df, rel=1e-9)


def test_without_a_penalty_it_is_maximum_likelihood():
    plain = logistic.maximum_likelihood(DESIGN, EVENT)
    none = logistic.maximum_likelihood(DESIGN[:, :1], EVENT)
    found = one(DESIGN, EVENT, 0)
    np.testing.assert_allclose(found.coefficients, plain.coefficients, rtol=1e-8)
    assert found.effective_df == pytest.approx(4)
    assert found.likelihood_ratio == pytest.approx(none.deviance - plain.deviance)


def test_a_huge_penalty_leaves_the_prevalence():
    found = one(DESIGN, EVENT, 1e12)
    assert found.coefficients[0] == pytest.approx(np.log(EVENT.sum() / (~EVENT).sum()))
    np.testing.assert_allclose(found.coefficients[1:], 0, atol=1e-9)
    assert found.effective_df == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("penalty", [0, 4])
def test_a_column_that_does_not_vary_changes_nothing(penalty):
    found = one(np.column_stack([DESIGN, np.full(len(DESIGN), 7.0)]), EVENT, penalty)
    without = one(DESIGN, EVENT, penalty)
    np.testing.assert_allclose(found.coefficients, [*without.coefficients, 0], atol=1e-9)
    assert found.effective_df == pytest.approx(without.effective_df)


def test_columns_that_repeat_each_other_share_the_coefficient():
    found = one(np.column_stack([DESIGN, DESIGN[:, 1]]), EVENT, 4)
    assert found.coefficients[1] == pytest.approx(found.coefficients[-1])


def test_units_do_not_matter():
    """In centimetres the coefficient is ten times that of millimetres; all else is alike."""
    units = np.array([1, 1, 0.1, 1, 1])
    found = one(DESIGN * units, EVENT, 4).coefficients
    np.testing.assert_allclose(found * units, one(DESIGN, EVENT, 4).coefficients, rtol=1e-8)


def test_separated_patients_have_finite_coefficients():
    found = one(APART, LATE, 0.25)
    assert 0 < found.coefficients[1] < 10
    assert -found.coefficients[0] / found.coefficients[1] == pytest.approx(3.5)


def test_separated_patients_without_a_penalty_are_refused():
    with pytest.raises(InputError, match="penalty must be above 0 here"):
        ridge.path(APART, LATE, [4, 0])


def test_a_negative_penalty_is_refused():
    with pytest.raises(InputError, match="not be below 0; got -1"):
        ridge.path(DESIGN, EVENT, [4, -1])


def test_of_equally_good_models_the_least_penalised_is_best():
    """3 - 2 * 1 = 5 - 2 * 2."""
    models = [
        ridge.Ridge(coefficients=np.zeros(1), penalty=p, effective_df=df, likelihood_ratio=lr)
        for p, df, lr in [(8, 0.5, 1), (4, 1, 3), (2, 2, 5)]
    ]
    assert ridge.best(models).penalty == 2
