"""Intervals, against numbers printed elsewhere and worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hcc_utils import checks
from hcc_utils.evaluation import intervals


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [
        pytest.param(20, 37, 0.384, 0.690, id="PPV"),
        pytest.param(57, 59, 0.885, 0.991, id="NPV"),
    ],
)
def test_wilson_gives_the_papers_intervals(count, of, low, high):
    """The paper's Model CSD in validation: TP 20, FP 17, FN 2, TN 57."""
    ours = intervals.wilson(count, of)
    assert np.round(ours, 3).tolist() == [low, high]


def test_wilson_of_nobody_is_missing():
    assert np.isnan(intervals.wilson(0, 0)).all()


def test_wilson_of_all_by_hand():
    """4 of 4 with z = 1.959964: lower end 1 / (1 + z**2 / 4) = 0.510109."""
    low, high = intervals.wilson(4, 4)
    assert low == pytest.approx(0.510109, abs=1e-6)
    assert high == 1


def test_wald_by_hand():
    """Estimate 2, se 1: z = 2, p = 0.0455003 (normal table), 2 -+ 1.959964."""
    ours = intervals.wald(2, 1, 0.95)
    assert ours == pytest.approx((2, 0.0455003, 0.040036, 3.959964), abs=1e-6)


def test_no_difference_without_spread_is_no_evidence():
    assert intervals.wald(0, 0, 0.95) == (0, 1, 0, 0)


def test_a_difference_without_spread_has_no_test():
    assert np.isnan(intervals.wald(0.5, 0, 0.95)).all()


@pytest.mark.parametrize("level", [0, 1, 95, np.nan])
def test_a_wrong_level_is_named(level):
    with pytest.raises(checks.InputError, match="level must lie strictly between 0 and 1"):
        intervals.quantile(level)


def test_bootstrapped_mean_is_about_as_wide_as_the_normal_one():
    """Of 400 values 0 and 1 by halves: .5 -+ 1.96 * .5 / sqrt(400) = .451 and .549."""
    low, high = intervals.bootstrapped_mean([0, 1] * 200, resamples=4000, seed=1)
    assert (low, high) == pytest.approx((0.451, 0.549), abs=0.005)


def test_bootstrapped_mean_of_one_value_has_no_width():
    assert intervals.bootstrapped_mean([0.3] * 9, seed=1) == pytest.approx((0.3, 0.3))


def test_a_spread_s_interval_is_as_wide_as_theory_has_it():
    """Of 400 values from a normal with SD 2: 2 -+ 1.96 x 2 / sqrt(2 x 399), that is 0.139."""
    values = np.random.default_rng(1).normal(10, 2, 400)
    low, high = intervals.bootstrapped_sd(values, seed=1)
    assert (high - low) / 2 == pytest.approx(0.139, rel=0.1)
    assert low < values.std(ddof=1) < high


def test_a_spread_does_not_ask_where_values_lie():
    values = np.random.default_rng(1).normal(0, 1, 30)
    scaled = intervals.bootstrapped_sd(3 * values + 5, seed=1)
    ours = intervals.bootstrapped_sd(values, seed=1)
    assert scaled == pytest.approx((3 * ours[0], 3 * ours[1]))


@pytest.mark.parametrize(("patients", "parts"), [(40, 1), (20_000, 39)])
def test_bootstrap_samples_are_drawn_in_parts(patients, parts):
    """Of 20 000 patients 52 samples are a million: 2000 make 38 parts of 52 and one of 24."""
    found = intervals.portions(2000, patients)
    assert (len(found), sum(found)) == (parts, 2000)


def test_parts_give_every_sample_its_mean():
    """3 parts of one sample each; a mean of 0 and 1 by halves lies near .5."""
    means = intervals.resampled_means(np.tile([0, 1], 2**19), resamples=3, seed=1)
    assert means == pytest.approx([0.5] * 3, abs=0.005)
