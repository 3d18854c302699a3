"""What a score adds to another: against R's anova, and against chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from oracle_patients import DATA, R

from hcc_utils import checks
from hcc_utils.models import added
from hcc_utils.study.scores import Scores


def scores_of(event, cs, d, origin="external", fold=None):
    """Models CS and D with these risks."""
    patients = pd.DataFrame({"patient_id": np.arange(len(event)).astype(str), "centre": "c"})
    patients["aggressive_pd"] = np.asarray(event, dtype=bool)
    given = {"origin": origin, "fold": fold}
    cs = Scores.of(patients, model="cs", score=np.asarray(cs), risk=np.asarray(cs), **given)
    return cs + Scores.of(patients, model="d", score=np.asarray(d), risk=np.asarray(d), **given)


@pytest.mark.parametrize("n", ["40", "300", "332", "20000"])
def test_chi_square_as_rs_anova(n):
    d = DATA[n]
    scores = scores_of(d["event"], d["risk_a"], d["risk_b"])
    row = added.likelihood_ratio(scores, permutations=2).iloc[0]
    assert (row["model"], row["comparator"], row["metric"]) == ("d", "cs", "likelihood_ratio")
    assert row["estimate"] == pytest.approx(R[n]["added"], rel=1e-9)


def test_a_score_that_knows_more_beats_every_permutation():
    """332 patients, chi-square of R above 100: p is 1 of 200."""
    d = DATA["332"]
    scores = scores_of(d["event"], d["risk_a"], d["risk_b"])
    assert added.likelihood_ratio(scores, permutations=199).loc[0, "p_value"] == 1 / 200


def test_the_same_score_adds_nothing():
    d = DATA["40"]
    row = added.likelihood_ratio(scores_of(d["event"], d["risk_a"], d["risk_a"]), permutations=19)
    assert (row.loc[0, "estimate"], row.loc[0, "p_value"]) == (pytest.approx(0, abs=1e-9), 1)


def test_p_is_uniform_where_nothing_is_added():
    """100 studies of 40 patients, D is noise: 5 % (se 2.2) have p <= .05."""
    rng, found = np.random.default_rng(1), []
    for _ in range(100):
        cs, d = rng.uniform(0.1, 0.9, (2, 40))
        event = rng.random(40) < cs
        table = added.likelihood_ratio(scores_of(event, cs, d), permutations=19)
        found.append(table.loc[0, "p_value"])
    assert 0 < np.mean(np.array(found) <= 0.05) < 0.12


def test_permutations_stay_within_a_fold():
    """D tells the folds apart and nothing else: within a fold there is nothing to deal out."""
    fold = np.repeat([0, 1], 20)
    event = np.arange(40) % 2 == 0
    event[20:30] = True
    cs = np.full(40, 0.3)
    scores = scores_of(event, cs, 0.2 + 0.5 * fold, origin="out_of_fold", fold=fold)
    row = added.likelihood_ratio(scores, permutations=19).iloc[0]
    assert row["estimate"] > 1
    assert row["p_value"] == 1


@pytest.mark.parametrize(("events", "note"), [(9, "too_few_events"), (0, "one_class")])
def test_few_events_are_not_tested(events, note):
    cs, d = np.random.default_rng(1).uniform(0.1, 0.9, (2, 40))
    row = added.likelihood_ratio(scores_of(np.arange(40) < events, cs, d), permutations=3).iloc[0]
    assert np.isnan(row["p_value"])
    assert row["note"] == note
    assert np.isnan(row["estimate"]) == (events == 0)


def test_apparent_scores_are_refused():
    scores = scores_of([1, 0], [0.2, 0.3], [0.2, 0.3], origin="apparent")
    with pytest.raises(checks.InputError, match="cannot be used to test what is added"):
        added.likelihood_ratio(scores)
