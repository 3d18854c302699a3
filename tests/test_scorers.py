"""Scorers: each patient by its own network, from disk only where it is the right one."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_training import QUICK, silent, study

from hcc_utils.checks import InputError
from hcc_utils.models import folds, training
from hcc_utils.models.bundle import Bundle
from hcc_utils.models.cases import Cases
from hcc_utils.models.scorers import Scorers


@pytest.fixture(scope="module")
def crossed(tmp_path_factory):
    """A cross-fitted study of 20 patients with two slices each, and the folder of its networks."""
    folder = tmp_path_factory.mktemp("networks")
    pixels, slices, patients = study(n_patients=20, per_patient=2)
    fold = folds.assign(patients, n_folds=2, seed=1)
    settings = replace(QUICK, epochs=1)
    scores, _ = training.cross_fit(
        pixels, slices, patients, fold, settings, folder, progress=silent
    )
    cases = Cases.of(pixels, slices, patients, "aggressive_pd")
    return cases, fold, settings, folder, scores


def test_the_folds_networks_give_the_out_of_fold_scores_again(crossed):
    cases, fold, settings, folder, scores = crossed
    scorers = Scorers.of_folds(cases, fold, settings, folder)
    again = scorers.means(scorers.slice_scores())
    np.testing.assert_array_equal(again, scores.table["score"])


@pytest.mark.parametrize("members", [1, 2])
def test_each_network_scores_through_the_window_of_its_own_training_part(tmp_path, members):
    """Fold 1 lies 60 HU higher: one window for both folds would move every score."""
    pixels, slices, patients = study(n_patients=20, per_patient=2)
    fold = folds.assign(patients, n_folds=2, seed=1)
    pixels[fold.repeat(2) == 1] += 60
    settings = replace(QUICK, epochs=1, window_percentiles=(1, 99), members=members)
    given = (pixels, slices, patients)
    scores, _ = training.cross_fit(*given, fold, settings, tmp_path, progress=silent)
    cases = Cases.of(*given, "aggressive_pd")
    scorers = Scorers.of_folds(cases, fold, settings, tmp_path)
    windows = [own.settings.window_centre_hu for own in scorers.ensembles]
    assert windows[0] - windows[1] == pytest.approx(60, abs=5)
    again = scorers.means(scorers.slice_scores())
    np.testing.assert_allclose(again, scores.table["score"], rtol=0, atol=1e-9)


def test_a_patient_s_own_network_scores_other_slices_of_the_patient(crossed):
    cases, fold, settings, folder, _ = crossed
    scorers = Scorers.of_folds(cases, fold, settings, folder)
    of_slices = scorers.slice_scores()
    for row in (0, 13):
        own = cases.slices_of(np.array([row]))
        again = scorers.scores_of(row, cases.pixels_hu[own])
        np.testing.assert_allclose(again, of_slices[own], atol=1e-6)


def test_networks_of_other_folds_are_not_taken(crossed, tmp_path):
    """With the folds' numbers exchanged, the networks on disk have seen whom they would score."""
    cases, fold, settings, folder, _ = crossed
    shutil.copytree(folder, tmp_path / "networks")
    scorers = Scorers.of_folds(cases, 1 - fold, settings, tmp_path / "networks")
    fresh = Scorers.of_folds(cases, 1 - fold, settings, tmp_path / "empty")
    np.testing.assert_array_equal(scorers.slice_scores(), fresh.slice_scores())


def test_features_are_what_the_dense_layer_turns_into_scores(crossed):
    """Slices' features times the dense layer's weights, through softmax, are the slices' scores."""
    cases, fold, settings, folder, _ = crossed
    one_slice = replace(cases, pixels_hu=cases.pixels_hu[::2], patient_of_slice=np.arange(20))
    scorers = Scorers.of_folds(cases, fold, settings, folder)
    scorers = replace(scorers, cases=one_slice)
    features = torch.from_numpy(scorers.features()).float()
    for row, number in enumerate(fold):
        logits = scorers.ensembles[number].first.dense(features[row])
        score = torch.softmax(logits, dim=0)[1].item()
        assert score == pytest.approx(scorers.slice_scores()[row], abs=1e-6)


def test_a_patient_s_mean_is_over_its_own_slices(crossed):
    """Slices 0 to 39 of patients with two each: 0.5, 2.5, ..., 38.5."""
    cases, fold, settings, folder, _ = crossed
    scorers = Scorers.of_folds(cases, fold, settings, folder)
    assert scorers.means(np.arange(40.0)).tolist() == [2 * row + 0.5 for row in range(20)]


def test_a_frozen_network_scores_no_patient_of_its_own_centres(crossed):
    cases, _, settings, _, _ = crossed
    bundle = Bundle(
        network=settings.network(),
        settings=settings,
        preprocessing={},
        training_centres=["hospital_a"],
    )
    with pytest.raises(InputError, match="trained on 'hospital_a'"):
        Scorers.frozen(cases, bundle)
    elsewhere = replace(bundle, training_centres=["hospital_z"])
    assert len(Scorers.frozen(cases, elsewhere).slice_scores()) == 40
