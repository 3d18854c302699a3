"""Trust: the right networks, no patient's name, and nothing of a demonstration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import sample_study
import torch
from test_model_d import MADE
from test_training import QUICK, silent, study

from hcc_utils.models import folds, model_d, shortcuts, training, trust
from hcc_utils.models.bundle import Bundle
from hcc_utils.models.cases import Cases
from hcc_utils.models.scorers import Scorers
from hcc_utils.presentation import words
from hcc_utils.study import results


@pytest.fixture
def recut(monkeypatch):
    """Who was asked to be cut again; nobody is."""
    asked = []

    def remember(_study, patients, *_args, **_made):
        asked.extend(patients["patient_id"])
        return iter(())

    monkeypatch.setattr(trust.study_slices, "recut", remember)
    return asked


@pytest.fixture
def development(tmp_path):
    """A cross-fitted study of 80 patients in two hospitals, as chapter 03 has it in its hands."""
    here = results.Folder(root=tmp_path, study="s", centre="development", stage="03_cnn")
    pixels, slices, patients = study(n_patients=80, per_patient=1)
    patients["centre"] = np.repeat(["a", "b"], [30, 50])
    patients["diameter_mm"] = np.linspace(10, 90, 80)
    settings = replace(QUICK, epochs=1)
    fold = folds.assign(patients, n_folds=2, seed=1)
    networks = here.path / model_d.NETWORKS
    scores, curves = training.cross_fit(
        pixels, slices, patients, fold, settings, networks, progress=silent
    )
    bundle = Bundle(
        network=settings.network(), settings=settings, preprocessing=MADE, training_centres=["a"]
    )
    scans = pd.DataFrame({"patient_id": patients["patient_id"][::-1], "kvp": 120.0})
    scans["slice_thickness_mm"], scans["kernel"] = 5.0, np.repeat(["B50", "B30"], [50, 30])
    results.write_table(scans, here.path / "scans.csv")
    results.write_json(MADE, here.path / "preprocessing.json")
    images = model_d.Images(patients, slices, pixels, "aggressive_pd")
    found = model_d.ModelD(scores, curves, bundle.network, curves, "", curves, bundle, settings)
    return here, images, found


def manifest(here, **more):
    return sample_study.manifest(here.path, endpoint="aggressive_pd", synthetic=True, **more)


def test_every_table_is_there_and_knows_no_patient(development, recut):
    here, images, found = development
    made = trust.trust(manifest(here), images, found, here=here, bundle="")
    for table in (made.told, made.centres, made.size, made.robustness):
        assert len(table)
        assert "patient_id" not in table
        assert not table.astype(str).isin(images.patients["patient_id"].tolist()).any(axis=None)


def test_scans_are_matched_by_patient_not_by_order(development, recut):
    """The file counts patients backwards: hospital a, 30 of 80, has the last 30 rows' B30."""
    here, images, found = development
    told = trust.trust(manifest(here), images, found, here=here, bundle="").told
    kernel = told[told["setting"] == "kernel"]
    assert (kernel["note"] == "same_as_centre").all()
    assert set(told["source"].dropna()) == {"score", "features", "diameter"}
    assert told.set_index("setting")["note"][["kvp", "slice_thickness_mm"]].tolist() == [
        "one_level",
        "one_level",
    ]


def test_at_most_sixty_patients_are_cut_again(development, recut):
    here, images, found = development
    trust.trust(manifest(here), images, found, here=here, bundle="")
    assert len(recut) == len(set(recut)) == trust.MOST_RECUT == 60


def test_a_study_without_diameters_is_probed_without_them(development, recut):
    here, images, found = development
    blind = replace(images, patients=images.patients.drop(columns="diameter_mm"))
    made = trust.trust(manifest(here), blind, found, here=here, bundle="")
    assert set(made.told["source"].dropna()) == {"score", "features"}
    assert made.size["estimate"].isna().all()


def test_of_a_demonstration_nothing_is_said(development, recut):
    here, images, found = development
    made = trust.trust(manifest(here), images, found, here=here, bundle="elsewhere")
    for table in (made.told, made.centres, made.size, made.robustness):
        assert table.empty
    assert (
        words.within_centres(made.centres)
        == words.size_verdict(made.size)
        == words.network.NOT_JUDGED
    )
    for shown in (words.told(made.told), words.size(made.size), words.robustness(made.robustness)):
        assert shown._repr_html_() == "<p>Nothing to show.</p>"


def test_the_tables_come_back_from_the_folder(development, recut):
    here, images, found = development
    made = trust.trust(manifest(here), images, found, here=here, bundle="")
    made.write(here)
    for name, file in trust.FILES.items():
        table = getattr(made, name)
        known = table.mask(table == "")  # no text is read as missing
        pd.testing.assert_frame_equal(here.read(file), known, check_dtype=False)


def test_a_validation_centre_is_seen_by_the_frozen_network(development, recut, tmp_path):
    here, images, found = development
    found.bundle.write(tmp_path / "bundle")
    elsewhere = replace(images, patients=images.patients.assign(centre="c"))
    there = results.Folder(root=tmp_path, study="s", centre="c", stage="03_cnn")
    for name in ("scans.csv", "preprocessing.json"):
        there.path.mkdir(exist_ok=True)
        (there.path / name).write_bytes((here.path / name).read_bytes())
    bundle = str(tmp_path / "bundle")
    given = (images.pixels_hu, images.slices, elsewhere.patients)
    scores = training.scores(found.bundle.ensemble, *given)
    external = replace(found, scores=scores, bundle=None, settings=None)
    made = trust.trust(manifest(there), elsewhere, external, here=there, bundle=bundle)
    note = made.told.set_index("setting")["note"]
    assert note["centre"] == "one_level"
    assert (note["kernel"] == "").all()
    before = made.robustness["auc_before"].dropna().unique()
    assert before == pytest.approx(made.size.set_index("figure")["estimate"]["auc_score"])


def test_features_tell_a_hospital_whose_slices_are_brighter():
    """60 HU apart, in noise whose mean over a slice strays by 0.2 HU; all weights only add up."""
    pixels, slices, patients = study(n_patients=40, per_patient=2, planted=False)
    patients["centre"] = np.repeat(["a", "b"], 20)
    bright = (slices["patient_id"].isin(patients["patient_id"][20:])).to_numpy()
    pixels[bright] += 60
    network = QUICK.network()
    for weight in network.blocks.parameters():
        torch.nn.init.constant_(weight, 0.1)
    bundle = Bundle(network=network, settings=QUICK, preprocessing=MADE)
    scorers = Scorers.frozen(Cases.of(pixels, slices, patients, "aggressive_pd"), bundle)
    sources = {"features": scorers.features()}
    told = shortcuts.told(sources, patients[["centre"]], scorers.network_of_patient, seed=1)
    assert told.loc[0, ["auc", "p_value"]].tolist() == [1, 0.005]
