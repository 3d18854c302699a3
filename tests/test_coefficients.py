"""A model's coefficients, plain and penalised. R's values: oracles/clinical.json, by clinical.R."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_clinical import ORACLE, patients_of, separated_patients

from hcc_utils.checks import InputError
from hcc_utils.models import clinical, coefficients, logistic, prespecified

NAMES = ["diameter_mm", "capsule", "cirrhosis", "nodule_in_nodule"]


@pytest.fixture(scope="module")
def model() -> clinical.ClinicalModel:
    """The model that clinical.R profiled: all of its factors stay."""
    return clinical.fit(patients_of("small"), candidates=NAMES, p_below=2)


def test_intervals_match_r(model):
    found = coefficients.beside(model, patients_of("small"), "aggressive_pd")
    oracle = ORACLE["profile"]
    np.testing.assert_allclose(np.log(found["odds_ratio"]), oracle["coefficients"], rtol=1e-6)
    ends = np.log(found[["profile_low", "profile_high"]].to_numpy())
    np.testing.assert_allclose(ends, oracle["near"], rtol=1e-6)


def test_the_penalised_fits_are_of_the_same_terms(model):
    table = patients_of("small")
    found = coefficients.beside(model, table, "aggressive_pd")
    event = table["aggressive_pd"].to_numpy(dtype=bool)
    firth = logistic.firth(model.design(table), event).coefficients
    ridge = prespecified.fit(table, "aggressive_pd", NAMES)
    np.testing.assert_allclose(np.log(found["firth"]), firth)
    expected = [ridge.intercept, *ridge.terms.values()]
    np.testing.assert_allclose(np.log(found["ridge"]), expected, rtol=1e-8)
    assert found["term"].tolist() == ["intercept", *ridge.terms]


def test_where_the_factors_separate_no_interval_is_given():
    table = separated_patients()
    model = clinical.fit(table, candidates=["fusion_lesion"])
    found = coefficients.beside(model, table, "aggressive_pd")
    assert found[["profile_low", "profile_high"]].isna().all(axis=None)
    np.testing.assert_allclose(found["firth"], found["odds_ratio"])
    assert np.isfinite(found["ridge"]).all()


def test_the_intercept_alone_is_the_prevalence():
    """A quarter with the event: odds 1/3 by every fit but Firth's, 6.5/18.5 there."""
    table = pd.DataFrame({"aggressive_pd": [1, 0, 0, 0] * 6})
    model = clinical.ClinicalModel(np.log(1 / 3), {}, standard_errors={"intercept": 0.47})
    found = coefficients.beside(model, table, "aggressive_pd")
    assert found["ridge"].tolist() == [pytest.approx(1 / 3)]
    assert found["firth"].tolist() == [pytest.approx(6.5 / 18.5)]
    assert found["profile_low"][0] < 1 / 3 < found["profile_high"][0]


def test_one_class_is_refused(model):
    table = patients_of("small").assign(aggressive_pd=False)
    with pytest.raises(InputError, match="both events and non-events"):
        coefficients.beside(model, table, "aggressive_pd")
