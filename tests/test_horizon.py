"""Events up to a horizon. R's values: oracles/horizon.json, made by horizon.R (versions inside)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcc_utils.checks import InputError
from hcc_utils.evaluation import horizon
from hcc_utils.evaluation.discrimination import auc

ORACLES = Path(__file__).parent / "oracles"
PATIENTS = pd.read_csv(ORACLES / "horizon_patients.csv")
ORACLE = json.loads((ORACLES / "horizon.json").read_text())
WAYS = {"competing": {}, "censored": {2: 0}, "followed": {0: 2}}


def four_patients() -> pd.DataFrame:
    """Progressed; died three months after the last visit; alive; alive for long."""
    return pd.DataFrame(
        {
            "progression": [True, False, False, False],
            "months_to_progression": [5.0, 6.0, 7.0, 2.0],
            "death": [True, True, False, False],
            "months_to_death": [8.0, 9.0, 10.0, 20.0],
        },
        index=["progressed", "died", "alive", "alive for long"],
    )


@pytest.mark.parametrize(
    ("coding", "months", "cause"),
    [
        ("censored", [5, 6, 7, 2], [1, 0, 0, 0]),
        ("death_at_last_visit", [5, 6, 7, 2], [1, 2, 0, 0]),
        ("followed_to_death", [5, 9, 10, 20], [1, 2, 0, 0]),
    ],
)
def test_deaths_are_counted_in_three_ways(coding, months, cause):
    patients = four_patients()
    found = horizon.codings(patients, "progression")
    assert list(found) == ["censored", "death_at_last_visit", "followed_to_death"]
    assert found[coding]["months"].tolist() == months
    assert found[coding]["cause"].tolist() == cause
    assert found[coding].index.equals(patients.index)


def one_patient(**given: object) -> pd.DataFrame:
    """Alive, followed for progression and otherwise until month 20."""
    patient = {
        "progression": False,
        "months_to_progression": 20.0,
        "death": False,
        "months_to_death": 20.0,
    }
    return pd.DataFrame([patient | given], index=["p"])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"progression": True, "months_to_progression": 12.0}, True, id="on the day"),
        pytest.param({"progression": True, "months_to_progression": 12.1}, False, id="later"),
        pytest.param({}, False, id="without it beyond the horizon"),
        pytest.param(
            {"months_to_progression": 3.0, "death": True, "months_to_death": 5.0},
            False,
            id="died without it before the horizon",
        ),
        pytest.param(
            {"months_to_progression": 3.0, "death": True, "months_to_death": 15.0},
            False,
            id="died without it after the horizon",
        ),
        pytest.param({"months_to_progression": 3.0}, False, id="alive at the horizon"),
        pytest.param(
            {"months_to_progression": 12.0, "months_to_death": 12.0}, False, id="seen on the day"
        ),
        pytest.param(
            {"months_to_progression": 3.0, "months_to_death": 11.9}, pd.NA, id="lost before it"
        ),
        pytest.param(
            {"months_to_progression": 3.0, "months_to_death": np.nan}, pd.NA, id="never seen again"
        ),
    ],
)
def test_status_at_twelve_months(given, expected):
    found = horizon.status_at(one_patient(**given), "progression", 12)
    assert found.dtype == "boolean"
    assert found.index.tolist() == ["p"]
    assert found.tolist() == [expected]


def test_status_names_an_absent_column():
    with pytest.raises(InputError, match=r"lacks 1 column.*'months_to_death'"):
        horizon.status_at(one_patient().drop(columns="months_to_death"), "progression", 12)


@pytest.mark.parametrize(
    "row", ORACLE["rows"], ids=[f"{row['way']} {row['horizon_months']}" for row in ORACLE["rows"]]
)
def test_auc_matches_r(row):
    cause = PATIENTS["cause"].replace(WAYS[row["way"]])
    found = horizon.auc_at(
        PATIENTS["months"], cause, PATIENTS["risk"], row["horizon_months"], resamples=2, seed=1
    )
    assert found.auc == pytest.approx(row["auc"], abs=1e-12)


def test_auc_worked_by_hand():
    """Of three at risk in month 2 one is censored: later weights are 1.5.

    The case of month 1 (weight 1) lies above the control, that of month 3 (1.5) below:
    1 / 2.5 of the weight is ranked right.
    """
    found = horizon.auc_at(
        [1, 2, 3, 4], [1, 0, 1, 0], [0.9, 0.1, 0.4, 0.5], 3.5, resamples=50, seed=1
    )
    assert found.auc == pytest.approx(0.4)


def test_a_competing_event_is_a_control():
    """The only case, 0.5, lies above the competing event and below the survivor."""
    found = horizon.auc_at([1, 2, 9], [1, 2, 0], [0.5, 0.3, 0.8], 5, resamples=50, seed=1)
    assert found.auc == 0.5


def test_without_censoring_it_is_the_plain_auc():
    cause = PATIENTS["cause"].replace({0: 2})
    event = (cause == 1) & (PATIENTS["months"] <= 12)
    found = horizon.auc_at(PATIENTS["months"], cause, PATIENTS["risk"], 12, resamples=2, seed=1)
    assert found.auc == pytest.approx(auc(event, PATIENTS["risk"]).auc, abs=1e-14)


def test_interval_is_of_the_patients_drawn_again():
    """Each resample written out as a table of its own, with the same draws."""
    n = len(PATIENTS)
    drawn = np.random.default_rng(7).multinomial(n, np.full(n, 1 / n), size=20)
    areas = []
    for count in drawn:
        rows = PATIENTS.loc[np.repeat(PATIENTS.index, count)]
        alone = horizon.auc_at(rows["months"], rows["cause"], rows["risk"], 6, resamples=1, seed=0)
        areas.append(alone.auc)
    found = horizon.auc_at(
        PATIENTS["months"], PATIENTS["cause"], PATIENTS["risk"], 6, level=0.8, resamples=20, seed=7
    )
    assert [found.low, found.high] == pytest.approx(np.quantile(areas, [0.1, 0.9]), abs=1e-12)


def test_a_resample_without_a_case_is_left_out():
    """One case among four patients: a third of the resamples lack it, (3/4)**4."""
    found = horizon.auc_at([1, 5, 5, 5], [1, 0, 0, 0], [0.9, 0.1, 0.2, 0.3], 3, seed=1)
    assert (found.auc, found.low, found.high) == (1, 1, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"cause": [0, 2, 0]}, "had the event by 5 months", id="no case"),
        pytest.param({"cause": [1, 1, 1]}, "without the event by 5 months", id="no control"),
        pytest.param({"cause": [1, 3, 0]}, "first at row 1: 3", id="unknown cause"),
        pytest.param({"risk": [0.5, 0.5]}, "risk has 2", id="lengths"),
        pytest.param({"months": [1, np.nan, 3]}, "first at row 1: nan", id="missing month"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {"months": [1, 2, 3], "cause": [1, 2, 0], "risk": [0.1, 0.2, 0.3]}
    with pytest.raises(InputError, match=message):
        horizon.auc_at(**(good | change), horizon_months=5, seed=1)
