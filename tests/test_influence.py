"""What patients add to a figure: its squares sum to the standard error that others compute."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from oracle_patients import DATA
from scipy import special

from hcc_utils import checks
from hcc_utils.evaluation import calibration, discrimination, influence, reclassification

PATIENTS = DATA["332"]
EVENT = PATIENTS["event"].to_numpy(dtype=bool)
OLD, NEW = PATIENTS["risk_a"].to_numpy(), PATIENTS["risk_b"].to_numpy()


def se(added):
    return np.sqrt((added**2).sum())


def test_a_mean_by_hand():
    """1, 2, 6 around 3: -2, -1, 3 over the root of 3 x 2; 14 / 6 is 7 (variance) over 3."""
    added = influence.of_mean([1, 2, 6])
    assert added == pytest.approx(np.array([-2, -1, 3]) / np.sqrt(6))
    assert se(added) == pytest.approx(np.sqrt(7 / 3))


def test_who_is_not_in_the_mean_adds_nothing():
    """Of 1 and 3 around 2: -1 and 1 over the root of 2 x 1."""
    added = influence.of_mean([1, 3, 50], [True, True, False])
    assert added == pytest.approx(np.array([-1, 1, 0]) / np.sqrt(2))


def test_one_patient_alone_has_no_spread():
    assert np.isnan(influence.of_mean([0.3, 0.4], [True, False])).all()


def test_of_an_auc_it_is_delong_s():
    assert se(influence.of_auc(EVENT, OLD)) == pytest.approx(
        discrimination.auc(EVENT, OLD).se, rel=1e-12
    )
    both = influence.of_auc(EVENT, NEW) - influence.of_auc(EVENT, OLD)
    paired = discrimination.delong_paired(EVENT, NEW, OLD)
    assert se(both) == pytest.approx(paired.se, rel=1e-12)


def test_of_an_idi_it_is_that_of_improveprob():
    """`reclassification.idi` equals Hmisc::improveProb (test_equal_to_r)."""
    gain = np.where(EVENT, NEW - OLD, OLD - NEW)
    ours = se(influence.of_class_means(EVENT, gain))
    assert ours == pytest.approx(reclassification.idi(EVENT, OLD, NEW).se, rel=1e-12)


def test_of_a_calibration_it_is_the_sandwich():
    """statsmodels 0.15, GLM binomial with cov_type HC0: offset alone, then a line."""
    intercept, slope = calibration.influence(EVENT, OLD)
    logit, binomial = special.logit(OLD), sm.families.Binomial()
    alone = sm.GLM(EVENT.astype(float), np.ones(len(EVENT)), binomial, offset=logit)
    line = sm.GLM(EVENT.astype(float), sm.add_constant(logit), binomial)
    assert se(intercept) == pytest.approx(alone.fit(tol=1e-13, cov_type="HC0").bse[0], rel=1e-8)
    assert se(slope) == pytest.approx(line.fit(tol=1e-13, cov_type="HC0").bse[1], rel=1e-8)


def test_a_slope_without_an_estimate_has_no_influence():
    """Every event's risk is above every non-event's."""
    intercept, slope = calibration.influence([True, True, False], [0.8, 0.7, 0.2])
    assert np.isfinite(intercept).all()
    assert np.isnan(slope).all()


def test_a_certain_risk_is_refused():
    with pytest.raises(checks.InputError, match="strictly between 0 and 1"):
        calibration.influence([True, False], [1.0, 0.2])


def test_placements_by_hand():
    """.9 beats both, .5 ties with .5 and beats .1; .5 is beaten by one and a half of two."""
    shares = discrimination.placements([True, True, False, False], [0.9, 0.5, 0.5, 0.1])
    assert shares.tolist() == [1.0, 0.75, 0.75, 1.0]
