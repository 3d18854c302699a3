"""Spread: sure of itself or not, from patient to patient and from seed to seed, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import sample_study
from scipy.special import expit
from test_model_d import MADE
from test_robustness import WINDOW, MeanIntensity, scorers
from test_training import QUICK, study

from hcc_utils.models import model_d, settings, spread
from hcc_utils.models.bundle import Bundle
from hcc_utils.models.ensemble import Ensemble
from hcc_utils.presentation import words
from hcc_utils.study import results
from hcc_utils.study.scores import Scores

HALVES = np.repeat([-1.0, 1.0], 30)  # log odds: mean 0, SD sqrt(60 / 59)
SD = (60 / 59) ** 0.5


def scored(log_odds, origin="out_of_fold"):
    """Patients whose scores have these log odds."""
    patients = pd.DataFrame({"patient_id": [f"P{n}" for n in range(len(log_odds))]})
    patients["centre"], patients["aggressive_pd"] = "a", False
    risk = expit(log_odds)
    return Scores.of(patients, model="d", origin=origin, score=risk, risk=risk)


def test_mean_and_spread_by_hand():
    found = spread.between_patients(scored(HALVES + 0.5)).iloc[0]
    assert found[["origin", "n"]].tolist() == ["out_of_fold", 60]
    assert found[["mean_logit", "sd_logit"]].tolist() == pytest.approx([0.5, SD])
    assert found["low"] < SD < found["high"] + 0.01  # no sample of halves is wider than SD 1.01
    assert found[["ratio", "ratio_low", "ratio_high"]].isna().all()


def test_twice_the_spread_is_a_ratio_of_two():
    before = spread.between_patients(scored(HALVES))
    found = spread.between_patients(scored(2 * HALVES, "external"), before)
    assert found["origin"].tolist() == ["out_of_fold", "external"]
    assert found.loc[0].equals(before.loc[0])
    assert found.loc[1, "ratio"] == pytest.approx(2)
    assert found.loc[1, "ratio_low"] > 1.5
    assert "**wider**" in words.spread_verdict(found)


def test_half_the_spread_is_narrower():
    before = spread.between_patients(scored(HALVES))
    found = spread.between_patients(scored(HALVES / 2, "external"), before)
    assert "**narrower**" in words.spread_verdict(found)


def test_against_itself_the_ratio_is_one_and_as_uncertain_to_both_sides():
    before = spread.between_patients(scored(np.random.default_rng(1).normal(0, 1, 50)))
    found = spread.between_patients(
        scored(np.random.default_rng(1).normal(0, 1, 50), "external"), before
    ).loc[1]
    assert found["ratio"] == 1
    assert found["ratio_low"] * found["ratio_high"] == pytest.approx(1)
    assert found["ratio_low"] < 1


def test_the_ratio_s_interval_is_as_a_simulation_has_it():
    """Over 2000 pairs of samples of 100, the SD of the log ratio is 0.10: 1 / sqrt(100)."""
    draw = np.random.default_rng(2)
    before = spread.between_patients(scored(draw.normal(0, 1, 100)))
    found = spread.between_patients(scored(draw.normal(0, 1, 100), "external"), before).loc[1]
    width = np.log(found["ratio_high"] / found["ratio_low"]) / (2 * 1.96)
    many = draw.normal(0, 1, (2, 2000, 100)).std(axis=2, ddof=1)
    assert width == pytest.approx(np.log(many[1] / many[0]).std(), rel=0.25)


@pytest.mark.parametrize("log_odds", [[0.3], [0.3] * 20], ids=["one patient", "all alike"])
def test_what_has_no_spread_is_not_compared(log_odds):
    before = spread.between_patients(scored(HALVES))
    found = spread.between_patients(scored(log_odds, "external"), before)
    assert found.loc[1, "ratio":].isna().all()
    assert "cannot be compared" in words.spread_verdict(found)


class Brightness(MeanIntensity):
    """The windowed intensity, its log odds moved."""

    def __init__(self, moved):
        super().__init__(filters=(2, 2), strides=(8, 8))
        self.moved = moved

    def slice_scores(self, images):
        return (super().slice_scores(images).logit() + self.moved).sigmoid()


def test_the_spread_between_seeds_by_hand():
    """
    Log odds moved by 0 and by 1: SD of two values 1 apart is 1 / sqrt(2), of every patient. The
    scores of P1 and P3 (event) are 150 and 250 HU in a window from -100 to 300, of the others 50
    and 100: all pairs right, by each member and by the mean.
    """
    alone = scorers([[50], [150], [100], [250]])
    pair = Ensemble([Brightness(0.0), Brightness(1.0)], WINDOW)
    found = spread.between_seeds(replace(alone, ensembles=[pair])).set_index(["figure", "member"])
    assert found.loc["auc", "estimate"].to_dict() == {"1": 1, "2": 1, "mean": 1}
    row = found.loc[("sd_between_seeds", "")]
    assert row[["estimate", "low", "high"]].tolist() == pytest.approx([0.5**0.5] * 3, abs=1e-6)
    assert found.loc[("sd_between_seeds_p95", ""), "estimate"] == pytest.approx(0.5**0.5, abs=1e-6)
    share = (np.array([150, 250, 200, 350]) / 400).tolist()
    mean = [(p + expit(np.log(p / (1 - p)) + 1)) / 2 for p in share]
    sd = np.std(np.log(np.divide(mean, np.subtract(1, mean))), ddof=1)
    assert found.loc[("sd_between_patients", ""), "estimate"] == pytest.approx(sd, abs=1e-6)
    assert (found["n"] == 4).all()


def test_with_one_outcome_alone_there_is_no_auc():
    alone = scorers([[50], [150]])
    alone.cases.patients["event"] = False
    pair = Ensemble([Brightness(0.0), Brightness(1.0)], WINDOW)
    found = spread.between_seeds(replace(alone, ensembles=[pair]))
    assert "auc" not in set(found["figure"])
    assert words.seeds_verdict(found).startswith("From one training to another")


@pytest.mark.parametrize(("patients", "said"), [(0.3, "**more than"), (0.9, "less than")])
def test_trainings_that_differ_more_than_patients_are_named(patients, said):
    """Log odds of 0.4: a score of 1 / (1 + exp(-0.4)) = 0.60 in place of 0.50, or 0.40."""
    table = pd.DataFrame({"figure": ["sd_between_seeds", "sd_between_patients"]})
    verdict = words.seeds_verdict(table.assign(estimate=[0.4, patients]))
    assert f"an SD of 0.40, {said}" in verdict
    assert "one alone says 0.40 to 0.60" in verdict


def test_one_training_says_nothing_of_seeds():
    found = spread.between_seeds(scorers([[50], [150]]))
    assert found.empty
    assert "is not known" in words.seeds_verdict(found)
    assert words.seeds(found)._repr_html_() == "<p>No second training to compare with.</p>"


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """Chapter 03 of development: 40 patients, two trainings of each network, windows learnt."""
    root = tmp_path_factory.mktemp("results")
    here = results.Folder(root=root, study="s", centre="development", stage="03_cnn")
    results.write_json(MADE, here.path / "preprocessing.json")
    pixels, slices, patients = study(per_patient=1)
    images = model_d.Images(patients, slices, pixels, "aggressive_pd")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(settings.PROFILES, "tiny", replace(QUICK, epochs=1, inner_share=0.5))
        network = {"members": 2, "window_percentiles": (1.0, 99.0)}
        plan = sample_study.manifest(root, endpoint="aggressive_pd", network=network)
        found = model_d.at_centre(plan, images, here=here, bundle="", profile="tiny")
    return here, images, found


def test_the_manifest_s_network_is_the_one_that_is_trained(chapter):
    here, images, found = chapter
    names = {path.name for path in (here.path / model_d.NETWORKS).glob("*.safetensors")}
    assert names == {f"{job}{more}.safetensors" for job in JOBS for more in ("", "_member2")}
    assert "trained 2 times, under other seeds" in found.note
    assert "between the percentiles 1 and 99" in found.note
    thinned = images.pixels_hu[:, ::4, ::4]
    assert found.bundle.settings.window_low_hu == pytest.approx(np.percentile(thinned, 1))


JOBS = ("fold0", "fold1", "fold2", "fold3", "fold4", "final")


def test_looking_at_the_spread_trains_no_network_anew(chapter):
    """The networks, each behind its own window, are those that gave the out-of-fold scores."""
    here, images, found = chapter
    stored = {path: path.stat().st_mtime_ns for path in (here.path / "networks").iterdir()}
    scorers = model_d.scorers(images, found, here=here, bundle="")
    again = scorers.means(scorers.slice_scores())
    np.testing.assert_allclose(again, found.scores.table["score"], rtol=0, atol=1e-9)
    apart = spread.at_centre(images, found, here=here, bundle="")
    assert apart.seeds["member"].tolist() == ["1", "2", "mean", "", "", ""]
    assert stored == {path: path.stat().st_mtime_ns for path in (here.path / "networks").iterdir()}


def test_a_validation_centre_is_held_against_development(chapter, tmp_path):
    """Its scores are the mean of the bundle's two networks; no table knows a patient."""
    here, images, found = chapter
    found.bundle.write(tmp_path / "bundle")
    apart = spread.at_centre(images, found, here=here, bundle="")
    results.write_table(apart.patients, tmp_path / "bundle" / spread.FILES["patients"])
    there = results.Folder(root=here.root, study="s", centre="c", stage="03_cnn")
    elsewhere = replace(images, patients=images.patients.assign(centre="c"))
    frozen = Bundle.read(tmp_path / "bundle")
    external = replace(found, bundle=None, settings=None)
    scorers = model_d.scorers(elsewhere, external, here=there, bundle=str(tmp_path / "bundle"))
    each = [one.means(one.slice_scores()) for one in scorers.members]
    assert len(each) == len(frozen.ensemble.members) == 2
    np.testing.assert_allclose(
        scorers.means(scorers.slice_scores()), (each[0] + each[1]) / 2, rtol=0, atol=1e-12
    )
    external = replace(external, scores=scored(HALVES, "external"))
    made = spread.at_centre(elsewhere, external, here=there, bundle=str(tmp_path / "bundle"))
    made.write(there)
    for name, file in spread.FILES.items():
        table = there.read(file)
        assert list(table) == list(getattr(spread, name.upper()))
        assert not table.astype(str).isin(images.patients["patient_id"].tolist()).any(axis=None)
    assert made.patients["origin"].tolist() == ["out_of_fold", "external"]


def test_of_a_demonstration_nothing_is_said(chapter):
    here, images, found = chapter
    made = spread.at_centre(images, found, here=here, bundle="elsewhere")
    assert made.patients.empty
    assert made.seeds.empty
    assert words.spread_verdict(made.patients) == words.network.NOT_JUDGED
