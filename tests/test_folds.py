"""Folds: by patient, spread over centres and outcomes, decided by names and seed alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hcc_utils.checks import InputError
from hcc_utils.models import folds


@pytest.fixture(name="patients")
def _patients() -> pd.DataFrame:
    """236 patients with 83 events, as the paper's training set, in two centres."""
    return pd.DataFrame(
        {
            "patient_id": [f"P{number:03d}" for number in range(236)],
            "centre": np.where(np.arange(236) % 3, "hospital_a", "hospital_b"),
            "aggressive_pd": pd.array(np.arange(236) < 83, dtype="boolean"),
        }
    )


@pytest.mark.parametrize("by", [["aggressive_pd"], ["centre"], ["centre", "aggressive_pd"]])
def test_spread_evenly(patients: pd.DataFrame, by: list[str]) -> None:
    """Cards dealt from a sorted pack: one stratum's counts differ by 1, two strata's by 2."""
    patients["fold"] = folds.assign(patients, seed=1)
    counts = patients.groupby([*by, "fold"]).size().groupby(by)
    assert (counts.size() == 5).all()
    spread = (counts.max() - counts.min()).max()
    assert spread <= (2 if by == ["centre"] else 1)


def test_order_of_rows_does_not_matter(patients: pd.DataFrame) -> None:
    shuffled = patients.sample(frac=1, random_state=3)
    fold = pd.Series(folds.assign(patients, seed=1), index=patients["patient_id"])
    again = pd.Series(folds.assign(shuffled, seed=1), index=shuffled["patient_id"])
    assert again.loc[fold.index].equals(fold)


def test_another_seed_deals_anew(patients: pd.DataFrame) -> None:
    """Of 236 patients about a fifth keep their fold by chance."""
    same = folds.assign(patients, seed=1) == folds.assign(patients, seed=2)
    assert 0.05 < same.mean() < 0.4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            {"aggressive_pd": np.arange(236) < 4}, "at least 5 events; there are 4", id="few"
        ),
        pytest.param({"aggressive_pd": np.arange(236) > 2}, "5 non-events; there are 3", id="many"),
        pytest.param({"patient_id": "P001"}, "hold a patient once", id="a patient twice"),
    ],
)
def test_no_folds_is_named(patients: pd.DataFrame, change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        folds.assign(patients.assign(**change), seed=1)
