"""Points and risks. R's values: oracles/nomogram.json, made by nomogram.R (rms)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcc_utils.checks import InputError
from hcc_utils.evaluation.nomogram import nomogram

ORACLE = json.loads((Path(__file__).parent / "oracles" / "nomogram.json").read_text())
BY_HAND = nomogram(-2.0, {"diameter_mm": 0.02, "cirrhosis": 0.5}, {"diameter_mm": (10, 110)})


def from_r():
    """The oracle's model, in our names."""
    terms = {
        name.replace("capsule=", "capsule[") + ("]" if "=" in name else ""): value
        for name, value in ORACLE["coefficients"].items()
        if name != "Intercept"
    }
    ranges = {"diameter_mm": (20, 120), "age_years": (40, 80)}
    return nomogram(ORACLE["coefficients"]["Intercept"], terms, ranges)


@pytest.mark.parametrize("predictor", ["diameter_mm", "age_years", "capsule", "cirrhosis"])
def test_points_match_rms(predictor):
    expected = pd.DataFrame(ORACLE[predictor])
    base = {"diameter_mm": 20.0, "age_years": 80.0, "capsule": "intact", "cirrhosis": 0.0}
    patients = pd.DataFrame([base | {predictor: value} for value in expected["value"]])
    found = from_r().patient_points(patients)
    np.testing.assert_allclose(found[predictor], expected["points"], atol=1e-8)
    np.testing.assert_allclose(found["total_points"], expected["points"], atol=1e-8)


def test_total_points_match_rms():
    expected = pd.DataFrame(ORACLE["total"])
    risk = from_r().risk_at(expected["total_points"].to_numpy())
    np.testing.assert_allclose(np.log(risk / (1 - risk)), expected["linear_predictor"], atol=1e-9)


def test_points_worked_by_hand():
    """Diameter spans 0.02 * 100 = 2 log odds, 100 points; cirrhosis 0.5 log odds, 25 points."""
    ends = BY_HAND.points.groupby("predictor")["points"].agg(["min", "max"])
    assert ends.loc["diameter_mm"].tolist() == [0, 100]
    assert ends.loc["cirrhosis"].tolist() == [0, 25]


def test_a_patient_worked_by_hand():
    """60 mm with cirrhosis: 50 + 25 points; log odds -2 + 1.2 + 0.5 = -0.3."""
    patient = pd.DataFrame({"diameter_mm": [60.0], "cirrhosis": pd.array([True], "boolean")})
    found = BY_HAND.patient_points(patient).iloc[0]
    assert found["total_points"] == pytest.approx(75)
    assert found["risk"] == pytest.approx(1 / (1 + np.exp(0.3)))


def test_total_axis_worked_by_hand():
    """0 points: -2 + 0.2 = -1.8; 125 points, the most: -2 + 2.2 + 0.5 = 0.7."""
    ends = BY_HAND.total.iloc[[0, -1]]
    assert ends["total_points"].tolist() == pytest.approx([0, 125])
    assert ends["linear_predictor"].tolist() == pytest.approx([-1.8, 0.7])


def test_a_protective_factor_gives_points_where_it_is_absent():
    drawn = nomogram(0.0, {"capsule[non_intact]": -1.0, "capsule[intact]": -2.0}, {})
    points = drawn.points.set_index("value")["points"]
    assert points.to_dict() == {"absent": 100, "non_intact": 50, "intact": 0}


def test_ticks_are_round_between_the_ends():
    """From 12 to 97: every 20."""
    drawn = nomogram(0.0, {"diameter_mm": 0.1}, {"diameter_mm": (12, 97)})
    assert drawn.points["value"].tolist() == [12, 20, 40, 60, 80, 97]


@pytest.mark.parametrize(
    ("terms", "ranges", "message"),
    [
        pytest.param({}, {}, "intercept alone", id="no term"),
        pytest.param({"cirrhosis": 0.0}, {}, "intercept alone", id="no effect"),
        pytest.param({"diameter_mm": 1}, {"diameter": (1, 2)}, "nearest: 'diameter'", id="range"),
        pytest.param({"diameter_mm": 1}, {"diameter_mm": (2, 2)}, "must rise", id="flat range"),
    ],
)
def test_what_cannot_be_drawn_is_named(terms, ranges, message):
    with pytest.raises(InputError, match=message):
        nomogram(0.0, terms, ranges)


def test_a_missing_predictor_is_named():
    patient = pd.DataFrame({"diameter_mm": [np.nan], "cirrhosis": [1.0]})
    with pytest.raises(InputError, match="diameter_mm must be known for points; 1 of 1"):
        BY_HAND.patient_points(patient)
