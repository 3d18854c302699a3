"""Follow-up. R's values: oracles/follow_up.json, made by follow_up.R (versions inside)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcc_utils.evaluation import follow_up

ORACLES = Path(__file__).parent / "oracles"
ORACLE = json.loads((ORACLES / "follow_up.json").read_text())
ENDPOINT = "aggressive_pd"


def patients(months, cause, centre="x"):
    """Patients of a first event: 0 none, 1 aggressive progression, 2 death without it."""
    cause = np.asarray(cause)
    return pd.DataFrame(
        {
            "patient_id": [f"p{number}" for number in range(len(cause))],
            "centre": centre,
            "aggressive_pd": cause == 1,
            "months_to_aggressive_pd": months,
            "death": cause == 2,
            "months_to_death": months,
        }
    )


@pytest.fixture
def drawn():
    table = pd.read_csv(ORACLES / "survival_patients.csv")
    return patients(table["months"], table["cause"], table["group"])


def test_reverse_kaplan_meier_matches_r(drawn):
    ours = follow_up.length(drawn, ENDPOINT)
    ours = ours[ours["outcome"] == ENDPOINT]
    theirs = pd.DataFrame(ORACLE["reverse"])
    assert list(ours["centre"]) == list(theirs["centre"])
    for column in ("n", "followed", "median_months", "low", "high"):
        np.testing.assert_array_equal(ours[column].astype(float), theirs[column].astype(float))


def test_the_event_and_death_hide_how_long_somebody_would_have_been_followed():
    """Ends at 10 and 30, the event at 2, a death at 3: half of the two at 10, so 20 by midpoint."""
    found = follow_up.length(patients([10, 30, 2, 3], [0, 0, 1, 2]), ENDPOINT).iloc[0]
    assert (found["n"], found["followed"], found["median_months"]) == (4, 2, 20)


def test_of_death_only_death_hides_it():
    """The patient with the event at 2 is followed for death to its end there: 2, 10, 30."""
    found = follow_up.length(patients([10, 30, 2, 3], [0, 0, 1, 2]), ENDPOINT)
    dead = found[found["outcome"] == "death"].iloc[0]
    assert (dead["followed"], dead["median_months"]) == (3, 10)


def test_both_shares_match_r(drawn):
    ours = follow_up.event_fractions({"all": drawn}, ENDPOINT)
    for mine, theirs in zip(ours.to_dict("records"), ORACLE["fractions"], strict=True):
        for column, value in theirs.items():
            assert mine[column] == pytest.approx(value, rel=1e-9), column


def test_complete_outcomes_alone_say_too_much_where_somebody_left_early():
    """Of 4 one left at 6 and one had the event at 9: 1 of 3 known; 1/3 of the three at risk is
    the incidence too. Had the event come at 3, before anyone left, the incidence is 1 of 4."""
    late, early = (
        follow_up.event_fractions({"": patients([6, 9, 20, 20], [0, 1, 0, 0])}, ENDPOINT, [12]),
        follow_up.event_fractions({"": patients([6, 3, 20, 20], [0, 1, 0, 0])}, ENDPOINT, [12]),
    )
    assert late["difference"].item() == pytest.approx(0)
    assert early["complete"].item() == pytest.approx(1 / 3)
    assert early["incidence"].item() == pytest.approx(1 / 4)


def test_beyond_the_last_month_there_is_no_incidence():
    found = follow_up.event_fractions({"": patients([6, 9], [0, 1])}, ENDPOINT, [12]).iloc[0]
    assert np.isnan(found[["incidence", "incidence_low", "incidence_high"]].astype(float)).all()
    assert (found["known"], found["complete"]) == (1, 1.0)


def test_who_was_seen_for_less_than_a_year_is_counted_by_why():
    """p0 the event at 5, p1 dead at 6, p2 and p3 left at 7 and 11.9, p4 stays to 12."""
    everyone = patients([5, 6, 7, 11.9, 12], [1, 2, 0, 0, 0])
    kept = everyone[~everyone["patient_id"].isin(["p2", "p3"])]
    assert follow_up.short(everyone, kept, ENDPOINT).to_dict("records") == [
        {
            "centre": "x",
            "n": 5,
            "short_event": 1,
            "short_died": 1,
            "short_free": 2,
            "left_out": 2,
            "left_out_free": 2,
        }
    ]


def test_short_follow_up_is_counted_by_centre():
    everyone = patients([5, 20], [0, 0], ["b", "a"])
    found = follow_up.short(everyone, everyone, ENDPOINT)
    assert found[["centre", "short_free"]].to_numpy().tolist() == [["b", 1], ["a", 0]]
    assert found["left_out"].tolist() == [0, 0]
