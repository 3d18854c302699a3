"""Agreement of readers. R's values: oracles/agreement.json, made by agreement.R."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcc_utils.checks import InputError
from hcc_utils.evaluation import agreement

ORACLES = Path(__file__).parent / "oracles"
ORACLE = json.loads((ORACLES / "agreement.json").read_text())
READINGS = pd.read_csv(ORACLES / "agreement_readings.csv")
CAPSULE = READINGS[["capsule_r1", "capsule_r2"]]
ORDER = ["absent", "non_intact", "intact"]

SHROUT_AND_FLEISS = [
    [9, 2, 5, 8],
    [6, 1, 3, 2],
    [8, 4, 6, 8],
    [7, 1, 2, 6],
    [10, 5, 6, 9],
    [6, 2, 4, 7],
]


def test_icc_matches_r():
    found = agreement.icc(READINGS[["r1", "r2", "r3"]])
    expected = pd.DataFrame(ORACLE["icc"])
    assert found["kind"].tolist() == expected["kind"].tolist()
    for column in ("icc", "low", "high"):
        np.testing.assert_allclose(found[column], expected[column], rtol=1e-9)


def test_icc_of_shrout_and_fleiss():
    """Their Table 4, as printed: .17, .29 and .71."""
    found = agreement.icc(SHROUT_AND_FLEISS)
    assert found["icc"].round(2).tolist() == [0.17, 0.29, 0.71]


def test_readers_who_differ_by_a_constant_are_consistent_but_do_not_agree():
    """1, 2, 3 and 3, 4, 5: ICC3 1; ICC2 = 2 / (2 + 2 * 6 / 3) = 1/3; ICC1 = (2 - 2) / ... = 0."""
    found = agreement.icc([[1, 3], [2, 4], [3, 5]]).set_index("kind")["icc"]
    assert found["ICC3"] == 1
    assert found["ICC2"] == pytest.approx(1 / 3)
    assert found["ICC1"] == pytest.approx(0)


def test_readers_who_agree_wholly():
    found = agreement.icc([[1, 1], [2, 2], [4, 4]])
    assert (found[["icc", "low", "high"]] == 1).all(axis=None)


def test_one_number_for_everybody_has_no_icc():
    assert agreement.icc([[1, 1], [1, 1]])["icc"].isna().all()


@pytest.mark.parametrize(
    ("weights", "r", "which"),
    [
        pytest.param(None, "linear", "plain", id="plain"),
        pytest.param("linear", "linear", "weighted", id="linear"),
        pytest.param("quadratic", "quadratic", "weighted", id="quadratic"),
    ],
)
def test_kappa_matches_r(weights, r, which):
    found = agreement.kappa(CAPSULE, weights, levels=ORDER)
    np.testing.assert_allclose([found.kappa, found.se], ORACLE[r][which], rtol=1e-9)


def test_kappa_worked_by_hand():
    """Agreed in 3 of 4; by chance 1/2 * 3/4 + 1/2 * 1/4 = 1/2; kappa (3/4 - 1/2) / (1/2)."""
    found = agreement.kappa([[0, 0], [0, 0], [1, 1], [1, 0]])
    assert found.kappa == pytest.approx(0.5)


def test_one_level_for_everybody_has_no_kappa():
    assert np.isnan(agreement.kappa([["A", "A"], ["A", "A"]]).kappa)


def test_the_order_of_levels_matters_only_with_weights():
    other = ["intact", "absent", "non_intact"]
    plain = [agreement.kappa(CAPSULE, levels=order).kappa for order in (ORDER, other)]
    weighted = [agreement.kappa(CAPSULE, "linear", levels=order).kappa for order in (ORDER, other)]
    assert plain[0] == pytest.approx(plain[1])
    assert weighted[0] != pytest.approx(weighted[1])


@pytest.mark.parametrize(
    ("ratings", "given", "message"),
    [
        pytest.param([[1, 2, 3]], {}, "two readers; got 3", id="three readers"),
        pytest.param([[1, None], [1, 1]], {}, "1 of 2 patients lack one", id="missing"),
        pytest.param([["A", "B"]], {"weights": "linear"}, "need an order", id="no order"),
        pytest.param([["A", "B"]], {"levels": ["A"]}, "hold 'B'", id="unknown level"),
        pytest.param([[1, 2]], {"weights": "cubic"}, "linear, quadratic", id="weights"),
    ],
)
def test_bad_kappa_input_is_named(ratings, given, message):
    with pytest.raises(InputError, match=message):
        agreement.kappa(ratings, **given)


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        pytest.param([[1, 2]], "got 1 and 2", id="one patient"),
        pytest.param([[1], [2]], "got 2 and 1", id="one reader"),
        pytest.param([[1, np.nan], [2, 2]], "reader 1 must hold finite", id="missing"),
    ],
)
def test_bad_icc_input_is_named(ratings, message):
    with pytest.raises(InputError, match=message):
        agreement.icc(ratings)
