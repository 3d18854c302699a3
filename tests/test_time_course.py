"""Risk groups over time."""

from __future__ import annotations

import pandas as pd
import pytest

from hcc_utils.checks import InputError
from hcc_utils.evaluation.time_course import time_course


@pytest.fixture
def patients():
    """Four patients: the event at 1, death without it at 2, the event at 3, alive at 4."""
    return pd.DataFrame(
        {
            "group": "all",
            "aggressive_pd": [True, False, True, False],
            "months_to_aggressive_pd": [1.0, 2.0, 3.0, 4.0],
            "death": [True, True, False, False],
            "months_to_death": [2.0, 2.0, 5.0, 4.0],
        }
    )


def test_death_competes_with_the_event(patients):
    """1/4 at month 1; at month 3 two of four are left, one has it: 1/4 + 2/4 * 1/2 = 1/2."""
    curve = time_course(patients, "aggressive_pd").of("aggressive_pd").set_index("months")
    assert curve.loc[[1.0, 2.0, 3.0, 4.0], "survival"].tolist() == [0.25, 0.25, 0.5, 0.5]
    assert set(curve["estimate"]) == {"incidence"}


def test_overall_survival_is_kaplan_meier(patients):
    """Two of four die at month 2: 1/2 from then on."""
    curve = time_course(patients, "aggressive_pd").of("death").set_index("months")
    assert curve.loc[[2.0, 4.0, 5.0], "survival"].tolist() == [0.5, 0.5, 0.5]


def test_the_summary_counts_events(patients):
    course = time_course(patients, "aggressive_pd")
    assert course.summary[["outcome", "n", "events"]].to_numpy().tolist() == [
        ["aggressive_pd", 4, 2],
        ["death", 4, 2],
    ]


def test_where_death_is_the_endpoint_there_is_one_outcome(patients):
    assert set(time_course(patients, "death").curves["outcome"]) == {"death"}


def test_an_outcome_that_is_not_there_is_refused(patients):
    with pytest.raises(InputError, match="outcome must be one of aggressive_pd, death"):
        time_course(patients, "aggressive_pd").of("progression")
