"""Calibration: by hand, against R's glm and loess, and where it cannot be estimated.

R's values: oracles/evaluation.json, made by oracles/evaluation.R (R 4.2.2).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcc_utils import checks
from hcc_utils.evaluation import calibration

ORACLES = Path(__file__).parent / "oracles"
R = json.loads((ORACLES / "evaluation.json").read_text("utf-8"))
DATA = {n: pd.read_csv(ORACLES / f"evaluation_{n}.csv") for n in ("40", "332")}

patients = st.lists(
    st.tuples(st.booleans(), st.floats(1e-9, 1 - 1e-9)), min_size=2, max_size=40
).filter(lambda rows: len({event for event, _ in rows}) == 2)


@pytest.mark.parametrize("n", ["40", "332"])
def test_calibration_as_r(n):
    """Slope and intercept as glm, ICI as loess(surface = "direct")."""
    ours = calibration.calibration(DATA[n]["event"], DATA[n]["risk_b"])
    for name in ("intercept", "slope", "brier", "ici"):
        assert getattr(ours, name) == pytest.approx(R[n]["calibration"][name], abs=1e-9), name


@pytest.mark.parametrize("n", ["40", "332"])
def test_intervals_as_r(n):
    """glm's standard error is one iteration behind: 2e-9 at n = 332."""
    ours = calibration.calibration(DATA[n]["event"], DATA[n]["risk_b"])
    for name in ("intercept_low", "intercept_high", "slope_low", "slope_high"):
        assert getattr(ours, name) == pytest.approx(R[n]["calibration"][name], abs=1e-7), name


def test_risk_as_observed_is_calibrated():
    """Two groups whose risk is their share of events: intercept 0, slope 1, ICI 0."""
    event = np.repeat([1, 0, 1, 0], [2, 8, 6, 4])
    ours = calibration.calibration(event, np.repeat([0.2, 0.6], 10))
    assert [ours.intercept, ours.slope, ours.ici] == pytest.approx([0, 1, 0], abs=1e-9)


def test_intercept_by_hand():
    """Every risk 0.5, 3 of 4 have the event: logit 3/4 - logit 1/2 = log 3."""
    ours = calibration.calibration([1, 1, 1, 0], [0.5] * 4)
    assert ours.intercept == pytest.approx(np.log(3), abs=1e-12)


def test_a_nearly_certain_risk_does_not_upset_the_intercept():
    """1 event among two risks of 1/2 and one of 1e-9: 2 expit(a) = 1, so a = 0 (plus 1e-9)."""
    ours = calibration.calibration([0, 1, 0], [0.5, 0.5, 1e-9])
    assert ours.intercept == pytest.approx(0, abs=1e-8)


def test_brier_by_hand():
    """(0.3**2 + 0.2**2 + 0.6**2) / 3 = 0.49 / 3."""
    ours = calibration.calibration([1, 0, 0], [0.7, 0.2, 0.6])
    assert ours.brier == pytest.approx(0.49 / 3, abs=1e-15)


def test_doubled_logits_halve_the_slope():
    event, risk = DATA["332"]["event"], DATA["332"]["risk_b"]
    odds = (risk / (1 - risk)) ** 2
    extreme = calibration.calibration(event, odds / (1 + odds)).slope
    assert extreme == pytest.approx(calibration.calibration(event, risk).slope / 2, abs=1e-12)


@pytest.mark.parametrize(
    ("event", "risk", "note"),
    [
        pytest.param([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1], "separated", id="perfect"),
        pytest.param([0, 0, 1, 1], [0.9, 0.8, 0.2, 0.1], "separated", id="perfectly wrong"),
        pytest.param([1, 1, 0, 0], [0.9, 0.5, 0.5, 0.1], "separated", id="but for a tie"),
        pytest.param([1, 0, 1, 0], [0.4] * 4, "constant_risk", id="constant"),
    ],
)
def test_a_slope_without_estimate_is_missing_and_said(event, risk, note):
    ours = calibration.calibration(event, risk)
    assert ours.note == note
    assert np.isnan([ours.slope, ours.slope_low, ours.slope_high]).all()
    assert np.isfinite([ours.intercept, ours.intercept_low, ours.brier, ours.ici]).all()


def test_overlap_across_a_shared_risk_is_not_separation():
    """An event on either side of the non-event: the slope is 0 by symmetry of the logits."""
    ours = calibration.calibration([1, 0, 1], [0.2, 0.5, 0.8])
    assert ours.note == ""
    assert ours.slope == pytest.approx(0, abs=1e-12)


@settings(deadline=None)
@given(patients)
def test_every_risk_short_of_certainty_is_taken(rows):
    event, risk = np.array(rows, dtype=float).T
    ours = calibration.calibration(event, risk)
    assert np.isfinite([ours.intercept, ours.brier, ours.ici]).all()
    assert np.isfinite(ours.slope) == (ours.note == "")


def test_curve_by_hand():
    """20 patients, 2 groups of 10: 2 and 6 events; Wilson of 2/10 is .057 to .510."""
    event = np.repeat([1, 0, 1, 0], [2, 8, 6, 4])
    curve = calibration.curve(event, np.repeat([0.1, 0.3, 0.5, 0.9], 5))
    assert curve["risk"].tolist() == pytest.approx([0.2, 0.7], abs=1e-15)
    assert curve["observed"].tolist() == [0.2, 0.6]
    assert curve.loc[0, ["low", "high"]].round(3).tolist() == [0.057, 0.510]


def test_equal_risks_share_a_group():
    curve = calibration.curve([1, 0] * 20, [0.3] * 40)
    assert len(curve) == 1


@pytest.mark.parametrize(("n", "groups"), [(7, 1), (32, 3), (96, 9), (236, 10)])
def test_groups_hold_ten_or_so(n, groups):
    risk = np.linspace(0.01, 0.99, n)
    assert len(calibration.curve(risk > 0.5, risk)) == groups


def test_a_centre_without_events_still_has_a_curve():
    curve = calibration.curve([0] * 20, np.linspace(0.1, 0.5, 20))
    assert curve["observed"].tolist() == [0, 0]


def test_the_curve_covers_the_truth():
    """300 studies of 32 patients with known risks: Wilson's 95 % holds the mean risk."""
    generator = np.random.default_rng(1)
    covered = []
    for _ in range(300):
        risk = 1 / (1 + np.exp(-generator.normal(-1.1, 1.3, 32)))
        curve = calibration.curve(generator.random(32) < risk, risk)
        covered += curve["risk"].between(curve["low"], curve["high"]).tolist()
    assert 0.93 < np.mean(covered) < 0.98


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"event": [1, 1]}, "both events and non-events", id="one class"),
        pytest.param({"risk": [0.2, 1.0]}, "row 1: 1. Have the model", id="certain"),
        pytest.param({"risk": [0.0, 0.3]}, "row 0: 0. Have the model", id="impossible"),
        pytest.param({"risk": [0.2, 1.4]}, "turn them into risks", id="score"),
        pytest.param({"risk": [0.2, np.nan]}, "first at row 1: nan", id="missing"),
        pytest.param({"risk": [0.2]}, "event has 2, risk has 1", id="lengths"),
        pytest.param({"level": 95}, "level must lie", id="level in percent"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {"event": [1, 0], "risk": [0.8, 0.2]}
    with pytest.raises(checks.InputError, match=message):
        calibration.calibration(**(good | change))


def test_nobody_has_no_curve():
    with pytest.raises(checks.InputError, match="at least one patient"):
        calibration.curve([], [])
