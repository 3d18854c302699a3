"""What risks by a horizon are worth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hcc_utils.evaluation import horizon, horizon_risks
from hcc_utils.study.scores import Scores

RISK = [0.8, 0.2, 0.4, 0.2, 0.1, 0.3]


def patients(**change: object) -> pd.DataFrame:
    """The event in month 3; death in month 4; lost in month 5; three seen until month 30."""
    table = pd.DataFrame(
        {
            "patient_id": list("abcdef"),
            "centre": "hospital_a",
            "pd": [True, False, False, False, False, False],
            "months_to_pd": [3.0, 4.0, 5.0, 30.0, 30.0, 30.0],
            "death": [False, True, False, False, False, False],
            "months_to_death": [30.0, 4.0, 5.0, 30.0, 30.0, 30.0],
        }
    )
    return table.assign(**change)


def scores(risk: list[float] | None = None, origin: str = "external", months: int = 12) -> Scores:
    given = {"model": "csd", "origin": origin, "event": "pd", "horizon_months": months}
    return Scores.of(patients(), score=risk or RISK, risk=risk or RISK, **given)


def figures(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index("metric")


def test_worked_by_hand():
    """One of four still followed in month 5 is lost: the other three count 4/3 each.

    Brier (.2² + .2² + 4/3 (.2² + .1² + .3²)) / 6; observed 1/6; expected the mean risk 1/3.
    The case, .8, lies above all controls.
    """
    found = figures(horizon_risks.table(scores(), patients(), "pd", seed=1))
    assert found.loc["auc", "estimate"] == 1
    brier = (0.04 + 0.04 + 4 / 3 * (0.04 + 0.01 + 0.09)) / 6
    assert found.loc["brier", "estimate"] == pytest.approx(brier)
    assert found.loc["observed", "estimate"] == pytest.approx(1 / 6)
    assert found.loc["expected", "estimate"] == pytest.approx(1 / 3)
    assert found.loc["observed_expected", "estimate"] == pytest.approx(1 / 2)
    ends = found.loc["observed", ["low", "high"]].astype(float) * 3
    pd.testing.assert_series_equal(
        found.loc["observed_expected", ["low", "high"]].astype(float), ends, check_names=False
    )
    counts = found[["n", "known", "events"]].drop_duplicates()
    assert counts.to_numpy().tolist() == [[6, 5, 1]]
    assert set(found["note"]) == {"too_few_events"}


def test_brier_interval_is_of_the_patients_drawn_again():
    """Each resample written out as a table of its own, with the same draws."""
    months, cause = np.array([3.0, 4, 5, 30, 30, 30]), np.array([1, 2, 0, 0, 0, 0])
    drawn = np.random.default_rng(7).multinomial(6, np.full(6, 1 / 6), size=20)
    alone = []
    for count in drawn:
        rows = np.repeat(np.arange(6), count)
        given = months[rows], cause[rows], np.array(RISK)[rows], 12
        alone.append(horizon.brier_at(*given, resamples=1, seed=0).brier)
    found = horizon.brier_at(months, cause, RISK, 12, level=0.8, resamples=20, seed=7)
    assert [found.low, found.high] == pytest.approx(np.quantile(alone, [0.1, 0.9]), abs=1e-12)


def test_each_horizon_has_its_own_rows():
    ever = Scores(scores().table.assign(horizon_months=pd.array([None] * 6, dtype="Int64")))
    both = scores() + scores(months=24) + ever
    found = horizon_risks.table(both, patients(), "pd", seed=1)
    assert found["horizon_months"].value_counts().to_dict() == {12: 5, 24: 5}


def test_a_risk_that_falls_with_time_is_said_at_the_later_horizon():
    lower = scores([0.7, *RISK[1:]], months=24)
    found = horizon_risks.table(lower + scores(), patients(), "pd", seed=1)
    said = found["note"].str.contains("below_earlier_horizon").groupby(found["horizon_months"])
    assert said.all().to_dict() == {12: False, 24: True}
    assert not said.any()[12]


def test_scores_without_a_horizon_or_of_another_model_have_no_row():
    clinical = Scores(scores().table.assign(model="clinical"))
    assert horizon_risks.table(clinical, patients(), "pd", seed=1).empty


def test_stacked_scores_are_no_headline():
    found = horizon_risks.table(scores(origin="stacked"), patients(), "pd", seed=1)
    assert set(found["note"]) == {"too_few_events; stacked_no_headline"}


def test_without_an_event_there_is_no_auc_and_the_rest_stands():
    nobody = patients(pd=False)
    found = figures(horizon_risks.table(scores(), nobody, "pd", seed=1))
    assert np.isnan(found.loc["auc", "estimate"])
    assert found.loc["observed", "estimate"] == 0
    assert np.isnan(found.loc["observed", "low"])
    assert found.loc["observed_expected", "estimate"] == 0
    assert found.loc["brier", "estimate"] > 0


def test_where_nobody_was_followed_so_long_only_the_risks_are_known():
    found = figures(horizon_risks.table(scores(months=36), patients(), "pd", seed=1))
    known = found["estimate"].notna()
    assert found.index[known].tolist() == ["expected"]
    assert set(found["note"]) == {"nobody_followed; too_few_events"}


def test_follow_up_to_the_horizon_s_own_month_is_enough():
    """All who are free of the event leave in month 30: by 30 months their state is known."""
    found = figures(horizon_risks.table(scores(months=30), patients(), "pd", seed=1))
    assert found.loc["auc", "estimate"] == 1
    assert found.loc["auc", "known"] == 5
