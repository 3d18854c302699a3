"""Net benefit and threshold counts: by hand, and laws; against R in test_equal_to_r."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcc_utils import checks
from hcc_utils.evaluation import decision_curve

FUNCTIONS = [decision_curve.net_benefit, decision_curve.threshold_counts]

patients = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=30)
cuts = st.floats(0.01, 0.99)


def of(curve, strategy):
    return curve.loc[curve["strategy"] == strategy, "net_benefit"].to_numpy()


def test_worked_by_hand():
    """At 20 %, 3 true and 2 false positives of 10: 3/10 - 0.25 * 2/10 = 0.25."""
    event, risk = [1] * 4 + [0] * 6, [0.9, 0.5, 0.2, 0.1, 0.6, 0.3, 0.1, 0.1, 0.1, 0.1]
    curve = decision_curve.net_benefit(event, risk, [0.2])
    assert of(curve, "model") == pytest.approx([0.25], abs=1e-15)


def test_all_and_none_by_hand():
    """4 of 10 at 20 %: 0.4 - 0.25 * 0.6 = 0.25 in all; 0 in none."""
    curve = decision_curve.net_benefit([1] * 4 + [0] * 6, [0.5] * 10, [0.2])
    assert of(curve, "all") == pytest.approx([0.25], abs=1e-15)
    assert of(curve, "none").tolist() == [0]


def test_net_benefit_of_the_paper():
    """Model CSD in validation at .28, TP 20, FP 17 of 96, comes to .139."""
    event = np.repeat([1, 0, 1, 0], [20, 17, 2, 57])
    curve = decision_curve.net_benefit(event, np.repeat([0.9, 0.1], [37, 59]), [0.28])
    assert of(curve, "model").round(3).tolist() == [0.139]


def test_counts_by_hand():
    counts = decision_curve.threshold_counts([1, 1, 0, 0], [0.3, 0.1, 0.3, 0.2], [0.2, 0.3])
    assert counts.to_numpy().tolist() == [[0.2, 1, 2, 1, 0], [0.3, 1, 1, 1, 1]]


def test_default_thresholds_are_the_hundredths_that_are_typed():
    counts = decision_curve.threshold_counts([1, 0], [0.29, 0.28])
    assert counts["threshold"].tolist() == [float(f"0.{k:02d}") for k in range(1, 100)]


def test_no_event_gains_nothing():
    """A centre without events: every intervention is a false alarm, -1 * 1/2 at 50 %."""
    curve = decision_curve.net_benefit([0, 0], [0.9, 0.1], [0.5])
    assert of(curve, "model").tolist() == [-0.5]


@settings(deadline=None)
@given(patients, cuts)
def test_no_model_beats_the_prevalence(rows, cut):
    event, risk = np.array(rows, dtype=float).T
    curve = decision_curve.net_benefit(event, risk, [cut])
    assert of(curve, "model")[0] <= event.mean() + 1e-12


@settings(deadline=None)
@given(patients, cuts, st.randoms(use_true_random=False))
def test_the_order_of_patients_changes_nothing(rows, cut, random):
    tables = [
        decision_curve.threshold_counts(*np.array(each, dtype=float).T, [cut])
        for each in (rows, random.sample(rows, len(rows)))
    ]
    assert tables[0].equals(tables[1])


@settings(deadline=None)
@given(patients, cuts)
def test_counts_are_those_of_a_plain_comparison(rows, cut):
    event, risk = np.array(rows, dtype=float).T
    counts = decision_curve.threshold_counts(event, risk, [cut]).iloc[0]
    high = risk >= cut
    assert counts["true_positive"] == (high & (event == 1)).sum()
    assert counts["false_positive"] == (high & (event == 0)).sum()
    assert counts.drop("threshold").sum() == len(rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"risk": [0.2, np.nan]}, "first at row 1: nan", id="missing risk"),
        pytest.param({"risk": [0.2, -1.3]}, "turn them into risks", id="score"),
        pytest.param({"risk": [0.2]}, "event has 2, risk has 1", id="lengths"),
        pytest.param({"event": [1, 3]}, "True and False", id="outcome of 3"),
        pytest.param({"event": [], "risk": []}, "at least one patient", id="nobody"),
        pytest.param({"thresholds": [0.0]}, "strictly between 0 and 1.* row 0: 0", id="zero"),
        pytest.param({"thresholds": [0.5, 1.0]}, "row 1: 1", id="one"),
        pytest.param({"thresholds": [28]}, "thresholds must hold prob", id="percent"),
    ],
)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_bad_input_is_named(function, change, message):
    good = {"event": [1, 0], "risk": [0.2, 0.8], "thresholds": [0.5]}
    with pytest.raises(checks.InputError, match=message):
        function(**(good | change))
