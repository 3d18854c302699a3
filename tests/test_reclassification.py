"""NRI and IDI: by hand; against Hmisc in test_equal_to_r."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_patients import DATA

from hcc_utils import checks
from hcc_utils.evaluation import reclassification

EVENT = [1, 1, 1, 1, 0, 0, 0, 0, 0]
OLD = [0.2, 0.3, 0.4, 0.5, 0.1, 0.2, 0.3, 0.4, 0.5]
NEW = [0.4, 0.6, 0.7, 0.4, 0.1, 0.1, 0.1, 0.3, 0.6]

patients = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=2, max_size=30).filter(
    lambda rows: len(dict(rows)) == 2  # both classes
)


def test_continuous_nri_by_hand():
    """Events: 3 up, 1 down of 4: 0.5. Non-events: 3 down, 1 up of 5: 0.4."""
    ours = reclassification.nri(EVENT, OLD, NEW)
    assert (ours.events, ours.non_events, ours.nri) == pytest.approx((0.5, 0.4, 0.9), abs=1e-15)


def test_nri_standard_error_by_hand():
    """Moves 1, 1, 1, -1: variance 1 - 0.25; moves 0, 1, 1, 1, -1: 0.8 - 0.16."""
    ours = reclassification.nri(EVENT, OLD, NEW)
    assert ours.se == pytest.approx(np.sqrt(0.75 / 4 + 0.64 / 5), abs=1e-15)


def test_categorical_nri_by_hand():
    """Cut 0.4, a risk at it is high: events 2 up, 0 down of 4; non-events 1 down, 0 up of 5."""
    ours = reclassification.nri(EVENT, OLD, NEW, categories=[0.4])
    assert (ours.events, ours.non_events) == (0.5, 0.2)


def test_idi_by_hand():
    """Risks rise by 0.7/4 in events and fall by 0.3/5 in non-events: 0.175 + 0.06."""
    assert reclassification.idi(EVENT, OLD, NEW).idi == pytest.approx(0.235, abs=1e-15)


@settings(deadline=None)
@given(patients)
def test_the_same_risk_changes_nothing(rows):
    event, risk = np.array(rows, dtype=float).T
    for function in (reclassification.nri, reclassification.idi):
        ours = function(event, risk, risk)
        assert (ours.events, ours.non_events) == (0, 0)
        if min(event.sum(), (1 - event).sum()) > 1:  # of one alone IDI has no standard error
            assert (ours.z, ours.p_value) == (0, 1)


@pytest.mark.parametrize("function", [reclassification.nri, reclassification.idi])
def test_swapping_the_risks_turns_the_sign(function):
    forward, backward = function(EVENT, OLD, NEW), function(EVENT, NEW, OLD)
    assert backward.z == pytest.approx(-forward.z, abs=1e-12)


def test_one_event_leaves_idi_without_a_standard_error():
    ours = reclassification.idi([1, 0, 0], [0.2, 0.2, 0.3], [0.5, 0.1, 0.3])
    assert ours.idi == pytest.approx(0.35, abs=1e-15)
    assert np.isnan([ours.se, ours.p_value, ours.low]).all()


def test_the_parts_of_a_summary_add_up():
    table = reclassification.summary(EVENT, OLD, NEW, [0.4]).set_index("metric")["estimate"]
    assert len(table) == 9
    for name, whole in (("nri_categorical", 0.7), ("nri", 0.9), ("idi", 0.235)):
        assert table[name] == pytest.approx(whole, abs=1e-15)
        parts = table[f"{name}_events"] + table[f"{name}_non_events"]
        assert parts == pytest.approx(whole, abs=1e-15)


def test_bootstrap_intervals_are_about_as_wide_as_walds():
    """2400 patients of the 20 000: no chance is left in the shape of the mean's distribution."""
    d = DATA["20000"][:2400]
    table = reclassification.summary(d["event"], d["risk_a"], d["risk_b"], [0.3], resamples=2000)
    reach = (table["high"] - table["low"]) / 2
    assert (reach / (1.959964 * table["se"])).between(0.93, 1.07).all()
    assert table["estimate"].between(table["low"], table["high"]).all()


def test_the_order_of_patients_changes_no_interval():
    d = DATA["40"]
    ours, theirs = (
        reclassification.summary(rows["event"], rows["risk_a"], rows["risk_b"], resamples=50)
        for rows in (d, d.sample(frac=1, random_state=1))
    )
    assert np.allclose(ours.iloc[:, 1:], theirs.iloc[:, 1:], atol=1e-12, equal_nan=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"event": [1, 1]}, "both events and non-events", id="one class"),
        pytest.param({"risk_old": [0.2, 1.4]}, "risk_old must hold prob", id="no probability"),
        pytest.param({"risk_new": [0.2]}, "risk_new has 1", id="lengths"),
        pytest.param({"risk_new": [0.2, np.nan]}, "first at row 1: nan", id="missing"),
    ],
)
@pytest.mark.parametrize(
    "function", [reclassification.nri, reclassification.idi, reclassification.summary]
)
def test_bad_input_is_named(function, change, message):
    good = {"event": [1, 0], "risk_old": [0.2, 0.3], "risk_new": [0.3, 0.2]}
    with pytest.raises(checks.InputError, match=message):
        function(**(good | change))


@pytest.mark.parametrize("cuts", [[], [0.0], [1.0], [0.4, 0.2], [0.2, 0.2]], ids=str)
def test_bad_categories_are_named(cuts):
    with pytest.raises(checks.InputError, match="cuts that rise"):
        reclassification.nri([1, 0], [0.2, 0.3], [0.3, 0.2], categories=cuts)
