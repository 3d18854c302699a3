"""Cases: slices stay in the file they lie in, and give what they give in memory."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_training import QUICK, silent, study, weights

from hcc_utils.models import folds, noise_probe, training
from hcc_utils.models.cases import Cases
from hcc_utils.models.scorers import Scorers

Study = tuple[np.ndarray, pd.DataFrame, pd.DataFrame]


@pytest.fixture(name="stored")
def _stored(tmp_path: Path) -> Study:
    """A study of 12 patients with three slices each, its pixels in a file."""
    pixels, slices, patients = study(n_patients=12)
    np.save(tmp_path / "slices.npy", pixels)
    return np.load(tmp_path / "slices.npy", mmap_mode="r"), slices, patients


def cases_of(given: Study) -> Cases:
    """The study's patients."""
    return Cases.of(*given, "aggressive_pd")


def test_cases_of_a_file_hold_no_pixel(stored: Study) -> None:
    assert cases_of(stored).pixels_hu is stored[0]


def test_cases_travel_by_the_name_of_their_file(stored: Study) -> None:
    """A slice is 32 kB, so the pickle of all 36 would have more than a megabyte."""
    cases = cases_of(stored)
    pickled = pickle.dumps(cases)
    assert len(pickled) < 2**15
    there = pickle.loads(pickled)
    assert isinstance(there.pixels_hu, np.memmap)
    assert there.digests == cases.digests


def test_a_part_of_a_file_travels_as_it_is(stored: Study) -> None:
    """Every second slice of the file is not what the file's name would give."""
    pixels, slices, patients = stored
    cases = cases_of((pixels[::2], slices[::2], patients))
    there = pickle.loads(pickle.dumps(cases))
    np.testing.assert_array_equal(there.pixels_hu, pixels[::2])


def test_slices_of_nobody_asked_for_are_left_aside(stored: Study) -> None:
    """Patients 1 and 3 have rows 3 to 5 and 9 to 11 of the file."""
    pixels, slices, patients = stored
    cases = cases_of((pixels, slices, patients.iloc[[3, 1]]))
    assert cases.patient_of_slice.tolist() == [1, 1, 1, 0, 0, 0]
    np.testing.assert_array_equal(cases.pixels_hu, pixels[[3, 4, 5, 9, 10, 11]])


def test_a_file_gives_what_memory_gives(stored: Study, tmp_path: Path) -> None:
    """Weights, scores, features and the noise probe, bit by bit; of the file by two processes."""
    fold = folds.assign(stored[2], n_folds=2, seed=1)
    settings = replace(QUICK, epochs=1, slices_per_epoch=16, inner_share=0.5)
    found = {}
    for name, pixels in (("file", stored[0]), ("memory", np.array(stored[0]))):
        given, folder = (pixels, *stored[1:]), tmp_path / name
        how = replace(settings, processes=2 if name == "file" else 1)
        scores, _ = training.cross_fit(*given, fold, how, folder, progress=silent)
        ensemble, _ = training.refit(*given, settings, folder, progress=silent)
        noise = noise_probe.noise_probe(*given, fold, settings, folder, progress=silent)
        scorers = Scorers.of_folds(cases_of(given), fold, settings, folder)
        found[name] = (
            scores.table["score"],
            weights(ensemble.first),
            noise["mean_score"],
            scorers.slice_scores(),
            scorers.features(),
        )
    for one, other in zip(found["file"], found["memory"], strict=True):
        assert np.array_equal(one, other)
