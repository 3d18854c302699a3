"""NRI and IDI: by hand and against Hmisc.

R's values: oracles/evaluation.json, made by oracles/evaluation.R (R 4.2.2, Hmisc 4.8.0).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcc_utils import checks
from hcc_utils.evaluation import reclassification

ORACLES = Path(__file__).parent / "oracles"
R = json.loads((ORACLES / "evaluation.json").read_text("utf-8"))
DATA = {n: pd.read_csv(ORACLES / f"evaluation_{n}.csv") for n in ("40", "332")}
CLOSE = {"rel": 1e-12, "abs": 1e-12}

EVENT = [1, 1, 1, 1, 0, 0, 0, 0, 0]
OLD = [0.2, 0.3, 0.4, 0.5, 0.1, 0.2, 0.3, 0.4, 0.5]
NEW = [0.4, 0.6, 0.7, 0.4, 0.1, 0.1, 0.1, 0.3, 0.6]


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


@pytest.mark.parametrize("n", ["40", "332"])
@pytest.mark.parametrize(
    ("kind", "categories"), [("continuous", None), ("categorical", [0.2, 0.4])]
)
def test_nri_as_hmisc(n, kind, categories):
    d = DATA[n]
    ours = reclassification.nri(d["event"], d["risk_a"], d["risk_b"], categories)
    for name in ("nri", "se", "z", "p_value", "events", "non_events"):
        assert getattr(ours, name) == pytest.approx(R[n][kind][name], **CLOSE), name


@pytest.mark.parametrize("n", ["40", "332"])
def test_idi_as_hmisc(n):
    d = DATA[n]
    ours = reclassification.idi(d["event"], d["risk_a"], d["risk_b"])
    theirs = R[n]["continuous"]
    assert ours.idi == pytest.approx(theirs["idi"], **CLOSE)
    for name in ("se", "z", "p_value"):
        assert getattr(ours, name) == pytest.approx(theirs[f"idi_{name}"], **CLOSE), name


@pytest.mark.parametrize("function", [reclassification.nri, reclassification.idi])
def test_the_same_risk_changes_nothing(function):
    ours = function(EVENT, OLD, OLD)
    assert (ours.events, ours.non_events, ours.z, ours.p_value) == (0, 0, 0, 1)


@pytest.mark.parametrize("function", [reclassification.nri, reclassification.idi])
def test_swapping_the_risks_turns_the_sign(function):
    forward, backward = function(EVENT, OLD, NEW), function(EVENT, NEW, OLD)
    assert backward.z == pytest.approx(-forward.z, abs=1e-12)


def test_one_event_leaves_idi_without_a_standard_error():
    ours = reclassification.idi([1, 0, 0], [0.2, 0.2, 0.3], [0.5, 0.1, 0.3])
    assert ours.idi == pytest.approx(0.35, abs=1e-15)
    assert np.isnan([ours.se, ours.p_value, ours.low]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"event": [1, 1]}, "both events and non-events", id="one class"),
        pytest.param({"risk_old": [0.2, 1.4]}, "risk_old must hold prob", id="no probability"),
        pytest.param({"risk_new": [0.2]}, "risk_new has 1", id="lengths"),
        pytest.param({"risk_new": [0.2, np.nan]}, "first at row 1: nan", id="missing"),
    ],
)
@pytest.mark.parametrize("function", [reclassification.nri, reclassification.idi])
def test_bad_input_is_named(function, change, message):
    good = {"event": [1, 0], "risk_old": [0.2, 0.3], "risk_new": [0.3, 0.2]}
    with pytest.raises(checks.InputError, match=message):
        function(**(good | change))


@pytest.mark.parametrize("cuts", [[], [0.0], [1.0], [0.4, 0.2], [0.2, 0.2]], ids=str)
def test_bad_categories_are_named(cuts):
    with pytest.raises(checks.InputError, match="cuts that rise"):
        reclassification.nri([1, 0], [0.2, 0.3], [0.3, 0.2], categories=cuts)
