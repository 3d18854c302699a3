"""Scores of several horizons in one table, and on disk."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hcc_utils.checks import InputError
from hcc_utils.evaluation import comparison
from hcc_utils.models import combined
from hcc_utils.study.scores import Scores

PATIENTS = pd.DataFrame({"patient_id": list("abcd"), "centre": "h", "event": [1, 0, 1, 0]})


def of(months: int | None, event: object = None) -> Scores:
    """Model CSD's scores of four patients."""
    given = {"model": "csd", "origin": "out_of_fold", "event": "event", "horizon_months": months}
    risk = [0.9, 0.2, 0.6, 0.4]
    made = Scores.of(PATIENTS, score=risk, risk=risk, **given)
    return made if event is None else Scores(made.table.assign(event=event))


UNKNOWN = pd.array([True, False, None, False], dtype="boolean")
ALL = of(None) + of(12) + of(24, UNKNOWN)


@pytest.fixture(params=["in memory", "read again"])
def everything(request, tmp_path):
    if request.param == "in memory":
        return ALL
    ALL.write(tmp_path / "scores.csv")
    return Scores.read(tmp_path / "scores.csv")


@pytest.mark.parametrize("months", [None, 12, 24])
def test_one_horizon_is_taken_from_many(everything, months):
    table = everything.at(months).table
    assert table["patient_id"].tolist() == list("abcd")
    assert table["horizon_months"].isna().all() == (months is None)
    assert table["event"].isna().sum() == (1 if months == 24 else 0)


def test_the_rows_of_ever_are_as_if_there_were_no_others(everything):
    pd.testing.assert_frame_equal(everything.at(None).table, of(None).table)


def test_an_unknown_event_needs_a_horizon():
    with pytest.raises(InputError, match=r"event .* first at row 2: nan"):
        of(None, UNKNOWN)


def test_what_does_not_say_which_horizon_is_refused(everything):
    """Whoever forgets to choose is told, and gets no figure of three rows a patient."""
    for refused in (comparison.compare, comparison.decision_table, comparison.threshold_table):
        with pytest.raises(InputError, match=r"one horizon .* ever, 12, 24"):
            refused(everything)
    with pytest.raises(InputError, match="one horizon_months at a time"):
        combined.threshold(everything)


def test_where_an_event_is_unknown_nothing_is_compared(everything):
    with pytest.raises(InputError, match="event"):
        comparison.compare(everything.at(24))
    assert np.isclose(comparison.compare(everything.at(12))["estimate"].iloc[0], 1)
