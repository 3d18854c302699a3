"""Model D at a centre: whose network scored whom decides what the scores may be used for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sample_study

from hcc_utils import checks
from hcc_utils.evaluation import comparison
from hcc_utils.models import model_d, noise_probe, record
from hcc_utils.models.bundle import Bundle
from hcc_utils.models.settings import Settings
from hcc_utils.study import results

MADE = {"margin_pixels": 5, "size": 128}


@pytest.fixture
def here(tmp_path):
    """Three invented patients with two slices each, as notebooks 01 and 02 leave them."""
    folder = results.Folder(root=tmp_path, study="s", centre="development", stage="03_cnn")
    ids = ["p0", "p1", "p2"]
    patients = pd.DataFrame(
        {"patient_id": ids, "centre": "own", "progression": [True, False, True]}
    )
    results.write_table(patients, folder.path / "patients.csv")
    results.write_table(pd.DataFrame({"patient_id": np.repeat(ids, 2)}), folder.path / "slices.csv")
    pixels = np.random.default_rng(1).integers(-100, 200, (6, 128, 128), dtype=np.int16)
    np.save(folder.path / "slices.npy", pixels)
    results.write_json(MADE, folder.path / "preprocessing.json")
    return folder


@pytest.fixture
def bundle(tmp_path):
    """An untrained network, as a study of synthetic images would freeze it."""
    settings = Settings(epochs=1)
    Bundle(
        network=settings.network(),
        settings=settings,
        preprocessing=MADE,
        training_centres=["elsewhere"],
        synthetic=True,
    ).write(tmp_path / "bundle")
    curves = pd.DataFrame({"network": ["final"], "epoch": [1], "loss": [0.7], "inner_auc": [0.5]})
    results.write_table(curves, tmp_path / "bundle" / record.CURVES)
    results.write_table(
        pd.DataFrame(columns=list(noise_probe.COLUMNS)), tmp_path / "bundle" / record.NOISE
    )
    return str(tmp_path / "bundle")


@pytest.fixture
def shown(here, bundle):
    study = sample_study.manifest(here.path, endpoint="progression", synthetic=False)
    images = model_d.Images.read(here, study.endpoint)
    return model_d.at_centre(study, images, here=here, bundle=bundle, profile="tiny")


def test_a_borrowed_network_s_scores_are_a_demonstration(shown):
    assert set(shown.scores.table["origin"]) == {"demonstration"}
    assert len(shown.scores.table) == 3


def test_a_demonstration_says_what_it_was_trained_on(shown):
    assert shown.note.startswith("**Trained on synthetic images: no meaning.**")


def test_no_figure_is_computed_from_a_demonstration(shown):
    assert shown.metrics.empty
    assert "event" not in shown.distribution
    with pytest.raises(checks.InputError, match="'demonstration' cannot be used to compare"):
        comparison.compare(shown.scores)


@pytest.mark.parametrize("protocol", ["leak_free", "as_published"])
def test_neither_protocol_takes_a_demonstration(shown, protocol):
    relabelled = type(shown.scores)(shown.scores.table.assign(protocol=protocol))
    with pytest.raises(checks.InputError, match="train the model on this study's own patients"):
        comparison.roc_table(relabelled)


def test_a_demonstration_hands_no_network_on(shown, here):
    shown.write(here)
    assert (here.path / "scores_d.csv").is_file()
    assert not (here.path / "network.safetensors").exists()


@pytest.mark.parametrize(
    ("centre", "given", "expected"),
    [
        ("development", "", "out_of_fold"),
        ("development", "b", "demonstration"),
        ("hospital_c", "b", "external"),
    ],
)
def test_the_origin_follows_from_who_was_trained_on(here, centre, given, expected):
    folder = results.Folder(root=here.root, study="s", centre=centre, stage="03_cnn")
    assert model_d.origin(folder, bundle=given) == expected
