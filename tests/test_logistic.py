"""Logistic regression, plain and Firth's. R's values: oracles/clinical.json, by clinical.R."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcc_utils.models import logistic

ORACLES = Path(__file__).parent / "oracles"


def two_by_two(a: int, b: int, c: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Exposed with and without the event (a, b), then unexposed (c, d)."""
    exposed = np.repeat([1.0, 1, 0, 0], [a, b, c, d])
    event = np.repeat([True, False, True, False], [a, b, c, d])
    return np.column_stack([np.ones(len(event)), exposed]), event


def test_plain_two_by_two_worked_by_hand():
    """Odds 6/4 against 2/8: log odds ratio ln 6, its variance 1/6 + 1/4 + 1/2 + 1/8."""
    fit = logistic.maximum_likelihood(*two_by_two(6, 4, 2, 8))
    assert fit.coefficients[1] == pytest.approx(np.log(6))
    assert fit.standard_errors[1] == pytest.approx(np.sqrt(1 / 6 + 1 / 4 + 1 / 2 + 1 / 8))


def test_firth_two_by_two_is_half_a_patient_more_in_each_cell():
    """A known identity: 5/0 against 2/8 gives ln(5.5/0.5) - ln(2.5/8.5)."""
    fit = logistic.firth(*two_by_two(5, 0, 2, 8))
    assert fit.coefficients[1] == pytest.approx(np.log(5.5 / 0.5) - np.log(2.5 / 8.5))


def test_firth_matches_r_where_a_factor_separates():
    oracle = json.loads((ORACLES / "clinical.json").read_text())["firth"]
    patients = pd.read_csv(ORACLES / "clinical_patients.csv").query("set == 'small'")
    event = patients["aggressive_pd"].to_numpy(dtype=bool)
    design = np.column_stack(
        [np.ones(len(event)), patients["diameter_mm"], patients["mosaic"] * event]
    )
    assert logistic.separated(design, event)
    fit = logistic.firth(design, event)
    np.testing.assert_allclose(fit.coefficients, oracle["coefficients"], rtol=1e-8)
    np.testing.assert_allclose(fit.standard_errors, oracle["se"], rtol=1e-7)


@pytest.mark.parametrize(
    ("theirs", "tolerance"),
    [
        pytest.param("near", 1e-6, id="profile at near points"),
        pytest.param("confint", 1e-3, id="confint as it comes: it interpolates"),
    ],
)
def test_profile_intervals_match_r(theirs, tolerance):
    oracle = json.loads((ORACLES / "clinical.json").read_text())["profile"]
    patients = pd.read_csv(ORACLES / "clinical_patients.csv").query("set == 'small'")
    event = patients["aggressive_pd"].to_numpy(dtype=bool)
    levels = [patients["capsule"] == level for level in ("non_intact", "intact")]
    others = [patients[name] for name in ("cirrhosis", "nodule_in_nodule")]
    columns = [np.ones(len(event)), patients["diameter_mm"], *levels, *others]
    design = np.column_stack(columns).astype(float)
    fitted = logistic.maximum_likelihood(design, event)
    np.testing.assert_allclose(fitted.coefficients, oracle["coefficients"], rtol=1e-8)
    found = logistic.profile(design, event, fitted)
    np.testing.assert_allclose(found, oracle[theirs], rtol=tolerance, atol=1e-8)


def test_an_offset_takes_a_coefficient_s_place():
    """Held at its estimate it changes neither the intercept nor the deviance."""
    design, event = two_by_two(6, 4, 2, 8)
    free = logistic.maximum_likelihood(design, event)
    held = logistic.maximum_likelihood(design[:, :1], event, free.coefficients[1] * design[:, 1])
    assert held.coefficients[0] == pytest.approx(free.coefficients[0])
    assert held.deviance == pytest.approx(free.deviance)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        pytest.param([1, 2, 3, 4], True, id="wholly"),
        pytest.param([1, 2, 2, 3], True, id="in part: they meet at 2"),
        pytest.param([1, 3, 2, 4], False, id="they overlap"),
        pytest.param([5, 5, 5, 5], False, id="constant"),
    ],
)
def test_separation_is_seen(score, expected):
    """Two non-events, then two events."""
    design = np.column_stack([np.ones(4), score])
    assert logistic.separated(design, np.array([False, False, True, True])) is expected


def test_separated_deviance_stands_at_its_limit():
    """A perfect score explains everything: deviance 0, AIC twice the two columns."""
    design = np.column_stack([np.ones(4), [1.0, 2, 3, 4]])
    fit = logistic.maximum_likelihood(design, np.array([False, False, True, True]))
    assert fit.aic == pytest.approx(4, abs=1e-9)


def test_a_repeated_column_counts_nothing():
    design, event = two_by_two(6, 4, 2, 8)
    twice = logistic.maximum_likelihood(np.column_stack([design, design[:, 1]]), event)
    assert twice.aic == pytest.approx(logistic.maximum_likelihood(design, event).aic)
