"""Shortcuts: what is planted is found out, and what is not there is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hcc_utils.checks import InputError
from hcc_utils.models import shortcuts

HOSPITAL = np.repeat(["a", "b"], 30)
NETWORK = np.arange(60) % 3


def noise(*shape: int, seed: int = 1) -> np.ndarray:
    """Normal draws that know nothing of anybody."""
    return np.random.default_rng(seed).normal(size=shape)


def told(source, network=NETWORK, **settings):
    """The table of one source; settings are columns beside the hospital."""
    table = pd.DataFrame({"centre": HOSPITAL, **settings})
    return shortcuts.told({"score": source}, table, network, seed=1)


def row(table, setting="centre"):
    return table[table["setting"] == setting].iloc[0]


def test_a_score_that_is_the_hospital_s_number_is_found_out():
    """Every pair of two hospitals is told: an AUC of 1, beyond all 199 permutations: p = 1/200."""
    found = row(told((HOSPITAL == "b") + 0.01 * noise(60)))
    assert found["auc"] == 1
    assert found["p_value"] == pytest.approx(0.005)
    assert found["chance_high"] < 1


def test_a_score_that_knows_no_hospital_is_not_accused():
    """P-values of 30 scores without the hospital are even: their mean is 1/2 +/- 3 / sqrt(360)."""
    p = [row(told(noise(60, seed=seed)))["p_value"] for seed in range(30)]
    assert np.mean(p) == pytest.approx(0.5, abs=3 / np.sqrt(12 * 30))


def test_where_nothing_is_told_the_auc_is_a_half():
    """The mean of 20 sources of 20 columns is within three of its standard errors of 1/2."""
    auc = [row(told(noise(60, 20, seed=seed)))["auc"] for seed in range(20)]
    assert np.mean(auc) == pytest.approx(0.5, abs=3 * np.std(auc, ddof=1) / np.sqrt(20))


def test_the_hospital_may_hide_in_one_feature_of_many():
    """Three SD apart in one of 50 columns: by that one alone an AUC of Phi(3 / sqrt(2)) = .983."""
    features = noise(60, 50)
    features[:, 7] += 3 * (HOSPITAL == "a")
    found = row(told(features))
    assert found["chance_high"] < found["auc"] < 0.983


def test_features_of_different_networks_are_never_compared():
    """Each network turns the same hospital round: by pairs of one network, all is told."""
    sign = np.where(NETWORK == 0, -1, 1)
    found = row(told(sign * (HOSPITAL == "b") + 0.01 * noise(60)))
    assert found["auc"] == 1


def test_leaving_out_pairs_is_fitting_without_them():
    """Every pair by a fit of its own: ridge on the standardised columns, the intercept free."""
    matrix, has = noise(9, 4), np.array([1, 0, 0, 1, 1, 0, 0, 0, 1], dtype=bool)
    (probe,) = shortcuts._fitted(matrix, np.zeros(9))
    standard = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    expected = np.zeros((4, 5))
    for i, own in enumerate(np.flatnonzero(has)):
        for j, other in enumerate(np.flatnonzero(~has)):
            rest = np.delete(np.arange(9), [own, other])
            design = np.column_stack([np.ones(9), standard])
            # the mean eigenvalue of the kernel of 9 patients and 4 columns of SD 1 is 4
            penalty = np.diag([0.0, 4, 4, 4, 4])
            inner = design[rest].T @ design[rest] + penalty
            risk = design @ np.linalg.solve(inner, design[rest].T @ has[rest])
            expected[i, j] = risk[own] > risk[other]
    np.testing.assert_array_equal(probe.right(has), expected)
    assert 0 < expected.mean() < 1


def test_a_constant_tells_nothing():
    """All pairs tie: 1/2, with every permutation."""
    found = row(told(np.ones(60)))
    assert (found["auc"], found["chance_low"], found["chance_high"]) == (0.5, 0.5, 0.5)
    assert found["p_value"] == 1


@pytest.mark.parametrize(
    ("kernel", "note", "n"),
    [
        pytest.param(["B30"] * 60, "one_level", 60, id="one level"),
        pytest.param(["B30"] * 55 + ["B50"] * 5, "few_patients", 60, id="few patients"),
        pytest.param(["B30"] * 30 + ["B50"] * 30, "same_as_centre", 60, id="the hospital again"),
        pytest.param(["B30", "B50"] * 30, "", 60, id="a question of its own"),
        pytest.param([""] * 20 + ["B30", "B50"] * 20, "", 40, id="not recorded of some"),
    ],
)
def test_what_cannot_be_asked_is_said(kernel, note, n):
    found = row(told(noise(60), kernel=kernel), "kernel")
    assert found["note"] == note
    assert found["n"] == n


def test_each_of_three_levels_stands_against_the_others():
    kvp = np.tile([80.0, 100.0, 120.0], 20)
    found = told((kvp == 100) + 0.01 * noise(60), np.zeros(60), kvp=kvp).iloc[1:]
    assert set(found["level"]) == {"80", "100", "120"}
    assert found.set_index("level").loc["100", "auc"] == 1
    assert found["with_level"].tolist() == [20, 20, 20]


def test_within_centres_by_hand():
    """
    Hospital a: event 0.9, others 0.8 and 0.1; hospital b: event 0.3, others 0.4 and 0.2.

    Pairs of one hospital: .9 > .8, .9 > .1, .3 < .4, .3 > .2: 3 of 4. Pairs of two: .9 > .4,
    .9 > .2, .3 < .8, .3 > .1: 3 of 4. All: 6 of 8.
    """
    event = [True, False, False, True, False, False]
    score = [0.9, 0.8, 0.1, 0.3, 0.4, 0.2]
    found = shortcuts.within_centres(event, score, list("aaabbb"), seed=1).set_index("pairs")
    assert found["auc"].to_dict() == {
        "all": 0.75,
        "same_centre": 0.75,
        "other_centre": 0.75,
        "all_less_same_centre": 0,
    }
    assert found["n_pairs"].to_dict() == {
        "all": 8,
        "same_centre": 4,
        "other_centre": 4,
        "all_less_same_centre": 8,
    }


def test_a_score_that_is_the_hospital_looks_good_pooled_alone():
    """
    Of 40 patients at a 30 have the event and score 1, of 40 at b 10 have it and score 0.

    Same hospital: all pairs tie, 1/2. All: 40 events x 40 others = 1600 pairs; 30 x 30 right,
    10 x 10 wrong, 300 + 300 ties: (900 + 300) / 1600 = 3/4.
    """
    centre = np.repeat(["a", "b"], 40)
    event = np.r_[np.arange(40) < 30, np.arange(40) < 10]
    found = shortcuts.within_centres(event, centre == "a", centre, seed=1).set_index("pairs")
    assert found.loc["all", "auc"] == 0.75
    assert found.loc["same_centre", ["auc", "low", "high"]].tolist() == [0.5] * 3
    assert found.loc["all_less_same_centre", "auc"] == 0.25
    assert found.loc["all_less_same_centre", "low"] > 0


def test_a_single_centre_has_no_pairs_of_two():
    found = shortcuts.within_centres([True, False], [1, 0], ["a", "a"], seed=1)
    other = found.set_index("pairs").loc["other_centre"]
    assert other["n_pairs"] == 0
    assert np.isnan(other["auc"])


def test_a_centre_without_events_has_no_pairs_at_all():
    found = shortcuts.within_centres([False, False], [1, 0], ["a", "a"], seed=1)
    assert found["n_pairs"].eq(0).all()
    assert found[["auc", "low", "high"]].isna().all(axis=None)


def patients(n: int = 240) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Events that depend on log diameter and on something else, both normal, alike strongly."""
    rng = np.random.default_rng(2)
    length, other = rng.normal(size=(2, n))
    event = rng.random(n) < 1 / (1 + np.exp(-1.5 * length - 1.5 * other))
    return event, length, other


def as_score(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def test_a_score_that_is_only_size_is_said_to_be_so():
    """Also where the network bends size: the square of log diameter is allowed for."""
    event, length, _ = patients()
    for score in (length, length + 0.1 * noise(240, seed=3), length + 0.2 * length**2):
        found = shortcuts.size(event, as_score(score), np.exp(length), seed=1)
        assert shortcuts.size_verdict(found) == "only_size"


def test_a_score_that_knows_more_than_size_is_said_to_add():
    event, length, other = patients()
    found = shortcuts.size(event, as_score(length + other), np.exp(length), seed=1)
    assert shortcuts.size_verdict(found) == "adds_to_size"
    assert found.set_index("figure").loc["added", "p_value"] == pytest.approx(0.005)


def test_what_points_the_wrong_way_adds_nothing():
    """Lower where the event is likelier: the likelihood rises, but no reader could use it."""
    event, length, other = patients()
    found = shortcuts.size(event, as_score(-other), np.exp(length), seed=1).set_index("figure")
    assert found.loc["added", "estimate"] < -1.96
    assert found.loc["added", "p_value"] == 1


@pytest.mark.parametrize(("high", "sign"), [([1, 1, 1, 0, 1, 0, 0, 0], 1), ([0, 0, 0, 1] * 2, 0)])
def test_what_a_score_adds_by_hand(high, sign):
    """
    Four events, then four without; lesions all alike, so that size explains nothing.

    Scored high are 3 of 4 against 1 of 4: 2 x (6 ln(3/2) + 2 ln(1/2)) = 2.0930, its root 1.4467;
    or 1 of 4 against 1 of 4: nothing. Turned round, the same below 0.
    """
    event, score = np.arange(8) < 4, 0.2 + 0.6 * np.array(high)
    for turned, given in ((1, score), (-1, 1 - score)):
        found = shortcuts.size(event, given, [30] * 8, seed=1).set_index("figure")
        expected = turned * sign * 1.4467
        assert found.loc["added", "estimate"] == pytest.approx(expected, abs=1e-4)


def test_a_score_of_nothing_is_neither():
    event, length, _ = patients()
    found = shortcuts.size(event, as_score(noise(240)), np.exp(length), seed=1)
    assert shortcuts.size_verdict(found) == "nothing_shown"


def test_figures_of_size_by_hand():
    """
    Six lesions of 10 to 60 mm with scores .1, .3, .2, .4, .6, .5; events are 2, 4 and 6.

    Rank differences 0, 1, 1, 0, 1, 1: rho = 1 - 6 x 4 / 210 = .8857. Bonett and Wright's SE is
    sqrt((1 + .8857**2 / 2) / 3) = .6812, atanh(.8857) = 1.4017: tanh(1.4017 -/+ 1.96 x .6812) is
    .0664 to .9916. Diameter ranks 20 over 10; 40 over 10, 30; 60 over all three: 6 of 9 pairs. The
    score ranks .3, .4 and .5 each over .1 and .2: 6 of 9. Thirds: .3 > .1, .4 > .2, .5 < .6.
    """
    found = shortcuts.size(
        [False, True] * 3, [0.1, 0.3, 0.2, 0.4, 0.6, 0.5], np.arange(10, 70, 10), seed=1
    ).set_index("figure")
    spearman = found.loc["spearman", ["estimate", "low", "high"]].astype(float)
    assert spearman.tolist() == pytest.approx([0.8857, 0.0664, 0.9916], abs=1e-4)
    assert found.loc["auc_diameter", "estimate"] == pytest.approx(6 / 9)
    assert found.loc["auc_score", "estimate"] == pytest.approx(6 / 9)
    thirds = found.loc[[f"auc_score_third_{number}" for number in (1, 2, 3)]]
    assert thirds["estimate"].tolist() == [1, 1, 0]
    assert thirds["n"].tolist() == [2, 2, 2]


def test_patients_without_a_diameter_are_left_aside():
    found = shortcuts.size([True, False] * 3, [0.5] * 6, [np.nan, 20, 30, 40, 50, 60], seed=1)
    assert found.loc[0, "n"] == 5


def test_one_class_has_no_figure_of_the_event():
    found = shortcuts.size([False] * 4, [0.1, 0.2, 0.4, 0.3], [10, 20, 30, 40], seed=1)
    assert found.set_index("figure")["estimate"].isna().tolist() == [False] + [True] * 6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        pytest.param(
            lambda: told(np.r_[np.nan, np.ones(59)]), "score .* first at row 0", id="not a number"
        ),
        pytest.param(lambda: told(np.ones(59)), "score", id="length"),
        pytest.param(
            lambda: shortcuts.size([True, False], [0.1, 0.2], [0, 10], seed=1),
            "diameter_mm must be above 0; the lowest is 0",
            id="no size",
        ),
        pytest.param(
            lambda: shortcuts.size([True, False], [0.1, 1.2], [5, 10], seed=1),
            "score must",
            id="no score",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
