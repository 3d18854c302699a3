"""Harmonisation. sva's values: oracles/combat.json, made by combat.R (versions inside)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcc_utils.checks import InputError
from hcc_utils.models.harmonisation import ComBat, standardised
from hcc_utils.models.settings import Settings

ORACLES = Path(__file__).parent / "oracles"
HARMONISED = pd.DataFrame(json.loads((ORACLES / "combat.json").read_text("utf-8"))["harmonised"])
PATIENTS = pd.read_csv(ORACLES / "combat_features.csv")
CENTRE, RAW = PATIENTS["centre"], PATIENTS.drop(columns="centre")


def test_matches_sva():
    """One of the features does not vary in centre c: sva leaves it as it is, too."""
    found = ComBat.learn(RAW, CENTRE).apply(RAW, CENTRE)
    pd.testing.assert_frame_equal(found, HARMONISED, rtol=1e-10)
    assert found["glcm_correlation"].tolist() == RAW["glcm_correlation"].tolist()


def test_a_patient_s_features_depend_on_no_other_scored_patient():
    combat = ComBat.learn(RAW[::2], CENTRE[::2])
    together = combat.apply(RAW[1::2], CENTRE[1::2])
    alone = combat.apply(RAW[1:2], CENTRE[1:2])
    pd.testing.assert_frame_equal(alone, together[:1])


def test_a_new_centre_is_refused():
    combat = ComBat.learn(RAW, CENTRE)
    with pytest.raises(InputError, match="undefined at 'd': it knows a, b, c"):
        combat.apply(RAW[:2], pd.Series(["a", "d"]))


@pytest.mark.parametrize(
    ("features", "centre", "message"),
    [
        pytest.param(RAW[:20], CENTRE[:20], "at least two centres .* got a: 20", id="one centre"),
        pytest.param(RAW[:21], CENTRE[:21], "two patients each; got a: 20, b: 1", id="one patient"),
        pytest.param(RAW[["sd_hu"]], CENTRE, "1 vary within every centre", id="one feature"),
        pytest.param(
            RAW.assign(sd_hu=np.nan), CENTRE, "sd_hu must hold finite numbers", id="missing feature"
        ),
    ],
)
def test_what_cannot_be_learnt_from_is_named(features, centre, message):
    with pytest.raises(InputError, match=message):
        ComBat.learn(features, centre)


OWN_WINDOW = Settings(window_percentiles=(5, 95))


def slices(*values_hu: int) -> np.ndarray:
    """Constant pictures."""
    return np.array(values_hu, np.int16)[:, None, None] * np.ones((1, 8, 8), np.int16)


def test_the_window_spans_the_training_slices_percentiles():
    """0 to 100 HU alike: 5 to 95 HU. A slice that is not of the training part does not count."""
    found = standardised(OWN_WINDOW, slices(*range(101), 3000), np.arange(101))
    assert (found.window_low_hu, found.window_width_hu) == (5, 90)


def test_a_frozen_window_learns_nothing_more():
    frozen = standardised(OWN_WINDOW, slices(0, 100))
    assert standardised(frozen, slices(500, 900)) is frozen


def test_a_fixed_window_stays():
    assert standardised(Settings(), slices(0, 100)) == Settings()


def test_constant_slices_are_refused():
    with pytest.raises(InputError, match="are both 40 HU"):
        standardised(OWN_WINDOW, slices(40, 40))


@pytest.mark.parametrize("percentiles", [(95, 5), (-1, 90), (5, 101), (50, 50)])
def test_percentiles_that_span_nothing_are_refused(percentiles):
    with pytest.raises(InputError, match=r"must rise within \[0, 100\]"):
        replace(Settings(), window_percentiles=percentiles)
