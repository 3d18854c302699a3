"""Calibration: by hand, and where it cannot be estimated; against R in test_equal_to_r."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_patients import DATA

from hcc_utils import checks
from hcc_utils.evaluation import calibration

patients = st.lists(
    st.tuples(st.booleans(), st.floats(1e-9, 1 - 1e-9)), min_size=2, max_size=40
).filter(lambda rows: len({event for event, _ in rows}) == 2)


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


def test_observed_over_expected_by_hand():
    """3 events of 4, risks sum to 2: 1.5; Wald's reach on the log scale 1.96 * sqrt(.25 / 3)."""
    ours = calibration.calibration([1, 1, 1, 0], [0.5] * 4)
    assert ours.observed_expected == pytest.approx(1.5, abs=1e-15)
    reach = np.exp(1.959964 * np.sqrt(0.25 / 3))
    ends = [ours.observed_expected_low, ours.observed_expected_high]
    assert ends == pytest.approx([1.5 / reach, 1.5 * reach], abs=1e-6)


def test_distances_by_hand():
    """Off by .2 in one half, by 0 in the other: mean .1, median .1, 90th percentile .2."""
    event = np.repeat([1, 0, 1, 0], [4, 6, 6, 4])
    ours = calibration.calibration(event, np.repeat([0.2, 0.6], 10))
    assert [ours.ici, ours.e50, ours.e90] == pytest.approx([0.1, 0.1, 0.2], abs=1e-9)


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


@pytest.mark.parametrize("shift", [-1.5, 0, 1.5])
def test_risks_are_off_where_an_interval_says_so(shift):
    """Events as 40 patients' risks have it; logits moved by 1.5, four standard errors or more."""
    event = np.repeat([1, 0, 1, 0], [4, 16, 12, 8])
    odds = np.repeat([0.2 / 0.8, 0.6 / 0.4], 20) * np.exp(shift)
    assert calibration.calibration(event, odds / (1 + odds)).off == (shift != 0)


def test_a_slope_away_from_1_is_off_too():
    """Logits doubled about 0, half of them events on either side by symmetry: intercept 0."""
    event = np.repeat([1, 0, 1, 0], [20, 80, 80, 20])
    ours = calibration.calibration(event, np.repeat([1 / 17, 16 / 17], 100))
    assert ours.intercept == pytest.approx(0, abs=1e-9)
    assert ours.off


def test_the_smooth_curve_lies_in_its_band_and_in_0_to_1():
    d = DATA["40"]
    curve = calibration.smooth(d["event"], d["risk_b"], resamples=50).curve
    assert curve[["observed", "low", "high"]].stack().between(0, 1).all()
    assert curve["risk"].iloc[[0, -1]].tolist() == np.quantile(d["risk_b"], [0.05, 0.95]).tolist()
    assert curve["observed"].between(curve["low"], curve["high"]).mean() > 0.9


def test_the_smooth_curve_follows_a_straight_truth():
    """20 000 patients with risks that are true: the curve is the diagonal, up to chance of .02."""
    risk = np.linspace(0.05, 0.95, 20_000)
    event = np.random.default_rng(1).random(20_000) < risk
    curve = calibration.smooth(event, risk, resamples=0).curve
    assert np.abs(curve["observed"] - curve["risk"]).max() < 0.02
    assert curve[["low", "high"]].isna().all(axis=None)


def test_the_smooth_curve_does_not_ask_how_rows_are_ordered():
    d = DATA["40"]
    ours, theirs = (
        calibration.smooth(rows["event"], rows["risk_a"], resamples=20)
        for rows in (d, d.sample(frac=1, random_state=1))
    )
    assert np.allclose(ours.curve, theirs.curve, atol=1e-12)
    assert np.allclose(ours.distances.iloc[:, 1:], theirs.distances.iloc[:, 1:], atol=1e-12)


def test_hosmer_lemeshow_by_hand():
    """Of 10 each, 3, 5, 7 events at .2, .5, .8: 1/2 + 1/8 twice and 0; 1 df: 2 Phi(-sqrt 1.25)."""
    event = np.repeat([1, 0] * 3, [3, 7, 5, 5, 7, 3])
    ours = calibration.hosmer_lemeshow(event, np.repeat([0.2, 0.5, 0.8], 10))
    assert (ours.chi_square, ours.df) == (pytest.approx(1.25, abs=1e-12), 1)
    assert ours.p_value == pytest.approx(0.263552, abs=1e-6)


def test_two_groups_leave_hosmer_lemeshow_without_a_test():
    ours = calibration.hosmer_lemeshow([1, 0, 1, 0], [0.2, 0.2, 0.6, 0.6])
    assert ours.df == 0
    assert np.isnan(ours.p_value)


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


@pytest.mark.parametrize("function", [calibration.smooth, calibration.hosmer_lemeshow])
@pytest.mark.parametrize(
    ("event", "risk", "message"),
    [
        pytest.param([1, 1], [0.1, 0.2], "both events and non-events", id="one class"),
        pytest.param([1, 0], [0.2, 1.4], "turn them into risks", id="score"),
        pytest.param([1, 0], [0.2, np.inf], "first at row 1: inf", id="infinite"),
        pytest.param([1, 0], ["a", "b"], "must hold numbers", id="words"),
        pytest.param([1, 0], [0.2], "event has 2, risk has 1", id="lengths"),
    ],
)
def test_bad_input_of_the_others_is_named(function, event, risk, message):
    with pytest.raises(checks.InputError, match=message):
        function(event, risk)


def test_nobody_has_no_curve():
    with pytest.raises(checks.InputError, match="at least one patient"):
        calibration.curve([], [])
