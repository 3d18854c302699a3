"""AUC, DeLong, ROC and cuts: by hand, and laws; against pROC in test_equal_to_r."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_patients import DATA, R

from hcc_utils import checks
from hcc_utils.evaluation import discrimination

patients = st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=2, max_size=30).filter(
    lambda rows: len({event for event, _ in rows}) == 2
)


def worked():
    """Events score 3, 2; non-events 1, 2, 0."""
    return [1, 1, 0, 0, 0], [3.0, 2.0, 1.0, 2.0, 0.0]


def test_auc_by_hand():
    """Of 6 pairs, 3 > 1, 2, 0 and 2 > 1, 0 are right, 2 = 2 is half: 5.5 / 6."""
    assert discrimination.auc(*worked()).auc == pytest.approx(5.5 / 6, abs=1e-15)


def test_standard_error_by_hand():
    """
    Events beat shares 1 and 2.5/3: variance 1/72; non-events are beaten by 1, 3/4, 1: 1/48.

    se**2 = (1/72) / 2 + (1/48) / 3 = 1/72.
    """
    assert discrimination.auc(*worked()).se == pytest.approx(np.sqrt(1 / 72), abs=1e-15)


def test_wald_interval_is_clipped_at_one():
    """5.5/6 + 1.96 * 0.118 = 1.15."""
    ours = discrimination.auc(*worked())
    assert ours.high == 1
    assert ours.logit_high < 1


def test_logit_interval_by_hand():
    """logit(5.5/6) = log 11; reach 1.959964 * sqrt(1/72) * 36/2.75 = 3.023790."""
    ours = discrimination.auc(*worked())
    ends = np.log(11) + np.array([-1, 1]) * 3.023790
    expected = 1 / (1 + np.exp(-ends))
    assert [ours.logit_low, ours.logit_high] == pytest.approx(expected.tolist(), abs=1e-6)


def test_direction_is_never_turned():
    """The event has the lower score: 0, not 1."""
    assert discrimination.auc([1, 0], [0.1, 0.9]).auc == 0


def test_perfect_score_has_an_exact_logit_interval():
    """3 events above 20 non-events: 3 disjoint pairs, 0.025 ** (1/3) = 0.292402."""
    ours = discrimination.auc([1] * 3 + [0] * 20, [2] * 3 + [1] * 20)
    assert (ours.auc, ours.se, ours.low, ours.high, ours.logit_high) == (1, 0, 1, 1, 1)
    assert ours.logit_low == pytest.approx(0.292402, abs=1e-6)


def test_worst_score_mirrors_the_perfect_one():
    ours = discrimination.auc([1] * 3 + [0] * 20, [1] * 3 + [2] * 20)
    assert (ours.auc, ours.logit_low) == (0, 0)
    assert ours.logit_high == pytest.approx(1 - 0.292402, abs=1e-6)


def test_one_event_has_no_standard_error():
    ours = discrimination.auc([1, 0, 0], [2, 1, 3])
    assert ours.auc == 0.5
    assert np.isnan([ours.se, ours.low, ours.high, ours.logit_low, ours.logit_high]).all()


def test_constant_score_is_half():
    ours = discrimination.auc([1, 0, 1, 0], [0.3] * 4)
    assert (ours.auc, ours.se, ours.logit_low, ours.logit_high) == (0.5, 0, 0.5, 0.5)


def test_logit_interval_covers_where_walds_does_not():
    """2000 studies of 8 events and 24 non-events, true AUC .88 (normal scores, shift 1.66166)."""
    generator = np.random.default_rng(1)
    event = np.arange(32) < 8
    studies = [discrimination.auc(event, generator.normal(1.66166 * event, 1)) for _ in range(2000)]
    wald = np.mean([a.low <= 0.88 <= a.high for a in studies])
    logit = np.mean([a.logit_low <= 0.88 <= a.logit_high for a in studies])
    assert wald < 0.88
    assert 0.94 < logit < 0.98


@settings(deadline=None)
@given(patients)
def test_identical_ranks_have_p_one(rows):
    """Of the same score twice, and of a rising transform: there is no difference to test."""
    event, score = np.array(rows).T
    for other in (score, score**3 + 1):
        ours = discrimination.delong_paired(event, score, other)
        assert (ours.difference, ours.z, ours.p_value, ours.low, ours.high) == (0, 0, 1, 0, 0)


def test_a_difference_without_spread_has_no_p_value():
    """One score ranks all right, the other none: se 0 says nothing about chance."""
    ours = discrimination.delong_paired([1, 1, 0, 0], [3, 4, 1, 2], [1, 2, 3, 4])
    assert ours.difference == 1
    assert np.isnan([ours.z, ours.p_value, ours.low, ours.high]).all()


@settings(deadline=None)
@given(patients)
def test_reversed_score_has_the_complement(rows):
    event, score = np.array(rows).T
    forward, backward = (discrimination.auc(event, sign * score) for sign in (1, -1))
    assert backward.auc == pytest.approx(1 - forward.auc, abs=1e-12)
    assert backward.se == pytest.approx(forward.se, abs=1e-12, nan_ok=True)


@settings(deadline=None)
@given(patients)
def test_auc_is_the_area_under_the_curve(rows):
    event, score = np.array(rows).T
    curve = discrimination.roc_curve(event, score)
    area = np.trapezoid(curve["true_positive_rate"], curve["false_positive_rate"])
    assert discrimination.auc(event, score).auc == pytest.approx(area, abs=1e-12)


@settings(deadline=None)
@given(patients)
def test_no_cut_beats_youdens(rows):
    event, risk = np.array(rows).T
    curve = discrimination.roc_curve(event, risk)
    best = discrimination.operating_point(event, risk, discrimination.youden(event, risk))
    index = (curve["true_positive_rate"] - curve["false_positive_rate"]).max()
    assert best.sensitivity + best.specificity - 1 == pytest.approx(index, abs=1e-12)


def test_roc_curve_by_hand():
    curve = discrimination.roc_curve(*worked())
    assert curve["threshold"].tolist() == [np.inf, 3, 2, 1, 0]
    assert curve["true_positive_rate"].tolist() == [0, 0.5, 1, 1, 1]
    assert curve["false_positive_rate"].tolist() == [0, 0, 1 / 3, 2 / 3, 1]


def test_equal_youden_indices_take_the_lowest_cut():
    """At 0.8 sensitivity is 1/2 and specificity 1; at 0.4 they are 1 and 1/2."""
    assert discrimination.youden([1, 0, 1, 0], [0.8, 0.6, 0.4, 0.2]) == 0.4


def test_a_risk_at_the_threshold_is_high():
    ours = discrimination.operating_point([1, 0], [0.28, 0.27], 0.28)
    assert (ours.true_positive, ours.true_negative) == (1, 1)


def test_operating_point_of_the_paper():
    """Model CSD in validation, TP 20, FP 17, FN 2, TN 57: .909, .770, PPV .541, NPV .966."""
    event = np.repeat([1, 0, 1, 0], [20, 17, 2, 57])
    ours = discrimination.operating_point(event, np.repeat([0.9, 0.1], [37, 59]), 0.28)
    four = [ours.sensitivity, ours.specificity, ours.ppv, ours.npv]
    assert np.round(four, 3).tolist() == [0.909, 0.770, 0.541, 0.966]
    assert np.round([ours.ppv_low, ours.ppv_high], 3).tolist() == [0.384, 0.690]
    assert np.round([ours.npv_low, ours.npv_high], 3).tolist() == [0.885, 0.991]


def test_ppv_of_nobody_is_missing():
    ours = discrimination.operating_point([1, 0], [0.1, 0.2], 0.5)
    assert np.isnan([ours.ppv, ours.ppv_low, ours.ppv_high]).all()
    assert ours.npv == 0.5


@settings(deadline=None)
@given(patients, st.randoms(use_true_random=False))
def test_the_order_of_patients_changes_nothing(rows, random):
    shuffled = random.sample(rows, len(rows))
    (event, score), (event_2, score_2) = (np.array(of).T for of in (rows, shuffled))
    ours, theirs = discrimination.auc(event, score), discrimination.auc(event_2, score_2)
    assert [theirs.auc, theirs.se] == pytest.approx([ours.auc, ours.se], abs=1e-12, nan_ok=True)
    assert discrimination.youden(event_2, score_2) == discrimination.youden(event, score)
    intervals = [
        discrimination.bootstrapped_auc(e, s, resamples=20)
        for e, s in ((event, score), (event_2, score_2))
    ]
    assert intervals[0] == intervals[1]


@settings(deadline=None)
@given(patients, st.sampled_from([0.5, 3, 1000]), st.integers(-5, 5))
def test_a_scores_scale_changes_nothing(rows, factor, shift):
    event, score = np.array(rows).T
    scaled, cut = factor * score + shift, discrimination.youden(event, score)
    ours, theirs = (vars(discrimination.auc(event, s)) for s in (score, scaled))
    assert theirs == pytest.approx(ours, nan_ok=True)
    assert discrimination.youden(event, scaled) == factor * cut + shift


def test_bootstrapped_auc_as_proc():
    """R: ci.auc(method = "bootstrap", boot.n = 20000); 20 000 resamples leave .001 to chance."""
    d, theirs = DATA["332"], R["332"]["a"]["bootstrap"]
    ours = discrimination.bootstrapped_auc(d["event"], d["risk_a"], resamples=20_000)
    assert ours == pytest.approx(theirs, abs=0.002)


def test_a_constant_scores_bootstrap_is_a_point():
    assert discrimination.bootstrapped_auc([1, 0, 1, 0], [0.3] * 4, resamples=9) == (0.5, 0.5)


BAD = [
    pytest.param([1, 1], [1, 2], "both events and non-events; all 2 are events", id="one class"),
    pytest.param([], [], "both events and non-events", id="nobody"),
    pytest.param([1, 0], [1, np.nan], "first at row 1: nan", id="missing"),
    pytest.param([1, 0], [1, np.inf], "first at row 1: inf", id="infinite"),
    pytest.param([1, 0], [1, 2, 3], "has 2, .* has 3", id="lengths"),
    pytest.param([1, 2], [1, 2], "True and False", id="outcome of 2"),
    pytest.param([1, None], [1, 2], "event.* must hold", id="outcome not known"),
    pytest.param([1, 0], ["x", 1], "must hold numbers", id="words"),
]


@pytest.mark.parametrize(("event", "score", "message"), BAD)
@pytest.mark.parametrize(
    "function", ["auc", "bootstrap", "youden", "roc_curve", "paired", "unpaired", "point"]
)
def test_bad_input_is_named(function, event, score, message):
    call = {
        "auc": discrimination.auc,
        "bootstrap": discrimination.bootstrapped_auc,
        "youden": discrimination.youden,
        "roc_curve": discrimination.roc_curve,
        "paired": lambda e, s: discrimination.delong_paired(e, s, s),
        "unpaired": lambda e, s: discrimination.delong_unpaired([1, 0], [1, 0], e, s),
        "point": lambda e, s: discrimination.operating_point(e, s, 0.5),
    }[function]
    with pytest.raises(checks.InputError, match=message):
        call(event, score)


def test_a_missing_threshold_is_named():
    with pytest.raises(checks.InputError, match="threshold must be one finite number"):
        discrimination.operating_point([1, 0], [0.1, 0.2], np.nan)
