"""An ensemble: networks that differ in nothing but the seed, and the mean of what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_training import QUICK, silent, study

from hcc_utils.models import folds, scoring, training
from hcc_utils.models.cases import Cases, Job
from hcc_utils.models.ensemble import Ensemble
from hcc_utils.models.fitting import Training

SHORT = replace(QUICK, epochs=1, slices_per_epoch=16, inner_share=0.5)


def test_a_slice_s_score_is_the_mean_of_the_members():
    torch.manual_seed(1)
    members = [QUICK.network().eval() for _ in range(3)]
    pixels, _, _ = study(n_patients=4, per_patient=1)
    each = [scoring.slice_scores(one, pixels, QUICK) for one in members]
    found = Ensemble(members, QUICK).slice_scores(pixels)
    np.testing.assert_allclose(found, (each[0] + each[1] + each[2]) / 3, rtol=0, atol=1e-15)
    for alone, score in zip(Ensemble(members, QUICK).alone, each, strict=True):
        assert alone.slice_scores(pixels).tolist() == score.tolist()


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A study trained once, then as an ensemble of two in the same folder."""
    folder = tmp_path_factory.mktemp("networks")
    given = study(n_patients=16, per_patient=1)
    fold = folds.assign(given[2], n_folds=2, seed=1)
    before, _ = training.cross_fit(*given, fold, SHORT, folder, progress=silent)
    said = []
    settings = replace(SHORT, members=2)
    after, curves = training.cross_fit(*given, fold, settings, folder, progress=said.append)
    return given, fold, settings, folder, before, after, curves, said


def test_only_the_further_members_are_trained(grown):
    """The first keeps its seeds, its file and its weights, however many are asked for."""
    *_, curves, said = grown
    assert [line.split("(")[1].split(")")[0] for line in said] == [
        "fold0_member2",
        "fold1_member2",
        "final_member2",
    ]
    assert list(curves["network"]) == ["fold0", "fold0_member2", "fold1", "fold1_member2"]


def test_an_out_of_fold_score_is_the_mean_of_the_patient_s_two_networks(grown):
    given, fold, settings, folder, before, after, _, _ = grown
    cases = Cases.of(*given, "aggressive_pd")
    second = np.zeros(len(fold))
    for number, own in enumerate(training.fold_ensembles(cases, fold, settings, folder)):
        rows = np.flatnonzero(fold == number)
        second[rows] = cases.scores(own.members[1], rows, own.settings)
    first = before.table["score"].to_numpy()
    assert np.abs(first - second).min() > 0
    np.testing.assert_allclose(after.table["score"], (first + second) / 2, rtol=0, atol=1e-12)


def test_the_final_ensemble_scores_by_the_mean_of_its_members(grown):
    given, _, settings, folder, *_ = grown
    ensemble, curves = training.refit(*given, settings, folder, progress=silent)
    assert list(curves["network"]) == ["final", "final_member2"]
    found, *each = (
        training.scores(own, *given).table["score"] for own in (ensemble, *ensemble.alone)
    )
    np.testing.assert_allclose(found, (each[0] + each[1]) / 2, rtol=0, atol=1e-12)


def test_each_member_chooses_its_epoch_on_other_patients():
    cases = Cases.of(*study(n_patients=40, per_patient=1), "aggressive_pd")
    everyone = np.arange(40)
    inner = [
        Training(
            cases, Job(name="x", learns=everyone, scores=everyone[:0], member=member), QUICK
        ).inner.tolist()
        for member in (1, 2)
    ]
    assert len(inner[0]) == len(inner[1]) == 8
    assert inner[0] != inner[1]
