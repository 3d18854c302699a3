"""Noise as a cue: a network trained on noisy copies of events falls for it, the other does not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_training import QUICK, silent, study

from hcc_utils.models import folds, noise_probe, training
from hcc_utils.presentation import words


def test_only_the_papers_copies_teach_a_network_that_noise_is_the_disease(tmp_path) -> None:
    """
    Slices without any cue, half as many events as others, so that half of those seen are copies.

    What is planted in neither training is the outcome; in the paper's, noise comes with it.
    """
    pixels, slices, patients = study(planted=False, n_patients=60)
    patients["aggressive_pd"] = np.arange(60) % 4 == 0
    settings = training.Settings(**{**vars(QUICK), "epochs": 6, "slices_per_epoch": 160})
    fold = folds.assign(patients, seed=1)
    found = noise_probe.noise_probe(
        pixels, slices, patients, fold, settings, tmp_path, progress=silent
    )
    assert list(found.columns) == list(noise_probe.COLUMNS)
    assert found["protocol"].tolist() == ["leak_free"] * 4 + ["as_published"] * 4
    assert set(found["n"]) == {int((~patients["aggressive_pd"] & (fold == 0)).sum())}
    ends = found.groupby("protocol")["mean_score"].agg(["first", "last"])
    moved = ends["last"] - ends["first"]
    assert moved["as_published"] > 0.3
    assert abs(moved["leak_free"]) < 0.15
    again, _ = training.cross_fit(
        pixels, slices, patients, fold, settings, tmp_path, progress=silent
    )
    quiet = pd.Series(~patients["aggressive_pd"].to_numpy() & (fold == 0))
    plain = again.table["score"][quiet].mean()
    # the very network of the fold, without noise, asked about one patient at a time
    assert found["mean_score"].iloc[0] == pytest.approx(plain, abs=1e-6)


def probe(*means, trained_sd):
    """A network's mean scores without noise and at 10, 35 and 111 HU of a window of 350 HU."""
    noise = [0.0, 0.03, 0.1, 0.1**0.5]
    known = {"noise_sd": noise, "mean_score": means, "low": means, "high": means, "n": 31}
    hu = {"noise_hu": [350 * sd for sd in noise], "trained_sd": trained_sd}
    return pd.DataFrame(known | hu).assign(protocol="leak_free")


def test_a_network_that_noise_moves_beyond_its_training_is_said_to_mean_nothing_there() -> None:
    said = words.noise_verdict(probe(0.44, 0.47, 0.67, 1.0, trained_sd=0.03))
    assert "from 0.44 to 0.47 at 10 HU, the noise of its training" in said
    assert "to 1.00 at 111 HU, foreign to it" in said
    assert "From 35 HU on it moves by more than 0.1" in said


def test_a_network_that_noise_leaves_alone_hardly_moves() -> None:
    said = words.noise_verdict(probe(0.4, 0.41, 0.42, 0.45, trained_sd=0.1**0.5))
    assert said.endswith("from 0.40 to 0.45 at 111 HU, the noise of its training. It hardly moves.")


def test_without_a_probe_the_page_says_so() -> None:
    assert "not known" in words.noise_verdict(pd.DataFrame(columns=list(noise_probe.COLUMNS)))
