"""Times to an event. R's values: oracles/survival*, made by survival.R (versions inside)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcc_utils.checks import InputError
from hcc_utils.evaluation import survival

ORACLES = Path(__file__).parent / "oracles"
PATIENTS = pd.read_csv(ORACLES / "survival_patients.csv")
ORACLE = json.loads((ORACLES / "survival.json").read_text())


def at(curve: pd.DataFrame, months: float, column: str) -> float:
    """A step curve's value at a time."""
    return float(curve.loc[curve["months"] <= months, column].iloc[-1])


def test_curves_match_r():
    expected = pd.read_csv(ORACLES / "survival_curves.csv")
    ours = survival.kaplan_meier(PATIENTS["months"], PATIENTS["event"], PATIENTS["group"])
    assert list(ours["group"]) == list(expected["group"])
    for column in ("months", "survival", "low", "high", "at_risk"):
        np.testing.assert_allclose(ours[column], expected[column], rtol=1e-12)


def test_medians_match_r():
    ours = survival.median(PATIENTS["months"], PATIENTS["event"], PATIENTS["group"])
    expected = pd.DataFrame(ORACLE["median"])
    assert list(ours["group"]) == list(expected["group"])
    for theirs, mine in (("n", "n"), ("events", "events"), ("median", "median_months")):
        np.testing.assert_array_equal(ours[mine], expected[theirs])
    for limit in ("low", "high"):
        np.testing.assert_array_equal(ours[limit], expected[limit].astype(float))


def test_logrank_matches_r():
    ours = survival.logrank(PATIENTS["months"], PATIENTS["event"], PATIENTS["group"])
    assert ours.df == 2
    assert ours.statistic == pytest.approx(ORACLE["logrank"]["statistic"], rel=1e-11)
    assert ours.p_value == pytest.approx(ORACLE["logrank"]["p_value"], rel=1e-11)


def test_cox_matches_r():
    covariates = PATIENTS[["diameter_mm", "cirrhosis"]]
    ours = survival.cox(PATIENTS["months"], PATIENTS["event"], covariates)
    for mine, theirs in zip(ours.itertuples(), ORACLE["cox"], strict=True):
        assert mine.term == theirs["term"]
        for column in ("hazard_ratio", "low", "high", "p_value"):
            assert getattr(mine, column) == pytest.approx(theirs[column], rel=1e-8)


def test_cumulative_incidence_and_its_variance_match_cmprsk():
    ours = survival.cumulative_incidence(PATIENTS["months"], PATIENTS["cause"], PATIENTS["group"])
    expected = pd.read_csv(ORACLES / "survival_incidence.csv").dropna()
    assert len(expected) > 20
    for row in expected.itertuples():
        group, cause = row.curve.split()
        curve = ours[(ours["group"] == group) & (ours["cause"] == int(cause))]
        assert at(curve, row.months, "incidence") == pytest.approx(row.incidence, rel=1e-11)
        assert at(curve, row.months, "variance") == pytest.approx(row.variance, rel=1e-10)


def test_curve_worked_by_hand():
    """Times 1, 2 (censored), 3 of three: 2/3, then one at risk and it falls to 0."""
    curve = survival.kaplan_meier([1, 2, 3], [1, 0, 1])
    np.testing.assert_allclose(curve["survival"], [1, 2 / 3, 2 / 3, 0])
    assert list(curve["at_risk"]) == [3, 3, 2, 1]
    assert list(curve["group"].unique()) == ["all"]


def test_first_interval_worked_by_hand():
    """Greenwood 1/(3*2): 2/3 * exp(-1.95996 * sqrt(1/6)) = 0.2995; the upper is cut at 1."""
    curve = survival.kaplan_meier([1, 2, 3], [1, 0, 1])
    assert curve["low"][1] == pytest.approx(0.29951, abs=1e-5)
    assert curve["high"][1] == 1


def test_interval_is_missing_where_nobody_survives():
    """R prints NA there: the log of 0 has no interval."""
    assert np.isnan(survival.kaplan_meier([1, 2], [1, 1])[["low", "high"]].iloc[-1]).all()


def test_median_is_the_midpoint_of_a_flat_half():
    """Times 1, 2, 3, 4 all events: the curve is one half from 2 to 3, R says 2.5."""
    assert survival.median([1, 2, 3, 4], [1, 1, 1, 1])["median_months"].item() == 2.5


def test_median_where_the_curve_ends_at_one_half():
    """Events at 1 and 2 of four, the rest censored at 5: never lower than one half, R says 2."""
    assert survival.median([1, 2, 5, 5], [1, 1, 0, 0])["median_months"].item() == 2


def test_tied_events_count_together():
    """Two of four at time 3: one half at once."""
    assert at(survival.kaplan_meier([3, 3, 5, 6], [1, 1, 0, 1]), 3, "survival") == 0.5


def test_an_event_and_a_censoring_in_one_month_leave_both_at_risk():
    """The censored patient counts among the two at risk at month 3: 1/2, not 0."""
    assert at(survival.kaplan_meier([3, 3], [1, 0]), 3, "survival") == 0.5


def test_all_censored_has_no_median():
    found = survival.median([1, 2, 3], [0, 0, 0])
    assert found["events"].item() == 0
    assert found[["median_months", "low", "high"]].isna().all(axis=None)


def test_logrank_worked_by_hand():
    """Deaths at 1 (a) and 2 (b): O - E in a = 1 - 1/2 = 1/2, variance 1/4, chi-square 1."""
    assert survival.logrank([1, 2], [1, 1], ["a", "b"]).statistic == pytest.approx(1)


@pytest.mark.parametrize(
    ("event", "group", "df"),
    [
        pytest.param([1, 1], ["high", "high"], 0, id="one group"),
        pytest.param([0, 0], ["high", "low"], 1, id="no event"),
    ],
)
def test_logrank_says_that_nothing_is_compared(event, group, df):
    found = survival.logrank([1, 2], event, group)
    assert np.isnan(found.p_value)
    assert found.df == df


@pytest.mark.parametrize(
    ("event", "high", "words"),
    [
        pytest.param([1, 1, 0, 0], [1, 1, 0, 0], "no finite estimate", id="separated"),
        pytest.param([0, 0, 0, 0], [1, 0, 1, 0], "no event", id="no event"),
        pytest.param([1, 0, 1, 0], [1, 1, 1, 1], "constant", id="one group"),
        pytest.param([0, 1, 0, 1], [1, 0, 0, 0], "constant", id="gone before the first event"),
    ],
)
def test_cox_without_an_estimate_says_why(event, high, words):
    found = survival.cox([1, 2, 3, 4], event, pd.DataFrame({"high": high}))
    assert words in found["note"].item()
    assert np.isnan(found["hazard_ratio"].item())


def test_cox_estimates_where_only_the_later_events_overlap():
    """High goes first and third of four: not ordered perfectly, so a number stands."""
    found = survival.cox([1, 2, 3, 4], [1, 1, 1, 1], pd.DataFrame({"high": [1, 0, 1, 0]}))
    assert found["note"].item() == ""
    assert 1 < found["hazard_ratio"].item() < 100


def test_competing_incidence_worked_by_hand():
    """Event at 1, death at 2, event at 3 of three: 1/3; 1/3 dead; the last third: 2/3 and 1/3."""
    found = survival.cumulative_incidence([1, 2, 3], [1, 2, 1])
    ours = found.set_index(["cause", "months"])["incidence"]
    assert ours[1, 1] == pytest.approx(1 / 3)
    assert ours[1, 3] == pytest.approx(2 / 3)
    assert ours[2, 3] == pytest.approx(1 / 3)


def test_incidence_interval_worked_by_hand():
    """1 of 4, variance 1/4 * 3/4 / 3: .25 ** exp(+-1.95996 / ln 4) is .0033 and .7138."""
    found = survival.cumulative_incidence([1, 2, 2, 2], [1, 0, 0, 0]).query("cause == 1")
    assert found["variance"].iloc[-1] == pytest.approx(1 / 16)
    assert found[["low", "high"]].iloc[-1].tolist() == pytest.approx([0.00335, 0.71379], abs=1e-4)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=1, max_size=30),
)
def test_causes_and_survival_share_the_whole(rows):
    """At any time the two incidences and the event-free share add up to 1."""
    months, cause = np.array(rows).T
    found = survival.cumulative_incidence(months, cause)
    total = found.groupby("months")["incidence"].sum()
    free = survival.kaplan_meier(months, cause > 0).set_index("months")["survival"]
    np.testing.assert_allclose(total + free, 1, atol=1e-12)


def test_without_competing_events_incidence_is_one_minus_kaplan_meier():
    incidence = survival.cumulative_incidence(PATIENTS["months"], PATIENTS["event"])
    curve = survival.kaplan_meier(PATIENTS["months"], PATIENTS["event"])
    ours = incidence.loc[incidence["cause"] == 1, "incidence"]
    np.testing.assert_allclose(ours, 1 - curve["survival"], atol=1e-12)


def test_causes_come_from_the_study_table():
    """Progressed; died without it (at death, not at the last visit); alive (at the last visit)."""
    patients = pd.DataFrame(
        {
            "aggressive_pd": pd.array([True, False, False], dtype="boolean"),
            "months_to_aggressive_pd": [5.0, 8.0, 30.0],
            "death": pd.array([True, True, False], dtype="boolean"),
            "months_to_death": [20.0, 11.0, np.nan],
        }
    )
    before = patients.copy()
    found = survival.cause_from(patients)
    pd.testing.assert_frame_equal(patients, before)
    assert list(found["months"]) == [5, 11, 30]
    assert list(found["cause"]) == [1, 2, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"time": [1, -2]}, "Check time zero", id="negative time"),
        pytest.param({"time": [1, np.nan]}, "first at row 1", id="missing time"),
        pytest.param({"event": [1, 2]}, "True and False", id="neither"),
        pytest.param({"event": [1]}, "event has 1", id="lengths"),
        pytest.param({"group": ["high", None]}, "group must be known", id="missing group"),
        pytest.param({"time": [], "event": [], "group": []}, "at least one", id="nobody"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {"time": [1, 2], "event": [1, 0], "group": ["high", "low"]}
    with pytest.raises(InputError, match=message):
        survival.kaplan_meier(**(good | change))


def test_an_unknown_cause_is_named():
    with pytest.raises(InputError, match="first at row 1: 3"):
        survival.cumulative_incidence([1, 2], [1, 3])
